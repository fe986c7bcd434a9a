"""Historical patterns: when the last 30 days looked like this before, what came next.

Matches and their null are those of analogues.py. What followed a match is the simple return over
the next 5 and 10 days; every one of those days lies in the past of the as-of time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from sigmax_tasks.models.observations import DataNeed
from sigmax_tasks.models.research import Finding, ResearchInputs
from sigmax_tasks.research.analogues import Matches, find_matches, returns_after
from sigmax_tasks.research.scoring import (
    InsufficientDataError,
    Notebook,
    clip,
    sample_reliability,
    squash,
)
from sigmax_tasks.research.series import FLAT, CandleSeries, FloatArray, day_text, find_candles

WINDOW_DAYS: Final = 30
HORIZONS_DAYS: Final = (5, 10)
MAX_MATCHES: Final = 12
MAX_SHARE: Final = 0.5
CLEAR_QUALITY: Final = 0.55
MIN_ROWS: Final = 200
HISTORY_ROWS: Final = 1500
FRACTION: Final = "fraction of price"


@dataclass(frozen=True)
class Outcome:
    """What followed the matches after ``horizon`` days, beside what always followed.

    ``share_up`` and ``base_share_up`` are fractions of the matches and of all past days.
    """

    horizon: int
    count: int
    median: float
    lower_quartile: float
    upper_quartile: float
    share_up: float
    base_median: float
    base_share_up: float
    base_deviation: float


def needs(symbol: str, watchlist: tuple[str, ...]) -> tuple[DataNeed, ...]:  # noqa: ARG001 (common signature)
    """Daily candles, as long a history as there is."""
    return (
        DataNeed(
            source="historical_data",
            kind="candles",
            name="1d",
            symbol=symbol,
            limit=HISTORY_ROWS,
            required=True,
        ),
    )


def research(inputs: ResearchInputs) -> Finding:
    """The patterns finding; InsufficientDataError under 200 daily candles."""
    days = find_candles(inputs, "historical_data", "1d")
    if days is None or len(days) < MIN_ROWS:
        count = 0 if days is None else len(days)
        raise InsufficientDataError(
            f"historical patterns of {inputs.symbol} need {MIN_ROWS} daily candles, "
            f"there are {count}"
        )
    log_closes = np.log(days.closes)
    matches = find_matches(
        log_closes,
        length=WINDOW_DAYS,
        horizon=max(HORIZONS_DAYS),
        count=match_count(len(days)),
    )
    notes = Notebook(inputs)
    notes.measure("match_count", len(matches.found), "count", days.observation)
    notes.measure("windows_compared", matches.candidates, "count", days.observation)
    if not matches.found:
        notes.labels["pattern"] = "none"
        return notes.finding(
            f"{inputs.symbol}: the last {WINDOW_DAYS} days have no like in {len(days)} days."
        )
    trust = match_quality(matches)
    notes.measure("match_distance_best", matches.found[0].distance, "z-distance", days.observation)
    notes.measure("match_distance_mean", matches.mean_distance, "z-distance", days.observation)
    notes.measure("match_distance_null", matches.null_distance, "z-distance", days.observation)
    notes.measure("match_quality", trust, "fraction", days.observation)
    for number, match in enumerate(matches.found[:5], start=1):
        first, last = (day_text(int(days.times[i])) for i in (match.start, match.end))
        notes.labels[f"match_{number}"] = f"{first} to {last}, distance {match.distance:.2f}"
    outcomes = [outcome_of(log_closes, matches, horizon) for horizon in HORIZONS_DAYS]
    for outcome in outcomes:
        _write(notes, days, outcome, trust)
    notes.labels["pattern"] = "found" if trust >= CLEAR_QUALITY else "no better than chance"
    return notes.finding(_summary(inputs.symbol, outcomes, notes.labels["pattern"]))


def match_count(rows: int) -> int:
    """How many matches to take: at most 12, and no more than half of the room for them."""
    room = (rows - WINDOW_DAYS - max(HORIZONS_DAYS)) // WINDOW_DAYS
    return max(1, min(MAX_MATCHES, int(room * MAX_SHARE)))


def match_quality(matches: Matches) -> float:
    """Trust in the matches, 0.1 to 1: 1.5 less their distance over that of the null.

    That is 0.5 where the past holds no better likeness than its surrogates do. With u the distance
    over that of unrelated shapes, sqrt(2 m), trust is at most 1.2 - u, and at least 1 - 4 u: a
    shape all but the same counts even where the surrogates have it too. Random walks have u near
    a third.
    """
    ratio, mean = matches.distance_ratio, matches.mean_distance
    if ratio is None or mean is None:
        return 0.1
    unrelated = mean / math.sqrt(2.0 * WINDOW_DAYS)
    return clip(max(min(1.5 - ratio, 1.2 - unrelated), 1.0 - 4.0 * unrelated), 0.1, 1.0)


def outcome_of(log_closes: FloatArray, matches: Matches, horizon: int) -> Outcome:
    """Median, quartiles and share of rises after the matches and after all days."""
    after = returns_after(log_closes, np.array([m.end for m in matches.found]), horizon)
    always = returns_after(log_closes, np.arange(log_closes.size - horizon), horizon)
    low, median, high = (float(q) for q in np.quantile(after, (0.25, 0.5, 0.75)))
    return Outcome(
        horizon=horizon,
        count=int(after.size),
        median=median,
        lower_quartile=low,
        upper_quartile=high,
        share_up=float(np.mean(after > 0)),
        base_median=float(np.median(always)),
        base_share_up=float(np.mean(always > 0)),
        base_deviation=float(np.std(always, ddof=1)),
    )


def _write(notes: Notebook, days: CandleSeries, outcome: Outcome, trust: float) -> None:
    tag = f"{outcome.horizon}d"
    names = []
    for name, value, unit in (
        (f"median_return_{tag}", outcome.median, FRACTION),
        (f"lower_quartile_{tag}", outcome.lower_quartile, FRACTION),
        (f"upper_quartile_{tag}", outcome.upper_quartile, FRACTION),
        (f"share_up_{tag}", outcome.share_up, "fraction of matches"),
        (f"base_median_return_{tag}", outcome.base_median, FRACTION),
        (f"base_share_up_{tag}", outcome.base_share_up, "fraction of days"),
    ):
        notes.measure(name, value, unit, days.observation)
        names.append(name)
    usual = outcome.base_deviation
    size = outcome.median / usual if usual > FLAT else 0.0
    lean = 2.0 * (outcome.share_up - 0.5)
    notes.argue(
        f"followed_{tag}",
        f"{outcome.count} similar past windows: median {outcome.median:+.1%} after "
        f"{outcome.horizon} days (quartiles {outcome.lower_quartile:+.1%} to "
        f"{outcome.upper_quartile:+.1%}), {outcome.share_up:.0%} rose against "
        f"{outcome.base_share_up:.0%} of all days",
        days.observation,
        polarity=0.5 * squash(size, 0.5) + 0.5 * lean,
        reliability=0.5 * sample_reliability(outcome.count, 8) * trust,
        metric_names=names,
    )


def _summary(symbol: str, outcomes: list[Outcome], verdict: str) -> str:
    parts = [
        f"{o.median:+.1%} after {o.horizon} d ({o.share_up:.0%} of {o.count} rose)"
        for o in outcomes
    ]
    note = "" if verdict == "found" else ", the likeness no better than chance"
    return (
        f"{symbol}: after the most similar {WINDOW_DAYS}-day windows, "
        + ", ".join(parts)
        + (note + ".")
    )
