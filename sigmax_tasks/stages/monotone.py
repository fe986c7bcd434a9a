"""A confidence mapped to an observed frequency by a fit that never falls.

Pool adjacent violators (Ayer et al., 1955): of all functions that do not fall, the one with the
least squares. Between the mean confidences of two pools the map is linear, outside it is flat.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from sigmax_tasks.stages.calibrate import Judged


@dataclass(frozen=True)
class MonotoneMap:
    """``knots`` are (confidence, frequency), both rising; fitted on ``outcomes`` outcomes."""

    knots: tuple[tuple[float, float], ...]
    outcomes: int

    def __call__(self, confidence: float) -> float:
        """The frequency at a confidence; ValueError without a knot."""
        if not self.knots:
            raise ValueError("a map without knots says nothing")
        place = bisect_right(self.knots, (confidence, math.inf))
        if place == 0:
            return self.knots[0][1]
        if place == len(self.knots):
            return self.knots[-1][1]
        (x0, y0), (x1, y1) = self.knots[place - 1], self.knots[place]
        return y0 + (y1 - y0) * (confidence - x0) / (x1 - x0)


@dataclass
class _Pool:
    confidence_sum: float
    gains: int
    count: int

    @property
    def frequency(self) -> float:
        return self.gains / self.count

    @property
    def confidence(self) -> float:
        return self.confidence_sum / self.count


def fit_monotone(judged: Sequence[Judged], *, fewest: int = 20) -> MonotoneMap:
    """The map that these outcomes suggest; every pool holds at least ``fewest`` of them if it can.

    ValueError for no outcomes.
    """
    if not judged:
        raise ValueError("no outcome to fit")
    pools: list[_Pool] = []
    for one in sorted(judged, key=lambda j: (j.confidence, j.correct)):
        last = pools[-1] if pools else None
        if last is not None and (last.count < fewest or last.confidence == one.confidence):
            last.confidence_sum += one.confidence
            last.gains += one.correct
            last.count += 1
        else:
            pools.append(_Pool(one.confidence, int(one.correct), 1))
    if len(pools) > 1 and pools[-1].count < fewest:
        small = pools.pop()
        _merge(pools[-1], small)
    done: list[_Pool] = []
    for pool in pools:
        done.append(pool)
        while len(done) > 1 and done[-2].frequency >= done[-1].frequency:
            _merge(done[-2], done.pop())
    return MonotoneMap(tuple((p.confidence, p.frequency) for p in done), len(judged))


def _merge(into: _Pool, other: _Pool) -> None:
    into.confidence_sum += other.confidence_sum
    into.gains += other.gains
    into.count += other.count
