"""The Celery tasks: thin steps that read the truth from the store. All of them may run twice."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import nullcontext
from functools import lru_cache, partial

from celery import Task
from celery.app.task import Context

from sigmax_planner.canvas import (
    CLOSE_BATCH,
    FINALIZE_RUN,
    KICK_RUN,
    RUN_RESEARCH,
    batch_chord,
    control_signature,
)
from sigmax_planner.models import ResearchTask, TaskPriority
from sigmax_tasks import clock
from sigmax_tasks.celery import app, settings
from sigmax_tasks.channel import held_message
from sigmax_tasks.cluster_link import connect
from sigmax_tasks.errors import NewerRunError, RunNotFoundError
from sigmax_tasks.finalizer import conclude
from sigmax_tasks.lean_chords import batch_started, chords_of, send_lean_chord
from sigmax_tasks.llm.hearing import BY_LLM
from sigmax_tasks.logs import about
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.release import companions, in_flow, sendable, steps_of
from sigmax_tasks.run_state import Join, OpenRun
from sigmax_tasks.runner import TaskRunner, ended, worker_identity
from sigmax_tasks.settings import Settings
from sigmax_tasks.store import RunStore
from sigmax_tasks.wire import JOINED_HEADER, Call, letter

logger = logging.getLogger(__name__)

MAX_KEPT_RUNNERS = 8
MAX_KEPT_RUNS = 512
_conclusions = threading.BoundedSemaphore(2)
"""Deciding is computing: many at once in a process only keep its tasks from starting."""
_LAST_BATCH_DONE = "not started before the run ended"


class Workplace:
    """What the tasks of one worker process share: the store, and a runner per set of settings."""

    def __init__(self, broker_url: str) -> None:
        self.settings = settings
        client = connect(
            broker_url,
            connect_timeout_seconds=self.settings.runtime.broker.connect_timeout_seconds,
        )
        self.store = RunStore(client, self.settings.runtime)
        self.store.align_clock()
        self.client = client
        self._lock = threading.Lock()
        self._runners: OrderedDict[str, tuple[Settings, TaskRunner]] = OrderedDict()
        self._runs: OrderedDict[str, OpenRun] = OrderedDict()

    def recall(self, run_id: str) -> OpenRun | None:
        """The run as it was submitted, or None when it is not kept or not ours to touch.

        It may be over by now.
        """
        with self._lock:
            run = self._runs.get(run_id)
            if run is not None:
                self._runs.move_to_end(run_id)
                return run
        try:
            run = self.store.load(run_id)
        except RunNotFoundError:
            logger.info("run %s is not kept any more", run_id)
            return None
        except NewerRunError as error:
            logger.warning("%s", error)
            return None
        with self._lock:
            self._runs[run_id] = run
            while len(self._runs) > MAX_KEPT_RUNS:
                self._runs.popitem(last=False)
        return run

    def load(self, run_id: str) -> OpenRun | None:
        """The run, or None when it is over or no longer kept."""
        return self.recall(run_id) if self.store.is_open(run_id) else None

    def of(self, run: OpenRun) -> tuple[Settings, TaskRunner]:
        """The settings the run was submitted with, and a runner for them."""
        with self._lock:
            known = self._runners.get(run.settings_hash)
            if known is None:
                snapshot = self.store.settings_snapshot(run.settings_hash)
                own = self.settings.with_snapshot(snapshot)
                cap = self.settings.planning.performance.max_cost_per_day
                known = (own, TaskRunner(self.store, own, self.client, day_limit_usd=cap))
                self._runners[run.settings_hash] = known
            self._runners.move_to_end(run.settings_hash)
            while len(self._runners) > MAX_KEPT_RUNNERS:
                self._runners.popitem(last=False)
        return known


@lru_cache(maxsize=1)
def workplace() -> Workplace:
    """This process's workplace, made on first use (after a fork, in the child)."""
    return Workplace(app.conf.broker_url)


@app.task(name=RUN_RESEARCH, bind=True)
def run_research(self: Task, run_id: str, task_id: str) -> str:
    """Run one research task of a run and record its outcome."""
    with about(run_id, task_id):
        return _run_research(self, run_id, task_id)


