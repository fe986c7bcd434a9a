"""What the price charts show: candles with averages, bands, levels, and the position.

Everything comes from the candles that the technical research was given and from its finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sigmax_tasks.candles import CandleRow, timeframe_seconds
from sigmax_tasks.models.decision import Action, Decision
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.models.observations import Candles, Observation
from sigmax_tasks.models.research import Finding, TaskStatus
from sigmax_tasks.report.averages import (
    Line,
    bollinger_bands,
    exponential_average,
    simple_average,
)

TECHNICAL = "technical"
MOST_CANDLES = 160
_FEWEST_CANDLES = 2
_BAND_PERIOD = 20
_BAND_DEVIATIONS = 2.0
_MOST_LEVELS = 9
_MOST_PANELS = 4  # as many as the style sheet has tabs for
_AVERAGES = (("ema", 20), ("ema", 50), ("ema", 200), ("sma", 50), ("sma", 200))


@dataclass(frozen=True)
class Average:
    """A line over the candles shown; ``last`` is the value on the last of them."""

    key: str
    label: str
    values: Line

    @property
    def last(self) -> float | None:
        return self.values[-1]


@dataclass(frozen=True)
class PriceLevel:
    """Support or resistance: a price, how many swings turned there, S1 the nearest support."""

    side: str
    name: str
    price: float
    touches: int | None


@dataclass(frozen=True)
class PricePanel:
    """One time frame. ``entry``, ``stop``, ``target`` in the quote currency, None where not set.

    ``averages`` and the band go along ``rows``; they were computed on all candles at hand.
    """

    symbol: str
    timeframe: str
    rows: tuple[CandleRow, ...]
    averages: tuple[Average, ...]
    upper: Line
    lower: Line
    levels: tuple[PriceLevel, ...]
    action: Action
    entry: float | None
    stop: float | None
    target: float | None
    as_of_ms: int
    horizon_ms: int
    provider: str
    observation_id: str
    candles_at_hand: int

    @property
    def slot_ms(self) -> int:
        return timeframe_seconds(self.timeframe) * 1000

    @property
    def base(self) -> str:
        return self.symbol.partition("/")[0]

    @property
    def quote(self) -> str:
        return self.symbol.partition("/")[2]


@dataclass(frozen=True)
class PriceCharts:
    """The panels, the one the technical research worked on first; ``problem`` where none is."""

    panels: tuple[PricePanel, ...]
    levels: tuple[PriceLevel, ...]
    problem: str = ""


def price_charts(dossier: Dossier) -> PriceCharts:
    """All time frames of the technical research, or the reason why there is none."""
    outcome = next((o for o in dossier.outcomes if o.task_id == TECHNICAL), None)
    if outcome is None:
        return PriceCharts((), (), "the plan of this run has no technical research")
    if outcome.status is not TaskStatus.COMPLETED or outcome.finding is None:
        reason = outcome.reason or "no reason was given"
        ended = "failed" if outcome.status is TaskStatus.FAILED else "was skipped"
        return PriceCharts((), (), f"the technical research {ended}: {reason}")
    finding = outcome.finding
    levels = _levels(finding)
    decision = dossier.record.decision
    found = [
        item
        for item in dossier.observations.get(TECHNICAL, ())
        if item.lineage.source == "price_data"
        and isinstance(item.data, Candles)
        and item.data.symbol == decision.symbol
        and len(item.data.rows) >= _FEWEST_CANDLES
    ]
    if not found:
        return PriceCharts((), levels, "the candles of this run were not kept")
    first = finding.labels.get("primary_timeframe", "")
    found.sort(key=lambda item: (_timeframe(item) != first, timeframe_seconds(_timeframe(item))))
    panels = tuple(_panel(item, decision, levels) for item in found[:_MOST_PANELS])
    return PriceCharts(panels, levels)


def _timeframe(item: Observation) -> str:
    return item.data.timeframe if isinstance(item.data, Candles) else ""


def _panel(item: Observation, decision: Decision, levels: Sequence[PriceLevel]) -> PricePanel:
    rows = item.data.rows if isinstance(item.data, Candles) else ()
    closes = [row[4] for row in rows]
    shown = slice(-MOST_CANDLES, None)
    upper, lower = bollinger_bands(closes, _BAND_PERIOD, _BAND_DEVIATIONS)
    averages = []
    for kind, period in _AVERAGES:
        compute = exponential_average if kind == "ema" else simple_average
        line = compute(closes, period)[shown]
        if line[-1] is not None:
            averages.append(Average(f"{kind}_{period}", f"{kind.upper()} {period}", line))
    acts = decision.action is not Action.HOLD
    return PricePanel(
        symbol=decision.symbol,
        timeframe=_timeframe(item),
        rows=rows[shown],
        averages=tuple(averages),
        upper=upper[shown],
        lower=lower[shown],
        levels=tuple(levels),
        action=decision.action,
        entry=decision.reference_price,
        stop=decision.stop_price if acts else None,
        target=decision.take_profit_price if acts else None,
        as_of_ms=int(decision.as_of.timestamp() * 1000),
        horizon_ms=int(decision.horizon_hours * 3_600_000),
        provider=item.lineage.provider,
        observation_id=item.lineage.observation_id,
        candles_at_hand=len(rows),
    )


def _levels(finding: Finding) -> tuple[PriceLevel, ...]:
    levels = []
    for side in ("resistance", "support"):
        for number in range(1, _MOST_LEVELS + 1):
            price = finding.metric(f"{side}_{number}")
            if price is None:
                break
            touches = finding.metric(f"{side}_{number}_touches")
            levels.append(
                PriceLevel(
                    side=side,
                    name=f"{side[0].upper()}{number}",
                    price=price,
                    touches=None if touches is None else int(touches),
                )
            )
    return tuple(sorted(levels, key=lambda level: -level.price))
