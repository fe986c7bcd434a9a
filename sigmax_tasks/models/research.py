"""What research says: metrics, evidence, findings, and the outcome of each task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from pydantic import Field

from sigmax_planner.models import (
    DataMode,
    Message,
    Portfolio,
    ResearchPlan,
    Symbol,
    TaskPriority,
    Usd,
    UtcTime,
)
from sigmax_tasks.models.observations import Lineage, Missing, Observation


class TaskStatus(StrEnum):
    """State of a task in a run; the last three are final."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


class Metric(Message):
    """One computed number, its unit, and the observations it rests on."""

    name: str
    value: float
    unit: str
    observation_ids: tuple[str, ...] = Field(min_length=1)


class Evidence(Message):
    """One argument. ``polarity`` in [-1, 1]: above 0 speaks for a rise, below 0 for a fall.

    ``reliability`` in [0, 1] says how far to trust it (sample size, age, thinness of the data).
    ``evidence_id`` is ``task_id.short_name``, unique in a run.
    """

    evidence_id: str
    task_id: str
    claim: str = Field(max_length=300)
    polarity: float = Field(ge=-1, le=1)
    reliability: float = Field(ge=0, le=1)
    metric_names: tuple[str, ...] = ()
    observation_ids: tuple[str, ...] = Field(min_length=1)
    observed_at: UtcTime
    untrusted_text: bool = False


class Finding(Message):
    """The answer of one research task.

    ``score`` in [-1, 1] (bearish to bullish), ``strength`` in [0, 1] (how much the data say at
    all). ``labels`` holds words such as ``trend: up``. ``missing`` are the gaps, ``lineage`` every
    observation used.
    """

    task_id: str
    symbol: Symbol
    as_of: UtcTime
    score: float = Field(ge=-1, le=1)
    strength: float = Field(ge=0, le=1)
    summary: str = Field(max_length=400)
    metrics: tuple[Metric, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    missing: tuple[Missing, ...] = ()
    lineage: tuple[Lineage, ...] = ()

    def metric(self, name: str) -> float | None:
        """The value of that name, None where it was not computed."""
        return next((m.value for m in self.metrics if m.name == name), None)

    @property
    def sources_used(self) -> tuple[str, ...]:
        return tuple(sorted({item.source for item in self.lineage}))


class ResearchInputs(Message):
    """All that a handler gets. ``upstream`` holds the findings of its dependencies."""

    task_id: str
    symbol: Symbol
    as_of: UtcTime
    watchlist: tuple[Symbol, ...] = ()
    observations: tuple[Observation, ...] = ()
    missing: tuple[Missing, ...] = ()
    upstream: dict[str, Finding] = Field(default_factory=dict)


class PhraseCount(Message):
    """In how many of the texts that a task was given a phrase of compliance stands."""

    phrase: str
    texts: int = Field(ge=1)


class TaskOutcome(Message):
    """How a task of a run ended. Exactly one is kept per run and task, the first.

    ``redactions`` counts by kind what was taken out of its texts, ``compliance`` the phrases of
    decision.yaml that they hold.
    """

    task_id: str
    status: Literal[TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.SKIPPED]
    reason: str = ""
    finding: Finding | None = None
    missing: tuple[Missing, ...] = ()
    attempts: int = Field(default=0, ge=0)
    started_at: UtcTime
    finished_at: UtcTime
    duration_seconds: float = Field(ge=0)
    cost_usd: Usd = Decimal(0)
    requests: int = Field(default=0, ge=0)
    providers: tuple[str, ...] = ()
    worker: str = ""
    redactions: dict[str, int] = Field(default_factory=dict)
    compliance: tuple[PhraseCount, ...] = ()


class LossStreak(Message):
    """How many of the latest decisions lost in a row; ``last_at`` is when the latest ended."""

    losses: int = Field(default=0, ge=0)
    last_at: UtcTime | None = None


class Circumstances(Message):
    """What besides research a decision rests on; ``streak`` None is not known."""

    portfolio: Portfolio | None = None
    streak: LossStreak | None = LossStreak()


class ResearchBundle(Message):
    """Everything the tasks of a run found, nothing dropped; outcomes in plan order."""

    symbol: Symbol
    as_of: UtcTime
    data_mode: DataMode
    plan: ResearchPlan
    outcomes: tuple[TaskOutcome, ...]
    circumstances: Circumstances = Circumstances()

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(o.finding for o in self.outcomes if o.finding is not None)

    @property
    def missing(self) -> tuple[tuple[str, Missing], ...]:
        """(task_id, gap) of every gap of every task."""
        return tuple((o.task_id, gap) for o in self.outcomes for gap in o.missing)

    def priority_of(self, task_id: str) -> TaskPriority:
        return self.plan.task(task_id).priority

    def finding(self, task_id: str) -> Finding | None:
        return next((f for f in self.findings if f.task_id == task_id), None)


class TaskDetail(Message):
    """One row of a run's summary."""

    task_id: str
    status: TaskStatus
    reason: str = ""
    attempts: int
    duration_seconds: float
    cost_usd: Usd
    worker: str
    providers: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()

    @classmethod
    def of(cls, outcome: TaskOutcome) -> TaskDetail:
        return cls(
            task_id=outcome.task_id,
            status=outcome.status,
            reason=outcome.reason,
            attempts=outcome.attempts,
            duration_seconds=round(outcome.duration_seconds, 3),
            cost_usd=outcome.cost_usd,
            worker=outcome.worker,
            providers=outcome.providers,
            missing=outcome.missing,
        )


class RunSummary(Message):
    """Counts and times of a run: completed + failed + skipped = total_tasks, always.

    ``duration_seconds`` is from submission to decision. ``sequential_seconds`` is the sum of the
    tasks' own times, ``speedup`` that sum over the time from the first start to the last end.
    """

    total_tasks: int
    completed: int
    failed: int
    skipped: int
    success_rate: float = Field(ge=0, le=1)
    duration_seconds: float = Field(ge=0)
    sequential_seconds: float = Field(ge=0)
    speedup: float = Field(ge=0)
    tasks: tuple[TaskDetail, ...]
    alerts: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        outcomes: Sequence[TaskOutcome],
        *,
        total_tasks: int,
        duration_seconds: float,
        alerts: Sequence[str] = (),
    ) -> RunSummary:
        counts = Counter(outcome.status for outcome in outcomes)
        completed = counts[TaskStatus.COMPLETED]
        worked = [outcome for outcome in outcomes if outcome.duration_seconds > 0]
        sequential = sum(outcome.duration_seconds for outcome in worked)
        span = 0.0
        if worked:
            first = min(outcome.started_at for outcome in worked)
            span = (max(outcome.finished_at for outcome in worked) - first).total_seconds()
        return cls(
            total_tasks=total_tasks,
            completed=completed,
            failed=counts[TaskStatus.FAILED],
            skipped=counts[TaskStatus.SKIPPED],
            success_rate=round(completed / total_tasks, 4) if total_tasks else 0.0,
            duration_seconds=round(duration_seconds, 3),
            sequential_seconds=round(sequential, 3),
            speedup=round(sequential / span, 2) if span > 0 else 0.0,
            tasks=tuple(TaskDetail.of(outcome) for outcome in outcomes),
            alerts=tuple(alerts),
        )