def _run_research(self: Task, run_id: str, task_id: str) -> str:
    place = workplace()
    run = place.recall(run_id)
    if run is None:
        return task_id
    if all(task.task_id != task_id for task in run.plan.tasks):
        logger.warning("run %s has no task %s", run_id, task_id)
        return task_id
    _, runner = place.of(run)
    message_id = self.request.id or ""
    runner.run(
        run,
        run.plan.task(task_id),
        companions(run.plan, task_id),
        f"{worker_identity()}:{threading.get_ident()}:{message_id}",
        partial(_join_of, self.request, run, task_id),
        held_message(message_id),
    )
    return task_id


@app.task(name=CLOSE_BATCH, ignore_result=True)
def close_batch(run_id: str, step: int) -> None:
    """Start batch ``step`` if all outcomes of the one before are there; idempotent.

    Behind the last batch it starts the finaliser instead. By critical path there is one step with
    all tasks, and this sends those that may go now.
    """
    place = workplace()
    with about(run_id):
        run = place.recall(run_id)
        if run is None:
            return
        if in_flow(run.plan):
            go_on(place, run)
        else:
            open_batch(place, run, step)


@app.task(name=KICK_RUN, ignore_result=True)
def kick_run(run_id: str, step: int) -> None:
    """Error callback of a chord: only sends the advance step."""
    control_signature(app, CLOSE_BATCH, run_id, step).apply_async()


@app.task(name=FINALIZE_RUN, ignore_result=True)
def finalize_run(run_id: str, unfinished_reason: str = _LAST_BATCH_DONE) -> None:
    """Run the decision chain on what there is and close the run; idempotent."""
    place = workplace()
    with about(run_id):
        run = place.recall(run_id)
        if run is not None:
            own, runner = place.of(run)
            by_model = own.decision.debate.method == BY_LLM
            with nullcontext() if by_model else _conclusions:
                conclude(
                    place.store,
                    own,
                    run,
                    unfinished_reason,
                    day_limit_usd=place.settings.planning.performance.max_cost_per_day,
                    debates=runner.debates,
                )


def open_batch(place: Workplace, run: OpenRun, step: int) -> None:
    """Move the run to batch ``step`` and dispatch what of it can run.

    Batches in which nothing can run (each task has a failed dependency) are passed over.
    """
    store, plan = place.store, run.plan
    own, _ = place.of(run)
    while True:
        outcomes = store.statuses(run.run_id)
        if step > 0 and any(t not in outcomes for t in plan.execution_order[step - 1]):
            return
        stopped = own.planning.task_execution.fail_on_critical_error and failed_critical(
            run, outcomes
        )
        if stopped or step >= len(plan.execution_order):
            if store.claim_step(run.run_id, step):
                reason = f"critical task {stopped} failed" if stopped else _LAST_BATCH_DONE
                _finalize_soon(store, run, reason)
            return
        if own.runtime.engine.lean_chords:
            runnable = startable(store, run, step, outcomes)
            if runnable:
                send_lean_chord(store, run, step, runnable, claim=True)
                return
        if not store.claim_step(run.run_id, step):
            return
        if dispatch(place, run, step, outcomes):
            return
        step += 1


def go_on(place: Workplace, run: OpenRun) -> None:
    """By critical path: send what may go now, or start the finaliser behind the last outcome.

    Tasks with a failed dependency are skipped, which takes no place.
    """
    store, plan = place.store, run.plan
    own, _ = place.of(run)
    store.claim_step(run.run_id, 0)
    while True:
        outcomes = store.statuses(run.run_id)
        stopped = own.planning.task_execution.fail_on_critical_error and failed_critical(
            run, outcomes
        )
        if stopped:
            state = store.state(run.run_id)
            if state is None or any(task_id not in outcomes for task_id in state.sent_at):
                return  # what is in work comes by here when it ends
        if stopped or all(task.task_id in outcomes for task in plan.tasks):
            if store.claim_step(run.run_id, 1):
                reason = f"critical task {stopped} failed" if stopped else _LAST_BATCH_DONE
                _finalize_soon(store, run, reason)
            return
        ready = sendable(plan, outcomes)
        broken = [task_id for task_id in ready if broken_dependency(plan.task(task_id), outcomes)]
        if not broken:
            break
        startable(store, run, 0, outcomes, only=frozenset(broken))
    claimed = store.claim_tasks(run, ready)
    if claimed:
        dispatch(place, run, 0, outcomes, only=frozenset(claimed))


