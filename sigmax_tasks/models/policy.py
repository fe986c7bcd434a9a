"""The knobs of the decision chain, as config/decision.yaml holds them: frozen, no unknown keys.

Stages take a :class:`DecisionPolicy` as an argument; whoever reads the YAML makes it with
``DecisionPolicy.model_validate(mapping)``. Fractions are 0 to 1, ages are minutes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sigmax_planner.errors import UnknownNameError
from sigmax_planner.models import Message, Symbol, TaskId, TaskPriority, UtcTime
from sigmax_tasks.models.llm_policy import LlmPolicy
from sigmax_tasks.redact import PERSONAL_DATA, PersonalData

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Conviction = Annotated[float, Field(gt=0, le=1)]
MetricRef = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[A-Za-z0-9_]+$")]
"""``task.metric``: a metric of a task's finding."""

PriceRef = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[A-Za-z0-9_]+\*?$")]
"""``task.metric``, or ``task.start*`` for all metrics of a task that start so."""

HeldRef = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[A-Za-z0-9_]*\*[A-Za-z0-9_]*$")]
"""``task.metric`` with a star in it."""

AgeKey = Annotated[str, Field(pattern=r"^[^/\s]+(/[^/\s]+){0,2}$")]


AgeLimits = dict[AgeKey, Positive]
TaskWeights = dict[TaskId, Annotated[float, Field(ge=0)]]


class ScoreShares(Message):
    """What each part gives to the validation score; the four add up to 1."""

    completeness: Share = 0.35
    quality: Share = 0.25
    freshness: Share = 0.20
    coverage: Share = 0.20

    @model_validator(mode="after")
    def _add_up(self) -> Self:
        total = self.completeness + self.quality + self.freshness + self.coverage
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"the shares of the validation score must add up to 1, not {total:g}")
        return self


class ByPriority(Message):
    """One number for each priority."""

    CRITICAL: Annotated[float, Field(ge=0)]
    HIGH: Annotated[float, Field(ge=0)]
    MEDIUM: Annotated[float, Field(ge=0)]
    LOW: Annotated[float, Field(ge=0)]

    def of(self, priority: TaskPriority) -> float:
        return float(getattr(self, priority.value))


class VenuePolicy(Message):
    """When two sources name prices of one market that do not fit together.

    ``prices`` are compared where their observations lie within ``window_minutes`` of the newest:
    two with each other, three and more with their median. Apart by more than
    ``tolerance_fraction`` is a gap; by more than ``fail_fraction`` fails the validation (None:
    never).
    """

    prices: tuple[PriceRef, ...]
    window_minutes: Positive = 30.0
    tolerance_fraction: Positive = 0.02
    fail_fraction: Positive | None = 0.10


class ValidationPolicy(Message):
    """How the validation score comes about; the threshold belongs to the profile.

    Reliabilities of a task's arguments that add up to ``full_reliability`` give it full quality.
    Observations dated more than ``future_tolerance_minutes`` after the time of the run are not
    used. Keys of ``age_limits_minutes`` are ``source/kind/name``, ``source/kind`` or ``source``.
    """

    shares: ScoreShares = ScoreShares()
    priority_weights: ByPriority = ByPriority(CRITICAL=4, HIGH=3, MEDIUM=2, LOW=1)
    full_reliability: Positive = 0.2
    future_tolerance_minutes: Annotated[float, Field(ge=0)] = 10.0
    default_age_limit_minutes: Positive = 1440.0
    age_limits_minutes: AgeLimits = Field(default_factory=dict)
    venues: VenuePolicy

    def age_limit_minutes(self, source: str, kind: str, name: str = "") -> float:
        """The most specific limit: ``source/kind/name``, ``source/kind``, ``source``, default."""
        for key in (f"{source}/{kind}/{name}", f"{source}/{kind}", source):
            if key in self.age_limits_minutes:
                return self.age_limits_minutes[key]
        return self.default_age_limit_minutes


class DebatePolicy(Message):
    """Rules of the debate. ``method`` says who holds it; the rules stand in for a model.

    ``prior`` is weight that speaks for neither side. A rebuttal takes at most ``rebuttal_max`` of
    an argument's weight. A trend against a side is a ground of force ``trend_force``, the best
    contrary argument of another task one of ``other_task_force`` x its share of the two weights.
    """

    method: Literal["rules", "llm"] = "rules"
    rounds: Annotated[int, Field(ge=0, le=20)] = 2
    prior: Positive = 0.10
    rebuttal_max: Share = 0.5
    trend_force: Share = 0.4
    other_task_force: Share = 0.5
    trend_label: MetricRef = "technical.trend"
    llm: LlmPolicy = LlmPolicy()

    @model_validator(mode="after")
    def _model_is_named(self) -> Self:
        if self.method == "llm" and not (self.llm.base_url and self.llm.model):
            raise ValueError(
                "method llm needs llm.base_url (such as http://127.0.0.1:11434/v1) and llm.model"
            )
        return self


