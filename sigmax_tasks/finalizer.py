"""Ends a run: gather the outcomes, run the decision chain, keep one record."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version

from sigmax_planner.models import ResearchPlan
from sigmax_planner.policy import PlanningPolicy
from sigmax_tasks import clock
from sigmax_tasks.budget import Account
from sigmax_tasks.debates import Debates, Held
from sigmax_tasks.errors import JournalError
from sigmax_tasks.journal import Journal, JournalQuery
from sigmax_tasks.llm.hearing import BY_LLM
from sigmax_tasks.models.decision import Cost, RunRecord, ValidationReport
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.models.journal import JournalEntry
from sigmax_tasks.models.research import (
    Circumstances,
    ResearchBundle,
    RunSummary,
    TaskOutcome,
    TaskStatus,
)
from sigmax_tasks.notifications.notices import run_notices
from sigmax_tasks.run_state import STATE_OPEN, Conclusion, OpenRun
from sigmax_tasks.runner import ended, worker_identity
from sigmax_tasks.settings import Settings
from sigmax_tasks.stages.aggregate import aggregate
from sigmax_tasks.stages.calibrate import calibrate
from sigmax_tasks.stages.chain import conclude as decide_on
from sigmax_tasks.stages.compare import compare
from sigmax_tasks.stages.debate import debate
from sigmax_tasks.stages.kill_switch import loss_streak
from sigmax_tasks.stages.standing import Standing, standings
from sigmax_tasks.stages.validate import validate
from sigmax_tasks.store import RunStore

logger = logging.getLogger(__name__)

MOST_HISTORY = 2000
"""How many of the latest decisions of its kind the calibration of a confidence looks at."""


MOST_TRIES = 3
"""A decision chain that ended its worker this often is not tried on those findings again."""


def conclude(
    store: RunStore,
    settings: Settings,
    run: OpenRun,
    unfinished_reason: str,
    *,
    day_limit_usd: Decimal | None = None,
    debates: Debates | None = None,
) -> bool:
    """Decide on what there is and close the run; True for the one caller whose record is kept.

    Tasks without an outcome are given one: ``failed`` if they had started, else ``skipped``, with
    ``unfinished_reason``. Findings on which the decision chain has failed ``MOST_TRIES`` times are
    left out of the decision; an alert says so. ``day_limit_usd`` is the cluster's own limit of a
    day. Behind the decision the run spends nothing more. A debate by a model is held with
    ``debates``; without them, or where it comes to nothing, the rules hold it. While another worker
    debates, this one leaves the run alone.
    """
    day_limits = (settings.planning.performance.max_cost_per_day, day_limit_usd)
    account = store.account(run, *day_limits)
    by_model = settings.decision.debate.method == BY_LLM
    conclusion: Conclusion | None = None
    if by_model:
        state, outcomes = store.standing(run.run_id)
        if state is None or state.state != STATE_OPEN:
            return False
    else:
        conclusion = store.begin_conclusion(account)
        if conclusion is None:
            return False
        outcomes = dict(conclusion.outcomes)
    kept, partial = _all_ended(store, run, outcomes, unfinished_reason)
    circumstances, history = _circumstances(store.journal, settings, run)
    held: Held | None = None
    if by_model:
        debates = debates or Debates(store, settings, None, None)
        bundle, report, _ = _case_of(settings, run, kept, circumstances)
        held = debates.hold(run, bundle, report, account)
        if held is None:
            return False
    # A debate by a model spends, and another worker may be at it: only behind it is this a try.
    conclusion = conclusion or store.begin_conclusion(account)
    if conclusion is None:
        return False
    give_up = conclusion.tries > MOST_TRIES
    record = make_record(
        settings,
        run,
        kept,
        partial=partial,
        without_findings=give_up,
        cost=_settled_cost(run, account, conclusion),
        held=held,
        circumstances=circumstances,
    )
    entry: JournalEntry | None = None
    # Timed no-ops decide on nothing: such a run is not one to remember or to compare with.
    if not (settings.planning.debug.simulate_execution or give_up):
        entry = JournalEntry.of(record, run.request.seed)
        record = with_history(record, entry, store.journal, history)
    event = ProgressEvent(
        run_id=run.run_id,
        kind=EventKind.RUN_FINISHED,
        at=record.finished_at,
        seconds=record.research.duration_seconds,
        detail=record.decision.action.value,
    )
    notices = "" if entry is None else run_notices(settings.runtime.notifications, record)
    return store.commit(run, record, event, entry, notices)


def _all_ended(
    store: RunStore, run: OpenRun, outcomes: Mapping[str, TaskOutcome], unfinished_reason: str
) -> tuple[tuple[TaskOutcome, ...], bool]:
    """The outcomes of all tasks, in their order, and whether some were given theirs only now."""
    unfinished = [task for task in run.plan.tasks if task.task_id not in outcomes]
    if unfinished:
        now, state = clock.now(), store.state(run.run_id)
        for task in unfinished:
            begun = state is not None and task.task_id in state.started
            status = TaskStatus.FAILED if begun else TaskStatus.SKIPPED
            store.record_outcome(
                run, ended(task, status, unfinished_reason, at=now, attempts=int(begun))
            )
        outcomes = store.outcomes(run.run_id)
    kept = (outcomes[task.task_id] for task in run.plan.tasks if task.task_id in outcomes)
    return tuple(kept), bool(unfinished)


def _circumstances(
    journal: Journal, settings: Settings, run: OpenRun
) -> tuple[Circumstances, tuple[JournalEntry, ...] | None]:
    """What the decision rests on besides research, and the journal where it was read for that."""
    request, rules = run.request, settings.decision.risk.kill_switch
    if rules.losses_in_a_row is None or settings.planning.debug.simulate_execution:
        return Circumstances(portfolio=request.portfolio), None
    query = JournalQuery(
        profile=request.risk_profile, data_mode=request.data_mode, limit=MOST_HISTORY
    )
    try:
        history = journal.entries(query)
    except JournalError as error:
        logger.warning("run %s: %s", run.run_id, error)
        return Circumstances(portfolio=request.portfolio, streak=None), None
    streak = loss_streak(history, request.as_of or run.created_at, request.seed)
    return Circumstances(portfolio=request.portfolio, streak=streak), history


def with_history(
    record: RunRecord,
    entry: JournalEntry,
    journal: Journal,
    history: Sequence[JournalEntry] | None = None,
) -> RunRecord:
    """The record with the last decision on its market and the track record of its confidence.

    ``history`` is the journal of its profile and data mode where it was read before.
    A journal that cannot be read costs no decision: both stay away, and an alert says so.
    """
    try:
        # Strictly earlier: deciding again about the same moment gives the same answer.
        earlier = entry.as_of - timedelta(microseconds=1)
        before = journal.latest(entry.book, not_after=earlier, besides=entry.run_id)
        if history is None:
            query = JournalQuery(
                profile=entry.profile, data_mode=entry.data_mode, limit=MOST_HISTORY
            )
            history = journal.entries(query)
    except JournalError as error:
        logger.warning("run %s: %s", record.run_id, error)
        alerts = (*record.research.alerts, f"no history: {error}")
        research = record.research.model_copy(update={"alerts": alerts})
        return record.model_copy(update={"research": research})
    return record.model_copy(
        update={
            "previous": compare(before, entry) if before is not None else None,
            "calibration": calibrate(history, entry),
        }
    )


def _settled_cost(run: OpenRun, account: Account, conclusion: Conclusion) -> Cost:
    """What the run has cost, and its day where that has a limit."""
    limited = account.day_limit_usd is not None
    return Cost(
        estimated_usd=run.plan.estimated_cost,
        actual_usd=conclusion.spent_usd,
        limit_usd=run.plan.max_cost_usd,
        day_spent_usd=conclusion.day_spent_usd if limited else None,
        day_limit_usd=account.day_limit_usd,
    )


def make_record(
    settings: Settings,
    run: OpenRun,
    outcomes: Sequence[TaskOutcome],
    *,
    partial: bool,
    without_findings: bool = False,
    cost: Cost | None = None,
    held: Held | None = None,
    circumstances: Circumstances | None = None,
) -> RunRecord:
    """The decision with everything about how it came to be.

    Without ``cost`` it is what the outcomes say. ``held`` is the debate where a model was to hold
    it; without it the rules do.
    """
    policy = settings.planning
    seen = [bare(outcome) for outcome in outcomes] if without_findings else outcomes
    circumstances = circumstances or Circumstances(portfolio=run.request.portfolio)
    bundle, report, standing = _case_of(settings, run, seen, circumstances)
    held = None if without_findings else held
    held = held or Held(debate(bundle, report, settings.decision, standing))
    profile = policy.profile(run.request.risk_profile)
    decision = decide_on(bundle, report, held.record, profile, settings.decision, standing)
    cost = cost or Cost(
        estimated_usd=run.plan.estimated_cost,
        actual_usd=sum((outcome.cost_usd for outcome in outcomes), Decimal(0)),
        limit_usd=run.plan.max_cost_usd,
    )
    finished_at = clock.now()
    research = summarise(run.plan, outcomes, run.created_at, finished_at, cost, policy)
    if without_findings:
        said = f"decided without findings: the decision chain failed on them {MOST_TRIES} times"
        research = research.model_copy(update={"alerts": (*research.alerts, said)})
    return RunRecord(
        run_id=run.run_id,
        created_at=run.created_at,
        finished_at=finished_at,
        finished_by=worker_identity(),
        partial=partial,
        decision=decision,
        plan=run.plan,
        research=research,
        cost=cost.model_copy(update={"llm_usd": held.spent_usd}),
        settings_hash=run.settings_hash,
        versions=versions(),
        model_answers=held.answers,
        circumstances=circumstances,
    )


def _case_of(
    settings: Settings,
    run: OpenRun,
    outcomes: Sequence[TaskOutcome],
    circumstances: Circumstances,
) -> tuple[ResearchBundle, ValidationReport, tuple[Standing, ...]]:
    """What the decision is made on, whether it is good enough, and how each task stands."""
    bundle = aggregate(
        run.plan,
        outcomes,
        symbol=run.request.symbol,
        as_of=run.request.as_of or run.created_at,
        data_mode=run.request.data_mode,
        circumstances=circumstances,
    )
    profile = settings.planning.profile(run.request.risk_profile)
    standing = standings(bundle, settings.decision.validation)
    return bundle, validate(bundle, profile, settings.decision, standing), standing


def bare(outcome: TaskOutcome) -> TaskOutcome:
    """An outcome as if its task had found nothing."""
    return outcome.model_copy(
        update={
            "status": TaskStatus.FAILED,
            "reason": "left out: the decision chain failed on what was found",
            "finding": None,
        }
    )


def summarise(
    plan: ResearchPlan,
    outcomes: Sequence[TaskOutcome],
    created_at: datetime,
    finished_at: datetime,
    cost: Cost,
    policy: PlanningPolicy,
) -> RunSummary:
    """Counts and measured times of a run, with the alerts its thresholds raise."""
    duration = max(0.0, (finished_at - created_at).total_seconds())
    alerts = policy.monitoring.alerts
    total = plan.task_count
    failed = sum(outcome.status is TaskStatus.FAILED for outcome in outcomes)
    failure_rate = failed / total if total else 0.0
    raised = []
    if failure_rate > alerts.high_failure_rate:
        raised.append(f"failure rate {failure_rate:.0%} is above {alerts.high_failure_rate:.0%}")
    if duration > alerts.slow_execution:
        raised.append(f"took {duration:.0f} s, more than {alerts.slow_execution:g} s")
    if cost.actual_usd > alerts.high_cost_per_decision:
        raised.append(
            f"cost ${cost.actual_usd:.2f}, more than ${alerts.high_cost_per_decision:.2f}"
        )
    return RunSummary.of(outcomes, total_tasks=total, duration_seconds=duration, alerts=raised)


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions that shape a decision, for its record."""
    names = ("sigmax-tasks", "celery", "ccxt", "numpy", "TA-Lib", "vaderSentiment", "yake")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
