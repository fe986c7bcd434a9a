"""Schedules and their times, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from rich.console import RenderableType
from rich.text import Text

from sigmax_tasks.report.layout import plain_table
from sigmax_tasks.report.numbers import time_text
from sigmax_tasks.report.text import clean_text
from sigmax_tasks.settings.schedule import ScheduleEntry
from sigmax_tasks.slots import LastSlot

_RESULT_STYLE = {"submitted": "green", "failed": "bold red"}
_MOST_SYMBOLS = 3


@dataclass(frozen=True)
class ScheduleLine:
    """An entry, when it comes next, and how its last time ended, where that is known."""

    name: str
    entry: ScheduleEntry
    next_at: datetime
    last: LastSlot | None


def schedule_view(lines: Sequence[ScheduleLine]) -> RenderableType:
    """One row per entry."""
    table = plain_table()
    for name in ("name", "cron", "what", "policies", "next (UTC)", "last"):
        table.add_column(name, overflow="fold")
    for line in lines:
        entry = line.entry
        table.add_row(
            Text(clean_text(line.name), style="bold"),
            Text(f"{clean_text(entry.cron)} {clean_text(entry.timezone)}"),
            Text(_what(entry)),
            Text(f"overlap {entry.overlap}, missed {entry.missed}", style="dim"),
            Text(f"{line.next_at:%Y-%m-%d %H:%M}"),
            _last(line.last),
        )
    return table


def times_view(times: Sequence[tuple[datetime, str, str]], now: datetime) -> RenderableType:
    """(time in UTC, name, zone) in the order given, with the time in its zone and the way there."""
    table = plain_table()
    for name in ("in", "at (UTC)", "in its zone", "name"):
        table.add_column(name, overflow="fold")
    for at, name, zone in times:
        local = at.astimezone(ZoneInfo(zone))
        table.add_row(
            _span((at - now).total_seconds()),
            f"{at:%Y-%m-%d %H:%M}",
            f"{local:%a %Y-%m-%d %H:%M} {clean_text(zone)}",
            Text(clean_text(name), style="bold"),
        )
    return table


def _what(entry: ScheduleEntry) -> str:
    symbols = ", ".join(entry.symbols[:_MOST_SYMBOLS])
    more = len(entry.symbols) - _MOST_SYMBOLS
    parts = [f"{symbols} and {more} more" if more > 0 else symbols]
    if entry.watchlist is not None:
        parts.append(clean_text(entry.watchlist))
    if entry.portfolio is not None:
        parts.append(f"beside {clean_text(entry.portfolio)}")
    parts += [entry.profile or "default profile", entry.data]
    return ", ".join(part for part in parts if part)


def _last(last: LastSlot | None) -> Text:
    if last is None:
        return Text("-", style="dim")
    slot = time_text(datetime.fromtimestamp(last.slot, UTC))
    style = _RESULT_STYLE.get(last.result, "yellow")
    return Text.assemble((last.result, style), f" {slot}, {clean_text(last.detail, limit=120)}")


def _span(seconds: float) -> str:
    minutes = max(0, round(seconds / 60))
    days, rest = divmod(minutes, 24 * 60)
    hours, left = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {left} min" if hours else f"{left} min"
