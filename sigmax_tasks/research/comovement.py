"""How two return series move together: correlation, beta, lead and lag.

Beta is the least-squares slope cov(own, other) / var(other). A cross-correlation of n pairs is
taken for real beyond 2 / sqrt(n), twice its standard error under independence (Bartlett 1946).
Of six lags the largest passes that bound by chance about one time in four, so it is weak evidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sigmax_tasks.research.series import FLAT, CandleSeries, FloatArray


@dataclass(frozen=True)
class LeadLag:
    """Cross-correlation where it is largest. ``lag`` in days: above 0 the other leads by so many.

    ``bound`` is the size from which it is taken for real.
    """

    lag: int
    correlation: float
    bound: float

    @property
    def significant(self) -> bool:
        return abs(self.correlation) > self.bound


def aligned_closes(own: CandleSeries, other: CandleSeries) -> tuple[FloatArray, FloatArray]:
    """Closes of the candles that both series have, oldest first."""
    _, mine, theirs = np.intersect1d(own.times, other.times, return_indices=True)
    return own.closes[mine], other.closes[theirs]


def pearson(left: FloatArray, right: FloatArray) -> float | None:
    """Pearson correlation; None under 3 pairs or where a side does not move."""
    if left.size < 3:
        return None
    a, b = left - left.mean(), right - right.mean()
    squares = float(np.dot(a, a)), float(np.dot(b, b))
    if min(squares) <= FLAT**2 * left.size:
        return None
    return max(-1.0, min(1.0, float(np.dot(a, b)) / math.sqrt(squares[0] * squares[1])))


def spearman(left: FloatArray, right: FloatArray) -> float | None:
    """Pearson correlation of the ranks, ties sharing their mean rank."""
    return pearson(_ranks(left), _ranks(right))


def beta(own: FloatArray, other: FloatArray) -> float | None:
    """Slope of ``own`` on ``other``; None under 3 pairs or where the other does not move."""
    if own.size < 3:
        return None
    centred = other - other.mean()
    variance = float(np.dot(centred, centred))
    if variance <= FLAT**2 * other.size:
        return None
    return float(np.dot(own - own.mean(), centred)) / variance


def rolling_beta(own: FloatArray, other: FloatArray, window: int) -> FloatArray:
    """Beta of each full window, oldest first; windows where the other stands still are left out."""
    found = (
        beta(own[end - window : end], other[end - window : end])
        for end in range(window, own.size + 1)
    )
    return np.array([value for value in found if value is not None], dtype=np.float64)


def lead_lag(own: FloatArray, other: FloatArray, reach: int = 3) -> LeadLag | None:
    """The strongest cross-correlation at -reach to +reach, lag 0 left out; None under 20 pairs."""
    best: LeadLag | None = None
    for lag in (*range(-reach, 0), *range(1, reach + 1)):
        if lag > 0:
            left, right = own[lag:], other[:-lag]
        else:
            left, right = own[:lag], other[-lag:]
        value = pearson(left, right) if left.size >= 20 else None
        if value is not None and (best is None or abs(value) > abs(best.correlation)):
            best = LeadLag(lag, value, 2.0 / math.sqrt(left.size))
    return best


def _ranks(values: FloatArray) -> FloatArray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts).astype(np.float64)
    mean_ranks: FloatArray = ends - (counts - 1) / 2.0
    return mean_ranks[inverse]
