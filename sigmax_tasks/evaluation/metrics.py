"""Figures of a series of returns and of a list of trades. Pure.

Returns are per step; a year has ``steps_a_year`` of them. Sharpe and Sortino are against zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sigmax_tasks.evaluation.market import FloatArray
from sigmax_tasks.evaluation.trades import Curve, Trade

YEAR_SECONDS = 365 * 86_400


@dataclass(frozen=True)
class Figures:
    """Fractions, a year where the name says so. None where there is too little to tell.

    ``exposure`` is the mean share of equity in positions, ``turnover_annual`` what is traded in a
    year, in equities. ``hit_rate``, ``mean_win`` and ``mean_loss`` are of closed trades, net of
    costs, as fractions of the amount traded.
    """

    steps: int
    total_return: float
    annual_return: float | None
    annual_volatility: float | None
    sharpe: float | None
    sortino: float | None
    max_drawdown: float
    exposure: float
    turnover_annual: float
    trades: int
    open_trades: int
    hit_rate: float | None
    mean_win: float | None
    mean_loss: float | None


def total_return(returns: FloatArray) -> float:
    return float(np.prod(1.0 + returns) - 1.0)


def annual_return(returns: FloatArray, steps_a_year: float) -> float | None:
    """Compound growth a year; -1 where nothing is left, None without returns."""
    if not returns.size:
        return None
    grown = 1.0 + total_return(returns)
    return float(grown ** (steps_a_year / returns.size) - 1.0) if grown > 0 else -1.0


def sharpe(returns: FloatArray, steps_a_year: float) -> float | None:
    """Mean over standard deviation (n - 1), a year; None where nothing varies."""
    if returns.size < 2:
        return None
    spread = float(np.std(returns, ddof=1))
    if spread <= 1e-15:
        return None
    return float(np.mean(returns)) / spread * math.sqrt(steps_a_year)


def sortino(returns: FloatArray, steps_a_year: float) -> float | None:
    """Mean over the root mean square of the losses (over all steps), a year."""
    if returns.size < 2:
        return None
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    if downside <= 1e-15:
        return None
    return float(np.mean(returns)) / downside * math.sqrt(steps_a_year)


def drawdowns(returns: FloatArray) -> FloatArray:
    """Distance below the highest value so far, at the end of each step: 0 or negative."""
    equity = np.concatenate(([1.0], np.cumprod(1.0 + returns)))
    return (equity / np.maximum.accumulate(equity) - 1.0)[1:]


def max_drawdown(returns: FloatArray) -> float:
    """The deepest drawdown, 0 or negative."""
    return float(np.min(drawdowns(returns))) if returns.size else 0.0


def figures(curve: Curve, steps_a_year: float) -> Figures:
    """All figures of a curve."""
    returns = curve.returns
    spread = float(np.std(returns, ddof=1)) if returns.size > 1 else None
    closed = [trade for trade in curve.trades if trade.hit is not None]
    wins = [trade.net_return for trade in closed if trade.net_return > 0]
    losses = [trade.net_return for trade in closed if trade.net_return <= 0]
    return Figures(
        steps=int(returns.size),
        total_return=total_return(returns),
        annual_return=annual_return(returns, steps_a_year),
        annual_volatility=None if spread is None else spread * math.sqrt(steps_a_year),
        sharpe=sharpe(returns, steps_a_year),
        sortino=sortino(returns, steps_a_year),
        max_drawdown=max_drawdown(returns),
        exposure=float(np.mean(curve.exposure)) if returns.size else 0.0,
        turnover_annual=(
            float(np.sum(curve.turnover)) / returns.size * steps_a_year if returns.size else 0.0
        ),
        trades=len(closed),
        open_trades=len(curve.trades) - len(closed),
        hit_rate=len(wins) / len(closed) if closed else None,
        mean_win=mean(wins),
        mean_loss=mean(losses),
    )


def mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def combined(curves: Sequence[tuple[Sequence[int], Curve]], times_ms: Sequence[int]) -> Curve:
    """Equal shares of the equity in several symbols, rebalanced at each step.

    Each curve comes with the moments its steps start at; a symbol takes part from its first step
    on, and the share is that of the symbols there are.
    """
    count = len(times_ms)
    place = {int(t): i for i, t in enumerate(times_ms)}
    sums = np.zeros((3, count))
    members = np.zeros(count)
    trades: list[Trade] = []
    for starts, curve in curves:
        at = np.array([place[int(t)] for t in starts], dtype=np.int64)
        sums[0, at] += curve.returns
        sums[1, at] += curve.exposure
        sums[2, at] += curve.turnover
        members[at] += 1
        trades += curve.trades
    share = np.maximum(members, 1.0)
    trades.sort(key=lambda trade: trade.opened_ms)
    return Curve(sums[0] / share, sums[1] / share, sums[2] / share, tuple(trades))