class AnalysisPolicy(Message):
    """From findings to score and confidence.

    ``conviction_limit`` bounds |score x strength| of one finding, for it and, where it is
    missing, against; ``conviction_limits`` names other bounds by task. ``debate_share`` of the
    score depends on the debate. ``full_score`` is the score of full confidence;
    ``agreement_share`` of the confidence depends on agreement, where a finding takes sides from
    ``neutral_band`` on. ``max_confidence`` is the cap at full coverage, ``default_task_weights``
    are those of tasks that a profile does not name. ``regime_label`` is the label shown as the
    market's regime. A profile's calibration is used from ``min_calibration_outcomes`` on.
    """

    conviction_limit: Conviction = 0.3
    conviction_limits: dict[TaskId, Conviction] = Field(default_factory=dict)
    debate_share: Share = 0.3
    full_score: Annotated[float, Field(gt=0, le=1)] = 0.25
    agreement_share: Share = 0.3
    neutral_band: Share = 0.03
    min_calibration_outcomes: Annotated[int, Field(ge=20)] = 100
    max_confidence: Share = 0.85
    default_task_weights: ByPriority = ByPriority(CRITICAL=0.2, HIGH=0.12, MEDIUM=0.08, LOW=0.03)
    regime_label: MetricRef = "technical.regime"

    def limit_of(self, task_id: str) -> float:
        """The bound on |score x strength| of that task."""
        return self.conviction_limits.get(task_id, self.conviction_limit)


class OrderSlippage(Message):
    """The metrics that say what an order of up to so many dollars loses; the worst counts."""

    up_to_usd: Positive
    metrics: Annotated[tuple[MetricRef, ...], Field(min_length=1)]


class RiskInputs(Message):
    """Which metric of which task is which input of the risk rules.

    ``atr`` and ``price`` are in the quote currency, all others are fractions. ``slippage`` may name
    several metrics of one task: the worst counts, and one that is missing makes it unknown. Where
    the equity is known, those of ``slippage_by_order`` take its place: of the smallest order
    that is as large as the largest position. The star in ``correlation_to_held`` stands for the
    coin of a holding, in lower case.
    """

    price: MetricRef = "technical.last_close"
    atr: MetricRef = "technical.atr_14"
    volatility_annual: MetricRef = "technical.realised_volatility_annual"
    value_at_risk: MetricRef = "technical.value_at_risk_95_1d"
    expected_shortfall: MetricRef = "technical.expected_shortfall_95_1d"
    slippage: tuple[MetricRef, ...] = (
        "liquidity.slippage_buy_50k",
        "liquidity.slippage_sell_50k",
    )
    correlation_to_btc: MetricRef = "correlation.correlation_btc_90d"
    correlation_to_held: HeldRef = "correlation.correlation_*_90d"
    slippage_by_order: tuple[OrderSlippage, ...] = ()


class KillSwitch(Message):
    """Stops all new positions: every decision is HOLD with the reason.

    ``engaged`` is by hand, with ``reason``. ``losses_in_a_row`` decisions of the profile that lost
    stop it for ``pause_hours`` after the last one ended; ``failed_task_share`` of the planned tasks
    without a finding stop the decision at hand. None switches a rule off.
    """

    engaged: bool = False
    reason: str = "kill switch engaged"
    losses_in_a_row: Annotated[int, Field(ge=1, le=1000)] | None = 5
    pause_hours: Annotated[float, Field(ge=0, le=8760)] = 24.0
    failed_task_share: Annotated[float, Field(gt=0, le=1)] | None = 0.5


class RiskPolicy(Message):
    """Limits that hold for every profile.

    ``whitelist`` empty allows all symbols. ``max_price_age_minutes`` vetoes decisions on a stale
    price, ``shock_volatility_annual`` those in a volatility shock. Stops are bounded to
    [``min_stop_fraction``, ``max_stop_fraction``] of the price. A new position and the holdings
    that move along with it stay within ``held_limit_fraction`` of the equity.
    """

    blacklist: tuple[Symbol, ...] = ()
    whitelist: tuple[Symbol, ...] = ()
    kill_switch: KillSwitch = KillSwitch()
    max_price_age_minutes: Positive = 720.0
    shock_volatility_annual: Positive = 2.0
    min_stop_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.01
    max_stop_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.15
    held_limit_fraction: Annotated[float, Field(gt=0, le=1)] = 0.3
    inputs: RiskInputs = RiskInputs()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_stop_fraction > self.max_stop_fraction:
            raise ValueError("min_stop_fraction must not exceed max_stop_fraction")
        return self


