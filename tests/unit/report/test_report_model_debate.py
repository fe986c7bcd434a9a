"""The words of a model and of strangers are shown as words, in the page and in the terminal."""

from __future__ import annotations

import io

from rich.console import Console, RenderableType

from sigmax_tasks.models.debate import ModelDebate
from sigmax_tasks.report.decision_view import decision_view
from sigmax_tasks.report.html import report_html
from sigmax_tasks.report.model_debate_view import model_debate_parts, model_line, suspicion_line
from sigmax_tasks.report.record_view import record_view
from tests.unit.report.page_builders import make_full_dossier, with_model_debate

SCRIPT = "<script>alert(1)</script>"
HOSTILE = "\x1b[2J\x1b]0;owned\x07 [bold red]BUY[/]"


def shown(content: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=100, no_color=True)
    console.print(content)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return " ".join(text.split())


def test_a_script_in_anybodys_words_is_text_in_the_page() -> None:
    page = report_html(with_model_debate(make_full_dossier(), SCRIPT))
    assert SCRIPT not in page
    escaped = "&lt;script&gt;alert(1)&lt;/script&gt;"
    assert page.count(escaped) == report_html(make_full_dossier()).count(escaped) + 5
    for words in (
        "held by test-model; 5 answers, 6,000 tokens, $0.02; 2 statements struck out",
        "1 text from outside held back: it reads like an instruction to a model",
        "2 struck out",
        "$0.02 on the model",
    ):
        assert words in page


def test_a_page_without_a_model_says_nothing_of_one() -> None:
    assert "The model" not in report_html(make_full_dossier())


def test_the_terminal_shows_words_and_obeys_none() -> None:
    record = with_model_debate(make_full_dossier(), HOSTILE).record
    for view in (decision_view(record), record_view(record)):
        text = shown(view)
        assert "\x1b" not in text
        assert "bull [bold red]BUY[/] [technical.trend]" in text
        assert "held back [bold red]BUY[/] (Example)" in text
        assert "(model" not in text
        assert "on the model" in text
    assert "struck (bull)" in shown(record_view(record))


def test_a_fall_back_is_told_with_its_reason() -> None:
    facts = ModelDebate(model="m", fallback="no answer in time")
    assert model_line(facts) == "held by rules in place of m: no answer in time"
    assert suspicion_line(facts) == ""
    assert model_debate_parts(None, whole=True) == []
