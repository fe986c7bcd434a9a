"""Series and single numbers out of the observations of a task, as known at its ``as_of``."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sigmax_planner.models import DataMode
from sigmax_tasks.models.observations import FearGreed, Measures, Observation, Series
from sigmax_tasks.models.research import ResearchInputs

DAY_MS = 86_400_000


PLAUSIBLE_SIZE = 1e60


def plausible(value: float) -> bool:
    """Finite and of a size that arithmetic survives; nothing real comes near the bound."""
    return math.isfinite(value) and abs(value) < PLAUSIBLE_SIZE


@dataclass(frozen=True)
class Points:
    """Plausible values of one series, oldest first, none later than ``as_of``; at least one."""

    observation: Observation
    times_ms: tuple[int, ...]
    values: tuple[float, ...]
    unit: str

    def __len__(self) -> int:
        return len(self.values)

    @property
    def last(self) -> float:
        return self.values[-1]

    @property
    def last_time(self) -> datetime:
        return datetime.fromtimestamp(self.times_ms[-1] / 1000, UTC)

    def age_days(self, as_of: datetime) -> float:
        """Days since the time of the last value."""
        return max(0.0, (as_of - self.last_time).total_seconds() / 86_400)

    def days_ago(self, days: float, slack_days: float) -> float | None:
        """The value ``days`` before the last; None where none is at most ``slack_days`` older."""
        wanted = self.times_ms[-1] - days * DAY_MS
        index = bisect_right(self.times_ms, wanted) - 1
        if index < 0 or wanted - self.times_ms[index] > slack_days * DAY_MS:
            return None
        return self.values[index]

    def steps_ago(self, steps: int) -> float | None:
        """The value that many observations before the last."""
        return self.values[-1 - steps] if len(self.values) > steps else None

    def mean_of_days(self, days: float) -> float | None:
        """Mean over the last ``days``; None where under half of the days have a value."""
        start = self.times_ms[-1] - days * DAY_MS
        inside = self.values[bisect_right(self.times_ms, start) :]
        return math.fsum(inside) / len(inside) if len(inside) >= max(1.0, days / 2) else None


def points_of(
    observation: Observation, rows: Sequence[tuple[int, float]], as_of: datetime, unit: str
) -> Points | None:
    """Rows up to ``as_of``, in order, plausible, the last of twins; None where nothing is left."""
    limit_ms = as_of.timestamp() * 1000
    kept = {time: value for time, value in rows if time <= limit_ms and plausible(value)}
    if not kept:
        return None
    times = tuple(sorted(kept))
    return Points(observation, times, tuple(kept[time] for time in times), unit)


def find_series(
    inputs: ResearchInputs, source: str, name: str, *, lag_days: float = 0.0
) -> Points | None:
    """The series of that name, market-wide or of the asked symbol; of several the freshest.

    ``lag_days`` is the time from the date of a value to its publication: a value whose date plus
    lag is after ``as_of`` was not known yet and is left out.
    """
    known_until = inputs.as_of - timedelta(days=lag_days)
    found: Points | None = None
    for observation in inputs.observations:
        data = observation.data
        if (
            observation.lineage.source != source
            or not isinstance(data, Series)
            or data.name != name
            or data.symbol not in (None, inputs.symbol)
        ):
            continue
        points = points_of(observation, data.rows, known_until, data.unit)
        if points and (
            found is None or (points.times_ms[-1], len(points)) > (found.times_ms[-1], len(found))
        ):
            found = points
    return found


def find_fear_greed(inputs: ResearchInputs) -> Points | None:
    """The fear and greed index (0 to 100), daily."""
    found: Points | None = None
    for observation in inputs.observations:
        if isinstance(observation.data, FearGreed):
            points = points_of(observation, observation.data.rows, inputs.as_of, "index")
            if points and (found is None or points.times_ms[-1] > found.times_ms[-1]):
                found = points
    return found


def is_of_the_future(observation: Observation, as_of: datetime) -> bool:
    """Observed after ``as_of``; never so in live mode, where fetching takes some time itself."""
    lineage = observation.lineage
    return lineage.data_mode is not DataMode.LIVE and lineage.observed_at > as_of


def find_measure(
    inputs: ResearchInputs, source: str, name: str, *, subject: str = ""
) -> tuple[float, Observation] | None:
    """A plausible single number and where it stands; one of the future is not known.

    ``subject`` narrows the search to answers whose subject contains it.
    """
    for observation in inputs.observations:
        data = observation.data
        if (
            observation.lineage.source != source
            or not isinstance(data, Measures)
            or data.symbol not in (None, inputs.symbol)
            or subject not in data.subject
            or is_of_the_future(observation, inputs.as_of)
        ):
            continue
        value = data.get(name)
        if value is not None and plausible(value):
            return value, observation
    return None


def fraction_change(now: float, before: float | None) -> float | None:
    """now / before - 1; None where there is no positive value before, or no finite answer."""
    if before is None or before <= 0:
        return None
    change = now / before - 1.0
    return change if math.isfinite(change) else None


def freshness(age_days: float, free_days: float, half_life_days: float) -> float:
    """1 up to ``free_days`` of age, then halved every ``half_life_days``."""
    return float(0.5 ** (max(0.0, age_days - free_days) / half_life_days))


def between(anchors: Sequence[tuple[float, float]], at: float) -> float:
    """Straight lines through (x, y) anchors ascending in x; flat beyond both ends."""
    if at <= anchors[0][0]:
        return anchors[0][1]
    for (x0, y0), (x1, y1) in itertools.pairwise(anchors):
        if at <= x1:
            return y0 + (y1 - y0) * (at - x0) / (x1 - x0)
    return anchors[-1][1]


def base_of(symbol: str) -> str:
    return symbol.partition("/")[0]
