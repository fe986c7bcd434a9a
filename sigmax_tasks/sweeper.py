"""The watchdog: ends runs past their deadline and revives those whose chord was lost.

A thread in every worker process runs it; a short lock in Redis lets one of them work at a time.
It only sends steps that are safe to run twice.
"""

from __future__ import annotations

import logging
import platform
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import redis
from celery import signals

from sigmax_planner.canvas import (
    CLOSE_BATCH,
    FINALIZE_RUN,
    PRIORITY_STEPS,
    RESEARCH_QUEUE,
    control_signature,
)
from sigmax_tasks import clock
from sigmax_tasks.celery import app
from sigmax_tasks.cluster_link import refused_writes
from sigmax_tasks.errors import NewerRunError, RunNotFoundError
from sigmax_tasks.logs import about
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.models.worker import WorkerFacts
from sigmax_tasks.release import in_flow, sendable, steps_of
from sigmax_tasks.run_state import STATE_OPEN, Look, OpenRun, RunState
from sigmax_tasks.runner import ended, killer, worker_identity
from sigmax_tasks.tasks import Workplace, dispatch, workplace

logger = logging.getLogger(__name__)

STALE_STEP_SECONDS = 2.0
"""A batch complete for this long without the next one having begun has lost its chord."""
ABANDON_SECONDS = 5.0
"""A run that cannot be concluded here is left this long past its deadline to workers who can."""
FRESH_SECONDS = 0.5
"""What has come to its batch more recently is left alone."""
RUNS_AT_ONCE = 100
FINALIZE_AGAIN_SECONDS = 5.0
"""A finaliser that was sent is sent again after this long."""


