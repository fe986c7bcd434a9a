"""Confidence against outcome, each decision judged by a map fitted before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from sigmax_tasks.evaluation.result import Reliability
from sigmax_tasks.evaluation.trades import Trade
from sigmax_tasks.stages.calibrate import Judged, brier, hit_rate, reliability
from sigmax_tasks.stages.monotone import MonotoneMap, fit_monotone

REFIT_MS = 7 * 86_400_000
"""How old a map may grow while outcomes come in."""


def judged_of(trade: Trade) -> Judged:
    """A gain is one after costs."""
    return Judged(trade.decision.confidence, trade.net_return > 0)


def walk_forward(
    trades: Sequence[Trade], *, at_least: int
) -> list[tuple[Trade, MonotoneMap, float]]:
    """Each closed trade with the map, and the share of gains, known when it was decided.

    Only trades that had closed by the moment of the decision are learned from, and none is given
    before ``at_least`` of them are known.
    """
    closed = [trade for trade in trades if trade.hit is not None]
    by_close = sorted(closed, key=lambda trade: trade.closed_ms)
    found: list[tuple[Trade, MonotoneMap, float]] = []
    learned: MonotoneMap | None = None
    base, fitted_at, known = 0.0, -REFIT_MS, 0
    for trade in sorted(closed, key=_decided_ms):
        now = _decided_ms(trade)
        while known < len(by_close) and by_close[known].closed_ms <= now:
            known += 1
        if known >= at_least and (learned is None or now - fitted_at >= REFIT_MS):
            past = [judged_of(other) for other in by_close[:known]]
            learned, base, fitted_at = fit_monotone(past), hit_rate(past), now
        if learned is not None:
            found.append((trade, learned, base))
    return found


def assess_confidence(trades: Sequence[Trade], *, at_least: int) -> Reliability:
    """Brier scores and reliability, with and without calibration."""
    closed = [trade for trade in trades if trade.hit is not None]
    every = [judged_of(trade) for trade in closed]
    rate = hit_rate(every) if every else None
    unseen = walk_forward(closed, at_least=at_least)
    raw = [judged_of(trade) for trade, _, _ in unseen]
    mapped = [
        Judged(learned(one.confidence), one.correct)
        for one, (_, learned, _) in zip(raw, unseen, strict=True)
    ]
    past = [(base - float(one.correct)) ** 2 for one, (_, _, base) in zip(raw, unseen, strict=True)]
    enough = len(every) >= at_least
    last = max((trade.closed_ms for trade in closed), default=None)
    return Reliability(
        outcomes=len(every),
        hit_rate=rate,
        brier=brier(every) if every else None,
        base_brier=rate * (1.0 - rate) if rate is not None else None,
        unseen=len(raw),
        unseen_brier=brier(raw) if raw else None,
        calibrated_brier=brier(mapped) if mapped else None,
        past_base_brier=math.fsum(past) / len(past) if past else None,
        bins=reliability(raw),
        calibrated_bins=reliability(mapped),
        final_map=fit_monotone(every) if enough else None,
        fitted_until=datetime.fromtimestamp(last / 1000, UTC) if enough and last else None,
    )


def _decided_ms(trade: Trade) -> int:
    return round(trade.decision.as_of.timestamp() * 1000)
