"""Moving averages and bands of whole series, for drawing.

The definitions are those of TA-Lib, which computed the last values that the findings hold: an EMA
starts as the SMA of its first ``period`` values, Bollinger bands use the population deviation.
Values that do not exist yet are None.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Line = tuple[float | None, ...]


def simple_average(values: Sequence[float], period: int) -> Line:
    """Mean of the last ``period`` values."""
    return tuple(
        None if i + 1 < period else math.fsum(values[i + 1 - period : i + 1]) / period
        for i in range(len(values))
    )


def exponential_average(values: Sequence[float], period: int) -> Line:
    """Smoothing factor 2 / (period + 1)."""
    if len(values) < period:
        return (None,) * len(values)
    share = 2.0 / (period + 1.0)
    current = math.fsum(values[:period]) / period
    line: list[float | None] = [None] * (period - 1)
    line.append(current)
    for value in values[period:]:
        current += share * (value - current)
        line.append(current)
    return tuple(line)


def bollinger_bands(values: Sequence[float], period: int, deviations: float) -> tuple[Line, Line]:
    """(upper, lower): the simple average +- ``deviations`` standard deviations."""
    upper: list[float | None] = []
    lower: list[float | None] = []
    for i, middle in enumerate(simple_average(values, period)):
        if middle is None:
            upper.append(None)
            lower.append(None)
            continue
        window = values[i + 1 - period : i + 1]
        variance = math.fsum((v - middle) ** 2 for v in window) / period
        reach = deviations * math.sqrt(variance)
        upper.append(middle + reach)
        lower.append(middle - reach)
    return tuple(upper), tuple(lower)
