"""From decisions to trades and an equity curve, with fees and slippage.

Every BUY or SELL is a trade of its own: ``size_fraction`` of the equity at that moment, filled at
the next candle's open and closed by the first of stop, target and horizon, by the rules of
``stages/resolve.py``. Trades of one symbol may overlap where the horizon is longer than the step. A
HOLD opens nothing and closes nothing. SELL is a short position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sigmax_tasks.evaluation.market import FloatArray, Path
from sigmax_tasks.evaluation.models import StepDecision
from sigmax_tasks.models.decision import Action
from sigmax_tasks.models.journal import Hit
from sigmax_tasks.stages.resolve import reached

_BPS = 1e-4
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Costs:
    """In basis points: of the traded amount at each side, and of a short position a day."""

    fee_bps: float
    slippage_bps: float
    short_bps_a_day: float

    @property
    def side_fraction(self) -> float:
        """What one side of a trade costs."""
        return (self.fee_bps + self.slippage_bps) * _BPS


@dataclass(frozen=True)
class Trade:
    """``net_return`` and ``gross_return`` are fractions of the amount traded.

    ``hit`` is None for a trade that was open at the end of the data: it is valued there and not
    counted among wins and losses.
    """

    decision: StepDecision
    side: int
    opened_ms: int
    closed_ms: int
    fill: float
    exit_price: float
    gross_return: float
    net_return: float
    hit: Hit | None


@dataclass(frozen=True)
class Curve:
    """``returns[i]`` from moment i to i + 1; exposure and turnover are fractions of equity.

    ``exposure`` is held at each moment (long and short added up), ``turnover`` traded in each step.
    """

    returns: FloatArray
    exposure: FloatArray
    turnover: FloatArray
    trades: tuple[Trade, ...]


def trade_of(decision: StepDecision, path: Path, costs: Costs, end_ms: int) -> Trade | None:
    """The trade that a decision leads to; None for a HOLD and where no candle follows.

    Nothing after ``end_ms`` is looked at.
    """
    if decision.action is Action.HOLD or decision.size_fraction <= 0:
        return None
    side = 1 if decision.action is Action.BUY else -1
    start = round(decision.as_of.timestamp() * 1000)
    over = start + round(decision.horizon_hours * 3_600_000)
    until = min(over, end_ms)
    rows = path.between(start, until)
    if not rows:
        return None
    opened, length = rows[0][0], path.seconds * 1000
    entry = rows[0][1]
    for row in rows:
        found = reached(decision.action, decision.stop_price, decision.take_profit_price, row)
        if found is not None:
            hit: Hit | None = found[0]
            price, closed = found[1], row[0] + length
            break
    else:
        hit = Hit.HORIZON if until == over else None
        price, closed = rows[-1][4], rows[-1][0] + length
    slip = costs.slippage_bps * _BPS
    fill = entry * (1.0 + side * slip)
    out = price * (1.0 - side * slip)
    fees = costs.fee_bps * _BPS * (1.0 + out / fill)
    carried = costs.short_bps_a_day * _BPS * (closed - opened) / _DAY_MS if side < 0 else 0.0
    return Trade(
        decision=decision,
        side=side,
        opened_ms=opened,
        closed_ms=closed,
        fill=fill,
        exit_price=out,
        gross_return=side * (price / entry - 1.0),
        net_return=side * (out / fill - 1.0) - fees - carried,
        hit=hit,
    )


def simulate(
    decisions: Sequence[StepDecision],
    path: Path,
    times_ms: Sequence[int],
    costs: Costs,
) -> Curve:
    """The equity curve of these decisions at ``times_ms``; a decision stands at one of them."""
    end = int(times_ms[-1])
    by_time: dict[int, list[Trade]] = {}
    trades: list[Trade] = []
    for decision in decisions:
        trade = trade_of(decision, path, costs, end)
        if trade is not None:
            trades.append(trade)
            by_time.setdefault(round(decision.as_of.timestamp() * 1000), []).append(trade)
    count = len(times_ms) - 1
    returns, exposure, turnover = np.zeros(count), np.zeros(count), np.zeros(count)
    fee = costs.fee_bps * _BPS
    carry = costs.short_bps_a_day * _BPS / _DAY_MS
    equity = 1.0
    held: list[tuple[Trade, float, float]] = []  # the trade, its units, its last value a unit
    for index in range(count):
        now, following = int(times_ms[index]), int(times_ms[index + 1])
        gained = traded = 0.0
        for trade in by_time.get(now, ()):
            amount = trade.decision.size_fraction * equity
            held.append((trade, amount / trade.fill, trade.fill))
            gained -= fee * amount
            traded += amount
        exposure[index] = sum(units * price for _, units, price in held) / equity
        mark = path.close_at(following)
        kept: list[tuple[Trade, float, float]] = []
        for trade, units, before in held:
            over = trade.closed_ms <= following
            price = trade.exit_price if over or mark is None else mark
            gained += trade.side * units * (price - before)
            if trade.side < 0:
                span = min(trade.closed_ms, following) - max(trade.opened_ms, now)
                gained -= carry * max(0, span) * units * trade.fill
            if over:
                gained -= fee * units * price
                traded += units * price
            else:
                kept.append((trade, units, price))
        held = kept
        returns[index] = gained / equity
        turnover[index] = traded / equity
        equity += gained
        if equity <= 0:
            returns[index] = -1.0
            break
    return Curve(returns, exposure, turnover, tuple(trades))
