"""The rules of thumb that a decision has to beat, all with the same costs.

Each gives a position of 0 or 1 for every moment, from closes, highs and lows up to that moment; it
is held until the next one. They are long or flat, as a holder of coins can be.

- buy and hold: always long.
- MACD (Appel): long while the MACD line (12, 26) is above its signal line (9).
- KDJ+RSI: from flat to long where both say oversold (K of 9, 3, 3 below 20 and RSI(14) below 30),
  back where both say overbought (above 80 and above 70).
- ZMR, zero mean reversion: with z the distance of the close from its mean of 20, in standard
  deviations of 20: long from z below -1 until z is back at 0.
- SMA: long while the mean of 20 closes is above that of 50.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import talib

from sigmax_tasks.evaluation.market import FloatArray, Grid
from sigmax_tasks.evaluation.trades import Costs, Curve

Rule = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]


def buy_and_hold(closes: FloatArray, highs: FloatArray, lows: FloatArray) -> FloatArray:  # noqa: ARG001 (common signature)
    return np.ones(closes.size)


def macd(
    closes: FloatArray,
    highs: FloatArray,  # noqa: ARG001 (common signature)
    lows: FloatArray,  # noqa: ARG001
    fast: int = 12,
    slow: int = 26,
    signal: int = 9,
) -> FloatArray:
    if closes.size < slow + signal:
        return np.zeros(closes.size)
    line, average, _ = talib.MACD(closes, fast, slow, signal)
    return np.where(np.isnan(average), 0.0, (line > average).astype(np.float64))


def kdj_rsi(
    closes: FloatArray, highs: FloatArray, lows: FloatArray, span: int = 9, rsi_span: int = 14
) -> FloatArray:
    if closes.size < max(span + 4, rsi_span + 1):
        return np.zeros(closes.size)
    k, _ = talib.STOCH(highs, lows, closes, span, 3, 0, 3, 0)
    rsi = talib.RSI(closes, rsi_span)
    return held(enter=(k < 20.0) & (rsi < 30.0), leave=(k > 80.0) & (rsi > 70.0))


def zmr(
    closes: FloatArray,
    highs: FloatArray,  # noqa: ARG001 (common signature)
    lows: FloatArray,  # noqa: ARG001
    span: int = 20,
) -> FloatArray:
    if closes.size < span:
        return np.zeros(closes.size)
    middle = talib.SMA(closes, span)
    spread = talib.STDDEV(closes, span)
    z = np.divide(closes - middle, spread, out=np.full(closes.size, np.nan), where=spread > 0)
    return held(enter=z < -1.0, leave=z >= 0.0)


def sma(
    closes: FloatArray,
    highs: FloatArray,  # noqa: ARG001 (common signature)
    lows: FloatArray,  # noqa: ARG001
    short: int = 20,
    long: int = 50,
) -> FloatArray:
    if closes.size < long:
        return np.zeros(closes.size)
    slow = talib.SMA(closes, long)
    return np.where(np.isnan(slow), 0.0, (talib.SMA(closes, short) > slow).astype(np.float64))


RULES: Mapping[str, Rule] = MappingProxyType(
    {"buy and hold": buy_and_hold, "MACD": macd, "KDJ+RSI": kdj_rsi, "ZMR": zmr, "SMA": sma}
)


def held(enter: np.ndarray, leave: np.ndarray) -> FloatArray:
    """1 from the first True of ``enter`` until the next of ``leave``; leaving counts first."""
    position = np.zeros(enter.size)
    inside = 0.0
    for index in range(enter.size):
        if leave[index]:
            inside = 0.0
        elif enter[index]:
            inside = 1.0
        position[index] = inside
    return position


def rule_curve(rule: Rule, grid: Grid, costs: Costs) -> Curve:
    """The rule on a grid: decided at each moment of it, held to the next, closed at the end."""
    positions = rule(grid.closes, grid.highs, grid.lows)[grid.warm : -1]
    return position_curve(positions, grid.live_closes, costs)


def position_curve(positions: FloatArray, closes: FloatArray, costs: Costs) -> Curve:
    """The curve of positions (shares of equity, long) that are changed at each moment.

    ``closes`` has one moment more than ``positions``; at the last one everything is sold.
    """
    before = np.concatenate(([0.0], positions[:-1]))
    traded = np.abs(positions - before)
    if positions.size:
        traded[-1] += abs(positions[-1])
    moved = closes[1:] / closes[:-1] - 1.0
    returns = (1.0 + positions * moved) * (1.0 - traded * costs.side_fraction) - 1.0
    return Curve(returns, np.abs(positions), traded, ())


def random_returns(
    sizes: FloatArray,
    sides: FloatArray,
    holds: np.ndarray,
    closes: FloatArray,
    costs: Costs,
    generator: np.random.Generator,
) -> FloatArray:
    """Returns of the same trades at random moments: same number, sizes, sides and holding times.

    ``holds`` are in steps, at least 1. Stops and targets are not drawn. Costs are those of the
    trades themselves, so the turnover is the same.
    """
    count = closes.size - 1
    returns = np.zeros(count)
    if not sizes.size:
        return returns
    starts = generator.integers(0, np.maximum(1, count - holds + 1))
    ends = np.minimum(starts + holds, count)
    change = np.zeros(count + 1)
    np.add.at(change, starts, sizes * sides)
    np.add.at(change, ends, -sizes * sides)
    positions = np.cumsum(change)[:count]
    cost = np.zeros(count)
    np.add.at(cost, starts, sizes * costs.side_fraction)
    np.add.at(cost, np.maximum(ends - 1, 0), sizes * costs.side_fraction)
    shorts = np.zeros(count + 1)
    np.add.at(shorts, starts, np.where(sides < 0, sizes, 0.0))
    np.add.at(shorts, ends, -np.where(sides < 0, sizes, 0.0))
    cost += np.cumsum(shorts)[:count] * costs.short_bps_a_day * 1e-4
    moved = closes[1:] / closes[:-1] - 1.0
    drawn: FloatArray = positions * moved - cost
    return drawn