def broken_dependency(task: ResearchTask, outcomes: Mapping[str, TaskStatus]) -> str | None:
    """A dependency of a task that did not complete; all of them have an outcome."""
    return next((d for d in task.dependencies if outcomes[d] is not TaskStatus.COMPLETED), None)


def dispatch(
    place: Workplace,
    run: OpenRun,
    step: int,
    outcomes: Mapping[str, TaskStatus],
    *,
    only: frozenset[str] | None = None,
) -> tuple[str, ...]:
    """Send the tasks of the step in work that have no outcome yet; their ids.

    They are one chord, by critical path one each. ``only`` narrows it to some of them. A task with
    a dependency that did not complete gets a skipped outcome instead.
    """
    store = place.store
    own, _ = place.of(run)
    runnable = startable(store, run, step, outcomes, only=only)
    if not runnable:
        return ()
    if own.runtime.engine.lean_chords:
        send_lean_chord(store, run, step, runnable, claim=False)
    else:
        store.add_event(batch_started(run, step, runnable))
        behind = store.waits_behind(run)
        for group in chords_of(run, runnable):
            batch_chord(app, run.run_id, step, group, behind=behind).apply_async()
        store.mark_sent(run.run_id, step)
    return tuple(task.task_id for task in runnable)


def startable(
    store: RunStore,
    run: OpenRun,
    step: int,
    outcomes: Mapping[str, TaskStatus],
    *,
    only: frozenset[str] | None = None,
) -> list[ResearchTask]:
    """Tasks of a batch that can be sent; those that never can are given their outcome."""
    runnable: list[ResearchTask] = []
    for task_id in steps_of(run.plan)[step]:
        if task_id in outcomes or (only is not None and task_id not in only):
            continue
        task = run.plan.task(task_id)
        broken = broken_dependency(task, outcomes)
        if broken is None:
            runnable.append(task)
        else:
            reason = f"dependency {broken} {outcomes[broken].value}"
            store.record_outcome(run, ended(task, TaskStatus.SKIPPED, reason, at=clock.now()))
    return runnable


def _join_of(request: Context, run: OpenRun, task_id: str) -> Join | None:
    """What the last of a lean chord's tasks sends; None for a task of another chord."""
    if not request.get(JOINED_HEADER):
        return None
    body = Call.of_signature(request.chord)
    ends_run = body.task == FINALIZE_RUN
    batches = run.plan.execution_order
    step = len(batches) if ends_run else int(body.args[1])
    sends = letter(body, request.root_id)
    if in_flow(run.plan):
        return Join((task_id,), step, sends, ends_run, mark=f"joined:{task_id}")
    opens = None
    if step < len(batches):
        opens = batch_started(run, step, [run.plan.task(each) for each in batches[step]])
    return Join(companions(run.plan, task_id), step, sends, ends_run, opens=opens)


def failed_critical(run: OpenRun, outcomes: Mapping[str, TaskStatus]) -> str | None:
    """Id of a CRITICAL task that did not complete, None when there is none so far."""
    return next(
        (
            task.task_id
            for task in run.plan.tasks
            if task.priority is TaskPriority.CRITICAL
            and task.task_id in outcomes
            and outcomes[task.task_id] is not TaskStatus.COMPLETED
        ),
        None,
    )


def _finalize_soon(store: RunStore, run: OpenRun, reason: str) -> None:
    store.add_event(ProgressEvent(run_id=run.run_id, kind=EventKind.RUN_FINALIZING, at=clock.now()))
    control_signature(app, FINALIZE_RUN, run.run_id, reason).apply_async()
