"""How sure the figures are: block bootstrap intervals and the deflated Sharpe ratio. Pure.

Stationary bootstrap: Politis and Romano (1994), blocks of random length with a given mean, so that
what hangs together in time stays together. Deflated Sharpe ratio: Bailey and Lopez de Prado (2014),
the probability that the true Sharpe ratio is above the best one that as many trials without any
skill would have been expected to show.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from sigmax_tasks.evaluation.market import FloatArray

_EULER = 0.5772156649015329
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Interval:
    """The middle 95 % of the resampled values."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def block_indices(
    count: int, resamples: int, mean_block: float, generator: np.random.Generator
) -> np.ndarray:
    """(resamples, count) places in a series of ``count``, in blocks that wrap around."""
    starts = generator.integers(0, count, size=(resamples, count))
    fresh = generator.random((resamples, count)) < 1.0 / mean_block
    fresh[:, 0] = True
    places = np.arange(count)
    # The place of the last fresh start at or before each place, and how far behind it lies.
    last = np.maximum.accumulate(np.where(fresh, places, 0), axis=1)
    begun = np.take_along_axis(starts, last, axis=1)
    found: np.ndarray = (begun + places - last) % count
    return found


def interval_of(
    statistic: Callable[[FloatArray], float | None],
    returns: FloatArray,
    indices: np.ndarray,
) -> Interval | None:
    """Bootstrap interval of a statistic of returns; None where it exists in too few resamples.

    ``returns`` is one series, or one row per step for a statistic of several.
    """
    values = [statistic(returns[row]) for row in indices]
    known = [value for value in values if value is not None and math.isfinite(value)]
    if len(known) < 0.9 * len(values) or not known:
        return None
    low, high = np.quantile(known, (0.025, 0.975))
    return Interval(float(low), float(high))


@dataclass(frozen=True)
class Deflated:
    """``probability`` that the true Sharpe ratio is above ``expected_best`` (per step).

    ``trials`` is how many variants were tried, ``sharpe`` the observed ratio per step.
    """

    sharpe: float
    expected_best: float
    trials: int
    probability: float


def deflated_sharpe(
    returns: FloatArray, trials: int, trial_variance: float | None = None
) -> Deflated | None:
    """The deflated Sharpe ratio of ``returns``; None where they do not vary.

    ``trial_variance`` is the variance of the trials' Sharpe ratios per step. It counts as at least
    that of estimates without any skill, 1 / (n - 1): a few variants alike say little about luck.
    """
    count = returns.size
    if count < 3:
        return None
    spread = float(np.std(returns, ddof=1))
    if spread <= 1e-15:
        return None
    ratio = float(np.mean(returns)) / spread
    scaled = (returns - np.mean(returns)) / float(np.std(returns))
    skew, kurtosis = float(np.mean(scaled**3)), float(np.mean(scaled**4))
    variance = max(1.0 / (count - 1), trial_variance or 0.0)
    best = 0.0
    if trials > 1:
        best = math.sqrt(variance) * (
            (1.0 - _EULER) * _NORMAL.inv_cdf(1.0 - 1.0 / trials)
            + _EULER * _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
        )
    error = 1.0 - skew * ratio + (kurtosis - 1.0) / 4.0 * ratio**2
    if error <= 0:
        return None
    z = (ratio - best) * math.sqrt(count - 1) / math.sqrt(error)
    return Deflated(ratio, best, trials, _NORMAL.cdf(z))
