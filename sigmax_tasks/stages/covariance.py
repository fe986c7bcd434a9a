"""How daily returns move together: their covariance, and correlations that are safe to size by.

Correlations are estimated from standardised returns with the shrinkage of Ledoit and Wolf (2004, A
well-conditioned estimator for large-dimensional covariance matrices), as scikit-learn has it: a
part delta of each goes, and what is left is an invertible matrix also for more symbols than days.
Standardised, because the estimator pulls variances to their mean, and those of coins differ much.
The covariance is left as it was seen: for positions that are given, it is unbiased.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import empirical_covariance, ledoit_wolf

DAYS_A_YEAR = 365
LEAST_RETURNS = 30
"""Fewer common daily returns say too little about how two prices move together."""

DailyCloses = Sequence[tuple[int, float]]
"""(open time of the day in unix milliseconds, close), oldest first."""


@dataclass(frozen=True)
class Covariance:
    """Of ``symbols``, in ascending order.

    ``annual`` is the covariance as it was seen, ``correlations`` are shrunk, ``shrinkage`` is
    delta, and ``days`` counts the returns behind it. The correlation with a price that never moved
    is 0.
    """

    symbols: tuple[str, ...]
    annual: NDArray[np.float64]
    correlations: NDArray[np.float64]
    shrinkage: float
    days: int


def covariance_of(closes: Mapping[str, DailyCloses], days: int) -> Covariance | None:
    """Of the symbols with enough history in common, the last ``days`` daily returns at most.

    The symbol with the shortest history is left out while the common history is too short; None
    where no symbol is left.
    """
    histories = {symbol: dict(closes[symbol]) for symbol in sorted(closes)}
    while histories:
        common = sorted(set.intersection(*(set(rows) for rows in histories.values())))
        common = common[-(days + 1) :]
        if len(common) > LEAST_RETURNS:
            prices = np.array([[rows[day] for day in common] for rows in histories.values()])
            if bool((prices > 0).all()):
                returns = (prices[:, 1:] / prices[:, :-1] - 1.0).T
                correlations, delta = shrunk_correlations(returns)
                return Covariance(
                    symbols=tuple(histories),
                    annual=empirical_covariance(returns) * DAYS_A_YEAR,
                    correlations=correlations,
                    shrinkage=delta,
                    days=len(returns),
                )
        shortest = min(histories, key=lambda symbol: (len(histories[symbol]), symbol))
        del histories[shortest]
    return None


def shrunk_correlations(returns: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Correlations and delta of ``returns``, one row per time and one column per asset."""
    centred = returns - returns.mean(axis=0)
    deviations = np.sqrt((centred**2).mean(axis=0))
    standard = np.divide(centred, deviations, out=np.zeros_like(centred), where=deviations > 0)
    shrunk, delta = ledoit_wolf(standard, assume_centered=True)
    # A price that never moved leaves the mean variance below 1, so that the diagonal is not all 1.
    own = np.sqrt(np.diag(shrunk))
    scale = np.outer(own, own)
    correlations = np.divide(shrunk, scale, out=np.zeros_like(shrunk), where=scale > 0)
    np.fill_diagonal(correlations, 1.0)
    return correlations, float(delta)