class Sweeper:
    """Looks after open runs once a round."""

    def __init__(self, place: Workplace, facts: WorkerFacts | None = None) -> None:
        self._facts = facts
        self._place = place
        self._store = place.store
        self._engine = place.settings.runtime.engine
        self._noticed: dict[tuple[str, int], float] = {}
        self._backlog: int | None = None

    def sweep(self) -> None:
        """One round over all open runs, unless another worker is at it."""
        self._greet()
        if not self._store.take_watch(worker_identity(), self._engine.sweep_interval_seconds):
            return
        self._store.unpark()
        live = dict(self._store.live_runs())
        ids = self._worth_a_look(live)
        for few in (ids[at : at + RUNS_AT_ONCE] for at in range(0, len(ids), RUNS_AT_ONCE)):
            self._visit(few, live)
        self._noticed = {key: at for key, at in self._noticed.items() if key[0] in live}

    def _worth_a_look(self, live: Mapping[str, float]) -> list[str]:
        """Runs that are near their deadline or did not move lately: nothing else can be wrong."""
        now = clock.now().timestamp()
        moved = self._store.moved_at(tuple(live))
        soon = now + self._engine.finalize_reserve_seconds
        return [
            run_id
            for run_id, deadline in live.items()
            if deadline < soon or now - moved.get(run_id, 0.0) >= FRESH_SECONDS
        ]

    def _visit(self, run_ids: Sequence[str], live: Mapping[str, float]) -> None:
        self._backlog = None
        runs: list[OpenRun] = []
        for run_id in run_ids:
            with about(run_id), self._careful(run_id, live[run_id]):
                run = self._recall(run_id, live[run_id])
                if run is not None:
                    runs.append(run)
        for run, look in zip(runs, self._store.looks(runs), strict=True):
            with about(run.run_id), self._careful(run.run_id, live[run.run_id]):
                if look.state is None or look.state.state != STATE_OPEN:
                    self._store.forget_live(run.run_id)
                else:
                    self._look_after(run, look.state, look, live[run.run_id])

    @contextmanager
    def _careful(self, run_id: str, deadline: float) -> Iterator[None]:
        """One run that cannot be read must not keep the watchdog from the others."""
        try:
            yield
        except redis.ConnectionError:
            raise
        except Exception as error:
            logger.exception("watchdog: run %s", run_id)
            self._abandon(run_id, deadline, f"it cannot be read ({type(error).__name__})")

    def _greet(self) -> None:
        """Say that this worker lives, and how its clock stood to that of Redis the time before."""
        life = self._engine.sweep_interval_seconds * 5 + 5
        machine = clock.SystemClock()
        began = machine.now().timestamp()
        at_redis = self._store.greet(worker_identity(), life, self._facts)
        heard = machine.now().timestamp()
        # One clock for all of a cluster: a machine whose clock jumps ends no run too early.
        clock.align(datetime.fromtimestamp(at_redis + max(0.0, heard - began) / 2, UTC))
        if self._facts is None:
            return
        first = self._facts.clock_ahead_seconds is None
        ahead = round((began + heard) / 2 - at_redis, 3)
        self._facts = self._facts.model_copy(update={"clock_ahead_seconds": ahead})
        if first:
            self._greet()

    def _recall(self, run_id: str, deadline: float) -> OpenRun | None:
        try:
            return self._place.recall(run_id) or self._store.load(run_id)
        except RunNotFoundError:
            self._store.forget_live(run_id)
        except NewerRunError as error:
            self._abandon(run_id, deadline, str(error))
        return None

    def _abandon(self, run_id: str, deadline: float, reason: str) -> None:
        """Past its deadline, end a run that this version cannot conclude, and say why."""
        if clock.now().timestamp() > deadline + ABANDON_SECONDS:
            self._store.abandon(run_id, reason)

    def _look_after(self, run: OpenRun, state: RunState, look: Look, deadline: float) -> None:
        now = clock.now().timestamp()
        reserve = self._engine.finalize_reserve_seconds
        batches = steps_of(run.plan)
        if now > deadline - reserve / 2:
            if self._due((run.run_id, -2), now, FINALIZE_AGAIN_SECONDS, at_once=True):
                reason = "not finished by the deadline of the run"
                control_signature(app, FINALIZE_RUN, run.run_id, reason).apply_async()
            return
        if state.step < 0:
            if self._due((run.run_id, -1), now, STALE_STEP_SECONDS):
                control_signature(app, CLOSE_BATCH, run.run_id, 0).apply_async()
            return
        if state.step >= len(batches):
            if self._due((run.run_id, state.step), now, FINALIZE_AGAIN_SECONDS):
                control_signature(app, FINALIZE_RUN, run.run_id).apply_async()
            return
        missing = [task_id for task_id in batches[state.step] if task_id not in look.done]
        if not missing:
            if self._due((run.run_id, state.step), now, STALE_STEP_SECONDS):
                following = state.step + 1
                control_signature(app, CLOSE_BATCH, run.run_id, following).apply_async()
            return
        self._revive(run, state, look.leased, missing, now)

    def _revive(
        self,
        run: OpenRun,
        state: RunState,
        leased: frozenset[str],
        missing: list[str],
        now: float,
    ) -> None:
        """Give up on, or send again, tasks of the current batch that nobody runs.

        By critical path each task has a clock of its own, and one that was not sent yet waits.
        """
        own, _ = self._place.of(run)
        flow = in_flow(run.plan)
        if flow:
            self._let_go(run, state, missing, now)
            missing = [task_id for task_id in missing if task_id in state.sent_at]
        waited = {t: now - (state.sent_at[t] if flow else state.step_at) for t in missing}
        allowed = own.planning.performance.batch_timeout + 2 * len(missing)
        late = [task_id for task_id in missing if waited[task_id] > allowed]
        if late:
            whose = "it" if flow else "the batch"
            for task_id in late:
                self._give_up(run, state, task_id, f"{whose} ran out of time")
            control_signature(app, CLOSE_BATCH, run.run_id, state.step + 1).apply_async()
            return
        patience = self._patience(state)
        lost = []
        for task_id in missing:
            if task_id in leased:
                continue
            begun = state.started.get(task_id)
            if begun is not None and now - begun > self._engine.lease_seconds:
                if state.tries.get(task_id, 0) >= self._store.most_tries:
                    self._store.set_aside(
                        run, killer(run.plan.task(task_id), self._store.most_tries)
                    )
                else:
                    lost.append(task_id)
            elif begun is None and waited[task_id] > patience:
                lost.append(task_id)
        died = [task_id for task_id in lost if task_id in state.started]
        if lost:
            lost = list(self._store.claim_lost(run.run_id, state, lost, died))
        if not lost:
            return
        logger.warning("run %s: sending %s again", run.run_id, ", ".join(lost))
        for task_id in lost:
            self._store.add_event(
                ProgressEvent(
                    run_id=run.run_id,
                    kind=EventKind.TASK_REDISPATCHED,
                    at=clock.now(),
                    task_id=task_id,
                    detail="its worker is gone" if task_id in died else "no worker took it",
                )
            )
        outcomes = self._store.statuses(run.run_id)
        dispatch(self._place, run, state.step, outcomes, only=frozenset(lost))

    def _let_go(self, run: OpenRun, state: RunState, missing: list[str], now: float) -> None:
        """By critical path: a task that could go and was not sent has lost its sending step."""
        done = {task.task_id for task in run.plan.tasks} - set(missing)
        ready = [task_id for task_id in sendable(run.plan, done) if task_id not in state.sent_at]
        working = sum(task_id in state.sent_at for task_id in missing)
        if ready and working < run.plan.width:
            if self._due((run.run_id, state.step), now, STALE_STEP_SECONDS):
                control_signature(app, CLOSE_BATCH, run.run_id, state.step + 1).apply_async()
        else:
            self._noticed.pop((run.run_id, state.step), None)

    def _patience(self, state: RunState) -> float:
        """Seconds after which a task that nobody has started is taken to be lost.

        A chord that was never published is lost at once. While messages wait in the queue, the
        task may be one of them; with an empty queue its message died with a worker.
        """
        if state.sent < state.step:
            return STALE_STEP_SECONDS
        if self._backlog is None:
            self._backlog = self._store.backlog(RESEARCH_QUEUE, PRIORITY_STEPS)
        if self._backlog:
            return self._engine.stall_seconds
        return self._engine.lease_seconds

    def _give_up(self, run: OpenRun, state: RunState, task_id: str, reason: str) -> None:
        attempts = state.tries.get(task_id, 0)
        status = TaskStatus.FAILED if attempts else TaskStatus.SKIPPED
        self._store.record_outcome(
            run,
            ended(run.plan.task(task_id), status, reason, at=clock.now(), attempts=attempts),
        )

    def _due(
        self, key: tuple[str, int], now: float, every: float, *, at_once: bool = False
    ) -> bool:
        """Whether something noticed before has lasted ``every`` seconds since it last was due.

        Of several watchdogs that find so it is due for one.
        """
        since = self._noticed.get(key)
        if since is None:
            self._noticed[key] = now
            return at_once and self._store.claim_nudge(*key, every)
        if now - since < every:
            return False
        self._noticed[key] = now
        return self._store.claim_nudge(*key, every)


