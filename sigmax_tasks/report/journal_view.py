"""The journal for people: its entries, how they turned out, and what a decision owes to it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from sigmax_planner.models import DataMode
from sigmax_tasks.models.decision import Calibration, RunRecord
from sigmax_tasks.models.journal import JournalEntry
from sigmax_tasks.report.layout import block, bullets, indented, plain_table
from sigmax_tasks.report.numbers import MISSING, count, hours_text, percent, price, time_text
from sigmax_tasks.report.text import clean_text
from sigmax_tasks.stages.calibrate import MIN_OUTCOMES, ReliabilityBin, TrackRecord

_NOT_LIVE = {
    DataMode.REPLAY: "  REPLAY OF RECORDED DATA",
    DataMode.SIMULATED: "  SIMULATED DATA",
}


def history_parts(record: RunRecord) -> list[RenderableType]:
    """Track record of the confidence and what changed since the last decision; may be nothing."""
    parts: list[RenderableType] = []
    if record.calibration is not None:
        parts += [Text(), calibration_text(record.calibration)]
    before = record.previous
    if before is not None:
        since = (
            f"Since {time_text(before.as_of)} ({before.action.value}, confidence "
            f"{before.confidence:.2f}, score {before.score:+.2f}, run {before.run_id})"
        )
        parts += bullets(since, before.changes or ("nothing changed",))
    return parts


def calibration_text(calibration: Calibration) -> Text:
    """One line beside a confidence."""
    here = calibration.hit_rate_at_this_confidence
    near = (
        "none at this confidence"
        if here is None
        else f"{percent(here)} of {calibration.n_at_this_confidence} at this confidence"
    )
    return Text.assemble(
        ("Track record  ", "bold"),
        f"{percent(calibration.hit_rate)} of {calibration.n} decisions gained, {near}, "
        f"Brier {calibration.brier:.3f}",
    )


def journal_view(entries: Sequence[JournalEntry]) -> RenderableType:
    """One row per decision, in the order given."""
    table = plain_table(gap=1)
    table.add_column("run", no_wrap=True, max_width=24, overflow="ellipsis")
    table.add_column("symbol", no_wrap=True, max_width=12, overflow="ellipsis")
    table.add_column("data", no_wrap=True)
    table.add_column("act.", no_wrap=True)
    table.add_column("conf.", justify="right", no_wrap=True)
    table.add_column("ended by", no_wrap=True)
    table.add_column("return", justify="right", no_wrap=True)
    for entry in entries:
        outcome = entry.outcome
        table.add_row(
            Text(entry.run_id),
            Text(entry.symbol),
            Text(entry.data_mode.value),
            entry.action.value,
            f"{entry.confidence:.2f}",
            Text("open", style="dim") if outcome is None else outcome.hit.value,
            "" if outcome is None else percent(outcome.return_fraction, signed=True),
        )
    return table


def stats_view(records: Sequence[TrackRecord]) -> RenderableType:
    """Each kind of decision with its hit rate, Brier score and reliability table."""
    parts: list[RenderableType] = []
    for record in records:
        head = Text.assemble(
            (clean_text(record.profile), "bold"),
            f"  horizon {hours_text(record.horizon_hours)}",
            (_NOT_LIVE.get(record.data_mode, "  live data"), "dim"),
        )
        parts += [head, indented(Group(*_figures(record))), Text()]
    parts.append(
        Text(
            "Before fees. HOLD is neither right nor wrong; the same decision counts once. "
            "Stop and target in one candle count as the stop.",
            style="dim",
        )
    )
    return Group(*parts)


def _figures(record: TrackRecord) -> list[RenderableType]:
    others = [
        f"{record.held} HOLD" if record.held else "",
        f"{record.open} open" if record.open else "",
        f"{record.repeated} repeated" if record.repeated else "",
    ]
    beside = ", ".join(word for word in others if word)
    parts: list[RenderableType] = [
        Text(f"{count(record.n, 'decision')} judged{f'; {beside}' if beside else ''}")
    ]
    if record.brier is None:
        return parts
    base = MISSING if record.base_brier is None else f"{record.base_brier:.3f}"
    parts.append(
        Text(
            f"hit rate {percent(record.hit_rate)}, mean return "
            f"{percent(record.mean_return, signed=True)}, Brier {record.brier:.3f} "
            f"(always saying the hit rate: {base})"
        )
    )
    if record.n < MIN_OUTCOMES:
        parts.append(Text(f"fewer than {MIN_OUTCOMES}: not shown beside a confidence", style="dim"))
    return [*parts, *block("Reliability", _reliability(record.bins))]


def _reliability(bins: Sequence[ReliabilityBin]) -> RenderableType:
    table = plain_table()
    for name in ("confidence", "n", "mean confidence", "hit rate"):
        table.add_column(name, justify="right", no_wrap=True)
    for entry in bins:
        table.add_row(
            f"{entry.low:.1f} to {entry.high:.1f}",
            str(entry.n),
            f"{entry.mean_confidence:.2f}",
            percent(entry.hit_rate),
        )
    return table


def entry_line(entry: JournalEntry, ending: str) -> str:
    """One line about a decision that was looked at."""
    return (
        f"{entry.run_id} {entry.symbol} {entry.action.value} at {price(entry.reference)}: {ending}"
    )
