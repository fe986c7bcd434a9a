"""Runs one research task: fetch what it needs, think, give an outcome. Failure is a value."""

from __future__ import annotations

import logging
import os
import socket
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache, partial

import redis

from sigmax_planner.models import DataMode, ResearchTask
from sigmax_tasks import clock
from sigmax_tasks.budget import Allowance
from sigmax_tasks.clock import Deadline, RunClock
from sigmax_tasks.debates import Debates
from sigmax_tasks.errors import SigmaxError, SpendRefusedError, TaskTimeoutError
from sigmax_tasks.handlers import Handler, load_handler
from sigmax_tasks.hands import Errand, Hands
from sigmax_tasks.llm.chat import ChatEndpoint
from sigmax_tasks.logs import carried
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.models.observations import Missing, Observation
from sigmax_tasks.models.research import (
    Finding,
    PhraseCount,
    TaskOutcome,
    TaskStatus,
)
from sigmax_tasks.redact import redact
from sigmax_tasks.run_state import Join, OpenRun
from sigmax_tasks.settings import Settings
from sigmax_tasks.sources.addresses import Addresses
from sigmax_tasks.sources.desk import FetchContext, Gathered, RetryPolicy, SourceDesk
from sigmax_tasks.sources.shared import SharedDesk
from sigmax_tasks.stages.privacy import Redactor, phrases_in_observations
from sigmax_tasks.store import RunStore
from sigmax_tasks.task_work import cleaned, failure_reason, find, needs_of
from sigmax_tasks.wire import Held

logger = logging.getLogger(__name__)

MakeJoin = Callable[[], Join | None]
POLL_SECONDS = 0.5
UNDISTURBED_SECONDS = 0.02
"""So long a task has the interpreter for itself before what its end takes is made beside it."""
MOST_IDLE_THREADS = 64
SLEPT_SECONDS = 1.0
"""Between taking a task and beginning it lie microseconds, unless the process was stopped."""
FETCH_SHARE = 0.9
"""Share of a task's time limit that fetching may use; the rest is for thinking."""


@lru_cache(maxsize=2)
def _identity(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}"


def worker_identity() -> str:
    """``host:pid`` of this worker process."""
    return _identity(os.getpid())


def _join_nothing() -> None:
    return None


@dataclass
class _Effort:
    """What a task has used so far; filled by the working thread, read by the waiting one.

    ``unpaid``: it was not begun because its money would not have been enough. ``taken_at`` is
    monotonic; ``taken_over``: it was not begun because another worker has the task.
    """

    allowance: Allowance
    taken_at: float
    deadline: Deadline
    taken_over: bool = False
    attempts: int = 0
    requests: int = 0
    unpaid: bool = False
    providers: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()
    observations: tuple[Observation, ...] = ()
    compliance: tuple[PhraseCount, ...] = ()
    redactions: Mapping[str, int] = field(default_factory=dict)
    finding: Finding | None = None
    error: str = ""
    stop: threading.Event = field(default_factory=threading.Event)


