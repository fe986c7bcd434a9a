"""resolve: what the market did after a decision, from candles (D11).

The position is opened at the reference price when the decision is made and closed by the first of
stop, target and horizon. Where stop and target lie in the same candle the stop counts, as candles
do not tell which came first. A candle that opens beyond the stop closes the position at its open,
one that opens beyond the target at the target: both are the worse of what may have happened. The
candle that was running at the time of the decision is left out, as its extremes may be older than
the decision. Fees and slippage are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sigmax_tasks.candles import CandleRow
from sigmax_tasks.models.decision import Action
from sigmax_tasks.models.journal import Hit, JournalEntry, Outcome

NOT_OVER = "its horizon has not passed"
NO_PRICE = "it has no reference price"

TIMEFRAMES = (("5m", 300), ("15m", 900), ("1h", 3_600), ("4h", 14_400), ("1d", 86_400))
MOST_CANDLES = 300
"""What every venue gives in one answer."""

_MOST_MISSING = 2
"""Candles in a row that may be missing (no trade, an outage) at either end."""


@dataclass(frozen=True)
class StillOpen:
    """Why nothing can be said yet."""

    reason: str


@dataclass(frozen=True)
class CandleSpan:
    """The candles a resolution needs: ``count`` of ``timeframe`` up to ``until``."""

    timeframe: str
    seconds: int
    count: int
    until: datetime


def span_of(entry: JournalEntry) -> CandleSpan:
    """The finest candles that cover the horizon with at most 300 of them."""
    horizon = entry.horizon_hours * 3600.0
    name, seconds = next(
        (frame for frame in TIMEFRAMES if horizon / frame[1] + 2 <= MOST_CANDLES), TIMEFRAMES[-1]
    )
    return CandleSpan(name, seconds, math.ceil(horizon / seconds) + 1, entry.ends_at)


def ready(entry: JournalEntry, moment: datetime) -> StillOpen | None:
    """None where ``entry`` can be resolved at ``moment`` of the market, else why it cannot."""
    if not entry.can_be_resolved:
        return StillOpen(NO_PRICE)
    if entry.ends_at > moment:
        return StillOpen(NOT_OVER)
    return None


def resolve(
    entry: JournalEntry,
    rows: Sequence[CandleRow],
    timeframe_seconds: int,
    *,
    moment: datetime,
    resolved_at: datetime,
    candles: str = "",
) -> Outcome | StillOpen:
    """The outcome of ``entry``, or why there is none yet.

    ``rows`` are candles of ``timeframe_seconds``, oldest first, of any span; only those that open
    at or after the decision and close by its horizon and by ``moment`` are looked at.
    """
    problem = ready(entry, moment)
    if problem is not None or entry.reference is None:
        return problem or StillOpen(NO_PRICE)
    length = timeframe_seconds * 1000
    start, end = _ms(entry.as_of), _ms(entry.ends_at)
    path = [row for row in rows if row[0] >= start and row[0] + length <= min(end, _ms(moment))]
    if not path or path[0][0] - start >= (1 + _MOST_MISSING) * length:
        return StillOpen("no candles of the time after the decision")
    before = start
    for row in path:
        if row[0] - before >= (1 + _MOST_MISSING) * length:
            return StillOpen("candles of the time after the decision are missing")
        before = row[0] + length
        found = reached(entry.action, entry.stop, entry.target, row)
        if found is not None:
            return _outcome(entry, entry.reference, *found, before, resolved_at, candles)
    if end - before >= (1 + _MOST_MISSING) * length:
        return StillOpen("no candles of the end of its horizon")
    return _outcome(entry, entry.reference, Hit.HORIZON, path[-1][4], before, resolved_at, candles)


def reached(
    action: Action, stop: float | None, target: float | None, row: CandleRow
) -> tuple[Hit, float] | None:
    """The level that the candle reached and the price it gave; the stop before the target."""
    _, opened, high, low, _, _ = row
    if action is Action.BUY:
        if stop is not None and low <= stop:
            return Hit.STOP, min(opened, stop)
        if target is not None and high >= target:
            return Hit.TARGET, target
    elif action is Action.SELL:
        if stop is not None and high >= stop:
            return Hit.STOP, max(opened, stop)
        if target is not None and low <= target:
            return Hit.TARGET, target
    return None


def _outcome(
    entry: JournalEntry,
    reference: float,
    hit: Hit,
    price: float,
    closed_ms: int,
    resolved_at: datetime,
    candles: str,
) -> Outcome:
    moved = price / reference - 1.0
    gained = -moved if entry.action is Action.SELL else moved
    return Outcome(
        resolved_at=resolved_at,
        exit_at=datetime.fromtimestamp(closed_ms / 1000, UTC),
        exit_price=price,
        return_fraction=round(gained, 10) + 0.0,
        hit=hit,
        correct=None if entry.action is Action.HOLD else gained > 0,
        candles=candles,
    )


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
