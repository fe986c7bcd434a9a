"""The main figures of a cluster for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from sigmax_tasks.report.layout import plain_table
from sigmax_tasks.report.numbers import MISSING, count
from sigmax_tasks.telemetry.figures import Figure
from sigmax_tasks.telemetry.reading import Reading


def metrics_view(reading: Reading, figures: Sequence[Figure]) -> RenderableType:
    """How much there is to tell from, the figures beside their targets, and what goes on now."""
    ended = sum(
        int(number) for name, number in reading.tally.items() if name.startswith("decisions|")
    )
    table = plain_table()
    table.add_column("figure", no_wrap=True)
    for name in ("value", "target"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for figure in figures:
        target = "" if figure.target is None else _shown(figure, figure.target)
        side = "at least " if figure.at_least else "at most "
        table.add_row(
            figure.name,
            _shown(figure, figure.value),
            side + target if target else "",
            _mark(figure),
        )
    waiting = sum(reading.queued.values())
    live = reading.spend.get("live")
    spent = f", ${live.spent_usd:.2f} spent today" if live is not None else ""
    now = (
        f"{count(reading.workers, 'worker')}, {count(reading.open_runs, 'open run')}, "
        f"{count(waiting, 'message')} waiting{spent}"
    )
    return Group(Text(f"Over {count(ended, 'decision')}"), table, Text(now))


def _shown(figure: Figure, value: float | None) -> str:
    match value, figure.unit:
        case None, _:
            return MISSING
        case float() | int(), "%":
            return f"{value * 100:.1f} %"
        case float() | int(), "$":
            return f"${value:.4f}"
        case float() | int(), unit:
            return f"{value:.2f} {unit}"


def _mark(figure: Figure) -> Text:
    if figure.met is None:
        return Text()
    return Text("met", style="green") if figure.met else Text("missed", style="bold red")
