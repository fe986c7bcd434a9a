"""The messages of the decision chain, in the order of the flow."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from sigmax_planner.models import DataMode, Message, ResearchPlan, Symbol, Usd, UtcTime
from sigmax_tasks.models.debate import ModelAnswer, ModelDebate
from sigmax_tasks.models.research import Circumstances, RunSummary


class Gap(Message):
    """Something the decision was made without."""

    task_id: str
    source: str
    reason: str


class ValidationReport(Message):
    """Is the research good enough to decide on? All shares in [0, 1].

    ``failures`` are the hard gates that were missed; ``passed`` is score >= threshold and none.
    """

    score: float = Field(ge=0, le=1)
    threshold: float = Field(ge=0, le=1)
    passed: bool
    completeness: float = Field(ge=0, le=1)
    quality: float = Field(ge=0, le=1)
    freshness: float = Field(ge=0, le=1)
    coverage: float = Field(ge=0, le=1)
    sources_seen: tuple[str, ...]
    failures: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()


class Argument(Message):
    """One argument of a case. ``weight`` = |polarity| x reliability x task weight, after rebuttal.

    ``base_weight`` is the weight before any rebuttal.
    """

    evidence_id: str
    task_id: str
    claim: str
    weight: float = Field(ge=0)
    base_weight: float = Field(default=0.0, ge=0)
    rebuttals: tuple[str, ...] = ()


class Case(Message):
    """All arguments of one side, strongest first; ``total`` is the sum of weights."""

    side: str
    arguments: tuple[Argument, ...]
    total: float = Field(ge=0)


class DebateRecord(Message):
    """Bull against bear. ``net`` in [-1, 1]; ``arithmetic`` shows how it came about.

    ``method`` says who held it: ``rules`` or ``llm``. ``llm`` is there where a model was to hold
    it, also where the rules took over.
    """

    bull: Case
    bear: Case
    rounds: int = Field(ge=0)
    net: float = Field(ge=-1, le=1)
    arithmetic: str
    method: str = "rules"
    llm: ModelDebate | None = None


class Contribution(Message):
    """What one task adds to the composite score: score x strength x weight x informed.

    ``weight`` is the share of the planned weights. ``informed`` in [0, 1] is the share of the task
    that is there and fresh; the rest of its weight counts against the view as ``unknown``.
    """

    task_id: str
    score: float
    strength: float
    weight: float
    contribution: float
    informed: float = Field(default=1.0, ge=0, le=1)
    unknown: float = Field(default=0.0, ge=0)


class Analysis(Message):
    """The composite view. ``score`` in [-1, 1], ``confidence`` in [0, 1] capped by coverage.

    ``confidence`` is in the direction of ``score``. ``raw_score`` is the plain sum of the
    contributions, ``agreement`` the weight share of the tasks that lean the way of the score,
    ``debate_support`` in [0, 1) what the debate's case for that side is worth.
    ``calibrated_confidence`` is the share of ``calibration_outcomes`` earlier decisions as sure as
    this that gained; None without a calibration.
    """

    score: float = Field(ge=-1, le=1)
    confidence: float = Field(ge=0, le=1)
    calibrated_confidence: float | None = Field(default=None, ge=0, le=1)
    calibration_outcomes: int | None = Field(default=None, ge=1)
    confidence_cap: float = Field(ge=0, le=1)
    regime: str
    contributions: tuple[Contribution, ...]
    raw_score: float = Field(default=0.0, ge=-1, le=1)
    agreement: float = Field(default=0.0, ge=0, le=1)
    debate_support: float = Field(default=0.0, ge=0, le=1)
    reasoning: tuple[str, ...] = ()


class RiskCheck(Message):
    """One limit. ``factor`` in [0, 1] is what it leaves of the profile's cap.

    ``value`` None is unknown; ``arithmetic`` shows the numbers.
    """

    name: str
    value: float | None
    limit: float
    factor: float = Field(ge=0, le=1)
    arithmetic: str


class RiskAssessment(Message):
    """Limits on what may be done. Fractions are of equity or of price as the name says.

    ``size_cap_fraction`` = the profile's cap x the smallest factor of ``checks``.
    """

    reference_price: float | None = None
    realised_volatility_annual: float | None = None
    atr: float | None = None
    stop_distance_fraction: float | None = None
    take_profit_distance_fraction: float | None = None
    value_at_risk_95_fraction: float | None = None
    expected_shortfall_95_fraction: float | None = None
    expected_slippage_fraction: float | None = None
    correlation_to_btc: float | None = None
    size_cap_fraction: float = Field(ge=0, le=1)
    checks: tuple[RiskCheck, ...] = ()
    vetoes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Sizing(Message):
    """Share of equity, with the steps that led to it.

    ``kelly_fraction`` is the share of equity that fractional Kelly puts at risk between price and
    stop; ``volatility_target_fraction`` the position that meets the volatility target.
    """

    size_fraction: float = Field(ge=0, le=1)
    win_probability: float | None = Field(default=None, ge=0, le=1)
    kelly_fraction: float = Field(ge=0)
    volatility_target_fraction: float = Field(ge=0)
    steps: tuple[str, ...] = ()


class Action(StrEnum):
    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"


class Decision(Message):
    """What to do, how sure, how much, and why. Free of ids and wall-clock times.

    Prices are in the quote currency; ``horizon_hours`` is how long the view is meant to hold.
    ``confidence`` is in the direction of ``score`` whatever the action, and 0 where the research
    did not pass validation.
    """

    symbol: Symbol
    risk_profile: str
    data_mode: DataMode
    simulated: bool
    as_of: UtcTime
    action: Action
    confidence: float = Field(ge=0, le=1)
    size_fraction: float = Field(ge=0, le=1)
    reference_price: float | None = None
    stop_price: float | None = None
    take_profit_price: float | None = None
    horizon_hours: float = Field(gt=0)
    score: float = Field(ge=-1, le=1)
    reasons: tuple[str, ...]
    vetoes: tuple[str, ...] = ()
    would_change: tuple[str, ...] = ()
    validation: ValidationReport
    debate: DebateRecord
    analysis: Analysis
    risk: RiskAssessment
    sizing: Sizing
    decision_hash: str = ""


class Cost(Message):
    """USD of a run: planned, spent, allowed (None: no limit).

    ``actual_usd`` is all that was paid for, by workers that died on the way as well; ``llm_usd`` of
    it went to a language model. ``day_spent_usd`` is what the runs of its day had spent when it
    ended, this one included, where they have a limit.
    """

    estimated_usd: Usd
    actual_usd: Usd
    limit_usd: Usd | None = None
    day_spent_usd: Usd | None = None
    day_limit_usd: Usd | None = None
    llm_usd: Usd = Decimal(0)


class Previous(Message):
    """The last decision on the same market, and in short sentences what changed since.

    Same profile, data mode and, where simulated, seed; no later than this one in market time.
    """

    run_id: str
    as_of: UtcTime
    action: Action
    confidence: float = Field(ge=0, le=1)
    score: float = Field(ge=-1, le=1)
    changes: tuple[str, ...] = ()


class Calibration(Message):
    """How earlier decisions of the same profile, horizon and data mode turned out.

    ``n`` BUY and SELL decisions, each counted once; ``hit_rate`` the share that gained, ``brier``
    the mean of (confidence - 1 if it gained else 0) squared: 0 is perfect, 0.25 is what 0.5 on
    everything gives. ``hit_rate_at_this_confidence`` is over the ``n_at_this_confidence`` whose
    confidence lies in the same tenth; None where there are none.
    """

    n: int = Field(ge=1)
    hit_rate: float = Field(ge=0, le=1)
    brier: float = Field(ge=0, le=1)
    hit_rate_at_this_confidence: float | None = Field(default=None, ge=0, le=1)
    n_at_this_confidence: int = Field(default=0, ge=0)


class RunRecord(Message):
    """The whole result of a run: decision, plan, summary and cost. What is kept and exported.

    ``previous`` and ``calibration`` come from the journal and are no part of the decision or its
    hash; None where there is no history (or, for ``calibration``, too little). ``model_answers``
    are what a language model said in the debate, in the order asked. ``circumstances`` are what
    besides research the decision rests on.
    """

    run_id: str
    created_at: UtcTime
    finished_at: UtcTime
    finished_by: str
    partial: bool = False
    decision: Decision
    plan: ResearchPlan
    research: RunSummary
    cost: Cost
    settings_hash: str
    versions: dict[str, str]
    previous: Previous | None = None
    calibration: Calibration | None = None
    model_answers: tuple[ModelAnswer, ...] = ()
    circumstances: Circumstances = Circumstances()
