"""The fear and greed index: its level and its changes, as two families read them.

Level: between 25 and 75 the crowd is followed a little (trend), beyond that leaned against. The
makers of the index say that extreme fear can be a chance to buy and that a correction is due when
investors get too greedy (alternative.me/crypto/fear-and-greed-index); the size of the lean is our
choice. The index is about BTC, comes once a day, and counts in full until it is 1.5 days old.
"""

from __future__ import annotations

from dataclasses import dataclass

from sigmax_tasks.models.research import ResearchInputs
from sigmax_tasks.research.lookup import Points, between, find_fear_greed, freshness
from sigmax_tasks.research.scoring import squash

LEVEL_ANCHORS = (
    (0.0, 0.6),
    (10.0, 0.5),
    (20.0, 0.25),
    (27.0, 0.0),
    (35.0, -0.15),
    (50.0, 0.0),
    (65.0, 0.15),
    (73.0, 0.1),
    (80.0, -0.1),
    (90.0, -0.4),
    (100.0, -0.6),
)
FREE_DAYS = 1.5
HALF_LIFE_DAYS = 2.0
CHANGE_SCALE_POINTS = 25.0


@dataclass(frozen=True)
class FearGreedReading:
    """The newest value (0 to 100), its changes in points, and how fresh it is (0 to 1)."""

    points: Points
    value: float
    change_7d: float | None
    change_30d: float | None
    zone: str
    fresh: float

    @property
    def level_polarity(self) -> float:
        return between(LEVEL_ANCHORS, self.value)


def zone_of(value: float) -> str:
    """Bands as the makers print them; 25 has been printed as extreme fear."""
    for limit, zone in ((25, "extreme fear"), (46, "fear"), (54, "neutral"), (75, "greed")):
        if value <= limit:
            return zone
    return "extreme greed"


def change_polarity(change_points: float) -> float:
    """Mood that improves speaks for a rise: tanh(change / 25 points)."""
    return squash(change_points, CHANGE_SCALE_POINTS)


def read_fear_greed(inputs: ResearchInputs) -> FearGreedReading | None:
    """None without a value at or before ``as_of``."""
    points = find_fear_greed(inputs)
    if points is None:
        return None
    week, month = points.days_ago(7, 2), points.days_ago(30, 3)
    return FearGreedReading(
        points=points,
        value=points.last,
        change_7d=None if week is None else points.last - week,
        change_30d=None if month is None else points.last - month,
        zone=zone_of(points.last),
        fresh=freshness(points.age_days(inputs.as_of), FREE_DAYS, HALF_LIFE_DAYS),
    )
