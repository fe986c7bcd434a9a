"""What goes into planning and what comes out: request, profile, task, plan.

All models are frozen. Money is Decimal USD, times are aware UTC, durations are seconds.
"""

from __future__ import annotations

import re
from datetime import UTC
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    computed_field,
    model_validator,
)

from sigmax_planner.batches import make_batches, parse_width
from sigmax_planner.errors import InvalidSymbolError
from sigmax_planner.estimates import critical_path, parallel_seconds, sequential_seconds
from sigmax_planner.flow import flow_seconds

SYMBOL_PATTERN = re.compile(r"[A-Z0-9]{1,15}/[A-Z0-9]{1,15}", re.ASCII)
TASK_ID_PATTERN = r"^[a-z][a-z0-9_]{0,39}$"

LONGEST_SECONDS = 86_400.0

Usd = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
UtcTime = Annotated[AwareDatetime, AfterValidator(lambda value: value.astimezone(UTC))]
TaskId = Annotated[str, Field(pattern=TASK_ID_PATTERN)]


def _refuse_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("an amount of USD, not true or false")  # noqa: TRY004  # pydantic's word
    return value


UsdAmount = Annotated[Usd, BeforeValidator(_refuse_bool), Field(ge=0, le=1_000_000)]
"""USD that somebody typed: not negative, finite, no true or false."""

Seconds = Annotated[float, Field(strict=True, gt=0, le=LONGEST_SECONDS)]
TaskValue = Annotated[float, Field(strict=True, ge=-1000, le=1000)]
"""A duration that somebody typed: above zero, at most a day, no text."""


Width = Annotated[int, BeforeValidator(parse_width)]


def parse_symbol(text: object) -> str:
    """``'btc/usdt'`` -> ``'BTC/USDT'``; anything else raises :class:`InvalidSymbolError`."""
    if not isinstance(text, str) or not text.isascii():
        raise InvalidSymbolError(text)
    symbol = text.strip(" ").upper()
    if not SYMBOL_PATTERN.fullmatch(symbol):
        raise InvalidSymbolError(text)
    base, _, quote = symbol.partition("/")
    if base == quote:
        raise InvalidSymbolError(text)
    return symbol


Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,15}/[A-Z0-9]{1,15}$")]


class Message(BaseModel):
    """Base of all messages: immutable, closed, and free of NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TaskPriority(StrEnum):
    """Importance of a task; ``rank`` 0 is the most urgent."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {priority: rank for rank, priority in enumerate(TaskPriority)}


class DataMode(StrEnum):
    """Where the data come from; printed on everything."""

    LIVE = "live"
    REPLAY = "replay"
    SIMULATED = "simulated"


class Batching(StrEnum):
    """When a task of a plan starts."""

    LEVELS = "levels"
    """When the batch before its own is over."""
    CRITICAL_PATH = "critical_path"
    """When its own dependencies are done and a place is free."""


class OmissionReason(StrEnum):
    """Why a task of the catalogue is not in the plan."""

    OPTIONAL_OFF = "optional_off"
    OVER_BUDGET = "over_budget"
    NOT_IN_PROFILE = "not_in_profile"
    DISABLED = "disabled"
    QUOTA = "quota"


