"""Support and resistance: swing pivots, clustered where they lie within a fraction of the ATR.

A swing high is a candle whose high is above those of the 5 candles before and not below those of
the 5 after; a swing low likewise. Both kinds go into one pool, since broken resistance turns
support (Edwards and Magee, Technical Analysis of Stock Trends). A level is the mean of a cluster.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from sigmax_tasks.research.series import FLAT, CandleSeries, FloatArray, IntArray

PIVOT_REACH = 5
CLUSTER_ATR = 0.75


@dataclass(frozen=True)
class Level:
    """A price (quote currency) and how many swings turned there; ``last_touch_ms`` open time."""

    price: float
    touches: int
    last_touch_ms: int


def price_levels(series: CandleSeries, atr: float) -> tuple[Level, ...]:
    """All levels, lowest first; empty where the market does not move or has no swing."""
    if not math.isfinite(atr) or atr <= FLAT * series.last_close:
        return ()
    highs, lows = swing_highs(series.highs), swing_highs(-series.lows)
    pivots = sorted(
        [(float(series.highs[i]), int(series.times[i])) for i in highs]
        + [(float(series.lows[i]), int(series.times[i])) for i in lows]
    )
    levels: list[Level] = []
    cluster: list[tuple[float, int]] = []
    for price, time_ms in pivots:
        if cluster and price - _mean(cluster) > CLUSTER_ATR * atr:
            levels.append(_level(cluster))
            cluster = []
        cluster.append((price, time_ms))
    if cluster:
        levels.append(_level(cluster))
    return tuple(levels)


def split_levels(
    levels: tuple[Level, ...], close: float
) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    """(supports, resistances), each nearest to ``close`` first."""
    supports = tuple(level for level in reversed(levels) if level.price <= close)
    return supports, tuple(level for level in levels if level.price > close)


def swing_highs(values: FloatArray, reach: int = PIVOT_REACH) -> IntArray:
    """Indices above the ``reach`` values before them and not below the ``reach`` after."""
    if values.size < 2 * reach + 1:
        return np.empty(0, dtype=np.int64)
    windows = sliding_window_view(values, 2 * reach + 1)
    middle = windows[:, reach]
    found = (middle > windows[:, :reach].max(axis=1)) & (
        middle >= windows[:, reach + 1 :].max(axis=1)
    )
    return np.flatnonzero(found).astype(np.int64) + reach


def _mean(cluster: list[tuple[float, int]]) -> float:
    return math.fsum(price for price, _ in cluster) / len(cluster)


def _level(cluster: list[tuple[float, int]]) -> Level:
    return Level(_mean(cluster), len(cluster), max(time_ms for _, time_ms in cluster))