class TaskRunner:
    """Runs the tasks of one set of settings. Thread-safe; one per worker process and settings.

    With ``client``, the Redis of the cluster, limits and answers are shared with all its workers.
    ``day_limit_usd`` is the cluster's own limit of a day, beside that of the settings.
    ``debates`` holds the debates of their runs that a model is to hold.
    """

    def __init__(
        self,
        store: RunStore,
        settings: Settings,
        client: redis.Redis | None = None,
        *,
        day_limit_usd: Decimal | None = None,
    ) -> None:
        performance = settings.planning.performance
        self._store = store
        self._settings = settings
        self._day_limits = (performance.max_cost_per_day, day_limit_usd)
        shared = None if client is None else shared_desk(settings, client)
        self._desk = SourceDesk(
            settings.sources,
            max_concurrent_calls=performance.max_concurrent_api_calls,
            max_response_bytes=performance.max_memory_per_task_mb * 1_000_000,
            shared=shared,
        )
        gate = None if shared is None else shared.gate
        model = ChatEndpoint(settings.decision.debate.llm, self._desk.http, settings.sources, gate)
        self._hands = Hands("sigmax-research", MOST_IDLE_THREADS)
        self.debates = Debates(store, settings, model, client)

    def close(self) -> None:
        self._desk.close()

    def run(
        self,
        run: OpenRun,
        task: ResearchTask,
        batch: tuple[str, ...],
        owner: str,
        join: MakeJoin = _join_nothing,
        held: Held | None = None,
    ) -> None:
        """Run the task and record its outcome, unless somebody else has done so or is at it.

        ``join`` and ``held`` go with the outcome, see :meth:`RunStore.record_outcome`.
        """
        started_at = clock.now()
        started = clock.monotonic()
        limit = self._limit_seconds(run, task, started_at)
        if limit <= 0:
            if self._store.hold_lease(run.run_id, task.task_id, owner):
                late = ended(task, TaskStatus.SKIPPED, "no time left in the run", at=started_at)
                self._store.record_outcome(run, late, join=join(), held=held)
            return
        taken_at = clock.monotonic()
        if not self._take(run, task, owner, started_at):
            return
        account = self._store.account(run, *self._day_limits)
        allowance = self._store.ledger.allowance(account, task.task_id)
        effort = _Effort(allowance, taken_at, Deadline.after(limit))
        work = partial(carried(self._begin), run, task, batch, owner, limit, effort)
        errand = self._hands.give(work)
        made = None if errand.wait(min(UNDISTURBED_SECONDS, limit)) else join()
        problem = self._wait(run, task, owner, limit, effort, errand)
        if problem is None:
            effort.allowance.leave()
            return
        status = TaskStatus.FAILED if problem else TaskStatus.COMPLETED
        if effort.unpaid:
            status = TaskStatus.SKIPPED
        outcome = TaskOutcome(
            task_id=task.task_id,
            status=status,
            reason=problem,
            finding=effort.finding if not problem else None,
            missing=effort.missing,
            attempts=max(1, effort.attempts),
            started_at=started_at,
            finished_at=clock.now(),
            duration_seconds=round(clock.monotonic() - started, 6),
            cost_usd=effort.allowance.settle(),
            requests=effort.requests,
            providers=effort.providers,
            worker=worker_identity(),
            redactions=dict(effort.redactions),
            compliance=effort.compliance,
        )
        self._store.record_outcome(run, outcome, effort.observations, made or join(), held)

    def _limit_seconds(self, run: OpenRun, task: ResearchTask, now: datetime) -> float:
        """The task's own limit, within what the batch and the run have left."""
        left = (run.deadline_at - now).total_seconds()
        reserve = self._settings.runtime.engine.finalize_reserve_seconds
        performance = self._settings.planning.performance
        return min(task.timeout_seconds, performance.batch_timeout, left - reserve)

    def _take(self, run: OpenRun, task: ResearchTask, owner: str, now: datetime) -> bool:
        """Whether the task is ours to do; one that nobody has survived is set aside."""
        event = ProgressEvent(
            run_id=run.run_id,
            kind=EventKind.TASK_STARTED,
            at=now,
            task_id=task.task_id,
            status=TaskStatus.RUNNING.value,
            attempt=1,
            worker=worker_identity(),
        )
        tries = self._store.start_task(owner, event)
        if tries < 0:
            self._store.set_aside(run, killer(task, self._store.most_tries))
        return tries > 0

    def _wait(
        self,
        run: OpenRun,
        task: ResearchTask,
        owner: str,
        limit: float,
        effort: _Effort,
        errand: Errand,
    ) -> str | None:
        """Wait for the work, which has a thread of its own, no longer than the limit.

        Gives the reason of failure, "" when all is well, None when the run is over or the task now
        belongs to another worker.
        """
        deadline = effort.deadline
        while True:
            if errand.wait(min(POLL_SECONDS, max(0.01, deadline.remaining))):
                return None if effort.taken_over else effort.error
            if deadline.passed:
                effort.stop.set()
                return str(TaskTimeoutError(limit))
            mine = self._store.hold_lease(run.run_id, task.task_id, owner)
            if not mine or not self._store.is_open(run.run_id):
                effort.stop.set()
                return None

    def _begin(
        self,
        run: OpenRun,
        task: ResearchTask,
        batch: tuple[str, ...],
        owner: str,
        limit: float,
        effort: _Effort,
    ) -> None:
        """Work, unless this process slept since it took the task and another has it by now."""
        slept = clock.monotonic() - effort.taken_at > SLEPT_SECONDS
        if slept and not self._store.hold_lease(run.run_id, task.task_id, owner):
            effort.taken_over = True
        else:
            self._work(run, task, batch, limit, effort)

    def _work(
        self,
        run: OpenRun,
        task: ResearchTask,
        batch: tuple[str, ...],
        limit: float,
        effort: _Effort,
    ) -> None:
        redactor = Redactor(self._settings.decision.privacy)
        try:
            if self._settings.planning.debug.simulate_execution:
                scale = self._settings.runtime.engine.simulated_time_scale
                effort.stop.wait(task.estimated_seconds * scale)
                return
            handler = load_handler(task.task_id, task.handler)
            gathered = self._gather(run, task, batch, limit, handler, effort, redactor)
            effort.finding = redactor.finding(self._think(run, task, handler, gathered))
            if self._settings.planning.debug.log_task_results:
                logger.warning("%s %s: %s", run.run_id, task.task_id, effort.finding.summary)
        except SpendRefusedError as error:
            effort.unpaid, effort.error = True, str(error)
        except SigmaxError as error:
            effort.error = failure_reason(error, redactor)
        except Exception as error:  # noqa: BLE001  # a bug in a handler costs its own task only
            # logger.exception() would log the texts of the error as they are.
            trace = redact(traceback.format_exc()).text
            logger.error("task %s of run %s failed\n%s", task.task_id, run.run_id, trace)  # noqa: TRY400
            effort.error = failure_reason(error, redactor)
        finally:
            effort.redactions = dict(redactor.counts)

    def _gather(
        self,
        run: OpenRun,
        task: ResearchTask,
        batch: tuple[str, ...],
        limit: float,
        handler: Handler,
        effort: _Effort,
        redactor: Redactor,
    ) -> Gathered:
        """What the task asked for, its texts cleaned before anything is made of them."""
        execution = self._settings.planning.task_execution
        retries = execution.max_retries if execution.retry_failed_tasks else 0
        others = frozenset(batch) - {task.task_id}

        def may_retry() -> bool:
            """An optional task does not retry while the rest of its batch waits for it."""
            if not (task.optional and execution.skip_failed_optional and others):
                return True
            return not others <= self._store.outcome_ids(run.run_id)

        def on_attempt(attempt: int, provider: str) -> None:
            effort.attempts = max(effort.attempts, attempt)
            if attempt > 1:
                self._store.add_event(
                    ProgressEvent(
                        run_id=run.run_id,
                        kind=EventKind.TASK_ATTEMPT,
                        at=clock.now(),
                        task_id=task.task_id,
                        status=TaskStatus.RUNNING.value,
                        attempt=attempt,
                        detail=provider,
                    )
                )

        request = run.request
        needs = needs_of(task, handler, request.symbol, request.watchlist, self._settings.sources)
        effort.allowance.reserve(
            self._desk.expected_cost_usd(needs, request.symbol, request.data_mode)
        )
        gathered = self._desk.gather(
            needs,
            FetchContext(
                symbol=request.symbol,
                clock=RunClock(request.as_of),
                deadline=Deadline.after(limit * FETCH_SHARE),
                data_mode=request.data_mode,
                addresses=Addresses.of_request(request, self._settings.sources),
                retry=RetryPolicy(retries, execution.retry_delay),
                should_stop=effort.stop.is_set,
                on_attempt=on_attempt,
                may_retry=may_retry,
                world=run.run_id if request.data_mode is DataMode.REPLAY else "",
                purse=effort.allowance,
                watchlist=request.watchlist,
            ),
        )
        effort.attempts = max(effort.attempts, gathered.attempts)
        effort.requests = gathered.requests
        effort.providers = gathered.providers
        policy = self._settings.decision.privacy
        gathered = cleaned(needs, gathered, redactor)
        effort.missing = gathered.missing
        effort.observations = gathered.observations
        effort.compliance = phrases_in_observations(effort.observations, policy)
        effort.redactions = dict(redactor.counts)
        return gathered

    def _think(
        self, run: OpenRun, task: ResearchTask, handler: Handler, gathered: Gathered
    ) -> Finding:
        outcomes: Mapping[str, TaskOutcome] = (
            self._store.outcomes(run.run_id) if task.dependencies else {}
        )
        found = {name: outcomes[name].finding for name in task.dependencies if name in outcomes}
        return find(
            task,
            handler,
            gathered,
            {name: finding for name, finding in found.items() if finding is not None},
            symbol=run.request.symbol,
            as_of=RunClock(run.request.as_of).now(),
            watchlist=run.request.watchlist,
        )


def shared_desk(settings: Settings, client: redis.Redis) -> SharedDesk:
    """What the workers' desks share; nothing personal is kept in it."""
    policy = settings.decision.privacy

    def clean(observation: Observation) -> Observation:
        return Redactor(policy).observations((observation,))[0]

    return SharedDesk(
        client, settings.sources, clean=clean, variant=",".join(sorted(policy.personal_data))
    )


def killer(task: ResearchTask, tries: int) -> TaskOutcome:
    """The outcome of a task that no worker has survived."""
    reason = f"set aside: its worker died {tries} times"
    return ended(task, TaskStatus.FAILED, reason, at=clock.now(), attempts=tries)


def ended(
    task: ResearchTask, status: TaskStatus, reason: str, *, at: datetime, attempts: int = 0
) -> TaskOutcome:
    """The outcome of a task that did not work: skipped, lost or past its time."""
    return TaskOutcome(
        task_id=task.task_id,
        status=status,
        reason=reason,
        attempts=attempts,
        started_at=at,
        finished_at=at,
        duration_seconds=0.0,
        worker=worker_identity(),
    )