class Volatility(StrEnum):
    """Where today's volatility stands among that of the last months."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class MarketContext(Message):
    """What is known of a market before it is researched; None is not known.

    ``origin`` says where from, such as ``run 20250314-120000-00000001``. ``drawdown_fraction`` is
    the fall from the recent high, ``volume_ratio`` the day's volume over its median,
    ``news_tone`` that of the news, -1 to 1.
    """

    observed_at: UtcTime
    origin: str = Field(default="the request", max_length=100)
    volatility: Volatility | None = None
    drawdown_fraction: float | None = Field(default=None, ge=0, le=1)
    volume_ratio: float | None = Field(default=None, ge=0)
    news_tone: float | None = Field(default=None, ge=-1, le=1)


class Holding(Message):
    """A position that is held: its share of the equity, below 0 for a short one."""

    symbol: Symbol
    fraction: float = Field(ge=-1, le=1, strict=True)


class Portfolio(Message):
    """What is held already. ``equity_usd`` None is not known."""

    equity_usd: float | None = Field(default=None, gt=0, le=1e12, strict=True)
    holdings: tuple[Holding, ...] = Field(default=(), max_length=200)

    @model_validator(mode="after")
    def _no_symbol_twice(self) -> Self:
        symbols = [holding.symbol for holding in self.holdings]
        if len(set(symbols)) != len(symbols):
            raise ValueError("a symbol is held twice")
        return self


class AnalysisRequest(Message):
    """One question about one market.

    ``width``, ``include_optional``, ``max_cost_usd`` and ``deadline_seconds`` override the
    configuration where they are not None. ``as_of`` is the time the run believes it is (None: the
    wall clock). ``source_root`` is the base address of a local data server (replay, simulated).
    ``market`` is what the asker knows of the market, for the priority rules. ``portfolio`` is what
    is held already, None where nothing is said of it.
    """

    symbol: Symbol
    risk_profile: str
    data_mode: DataMode = DataMode.LIVE
    watchlist: tuple[Symbol, ...] = ()
    width: Width | None = None
    include_optional: bool | None = None
    max_cost_usd: UsdAmount | None = None
    deadline_seconds: float | None = Field(default=None, gt=0)
    as_of: UtcTime | None = None
    seed: int | None = None
    source_root: str | None = None
    market: MarketContext | None = None
    portfolio: Portfolio | None = None


class TaskTemplate(Message):
    """One entry of the task catalogue.

    ``in_every_profile`` tasks belong to all profiles, the others to those that list them under
    ``additional_tasks``. ``feature`` names a flag that must be on. ``handler`` is
    ``package.module:function``.
    """

    task_id: TaskId
    name: str = Field(min_length=1)
    priority: TaskPriority
    data_sources: tuple[str, ...] = Field(min_length=1)
    dependencies: tuple[str, ...] = ()
    timeout_seconds: float = Field(gt=0)
    estimated_seconds: float = Field(gt=0)
    estimated_cost_usd: Usd = Field(ge=0)
    optional: bool = False
    in_every_profile: bool = True
    feature: str | None = None
    handler: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    estimate_basis: str = "static"
    priority_basis: str = ""


def _time_limit(fields: dict[str, Any]) -> float:
    """The checked time limit of a task; pydantic does not ask where a field before is wrong."""
    return float(fields["timeout_seconds"])


class ResearchTask(Message):
    """A task of a plan. Estimates are those used for this plan, with their basis.

    ``estimate_basis`` is ``static`` or such as ``learned, n=42``, ``priority_basis`` names the
    rules that changed the priority, as in ``news_shock: LOW -> MEDIUM``; "" for none.

    A task made by hand may leave out what has a default: the estimated seconds are then the time
    limit, and an empty ``handler`` is left to whoever runs the task.
    """

    task_id: TaskId
    name: str
    priority: TaskPriority
    data_sources: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    timeout_seconds: float = Field(gt=0)
    estimated_seconds: float = Field(default_factory=_time_limit, gt=0)
    estimated_cost_usd: Usd = Field(default=Decimal(0), ge=0)
    optional: bool = False
    handler: str = ""
    estimate_basis: str = "static"
    priority_basis: str = ""


class RiskProfile(Message):
    """The planning knobs of a risk profile, resolved from the configuration."""

    name: str
    max_parallel_tasks: int = Field(ge=1)
    include_optional_tasks: bool
    additional_tasks: tuple[str, ...] = ()
    require_all_critical: bool = True
    min_data_sources: int = Field(ge=0)


class Omission(Message):
    """A task that is not in the plan, and why."""

    task_id: str
    reason: OmissionReason
    detail: str = ""


class ResearchPlan(Message):
    """The tasks of a run, their batches, and the estimates computed from both.

    ``execution_order`` is a tuple of batches of task ids; every task is in exactly one batch and
    behind all its dependencies. With ``batching`` by critical path they are waves: the tasks that
    are planned to start at the same moment.
    """

    symbol: Symbol
    risk_profile: str
    tasks: tuple[ResearchTask, ...]
    execution_order: tuple[tuple[str, ...], ...]
    width: int = Field(ge=1)
    batching: Batching = Batching.LEVELS
    omitted: tuple[Omission, ...] = ()
    max_cost_usd: Usd | None = None
    over_budget: bool = False
    notes: tuple[str, ...] = ()
    created_at: UtcTime

    def task(self, task_id: str) -> ResearchTask:
        """The task of that id; ``KeyError`` when the plan has none."""
        for task in self.tasks:
            if task.task_id == task_id:
                return task
        raise KeyError(task_id)

    @computed_field  # type: ignore[prop-decorator]  # mypy cannot type a decorated property
    @property
    def task_count(self) -> int:
        return len(self.tasks)

    @computed_field  # type: ignore[prop-decorator]  # as above
    @property
    def critical_tasks(self) -> list[str]:
        return [t.task_id for t in self.tasks if t.priority is TaskPriority.CRITICAL]

    @computed_field  # type: ignore[prop-decorator]  # as above
    @property
    def estimated_cost(self) -> Usd:
        """USD, the sum over all tasks."""
        return sum((t.estimated_cost_usd for t in self.tasks), Decimal(0))

    @computed_field  # type: ignore[prop-decorator]  # as above
    @property
    def estimated_time_sequential(self) -> float:
        """Seconds, the sum over all tasks."""
        return sequential_seconds(self.tasks)

    @computed_field  # type: ignore[prop-decorator]  # as above
    @property
    def estimated_time_parallel(self) -> float:
        """Seconds: the sum over batches of the longest task, or the end of the last task."""
        if self.batching is Batching.CRITICAL_PATH:
            return flow_seconds(self.tasks, self.width)
        return parallel_seconds(self.tasks, self.execution_order)

    @computed_field  # type: ignore[prop-decorator]  # as above
    @property
    def estimated_time_by_batching(self) -> dict[str, float]:
        """Seconds in parallel with either batching, at this width."""
        if self.batching is Batching.LEVELS:
            levels = self.estimated_time_parallel
        else:
            levels = parallel_seconds(self.tasks, make_batches(self.tasks, self.width))
        return {
            Batching.LEVELS.value: levels,
            Batching.CRITICAL_PATH.value: flow_seconds(self.tasks, self.width),
        }

    @computed_field  # type: ignore[prop-decorator]  # as above
    @property
    def critical_path(self) -> list[str]:
        """Task ids of the dependency chain that takes longest, in order."""
        return list(critical_path(self.tasks).task_ids)

    @computed_field  # type: ignore[prop-decorator]  # as above
    @property
    def critical_path_seconds(self) -> float:
        return critical_path(self.tasks).seconds

    @computed_field  # type: ignore[prop-decorator]  # as above
    @property
    def speedup(self) -> float:
        """Sequential over parallel seconds, two decimals; 1.0 for an empty plan."""
        parallel = self.estimated_time_parallel
        return round(self.estimated_time_sequential / parallel, 2) if parallel else 1.0

    @computed_field  # type: ignore[prop-decorator]  # as above
    @property
    def summary(self) -> str:
        return (
            f"Research plan created: {self.task_count} tasks, ${self.estimated_cost:.2f} cost, "
            f"{self.estimated_time_parallel:g}s est. time"
        )

    def to_json_dict(self) -> dict[str, Any]:
        """JSON types only, with all computed keys."""
        return self.model_dump(mode="json")


PlanFormat = Literal["table", "json", "mermaid"]
