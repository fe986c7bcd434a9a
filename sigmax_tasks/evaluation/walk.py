"""One step of a walk-forward: plan, research, decide, with what was known at its moment.

The functions are those of a run: the planner, the handlers, the decision chain. Nothing of a later
step is kept in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sigmax_planner.models import (
    AnalysisRequest,
    DataMode,
    ResearchPlan,
    ResearchTask,
    RiskProfile,
    Symbol,
)
from sigmax_planner.planner import create_plan
from sigmax_tasks import clock
from sigmax_tasks.errors import LookAheadError
from sigmax_tasks.evaluation.lookahead import check_observations
from sigmax_tasks.evaluation.models import StepDecision
from sigmax_tasks.evaluation.recorded_desk import Moment
from sigmax_tasks.handlers import load_handler
from sigmax_tasks.models.decision import Decision
from sigmax_tasks.models.observations import DataNeed, Missing
from sigmax_tasks.models.policy import DecisionPolicy
from sigmax_tasks.models.research import (
    Finding,
    PhraseCount,
    ResearchBundle,
    TaskOutcome,
    TaskStatus,
)
from sigmax_tasks.settings import Settings
from sigmax_tasks.sources.desk import Gathered
from sigmax_tasks.stages.aggregate import aggregate
from sigmax_tasks.stages.chain import conclude, run_chain
from sigmax_tasks.stages.debate import debate
from sigmax_tasks.stages.privacy import Redactor, phrases_in_observations
from sigmax_tasks.stages.validate import validate
from sigmax_tasks.task_work import cleaned, failure_reason, find, needs_of

WORKER = "evaluation"


class Desk(Protocol):
    """Whoever fills needs as of a moment."""

    def gather(self, needs: Sequence[DataNeed], moment: Moment) -> Gathered: ...


@dataclass(frozen=True)
class Scope:
    """What of a plan the recordings can answer for one symbol.

    ``needs`` are by task id the needs that are recorded (see :func:`need_key`). Tasks and data
    sources without any are left out of the plan, the other needs are not asked.
    """

    needs: Mapping[str, tuple[str, ...]]

    def cut(self, plan: ResearchPlan) -> ResearchPlan:
        """The plan with the recorded tasks and data sources only."""
        kept: dict[str, tuple[str, ...]] = {}
        for task in plan.tasks:
            sources = {key.partition(" ")[0] for key in self.needs.get(task.task_id, ())}
            named = tuple(source for source in task.data_sources if source in sources)
            if named:
                kept[task.task_id] = named
        tasks = tuple(
            task.model_copy(
                update={
                    "data_sources": kept[task.task_id],
                    "dependencies": tuple(d for d in task.dependencies if d in kept),
                }
            )
            for task in plan.tasks
            if task.task_id in kept
        )
        batches = (
            tuple(task_id for task_id in batch if task_id in kept) for batch in plan.execution_order
        )
        return plan.model_copy(
            update={"tasks": tasks, "execution_order": tuple(batch for batch in batches if batch)}
        )

    def ask(self, task_id: str, needs: tuple[DataNeed, ...]) -> tuple[DataNeed, ...]:
        known = self.needs.get(task_id, ())
        return tuple(need for need in needs if need_key(need.source, need.label) in known)


def need_key(source: str, label: str) -> str:
    """``source label``, as a scope names a need."""
    return f"{source} {label}"


def recorded_scope(settings: Settings, desk: Desk, plan: ResearchPlan, as_of: datetime) -> Scope:
    """The needs of each task that the recordings fill at a moment."""
    found: dict[str, tuple[str, ...]] = {}
    for task in plan.tasks:
        handler = load_handler(task.task_id, task.handler)
        needs = needs_of(task, handler, plan.symbol, (), settings.sources)
        gathered = desk.gather(needs, Moment(plan.symbol, as_of))
        gaps = {need_key(gap.source, gap.need) for gap in gathered.missing}
        keys = (need_key(need.source, need.label) for need in needs)
        found[task.task_id] = tuple(key for key in keys if key not in gaps)
    return Scope({task_id: keys for task_id, keys in found.items() if keys})


def plan_step(
    settings: Settings, symbol: Symbol, profile: str, as_of: datetime, scope: Scope | None
) -> ResearchPlan:
    """The plan that a replay of that moment would get."""
    request = AnalysisRequest(
        symbol=symbol,
        risk_profile=profile,
        data_mode=DataMode.REPLAY,
        as_of=as_of,
        source_root="http://127.0.0.1:1",
    )
    plan = create_plan(request, settings.planning, settings.catalog, as_of)
    return plan if scope is None else scope.cut(plan)


def research_step(
    settings: Settings,
    desk: Desk,
    plan: ResearchPlan,
    as_of: datetime,
    known: Mapping[str, TaskOutcome] | None = None,
    on_task: Callable[[str, float], None] = lambda *_: None,
    scope: Scope | None = None,
) -> dict[str, TaskOutcome]:
    """The outcome of every task of the plan, by task id.

    ``known`` are outcomes that need not be made again. ``on_task`` gets each task that was worked
    on with its seconds. :class:`LookAheadError` ends the step: it is no gap, it is a mistake.
    """
    outcomes: dict[str, TaskOutcome] = {}
    for task_id in (task_id for batch in plan.execution_order for task_id in batch):
        task = plan.task(task_id)
        if known is not None and task_id in known:
            outcomes[task_id] = known[task_id]
            continue
        broken = next(
            (d for d in task.dependencies if outcomes[d].status is not TaskStatus.COMPLETED), None
        )
        started = clock.monotonic()
        if broken is None:
            outcomes[task_id] = _work(settings, desk, plan.symbol, task, as_of, outcomes, scope)
            on_task(task_id, clock.monotonic() - started)
        else:
            reason = f"dependency {broken} {outcomes[broken].status.value}"
            outcomes[task_id] = _outcome(task, as_of, TaskStatus.SKIPPED, reason=reason)
    return outcomes


def _work(
    settings: Settings,
    desk: Desk,
    symbol: Symbol,
    task: ResearchTask,
    as_of: datetime,
    before: Mapping[str, TaskOutcome],
    scope: Scope | None,
) -> TaskOutcome:
    policy = settings.decision.privacy
    redactor = Redactor(policy)
    handler = load_handler(task.task_id, task.handler)
    needs = needs_of(task, handler, symbol, (), settings.sources)
    if scope is not None:
        needs = scope.ask(task.task_id, needs)
    gathered = cleaned(needs, desk.gather(needs, Moment(symbol, as_of)), redactor)
    check_observations(gathered.observations, as_of)
    upstream = {name: before[name].finding for name in task.dependencies if name in before}
    try:
        finding = redactor.finding(
            find(
                task,
                handler,
                gathered,
                {name: found for name, found in upstream.items() if found is not None},
                symbol=symbol,
                as_of=as_of,
                watchlist=(),
            )
        )
    except LookAheadError:
        raise
    except Exception as error:  # noqa: BLE001  # as in a run: a bug in a handler costs its own task
        return _outcome(
            task,
            as_of,
            TaskStatus.FAILED,
            reason=failure_reason(error, redactor),
            missing=gathered.missing,
        )
    return _outcome(
        task,
        as_of,
        TaskStatus.COMPLETED,
        finding=finding,
        missing=gathered.missing,
        compliance=phrases_in_observations(gathered.observations, policy),
    )


def _outcome(
    task: ResearchTask,
    as_of: datetime,
    status: TaskStatus,
    *,
    reason: str = "",
    finding: Finding | None = None,
    missing: tuple[Missing, ...] = (),
    compliance: tuple[PhraseCount, ...] = (),
) -> TaskOutcome:
    return TaskOutcome(
        task_id=task.task_id,
        status=status,
        reason=reason,
        finding=finding,
        missing=missing,
        attempts=1 if status is not TaskStatus.SKIPPED else 0,
        started_at=as_of,
        finished_at=as_of,
        duration_seconds=0.0,
        worker=WORKER,
        compliance=compliance,
    )


def bundle_of(
    plan: ResearchPlan, outcomes: Mapping[str, TaskOutcome], as_of: datetime
) -> ResearchBundle:
    return aggregate(
        plan,
        [outcomes[task.task_id] for task in plan.tasks],
        symbol=plan.symbol,
        as_of=as_of,
        data_mode=DataMode.REPLAY,
    )


def decide_step(bundle: ResearchBundle, profile: RiskProfile, policy: DecisionPolicy) -> Decision:
    """The decision chain of a run."""
    return run_chain(bundle, profile, policy)


def decide_without(
    task_ids: Iterable[str],
    bundle: ResearchBundle,
    profile: RiskProfile,
    policy: DecisionPolicy,
) -> dict[str, Decision]:
    """The decision with the opinion of one task left out, by that task's id.

    The task has no score, no arguments and no weight. What it measured (price, volatility) and the
    validation stay: the difference is what its opinion does, not that something is missing.
    """
    report = validate(bundle, profile, policy)
    found: dict[str, Decision] = {}
    for task_id in task_ids:
        silent = _silenced(bundle, task_id)
        other = _unweighted(policy, profile.name, task_id)
        record = debate(silent, report, other)
        found[task_id] = conclude(silent, report, record, profile, other)
    return found


def _silenced(bundle: ResearchBundle, task_id: str) -> ResearchBundle:
    def quiet(outcome: TaskOutcome) -> TaskOutcome:
        if outcome.task_id != task_id or outcome.finding is None:
            return outcome
        finding = outcome.finding.model_copy(update={"score": 0.0, "strength": 0.0, "evidence": ()})
        return outcome.model_copy(update={"finding": finding})

    return bundle.model_copy(update={"outcomes": tuple(map(quiet, bundle.outcomes))})


def _unweighted(policy: DecisionPolicy, profile: str, task_id: str) -> DecisionPolicy:
    own = policy.profile(profile)
    weights = {**own.task_weights, task_id: 0.0}
    changed = own.model_copy(update={"task_weights": weights})
    return policy.model_copy(update={"profiles": {**policy.profiles, profile: changed}})


def shortened(decision: Decision) -> StepDecision:
    """What the evaluation keeps of a decision."""
    return StepDecision(
        as_of=decision.as_of,
        action=decision.action,
        confidence=decision.confidence,
        score=decision.score,
        size_fraction=decision.size_fraction,
        reference_price=decision.reference_price,
        stop_price=decision.stop_price,
        take_profit_price=decision.take_profit_price,
        horizon_hours=decision.horizon_hours,
        regime=decision.analysis.regime,
        validated=decision.validation.passed,
        validation_score=decision.validation.score,
        decision_hash=decision.decision_hash,
    )
