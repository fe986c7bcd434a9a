"""The run store on Redis. First write wins: outcomes, batch steps and the decision are set once.

Keys of a run (all with a time to live from their creation):

=========================  ======  ==============================================================
``sigmax:run:ID``          hash    request, plan, settings hash, deadline, step, state, record
``sigmax:out:ID``          hash    task id -> outcome
``sigmax:obs:ID``          hash    task id -> observations it was given, compressed
``sigmax:ev:ID``           stream  progress events
``sigmax:lease:ID:TASK``   string  who runs the task right now, renewed while it runs
``sigmax:settings:HASH``   string  the settings of one or more runs
``sigmax:worker:WORKER``   string  what a worker process says of itself, renewed while it lives
``sigmax:live``            zset    open runs by deadline (unix seconds)
``sigmax:finished``        zset    finished runs by time of decision
``sigmax:submission:ID``   zset    open runs that were submitted together, by deadline
``sigmax:cost:ID``         hash    what it has spent and holds, where anything has a price
``sigmax:spend...``        (more)  what all runs of a day have spent: see budget.py
``sigmax:samples:...``     list    what a task took in its latest runs (task_samples.py)
``sigmax:journal...``      (more)  the journal, which is kept: see journal/redis_home.py
``sigmax:tally...``        (more)  numbers for the metrics: see tally.py
``sigmax:outbox...``       (more)  who is still to be told of what: see outbox.py
=========================  ======  ==============================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

import redis

from sigmax_planner.canvas import PROTOCOL_VERSION
from sigmax_planner.models import AnalysisRequest, ResearchPlan
from sigmax_tasks import clock
from sigmax_tasks.errors import (
    ClusterBusyError,
    NewerRunError,
    RunNotFoundError,
)
from sigmax_tasks.lua_steps import StepCall, hash_fields, in_one_go
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.models.research import TaskOutcome
from sigmax_tasks.run_state import (
    STATE_OPEN,
    Look,
    OpenRun,
    RunState,
    Sending,
    outcomes_of,
    state_fields,
    state_of,
)
from sigmax_tasks.settings.runtime import RuntimeSettings
from sigmax_tasks.store_ends import EndStore
from sigmax_tasks.store_scripts import (
    CREATE,
    unpack_text,
)
from sigmax_tasks.store_tasks import FORGOTTEN_SECONDS
from sigmax_tasks.tally import (
    KEEP_SECONDS,
    TALLY_KEY,
)

SETTINGS_GONE = -1
"""What ``CREATE`` gives where the settings of a run have to be sent with it."""


class RunStore(EndStore):
    """All that a cluster knows of its runs."""

    def __init__(self, client: redis.Redis, runtime: RuntimeSettings) -> None:
        super().__init__(client, runtime)
        self._create_script = client.register_script(CREATE)
        self._sent_settings = ""

    # Runs

    def create(self, run: OpenRun, snapshot: str, first: Sending | None = None) -> bool:
        """Write a new run with its settings and list it as live, and send its ``first`` batch.

        True where that was sent; False for a user who may not write to its queue. Raises
        :class:`ClusterBusyError` where ``engine.max_open_runs`` are open; in one step with the
        write, so that many who submit at once never exceed it. Settings that this store has
        written before are sent only where Redis has them no more.
        """
        known = run.settings_hash == self._sent_settings
        refused, *sent = in_one_go(self._creation(run, "" if known else snapshot, first))
        if refused == SETTINGS_GONE:
            refused, *sent = in_one_go(self._creation(run, snapshot, first))
        if isinstance(refused, redis.ResponseError):
            raise refused
        if refused:
            raise ClusterBusyError(int(refused), self._runtime.engine.max_open_runs or 0)
        self._sent_settings = run.settings_hash
        for answer in sent:
            if isinstance(answer, redis.exceptions.NoPermissionError):
                return False
            if isinstance(answer, redis.ResponseError):
                raise answer
        return first is not None

    def _creation(self, run: OpenRun, snapshot: str, first: Sending | None) -> list[StepCall]:
        life = self._open_seconds(run)
        started = self._event(
            ProgressEvent(
                run_id=run.run_id,
                kind=EventKind.RUN_STARTED,
                at=run.created_at,
                detail=run.plan.summary,
            )
        )
        fields: dict[str, str | int | float] = {
            "request": run.request.model_dump_json(),
            "plan": run.plan.model_dump_json(exclude_computed_fields=True),
            "settings": run.settings_hash,
            "created_at": run.created_at.isoformat(),
            "deadline_at": run.deadline_at.isoformat(),
            "protocol": PROTOCOL_VERSION,
            "state": STATE_OPEN,
            "step": -1,
            "step_at": run.created_at.timestamp(),
            **({"submission": run.submission} if run.submission else {}),
        }
        most = self._runtime.engine.max_open_runs
        writing = StepCall(
            self._create_script,
            keys=[
                f"sigmax:run:{run.run_id}",
                f"sigmax:ev:{run.run_id}",
                f"sigmax:settings:{run.settings_hash}",
                "sigmax:live",
                TALLY_KEY,
                *((f"sigmax:submission:{run.submission}",) if run.submission else ()),
            ],
            args=[
                "" if most is None else most,
                clock.now().timestamp() - FORGOTTEN_SECONDS,
                snapshot,
                self._run_seconds + life,
                life,
                run.deadline_at.timestamp(),
                run.run_id,
                started,
                KEEP_SECONDS,
                *(part for field in fields.items() for part in field),
            ],
        )
        return [writing] if first is None else [writing, self._send_call(first, step=0, claim=True)]

    def load(self, run_id: str) -> OpenRun:
        """The fixed part of a run; :class:`RunNotFoundError` when it is not (or no longer) kept.

        :class:`NewerRunError` when a newer version has written it.
        """
        names = (
            *("protocol", "request", "plan", "settings"),
            *("created_at", "deadline_at", "submission"),
        )
        values = hash_fields(self._redis, f"sigmax:run:{run_id}", names)
        protocol, request, plan, settings, created_at, deadline_at, submission = values
        _refuse_newer(run_id, protocol)
        if not (request and plan and settings and created_at and deadline_at):
            raise RunNotFoundError(run_id, "the run store")
        return OpenRun(
            run_id=run_id,
            request=AnalysisRequest.model_validate_json(request),
            plan=ResearchPlan.model_validate_json(plan),
            settings_hash=settings,
            created_at=datetime.fromisoformat(created_at),
            deadline_at=datetime.fromisoformat(deadline_at),
            submission=submission or "",
        )

    def deadlines(self, run_ids: Sequence[str]) -> dict[str, datetime]:
        """When each of the runs has to be over; errors as :meth:`load`."""
        with self._redis.pipeline(transaction=False) as pipe:
            for run_id in run_ids:
                pipe.hmget(f"sigmax:run:{run_id}", ("protocol", "deadline_at"))
            answers = cast("list[list[str | None]]", pipe.execute())
        found = {}
        for run_id, (protocol, deadline_at) in zip(run_ids, answers, strict=True):
            _refuse_newer(run_id, protocol)
            if not deadline_at:
                raise RunNotFoundError(run_id, "the run store")
            found[run_id] = datetime.fromisoformat(deadline_at)
        return found

    def state(self, run_id: str) -> RunState | None:
        """Where the run stands; None when it is not kept."""
        return state_of(self._redis.hgetall(f"sigmax:run:{run_id}"))

    def moved_at(self, run_ids: Sequence[str]) -> dict[str, float]:
        """When each open run in work got to its batch (unix seconds); others are left out."""
        with self._redis.pipeline(transaction=False) as pipe:
            for run_id in run_ids:
                pipe.hmget(f"sigmax:run:{run_id}", ("state", "step", "step_at"))
            answers = cast("list[list[str | None]]", pipe.execute())
        return {
            run_id: float(at)
            for run_id, (state, step, at) in zip(run_ids, answers, strict=True)
            if state == STATE_OPEN and step != "-1" and at is not None
        }

    def looks(self, runs: Sequence[OpenRun]) -> list[Look]:
        """Where each of the runs stands, in one round trip."""
        with self._redis.pipeline(transaction=False) as pipe:
            for run in runs:
                ids = [task.task_id for task in run.plan.tasks]
                pipe.hmget(f"sigmax:run:{run.run_id}", state_fields(ids))
                pipe.hkeys(f"sigmax:out:{run.run_id}")
                pipe.mget([f"sigmax:lease:{run.run_id}:{task_id}" for task_id in ids])
            answers = iter(pipe.execute())
        found = []
        for run in runs:
            ids = [task.task_id for task in run.plan.tasks]
            values = dict(zip(state_fields(ids), next(answers), strict=True))
            done = frozenset(cast("list[str]", next(answers)))
            leased = frozenset(t for t, owner in zip(ids, next(answers), strict=True) if owner)
            state = state_of({name: text for name, text in values.items() if text is not None})
            found.append(Look(state, done, leased))
        return found

    def standing(self, run_id: str) -> tuple[RunState | None, dict[str, TaskOutcome]]:
        """:meth:`state` and :meth:`outcomes` of one moment."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(f"sigmax:run:{run_id}")
            pipe.hgetall(f"sigmax:out:{run_id}")
            state, outcomes = pipe.execute()
        return state_of(state), outcomes_of(outcomes)

    def is_open(self, run_id: str) -> bool:
        return self._redis.hget(f"sigmax:run:{run_id}", "state") == STATE_OPEN

    def waits_behind(self, run: OpenRun) -> bool:
        """Whether ``engine.front_runs`` runs of its submission are open before this one."""
        if not run.submission:
            return False
        key = f"sigmax:submission:{run.submission}"
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.zremrangebyscore(key, "-inf", clock.now().timestamp() - FORGOTTEN_SECONDS)
            pipe.zrank(key, run.run_id)
            _, rank = pipe.execute()
        return rank is not None and int(rank) >= self._runtime.engine.front_runs

    def settings_snapshot(self, settings_hash: str) -> str:
        value = self._redis.get(f"sigmax:settings:{settings_hash}")
        if value is None:
            raise RunNotFoundError(settings_hash[:12], "the kept settings")
        return cast("str", value)

    def live_runs(self) -> tuple[tuple[str, float], ...]:
        """(run id, deadline in unix seconds) of open runs, soonest deadline first."""
        return tuple(
            cast(
                "list[tuple[str, float]]", self._redis.zrange("sigmax:live", 0, -1, withscores=True)
            )
        )

    def forget_live(self, run_id: str) -> None:
        """Take a run that is no longer kept off the list of open runs."""
        self._redis.zrem("sigmax:live", run_id)

    def cancel(self, run_id: str) -> bool:
        """Close the run without a decision; False when it is already closed."""
        self.load(run_id)
        return self.abandon(run_id, "")

    def record(self, run_id: str) -> RunRecord:
        """The result of a finished run; :class:`RunNotFoundError` when there is none."""
        text = self._redis.hget(f"sigmax:run:{run_id}", "record")
        if not text:
            raise RunNotFoundError(run_id, "the run store")
        return RunRecord.model_validate_json(unpack_text(cast("str", text)))

    def dossier(self, run_id: str) -> Dossier:
        """Everything about a finished run; :class:`RunNotFoundError` when it is not kept."""
        run = self.load(run_id)
        outcomes = self.outcomes(run_id)
        return Dossier(
            request=run.request,
            settings=self.settings_snapshot(run.settings_hash),
            record=self.record(run_id),
            outcomes=tuple(
                outcomes[task.task_id] for task in run.plan.tasks if task.task_id in outcomes
            ),
            observations=self.observations(run_id),
        )

    def finished_ids(self, limit: int) -> tuple[str, ...]:
        """Ids of finished runs, newest first."""
        return tuple(cast("list[str]", self._redis.zrevrange("sigmax:finished", 0, limit - 1)))


def _refuse_newer(run_id: str, protocol: str | None) -> None:
    if protocol is not None and int(protocol) > PROTOCOL_VERSION:
        raise NewerRunError(run_id, int(protocol), PROTOCOL_VERSION)
