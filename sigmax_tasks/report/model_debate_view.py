"""What a language model said in the debate, for the terminal: its words are shown as words."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from sigmax_tasks.models.debate import ModelDebate
from sigmax_tasks.report.layout import block, grid, indented
from sigmax_tasks.report.numbers import count, money
from sigmax_tasks.report.text import clean_text

_FEW = 3


def model_line(facts: ModelDebate) -> str:
    """Who debated, at what cost, and what was struck out or held back."""
    model = clean_text(facts.model)
    if facts.fallback:
        line = f"held by rules in place of {model}: {clean_text(facts.fallback)}"
    else:
        line = f"held by {model}"
    if facts.calls:
        tokens = facts.prompt_tokens + facts.completion_tokens
        line += f"; {count(facts.calls, 'answer')}, {tokens:,} tokens, {money(facts.cost_usd)}"
    if facts.struck_count:
        line += f"; {count(facts.struck_count, 'statement')} struck out"
    return line


def suspicion_line(facts: ModelDebate) -> str:
    """That texts were held back from the model; "" where none was."""
    if not facts.suspicious:
        return ""
    if len(facts.suspicious) == 1:
        return "1 text from outside held back: it reads like an instruction to a model"
    number = len(facts.suspicious)
    return f"{number} texts from outside held back: they read like instructions to a model"


def model_debate_parts(facts: ModelDebate | None, *, whole: bool) -> list[RenderableType]:
    """The block under the arguments; nothing for a debate by rules.

    ``whole`` shows everything, else the strongest claims of each side.
    """
    if facts is None:
        return []
    table = grid(2)
    for side in ("bull", "bear"):
        said = [claim for claim in facts.claims if claim.side == side]
        for claim in said if whole else said[:_FEW]:
            text = Text(clean_text(claim.text))
            text.append(f" [{clean_text(', '.join(claim.evidence_ids))}]", style="dim")
            table.add_row(side, text)
    if facts.summary:
        table.add_row("judge", Text(clean_text(facts.summary, limit=700)))
    if whole:
        for struck in facts.struck:
            text = Text(clean_text(struck.text), style="strike dim")
            text.append(f" {clean_text(struck.reason)}", style="not strike yellow")
            table.add_row(Text(f"struck ({struck.speaker})", style="yellow"), text)
    for suspect in facts.suspicious if whole else facts.suspicious[:_FEW]:
        text = Text(clean_text(suspect.text), style="dim")
        text.append(f" ({clean_text(suspect.where)})", style="dim")
        table.add_row(Text("held back", style="bold yellow"), text)
    parts = block("The model's debate", indented(Text(model_line(facts))))
    if suspicion_line(facts):
        parts.append(indented(Text(suspicion_line(facts), style="bold yellow")))
    if table.row_count:
        parts.append(indented(table))
    return parts