def _facts_of(consumer: Any) -> WorkerFacts:
    """Of this worker process. Celery's consumer knows its name and pool."""
    pool = type(consumer.pool).__module__.rpartition(".")[2]
    return WorkerFacts(
        name=consumer.hostname,
        package=version("sigmax-tasks"),
        celery=version("celery"),
        python=platform.python_version(),
        pool={"thread": "threads"}.get(pool, pool),
        concurrency=consumer.pool.limit or 0,
    )


def _watch(stop: threading.Event, facts: WorkerFacts) -> None:
    sweeper: Sweeper | None = None
    interval = 1.0
    while not stop.wait(interval):
        try:
            if sweeper is None:
                sweeper = Sweeper(workplace(), facts)
                interval = workplace().settings.runtime.engine.sweep_interval_seconds
            sweeper.sweep()
        except redis.RedisError as error:
            refused = refused_writes(error)
            if refused is None:
                logger.warning("watchdog: Redis does not answer (%s)", type(error).__name__)
            else:
                logger.warning("watchdog: Redis takes no writes: %s", refused[0])
        except Exception:
            logger.exception("watchdog: a round failed")


_stop = threading.Event()


@signals.worker_ready.connect
def start_watching(sender: Any, **_: Any) -> None:
    """Start the watchdog of this worker process, and the courier of its notifications."""
    arguments = (_stop, _facts_of(sender))
    threading.Thread(target=_watch, args=arguments, name="sigmax-sweeper", daemon=True).start()
    place = workplace()
    if place.settings.runtime.notifications.receivers:
        # jinja2, for those who notify.
        from sigmax_tasks.notifications.courier import start_courier

        start_courier(place.client, place.store, place.settings.runtime.notifications, _stop)


@signals.worker_shutting_down.connect
def stop_watching(**_: Any) -> None:
    _stop.set()
