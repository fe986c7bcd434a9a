"""Past windows that look like the present one, by z-normalised Euclidean distance.

Each window of m log closes is brought to mean 0 and standard deviation 1; the distance of two is
sqrt(2 m (1 - r)) with r their correlation (Mueen et al., the mass algorithm; Yeh et al., Matrix
Profile I, 2016). sqrt(2 m) is thus the distance of two unrelated shapes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from sigmax_tasks.research.series import FLAT, FloatArray, IntArray


@dataclass(frozen=True)
class Match:
    """A past window: rows ``start`` to ``start + length - 1``; distance 0 is the same shape."""

    start: int
    length: int
    distance: float

    @property
    def end(self) -> int:
        """Its last row."""
        return self.start + self.length - 1


@dataclass(frozen=True)
class Matches:
    """The nearest windows, nearest first, none overlapping another or the present window.

    ``candidates`` is how many windows were compared. ``null_distance`` is the mean distance of as
    many nearest windows in the same history turned upside down, back to front, and both: series
    with the same moves and none of their order, so what mere plenty of candidates gives. None
    where there is nothing to compare.
    """

    found: tuple[Match, ...]
    candidates: int
    null_distance: float | None

    @property
    def mean_distance(self) -> float | None:
        if not self.found:
            return None
        return math.fsum(match.distance for match in self.found) / len(self.found)

    @property
    def distance_ratio(self) -> float | None:
        """Mean distance over that of the null; from 1 on the matches are no better than chance.

        1 where the null has the very shape, as in a market of regular waves.
        """
        mean = self.mean_distance
        if mean is None or self.null_distance is None:
            return None
        return mean / self.null_distance if self.null_distance > FLAT else 1.0


def find_matches(log_closes: FloatArray, *, length: int, horizon: int, count: int) -> Matches:
    """The ``count`` nearest windows of ``length`` rows to the last ``length`` rows.

    A window qualifies where it ends before the present one begins and the ``horizon`` rows after it
    are in the series. Windows that do not move are no match; a present that does not move has none.
    """
    present = log_closes[-length:]
    last_start = min(log_closes.size - 2 * length, log_closes.size - length - horizon)
    if last_start < 0 or float(np.std(present)) <= FLAT:
        return Matches((), 0, None)
    past = log_closes[: last_start + length]
    distances = _distances(past, present)
    found = _nearest_apart(distances, length, count)
    nulls = [
        _nearest_apart(_distances(surrogate, present), length, max(1, len(found)))
        for surrogate in (-past, past[::-1], -past[::-1])
    ]
    null_distances = [match.distance for null in nulls for match in null]
    return Matches(
        found,
        int(np.count_nonzero(np.isfinite(distances))),
        math.fsum(null_distances) / len(null_distances) if null_distances else None,
    )


def returns_after(log_closes: FloatArray, ends: IntArray, horizon: int) -> FloatArray:
    """Simple returns from each row of ``ends`` to ``horizon`` rows later."""
    return np.expm1(log_closes[ends + horizon] - log_closes[ends])


def _distances(past: FloatArray, present: FloatArray) -> FloatArray:
    """Distance of every window of ``past`` to ``present``; infinite where it does not move."""
    length = present.size
    windows = sliding_window_view(past, length)
    centred = windows - windows.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.mean(centred**2, axis=1))
    target = present - present.mean()
    target = target / np.sqrt(np.mean(target**2))
    moving = spread > FLAT
    correlation = centred @ target / (length * np.where(moving, spread, 1.0))
    distances = np.sqrt(np.maximum(0.0, 2.0 * length * (1.0 - correlation)))
    return np.where(moving, distances, np.inf)


def _nearest_apart(distances: FloatArray, length: int, count: int) -> tuple[Match, ...]:
    left = distances.copy()
    found: list[Match] = []
    while len(found) < count:
        start = int(np.argmin(left))
        if not math.isfinite(left[start]):
            break
        found.append(Match(start, length, float(left[start])))
        left[max(0, start - length + 1) : start + length] = np.inf
    return tuple(found)
