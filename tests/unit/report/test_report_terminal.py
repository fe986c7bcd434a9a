"""stdout carries results only; stderr the way there; a live table only where one can be drawn."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console
from rich.text import Text

from sigmax_tasks.models.events import EventKind
from sigmax_tasks.report.decision_view import decision_view
from sigmax_tasks.report.progress import RunProgress
from sigmax_tasks.report.terminal import Terminal
from tests.unit.report.builders import RUN_ID, make_event, make_plan, make_record

CURSOR_UP = "\x1b[1A"


class FakeTty(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(*, live: bool) -> tuple[Terminal, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    return (
        Terminal(
            Console(file=out, width=80, markup=False, highlight=False),
            Console(file=err, width=80, force_terminal=live, markup=False, highlight=False),
            live=live,
        ),
        out,
        err,
    )


def test_the_live_table_is_drawn_in_place_on_stderr() -> None:
    shown, out, err = terminal(live=True)
    run = RunProgress.of_plan(RUN_ID, make_plan())
    with shown.following():
        shown.progress([run], at_once=True)
        shown.progress([run.apply(make_event(EventKind.RUN_STARTED, 1))], at_once=True)
    assert CURSOR_UP in err.getvalue()
    assert "technical" in err.getvalue()
    assert out.getvalue() == ""


def test_a_line_of_the_log_instead_where_there_is_no_terminal() -> None:
    shown, out, err = terminal(live=False)
    run = RunProgress.of_plan(RUN_ID, make_plan())
    event = make_event(EventKind.RUN_STARTED, 1)
    with shown.following():
        shown.progress([run], at_once=True)
        shown.event(event, run.apply(event))
    assert err.getvalue() == f"12:00:01 BTC/USDT run {RUN_ID} started\n"
    assert out.getvalue() == ""


def test_events_are_not_logged_beside_the_table() -> None:
    shown, _, err = terminal(live=True)
    run = RunProgress.of_plan(RUN_ID, make_plan())
    event = make_event(EventKind.RUN_STARTED, 1)
    shown.event(event, run)
    assert err.getvalue() == ""


def test_json_during_the_live_table_is_clean_on_stdout() -> None:
    shown, out, _ = terminal(live=True)
    run = RunProgress.of_plan(RUN_ID, make_plan())
    with shown.following():
        shown.progress([run], at_once=True)
        shown.write_json({"a": 1})
        shown.progress([run], at_once=True)
    assert json.loads(out.getvalue()) == {"a": 1}
    assert out.getvalue().endswith("\n")


def test_text_for_a_file_has_no_spaces_at_the_ends_of_lines_and_no_colour() -> None:
    shown, out, _ = terminal(live=False)
    shown.result(decision_view(make_record()))
    lines = out.getvalue().splitlines()
    assert lines
    assert all(line == line.rstrip() for line in lines)
    assert "\x1b" not in out.getvalue()


def test_long_lines_of_the_log_and_of_results_are_not_broken() -> None:
    shown, out, err = terminal(live=False)
    shown.log("word " * 40)
    shown.result_lines([Text("word " * 40)])
    assert len(err.getvalue().splitlines()) == 1
    assert len(out.getvalue().splitlines()) == 1


def test_markup_and_escapes_in_the_log_are_only_text() -> None:
    shown, _, err = terminal(live=False)
    shown.log("[red]x[/] \x1b[31my")
    assert err.getvalue() == "[red]x[/] y\n"


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    tty = FakeTty()
    monkeypatch.setattr("sys.stdout", tty)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    Terminal.of_streams().result(decision_view(make_record()))
    plain = tty.getvalue()
    assert "BUY" in plain
    assert not any(f"\x1b[{code}" in plain for code in ("3", "4", "1;3", "1;4", "38", "48"))
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("COLORTERM", "truecolor")
    tty.truncate(0)
    Terminal.of_streams().result(decision_view(make_record()))
    assert "\x1b[" in tty.getvalue()
    assert tty.getvalue() != plain


@pytest.mark.parametrize(("term", "live"), [("xterm", True), ("dumb", False)])
def test_a_dumb_terminal_gets_the_plain_log(
    term: str, live: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", FakeTty())
    monkeypatch.setenv("TERM", term)
    assert Terminal.of_streams().is_live is live


def test_a_reader_that_went_away_is_told_to_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(FakeTty):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Closed())
    with pytest.raises(BrokenPipeError):
        Terminal.of_streams().result(Text("x"))
