"""Macro factors: rates, dollar, equities, volatility, liquidity; risk-on or risk-off.

For each series, changes over a short, a middle and a long window (5, 20 and 60 observations of a
daily series; 1, 4, 13 of a weekly; 1, 3, 12 of a monthly one): differences in percentage points
for rates, fractions for all else. Each change is divided by the root mean square of all changes
over that window in the series (the z of a change against no change); signal = 0.25 z_short + 0.5
z_middle + 0.25 z_long; polarity = direction x tanh(signal / 1.5). Directions and weights are in
``FACTORS``: rising rates, a rising dollar and rising volatility are risk-off, rising equities and
liquidity risk-on; the weights are our judgement. The level of the VIX and fear and greed are
arguments of their own. Gold and oil are context: stated, not scored.

Reliability = weight x 0.6 x n / (n + 20) x freshness. The composite ``risk_score`` is the mean of
the polarities weighted by the reliabilities: risk_on above 0.15, risk_off below -0.15.
A value counts as known only after its usual publication lag (``lag_days``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sigmax_tasks.models.observations import DataNeed, Observation
from sigmax_tasks.models.research import Finding, ResearchInputs
from sigmax_tasks.research.fear_greed import change_polarity, read_fear_greed
from sigmax_tasks.research.lookup import Points, between, find_series, fraction_change, freshness
from sigmax_tasks.research.scoring import InsufficientDataError, Notebook, squash, weighted_score

SOURCE = "macro_data"
ROWS = 260
TRUST = 0.6
SIGNAL_SCALE = 1.5
HALF_SAMPLE = 20
WINDOW_WEIGHTS = (0.25, 0.5, 0.25)
RISK_ON, RISK_OFF = 0.15, -0.15
FEAR_GREED_WEIGHT = 0.4
VIX_LEVEL_WEIGHT = 0.6
VIX_ANCHORS = ((12.0, 0.3), (16.0, 0.15), (20.0, 0.0), (25.0, -0.25), (30.0, -0.5), (40.0, -0.7))
"""20 is about the long-run mean of the VIX (19.5 since 1990, Cboe); 30 is called high."""


@dataclass(frozen=True)
class Cadence:
    """Rhythm of a series: windows in observations, age that is normal, decay beyond it."""

    windows: tuple[int, int, int]
    free_days: float
    half_life_days: float


DAILY = Cadence((5, 20, 60), 4.5, 5.0)
DAILY_IN_WEEKLY_RELEASES = Cadence((5, 20, 60), 11.0, 5.0)
WEEKLY = Cadence((1, 4, 13), 12.0, 14.0)
MONTHLY = Cadence((1, 3, 12), 95.0, 45.0)


@dataclass(frozen=True)
class Factor:
    """One series: ``direction`` 1 risk-on when it rises, -1 risk-off, 0 context only."""

    name: str
    title: str
    direction: int
    weight: float
    cadence: Cadence = DAILY
    lag_days: float = 1.0
    in_points: bool = False


FACTORS: tuple[Factor, ...] = (
    Factor("sp500", "S&P 500", 1, 1.0),
    Factor("vix", "VIX", -1, 0.8),
    Factor("dollar_index", "Dollar index", -1, 0.8, DAILY_IN_WEEKLY_RELEASES),
    Factor("us10y", "US 10-year yield", -1, 0.5, in_points=True),
    Factor("us2y", "US 2-year yield", -1, 0.5, in_points=True),
    Factor("yield_curve_10y2y", "10y-2y curve", 1, 0.2, in_points=True),
    Factor("fed_funds", "Fed funds rate", -1, 0.4, MONTHLY, 32.0, in_points=True),
    Factor("m2", "M2 money supply", 1, 0.5, MONTHLY, 56.0),
    Factor("fed_balance_sheet", "Fed balance sheet", 1, 0.4, WEEKLY, 1.0),
    Factor("gold", "Gold", 0, 0.0),
    Factor("oil", "Oil", 0, 0.0),
)
"""The curve counts little: it steepens before recoveries and before recessions alike."""


@dataclass(frozen=True)
class Move:
    """Changes of a series by window with their z, None where the series is too short."""

    changes: tuple[float | None, float | None, float | None]
    z_scores: tuple[float | None, float | None, float | None]

    @property
    def signal(self) -> float | None:
        """Weighted mean of the z-scores there are."""
        pairs = [
            (w, z) for w, z in zip(WINDOW_WEIGHTS, self.z_scores, strict=True) if z is not None
        ]
        weight = math.fsum(w for w, _ in pairs)
        return math.fsum(w * z for w, z in pairs) / weight if weight else None


def needs(symbol: str, watchlist: tuple[str, ...]) -> tuple[DataNeed, ...]:  # noqa: ARG001 (common signature)
    """Everything is market-wide."""
    series = tuple(
        DataNeed(source=SOURCE, kind="series", name=factor.name, limit=ROWS) for factor in FACTORS
    )
    return (*series, DataNeed(source="fear_greed", kind="fear_greed", limit=90))


def research(inputs: ResearchInputs) -> Finding:
    """Raises InsufficientDataError where no macro series has enough values for a change."""
    book = Notebook(inputs)
    told = [factor for factor in FACTORS if _write_factor(book, factor)]
    if not any(factor.direction for factor in told):
        raise InsufficientDataError("no macro series with enough values to tell a change")
    _write_mood(book)
    risk = weighted_score(book.evidence)
    book.measure("risk_score", risk, "score", *_observations(book))
    regime = "risk_on" if risk > RISK_ON else "risk_off" if risk < RISK_OFF else "neutral"
    book.labels["regime"] = regime
    loudest = sorted(book.evidence, key=lambda e: -abs(e.polarity) * e.reliability)[:3]
    drivers = ", ".join(item.evidence_id.partition(".")[2].replace("_", " ") for item in loudest)
    return book.finding(
        f"Macro: {regime.replace('_', '-')} ({risk:+.2f} from {len(told)} series); most weight:"
        f" {drivers}."
    )


def move_of(points: Points, windows: Sequence[int], *, in_points: bool) -> Move:
    """Changes over the windows and their z-scores; see the module's docstring."""
    changes, scores = [], []
    for window in windows:
        history = _changes(points.values, window, in_points=in_points)
        changes.append(history[-1] if history else None)
        scores.append(_z(history))
    return Move((changes[0], changes[1], changes[2]), (scores[0], scores[1], scores[2]))


