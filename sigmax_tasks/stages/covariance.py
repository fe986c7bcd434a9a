"""How returns move together: covariance shrunk towards a constant correlation.

Ledoit, O. and Wolf, M. (2004), Honey, I shrunk the sample covariance matrix, Journal of Portfolio
Management 30(4): delta x F + (1 - delta) x S, where F keeps the variances of the sample S and puts
the mean correlation in the place of each, and delta = max(0, min(1, (pi - rho) / gamma / T)). The
formulas are of the paper's appendix, with sums over T observations in place of T - 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAYS_A_YEAR = 365
LEAST_RETURNS = 30
"""Fewer common daily returns say too little about how two prices move together."""

DailyCloses = Sequence[tuple[int, float]]
"""(open time of the day in unix milliseconds, close), oldest first."""


@dataclass(frozen=True)
class Covariance:
    """Annual covariance of ``symbols``; ``shrinkage`` is delta, ``days`` the returns behind it."""

    symbols: tuple[str, ...]
    annual: NDArray[np.float64]
    shrinkage: float
    days: int


def covariance_of(closes: Mapping[str, DailyCloses], days: int) -> Covariance | None:
    """Of the symbols with enough history in common, the last ``days`` daily returns at most.

    The symbol with the shortest history is left out while the common history is too short; None
    where no symbol is left.
    """
    histories = {symbol: dict(rows) for symbol, rows in closes.items()}
    while histories:
        common = sorted(set.intersection(*(set(rows) for rows in histories.values())))
        common = common[-(days + 1) :]
        if len(common) > LEAST_RETURNS:
            prices = np.array([[rows[day] for day in common] for rows in histories.values()])
            if bool((prices > 0).all()):
                returns = prices[:, 1:] / prices[:, :-1] - 1.0
                shrunk, delta = shrink(returns.T)
                return Covariance(tuple(histories), shrunk * DAYS_A_YEAR, delta, len(common) - 1)
        shortest = min(histories, key=lambda symbol: (len(histories[symbol]), symbol))
        del histories[shortest]
    return None


def shrink(returns: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Shrunk covariance and delta of ``returns``, one row per time and one column per asset."""
    count, assets = returns.shape
    centred = returns - returns.mean(axis=0)
    sample = centred.T @ centred / count
    deviations = np.sqrt(np.diag(sample))
    if assets == 1 or bool((deviations == 0).any()):
        return sample, 0.0
    outer = np.outer(deviations, deviations)
    correlations = sample / outer
    mean_correlation = (correlations.sum() - assets) / (assets * (assets - 1))
    target = mean_correlation * outer
    np.fill_diagonal(target, np.diag(sample))
    gamma = float(((target - sample) ** 2).sum())
    if gamma <= 1e-24 * float((sample**2).sum()):
        return sample, 0.0
    squares = centred**2
    pi_matrix = squares.T @ squares / count - sample**2
    # theta[i, j] is the asymptotic covariance of sample[i, i] and sample[i, j].
    theta = (centred**3).T @ centred / count - np.diag(sample)[:, None] * sample
    np.fill_diagonal(theta, 0.0)
    ratio = deviations[None, :] / deviations[:, None]
    rho = float(np.trace(pi_matrix)) + mean_correlation * float((ratio * theta).sum())
    delta = float(min(1.0, max(0.0, (float(pi_matrix.sum()) - rho) / gamma / count)))
    return delta * target + (1.0 - delta) * sample, delta
