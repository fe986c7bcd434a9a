"""Submit runs to a cluster, follow them, fetch their results."""

from __future__ import annotations

import logging
import random
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import redis

from sigmax_planner.canvas import CLOSE_BATCH, control_signature
from sigmax_planner.models import AnalysisRequest, DataMode, ResearchPlan
from sigmax_planner.planner import create_plan
from sigmax_tasks import clock
from sigmax_tasks.budget import DaySpend, day_of, world_of
from sigmax_tasks.cluster_link import as_redis_says, connect, reachable
from sigmax_tasks.errors import (
    ClusterBusyError,
    ClusterUnreachableError,
    NoDecisionError,
    RunCancelledError,
    RunLostError,
    RunNotFoundError,
)
from sigmax_tasks.handlers import check_handlers
from sigmax_tasks.ids import check_run_id, new_run_id
from sigmax_tasks.journal import Journal
from sigmax_tasks.lean_chords import first_batch
from sigmax_tasks.logs import about
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.planning_facts import FactFinder
from sigmax_tasks.refusals import DeadLetter
from sigmax_tasks.release import in_flow, sendable
from sigmax_tasks.run_state import STATE_CANCELLED, STATE_OPEN, OpenRun
from sigmax_tasks.settings import Settings
from sigmax_tasks.store import RunStore

if TYPE_CHECKING:
    from celery import Celery

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.2
SLOT_LOOK_SECONDS = 0.4
"""Time between two tries for a slot, about: those who wait do not all come at once."""
STEP_IN_SECONDS = 0.5
"""How long past its deadline a run may be before the waiting client ends it itself."""
OVERRUN_SECONDS = 8.0
"""How long past its deadline a run that nobody could end is waited for."""
LOST_CHECK_SECONDS = 2.0
FACTS_SECONDS = 2.0
"""How long what is known before research runs counts as known."""
ALIGNED_SECONDS = 5.0
"""How long a clock that was aligned goes for one that is."""
AWAY_SECONDS = 15.0
"""How long Redis may be away while runs are followed."""


@dataclass(frozen=True)
class SubmittedRun:
    """A run that is on its way."""

    run_id: str
    plan: ResearchPlan
    deadline_seconds: float