def _changes(values: Sequence[float], window: int, *, in_points: bool) -> list[float]:
    pairs = zip(values[window:], values[:-window], strict=True)
    if in_points:
        return [now - before for now, before in pairs]
    return [change for now, before in pairs if (change := fraction_change(now, before)) is not None]


def _z(history: Sequence[float]) -> float | None:
    """The last over the root mean square of all; None under five, 0 in a flat series."""
    if len(history) < 5:
        return None
    spread = math.sqrt(math.fsum(value * value for value in history) / len(history))
    return history[-1] / spread if spread > 1e-12 else 0.0


def _write_factor(book: Notebook, factor: Factor) -> bool:
    points = find_series(book.inputs, SOURCE, factor.name, lag_days=factor.lag_days)
    if points is None:
        return False
    observation, name = points.observation, factor.name
    age = points.age_days(book.inputs.as_of)
    move = move_of(points, factor.cadence.windows, in_points=factor.in_points)
    unit = "points" if factor.in_points else "fraction"
    book.measure(name, points.last, points.unit, observation)
    book.measure(f"{name}_age_days", age, "days", observation)
    for window, change, z in zip(factor.cadence.windows, move.changes, move.z_scores, strict=True):
        book.measure(f"{name}_change_{window}", change, unit, observation)
        book.measure(f"{name}_z_{window}", z, "z", observation)
    signal = move.signal
    if signal is None:
        return False
    if not factor.direction:
        book.labels[name] = "rising" if signal > 0.5 else "falling" if signal < -0.5 else "flat"
        return True
    fresh = freshness(age, factor.cadence.free_days, factor.cadence.half_life_days)
    sample = len(points) / (len(points) + HALF_SAMPLE)
    middle = factor.cadence.windows[1]
    book.argue(
        name,
        f"{factor.title} {points.last:,.2f} on {points.last_time:%Y-%m-%d}"
        f" ({age:.0f} d old), {_change_text(factor, move)}; signal {signal:+.1f}",
        observation,
        polarity=factor.direction * squash(signal, SIGNAL_SCALE),
        reliability=factor.weight * TRUST * fresh * sample,
        metric_names=(name, f"{name}_change_{middle}", f"{name}_z_{middle}"),
        observed_at=points.last_time,
    )
    if name == "vix":
        book.argue(
            "vix_level",
            f"VIX level {points.last:.1f} (long-run mean near 20)",
            observation,
            polarity=between(VIX_ANCHORS, points.last),
            reliability=VIX_LEVEL_WEIGHT * TRUST * fresh,
            metric_names=("vix",),
            observed_at=points.last_time,
        )
    return True


def _change_text(factor: Factor, move: Move) -> str:
    windows = factor.cadence.windows
    parts = [
        f"{change:+.2f} pp over {window}" if factor.in_points else f"{change:+.1%} over {window}"
        for window, change in zip(windows, move.changes, strict=True)
        if change is not None
    ]
    return ", ".join(parts) + " observations"


def _write_mood(book: Notebook) -> None:
    mood = read_fear_greed(book.inputs)
    if mood is None:
        return
    observation = mood.points.observation
    book.measure("fear_greed", mood.value, "index", observation)
    book.measure("fear_greed_change_7d", mood.change_7d, "points", observation)
    polarity, text = mood.level_polarity, ""
    if mood.change_7d is not None:
        polarity = (polarity + change_polarity(mood.change_7d)) / 2
        text = f", {mood.change_7d:+.0f} points in 7 days"
    book.argue(
        "fear_greed",
        f"Risk appetite in crypto: fear and greed {mood.value:.0f} ({mood.zone}){text}",
        observation,
        polarity=polarity,
        reliability=FEAR_GREED_WEIGHT * TRUST * mood.fresh,
        metric_names=("fear_greed", "fear_greed_change_7d"),
        observed_at=mood.points.last_time,
    )


def _observations(book: Notebook) -> list[Observation]:
    cited = {key for item in book.evidence for key in item.observation_ids}
    return [o for o in book.inputs.observations if o.lineage.observation_id in cited]