class SizingPolicy(Message):
    """From confidence to a share of equity.

    ``max_edge`` is the win probability that full confidence adds to the fair one.
    A position below ``min_size_fraction`` is not worth taking: HOLD. Positions of one watchlist
    take at most ``max_total_fraction`` together; how they move together is read from the last
    ``covariance_days`` daily returns.
    """

    max_edge: Annotated[float, Field(ge=0, le=0.5)] = 0.06
    min_size_fraction: Share = 0.002
    max_total_fraction: Annotated[float, Field(gt=0, le=1)] = 0.5
    covariance_days: Annotated[int, Field(ge=30, le=1000)] = 120


CompliancePhrase = Annotated[str, Field(min_length=3, max_length=60, pattern=r"\w")]


class PrivacyPolicy(Message):
    """What is taken out of texts besides secrets, which always are, and what is warned about.

    ``compliance_phrases`` are matched as whole words, whatever their case and whatever stands
    between the words; the last word may have an ``s`` more.
    """

    personal_data: tuple[PersonalData, ...] = PERSONAL_DATA
    compliance_phrases: tuple[CompliancePhrase, ...] = (
        "insider information",
        "inside information",
        "material non-public",
        "insider tip",
        "front running",
        "guaranteed return",
        "guaranteed profit",
        "risk-free profit",
        "pump group",
        "pump signal",
        "pump and dump",
    )


class Limit(Message):
    """A cap on a risk figure: the size cap is multiplied by limit / value where value is above.

    The multiplier never falls below ``floor``, and is ``floor`` where the figure is unknown.
    With floor 0, a figure that is unknown is a veto.
    """

    limit: Positive
    floor: Share


class ProfileLimits(Message):
    """Caps of a profile: fractions of price, volatility a year and tail losses a day."""

    volatility_annual: Limit
    value_at_risk: Limit
    expected_shortfall: Limit
    slippage: Limit
    correlation_to_btc: Limit


class CalibrationTable(Message):
    """How often decisions of a confidence gained: ``points`` are (confidence, share), both rising.

    Fitted on ``outcomes`` outcomes that were known at ``fitted_until``; no decision about an
    earlier moment may use it.
    """

    outcomes: Annotated[int, Field(ge=1)]
    fitted_until: UtcTime
    points: Annotated[tuple[tuple[Share, Share], ...], Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _rising(self) -> Self:
        for (x0, y0), (x1, y1) in pairwise(self.points):
            if x1 <= x0 or y1 < y0:
                raise ValueError("points must rise in confidence and not fall in their share")
        return self


class ProfilePolicy(Message):
    """The decision knobs of one risk profile.

    ``buy_threshold`` is also, with a minus, the SELL threshold. ``reward_risk`` is take-profit
    distance over stop distance. ``kelly_fraction`` is the part of full Kelly that is used.
    ``calibration`` says how often decisions of a confidence gained; None where that is not known.
    """

    validation_threshold: Share
    buy_threshold: Annotated[float, Field(gt=0, le=1)]
    size_cap_fraction: Share
    atr_stop_multiple: Positive
    reward_risk: Positive
    kelly_fraction: Share
    volatility_target_annual: Positive
    horizon_hours: Positive
    limits: ProfileLimits
    calibration: CalibrationTable | None = None
    task_weights: TaskWeights = Field(default_factory=dict)


class DecisionPolicy(Message):
    """All of config/decision.yaml."""

    validation: ValidationPolicy
    debate: DebatePolicy = DebatePolicy()
    analysis: AnalysisPolicy = AnalysisPolicy()
    risk: RiskPolicy = RiskPolicy()
    sizing: SizingPolicy = SizingPolicy()
    privacy: PrivacyPolicy = PrivacyPolicy()
    profiles: Annotated[dict[str, ProfilePolicy], Field(min_length=1)]

    @model_validator(mode="after")
    def _prices_stay_positive(self) -> Self:
        for name, profile in self.profiles.items():
            if self.risk.max_stop_fraction * profile.reward_risk >= 1:
                raise ValueError(
                    f"profile {name}: reward_risk x risk.max_stop_fraction must stay below 1, "
                    "or the take-profit of a SELL would be a price below 0"
                )
        return self

    def profile(self, name: str) -> ProfilePolicy:
        """The knobs of that profile; :class:`UnknownNameError` lists the known ones."""
        try:
            return self.profiles[name]
        except KeyError:
            raise UnknownNameError("risk profile of decision.yaml", name, self.profiles) from None