class Client:
    """One connection to a cluster. Not for sharing between threads. Its runs are one submission.

    ``app`` is the Celery application to send with, on a worker its own; else one is made when
    something is sent that the run store cannot send.
    """

    def __init__(self, settings: Settings, broker_url: str, *, app: Celery | None = None) -> None:
        self._may_send = True
        self._settings = settings
        self._url = broker_url
        runtime = settings.runtime
        client = connect(broker_url, connect_timeout_seconds=runtime.broker.connect_timeout_seconds)
        self._redis = client
        self._store = RunStore(client, runtime)
        self._submission = secrets.token_hex(8)
        self._given_app = app
        self._made_app: Celery | None = None
        self._facts: tuple[float, FactFinder] | None = None

    @property
    def _app(self) -> Celery:
        if self._given_app is not None:
            return self._given_app
        if self._made_app is None:
            from sigmax_tasks.application import make_app  # imports Celery, rarely needed here

            self._made_app = make_app(self._settings.runtime, self._url)
        return self._made_app

    def close(self) -> None:
        if self._made_app is not None:
            self._made_app.close()
        self._redis.close()

    def check(self) -> None:
        """Raise :class:`ClusterUnreachableError` where the broker does not answer."""
        with reachable(self._url):
            self._redis.ping()

    def check_workers(self) -> None:
        """Raise :class:`ClusterUnreachableError` where no worker is heard of."""
        if self.workers():
            return
        with reachable(self._url):
            if not self._app.control.ping(timeout=1.0):
                raise ClusterUnreachableError(
                    "no worker is connected to the broker",
                    advice="start one with: celery -A sigmax_tasks worker",
                )

    def submit(
        self, request: AnalysisRequest, *, wait_for_slot_seconds: float = 0.0
    ) -> SubmittedRun:
        """Plan, write and start a run. Nothing is written when the plan or a handler is wrong.

        Where as many runs are open as may be, it waits for a slot that long and then raises
        :class:`ClusterBusyError`.
        """
        settings = self._settings
        with reachable(self._url):
            facts = self._fact_finder().of(request)
        plan = create_plan(request, settings.planning, settings.catalog, clock.now(), facts)
        began = clock.monotonic()
        while True:
            try:
                return self.submit_plan(request, plan)
            except ClusterBusyError as error:
                waited = clock.monotonic() - began
                left = wait_for_slot_seconds - waited
                if left <= 0:
                    raise ClusterBusyError(error.open_runs, error.most, waited) from error
                clock.sleep(min(left, SLOT_LOOK_SECONDS * random.uniform(0.5, 1.5)))  # noqa: S311

    def _fact_finder(self) -> FactFinder:
        """One for all requests of a moment: a watchlist reads what they share once."""
        moment = clock.monotonic()
        if self._facts is None or moment - self._facts[0] > FACTS_SECONDS:
            self._facts = (moment, FactFinder(self._settings, self._redis))
        return self._facts[1]

    def submit_plan(self, request: AnalysisRequest, plan: ResearchPlan) -> SubmittedRun:
        """Write and start a run of a plan that is made already; its clock starts now.

        Raises :class:`ClusterBusyError` where as many runs are open as may be.
        """
        with reachable(self._url):
            self._store.align_clock(ALIGNED_SECONDS)
        created_at = clock.now()
        settings = self._settings
        check_handlers(plan.tasks)
        seconds = request.deadline_seconds or settings.planning.performance.total_plan_timeout
        run = OpenRun(
            run_id=new_run_id(created_at),
            request=request,
            plan=plan,
            settings_hash=settings.snapshot_hash,
            created_at=created_at,
            deadline_at=created_at + timedelta(seconds=seconds),
            submission=self._submission,
        )
        with about(run.run_id), reachable(self._url):
            self._start(run)
            logger.info("submitted %s: %s", request.symbol, plan.summary)
        return SubmittedRun(run.run_id, plan, seconds)

    def _start(self, run: OpenRun) -> None:
        """Write it and send its first batch, or where that is Celery's business who does."""
        batches = run.plan.execution_order
        first = None
        if self._may_send and self._settings.runtime.engine.lean_chords and batches:
            ids = batches[0]
            if in_flow(run.plan):
                ids = sendable(run.plan, ())[: run.plan.width]
            first = first_batch(run, [run.plan.task(task_id) for task_id in ids])
        if self._store.create(run, self._settings.snapshot, first):
            return
        if first is not None:
            # As the user "submitter" of ops/redis/users.acl: a worker sends the tasks.
            self._may_send = False
        with as_redis_says():
            control_signature(self._app, CLOSE_BATCH, run.run_id, 0).apply_async(
                ignore_result=True, retry=False
            )

    def follow(self, run_ids: Sequence[str]) -> Iterator[ProgressEvent | None]:
        """Events of these runs until each has ended; None about every 0.2 s without news.

        A Redis that goes away for less than ``AWAY_SECONDS`` costs only that time. Raises
        :class:`RunCancelledError`, :class:`RunLostError` (the store lost it),
        :class:`NoDecisionError` (nobody ended it in time, not even this client) or
        :class:`ClusterUnreachableError`.
        """
        positions = {check_run_id(run_id): "0-0" for run_id in run_ids}
        with reachable(self._url):
            self._store.align_clock(ALIGNED_SECONDS)
            deadlines = self._store.deadlines(tuple(positions))
            next_check = clock.monotonic() + LOST_CHECK_SECONDS
            heard_at = clock.monotonic()
            while positions:
                try:
                    events = self._store.read_events(positions, TICK_SECONDS)
                    if clock.monotonic() >= next_check:
                        left = min((deadlines[r] - clock.now()).total_seconds() for r in positions)
                        due = left + STEP_IN_SECONDS + TICK_SECONDS
                        wait = min(LOST_CHECK_SECONDS, due) if due > 0 else LOST_CHECK_SECONDS
                        next_check = clock.monotonic() + wait
                        for run_id in tuple(positions):
                            late = (clock.now() - deadlines[run_id]).total_seconds()
                            self._look_after(run_id, late)
                except (redis.ConnectionError, redis.TimeoutError):
                    if clock.monotonic() - heard_at > AWAY_SECONDS:
                        raise
                    clock.sleep(TICK_SECONDS)
                    yield None
                    continue
                heard_at = clock.monotonic()
                for event in events:
                    yield event
                    if event.run_id not in positions:
                        continue
                    positions[event.run_id] = event.event_id
                    if event.kind is EventKind.RUN_CANCELLED:
                        raise RunCancelledError(event.run_id, event.detail)
                    if event.kind is EventKind.RUN_FINISHED:
                        del positions[event.run_id]
                if not events:
                    yield None

    def _look_after(self, run_id: str, late_seconds: float) -> None:
        """Notice a run that vanished, and end one that no worker ends."""
        state = self._store.state(run_id)
        if state is None:
            raise RunLostError(run_id)
        if state.state == STATE_CANCELLED:
            raise RunCancelledError(run_id)
        if state.state == STATE_OPEN and late_seconds > STEP_IN_SECONDS:
            from sigmax_tasks.finalizer import conclude  # pulls in the sources; rarely needed

            run = self._store.load(run_id)
            conclude(self._store, self._settings, run, "no worker finished it in time")
            if late_seconds > OVERRUN_SECONDS and self._store.is_open(run_id):
                waited = (clock.now() - run.created_at).total_seconds()
                raise NoDecisionError(run_id, waited)

    def record(self, run_id: str) -> RunRecord:
        """The result of a finished run; :class:`RunNotFoundError` when there is none."""
        with reachable(self._url):
            return self._store.record(check_run_id(run_id))

    def dossier(self, run_id: str) -> Dossier:
        """Everything about a finished run; :class:`RunNotFoundError` when it is not kept."""
        with reachable(self._url):
            return self._store.dossier(check_run_id(run_id))

    def cancel(self, run_id: str) -> bool:
        """Close a run without a decision; False when it had ended already."""
        with reachable(self._url):
            return self._store.cancel(check_run_id(run_id))

    def finished_ids(self, limit: int) -> tuple[str, ...]:
        """Ids of finished runs, newest first."""
        with reachable(self._url):
            return self._store.finished_ids(limit)

    def history(self, limit: int) -> tuple[RunRecord, ...]:
        """Finished runs, newest first."""
        records = []
        for run_id in self.finished_ids(limit):
            try:
                records.append(self.record(run_id))
            except RunNotFoundError:
                continue
        return tuple(records)

    @property
    def journal(self) -> Journal:
        """The journal of the cluster; what it does may raise Redis's errors."""
        with reachable(self._url):
            return self._store.journal

    def live_runs(self) -> tuple[tuple[str, float], ...]:
        """(run id, deadline in unix seconds) of open runs, soonest first."""
        with reachable(self._url):
            return self._store.live_runs()

    def spent_today(self) -> DaySpend:
        """What the live runs submitted on this UTC day have spent, and hold."""
        with reachable(self._url):
            return self._store.ledger.day(world_of(DataMode.LIVE), day_of(clock.now()))

    def refused(self) -> dict[str, int]:
        """Reason -> number of messages that workers have refused lately."""
        with reachable(self._url):
            return self._store.refused()

    def dead_letters(self, limit: int) -> tuple[DeadLetter, ...]:
        """Tasks that were set aside because they kill their workers, newest first."""
        with reachable(self._url):
            return self._store.dead_letters(limit)

    def count_dead(self) -> int:
        """How many dead letters are kept."""
        with reachable(self._url):
            return self._store.count_dead()

    def workers(self) -> tuple[str, ...]:
        """``host:pid`` of worker processes heard of lately."""
        with reachable(self._url):
            return self._store.workers()
