"""Candle patterns of the last closed candles, recognised by TA-Lib.

TA-Lib looks at the shape alone. A reversal pattern means something only after a move to reverse
(Nison, Japanese Candlestick Charting Techniques), so those without one are not reported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import talib

from sigmax_tasks.research.indicators import power_of_two_scale
from sigmax_tasks.research.series import FLAT, CandleSeries

PRIOR_MOVE_CANDLES: Final = 5


@dataclass(frozen=True)
class _Shape:
    name: str
    candles: int
    reversal: bool
    weight: float


_SHAPES: Final[Mapping[str, _Shape]] = {
    "CDLENGULFING": _Shape("engulfing", 2, True, 1.0),
    "CDLHARAMI": _Shape("harami", 2, True, 0.5),
    "CDLPIERCING": _Shape("piercing line", 2, True, 0.8),
    "CDLDARKCLOUDCOVER": _Shape("dark cloud cover", 2, True, 0.8),
    "CDLMORNINGSTAR": _Shape("morning star", 3, True, 1.0),
    "CDLEVENINGSTAR": _Shape("evening star", 3, True, 1.0),
    "CDLHAMMER": _Shape("hammer", 1, True, 0.7),
    "CDLHANGINGMAN": _Shape("hanging man", 1, True, 0.5),
    "CDLINVERTEDHAMMER": _Shape("inverted hammer", 1, True, 0.5),
    "CDLSHOOTINGSTAR": _Shape("shooting star", 1, True, 0.7),
    "CDL3WHITESOLDIERS": _Shape("three white soldiers", 3, False, 0.9),
    "CDL3BLACKCROWS": _Shape("three black crows", 3, False, 0.9),
    "CDLMARUBOZU": _Shape("marubozu", 1, False, 0.5),
    "CDLDOJI": _Shape("doji", 1, False, 0.0),
}


@dataclass(frozen=True)
class CandlePattern:
    """``direction`` 1 bullish, -1 bearish, 0 undecided; ``weight`` in [0, 1] its usual standing."""

    name: str
    direction: int
    candles_ago: int
    weight: float

    @property
    def text(self) -> str:
        word = {1: "bullish ", -1: "bearish ", 0: ""}[self.direction]
        when = "on the last candle" if self.candles_ago == 0 else f"{self.candles_ago} candles ago"
        return f"{word}{self.name} {when.replace('1 candles', '1 candle')}"


def candle_patterns(series: CandleSeries, among_last: int = 3) -> tuple[CandlePattern, ...]:
    """Patterns that were completed on one of the last candles, newest first."""
    scale = power_of_two_scale(series.last_close)
    prices = [p * scale for p in (series.opens, series.highs, series.lows, series.closes)]
    size = len(series)
    found: list[CandlePattern] = []
    for function, shape in _SHAPES.items():
        signals = getattr(talib, function)(*prices)
        for index in range(max(0, size - among_last), size):
            sign = int(np.sign(signals[index]))
            if sign == 0 or series.highs[index] - series.lows[index] <= FLAT * series.closes[index]:
                continue
            direction = sign if shape.weight > 0 else 0
            if shape.reversal and _move_before(series, index - shape.candles) * direction >= 0:
                continue
            found.append(CandlePattern(shape.name, direction, size - 1 - index, shape.weight))
    return tuple(sorted(found, key=lambda p: (p.candles_ago, -p.weight, p.name)))


def _move_before(series: CandleSeries, end: int) -> float:
    """Log return over the 5 candles up to ``end``; 0 where smaller than their mean range."""
    start = end - PRIOR_MOVE_CANDLES
    if start < 0:
        return 0.0
    move = math.log(series.closes[end] / series.closes[start])
    span = slice(start + 1, end + 1)
    mean_range = float(np.mean((series.highs[span] - series.lows[span]) / series.closes[span]))
    return move if abs(move) > mean_range else 0.0
