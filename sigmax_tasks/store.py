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
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import cast

import redis

from sigmax_planner.canvas import PROTOCOL_VERSION
from sigmax_planner.models import AnalysisRequest, ResearchPlan
from sigmax_tasks import clock
from sigmax_tasks.budget import Account, Ledger, day_of, lower, spend_key, usd_of, world_of
from sigmax_tasks.errors import (
    ClusterBusyError,
    NewerRunError,
    RunNotFoundError,
)
from sigmax_tasks.journal import (
    Journal,
    RedisJournal,
    entry_arguments,
    entry_keys,
    journal_on,
)
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.models.journal import JournalEntry
from sigmax_tasks.models.research import TaskOutcome
from sigmax_tasks.outbox import OUTBOX_KEY, TRIES_KEY
from sigmax_tasks.run_state import (
    STATE_CANCELLED,
    STATE_FINISHED,
    STATE_OPEN,
    Conclusion,
    Look,
    OpenRun,
    RunState,
    outcomes_of,
    state_fields,
    state_of,
)
from sigmax_tasks.settings.runtime import RuntimeSettings
from sigmax_tasks.store_scripts import (
    BEGIN_CONCLUSION,
    COMMIT,
    CREATE,
    NUDGE,
    pack_text,
    unpack_text,
)
from sigmax_tasks.store_tasks import FORGOTTEN_SECONDS, TaskStore
from sigmax_tasks.tally import (
    KEEP_SECONDS,
    TALLY_KEY,
    TASK_TALLY_KEY,
    cancelled_tally,
    record_tally,
)

SPEND_GRACE_SECONDS = 30.0
"""How long past its deadline a run may still spend what it holds: its decision may be late."""
TOGETHER_SECONDS = 2.0
"""Shorter than the time after which a finaliser that was lost is sent again."""
_ANY_NUMBER = 10**12


class RunStore(TaskStore):
    """All that a cluster knows of its runs. ``ledger`` is their money."""

    def __init__(self, client: redis.Redis, runtime: RuntimeSettings) -> None:
        super().__init__(client, runtime)
        self._create_script = client.register_script(CREATE)
        self._commit_script = client.register_script(COMMIT)
        self._conclusion_script = client.register_script(BEGIN_CONCLUSION)
        self._nudge_script = client.register_script(NUDGE)
        self.ledger = Ledger(client)

    # Runs

    def create(self, run: OpenRun, snapshot: str) -> None:
        """Write a new run with its settings and list it as live.

        Raises :class:`ClusterBusyError` where ``engine.max_open_runs`` are open; in one step with
        the write, so that many who submit at once never exceed it.
        """
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
        refused = self._create_script(
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
        if refused and most is not None:
            raise ClusterBusyError(int(cast("int", refused)), most)

    def load(self, run_id: str) -> OpenRun:
        """The fixed part of a run; :class:`RunNotFoundError` when it is not (or no longer) kept.

        :class:`NewerRunError` when a newer version has written it.
        """
        names = (
            *("protocol", "request", "plan", "settings"),
            *("created_at", "deadline_at", "submission"),
        )
        values = cast("list[str | None]", self._redis.hmget(f"sigmax:run:{run_id}", names))
        protocol, request, plan, settings, created_at, deadline_at, submission = values
        if protocol is not None and int(protocol) > PROTOCOL_VERSION:
            raise NewerRunError(run_id, int(protocol), PROTOCOL_VERSION)
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

    # Money

    def account(self, run: OpenRun, *day_limits_usd: Decimal | None) -> Account:
        """The money of a run: its plan's limit, and the lowest of the limits of its day."""
        day_limit = None
        for limit in day_limits_usd:
            day_limit = lower(day_limit, limit)
        return Account(
            run_id=run.run_id,
            world=world_of(run.request.data_mode),
            day=day_of(run.created_at),
            run_limit_usd=run.plan.max_cost_usd,
            day_limit_usd=day_limit,
            expires_at=run.deadline_at.timestamp() + SPEND_GRACE_SECONDS,
            keep_seconds=self._open_seconds(run),
        )

    # The end of a run

    def begin_conclusion(self, account: Account) -> Conclusion | None:
        """What the run is concluded on, its spending ended; None once it is closed.

        Workers that begin within ``TOGETHER_SECONDS`` are at it together, which counts as one try.
        """
        run_id = account.run_id
        answer = self._conclusion_script(
            keys=[
                f"sigmax:run:{run_id}",
                f"sigmax:cost:{run_id}",
                f"sigmax:out:{run_id}",
                spend_key(account.world, account.day),
            ],
            args=[clock.now().timestamp(), TOGETHER_SECONDS, run_id],
        )
        if not answer:
            return None
        tries, spent, day_spent, outcomes = cast("tuple[int, int, str, list[str]]", answer)
        return Conclusion(
            tries=tries,
            outcomes=outcomes_of(dict(zip(outcomes[::2], outcomes[1::2], strict=True))),
            spent_usd=usd_of(spent),
            day_spent_usd=usd_of(day_spent),
        )

    def claim_nudge(self, run_id: str, step: int, every_seconds: float) -> bool:
        """Whether the caller is to send a step of the run once more: one of all, once in a time."""
        won = self._nudge_script(
            keys=[f"sigmax:run:{run_id}"], args=[step, clock.now().timestamp(), every_seconds]
        )
        return int(cast("int", won)) == 1

    @cached_property
    def journal(self) -> Journal:
        """The journal of this cluster."""
        return journal_on(self._redis, "the Redis of the cluster")

    def commit(
        self,
        run: OpenRun,
        record: RunRecord,
        event: ProgressEvent,
        entry: JournalEntry | None = None,
        notices: str = "",
    ) -> bool:
        """Close the run with its record; True for the one caller whose record is kept.

        The journal entry is kept in the same step. A private cluster's goes to its file right
        after; one that is lost there, by a crash in between, is given by :meth:`journal_entry`.
        ``notices`` (outbox.py) are laid into the outbox in the same step.
        """
        text = pack_text(record.model_dump_json(exclude_computed_fields=True))
        counted = record_tally(record)
        won = self._close(run.run_id, STATE_FINISHED, text, event, counted, entry, notices)
        if won and entry is not None:
            if not isinstance(self.journal, RedisJournal):
                self.journal.add(entry)
            days = self._runtime.retention.journal_days
            if days is not None:
                self.journal.forget_before(clock.now() - timedelta(days=days))
        return won

    def journal_entry(self, run_id: str) -> JournalEntry | None:
        """What a private cluster's run adds to the journal; None where the Redis has it."""
        text = cast("str | None", self._redis.hget(f"sigmax:run:{run_id}", "journal"))
        return JournalEntry.model_validate_json(text) if text else None

    def cancel(self, run_id: str) -> bool:
        """Close the run without a decision; False when it is already closed."""
        self.load(run_id)
        return self.abandon(run_id, "")

    def abandon(self, run_id: str, reason: str) -> bool:
        """Close a run without a decision, also one that cannot be read; its client is told why."""
        event = ProgressEvent(
            run_id=run_id, kind=EventKind.RUN_CANCELLED, at=clock.now(), detail=reason
        )
        won = self._close(run_id, STATE_CANCELLED, "", event, cancelled_tally())
        if won:
            self.ledger.close(run_id)
        return won

    def _close(
        self,
        run_id: str,
        state: str,
        record: str,
        event: ProgressEvent,
        counted: str,
        entry: JournalEntry | None = None,
        notices: str = "",
    ) -> bool:
        now = clock.now().timestamp()
        home = "redis" if isinstance(self.journal, RedisJournal) else "file"
        most_kept = self._runtime.retention.max_kept_runs
        won = self._commit_script(
            keys=[
                f"sigmax:run:{run_id}",
                f"sigmax:ev:{run_id}",
                "sigmax:live",
                "sigmax:finished",
                f"sigmax:out:{run_id}",
                f"sigmax:obs:{run_id}",
                TALLY_KEY,
                TASK_TALLY_KEY,
                OUTBOX_KEY,
                TRIES_KEY,
                *(entry_keys(entry) if entry is not None else ()),
            ],
            args=[
                state,
                record,
                run_id,
                now,
                self._event(event),
                self._run_seconds,
                int(self._runtime.retention.working_hours * 3600),
                self._runtime.engine.event_stream_max_length,
                now - self._run_seconds,
                counted,
                notices,
                self._runtime.notifications.outbox_length,
                _ANY_NUMBER if most_kept is None else most_kept,
                *((home, *entry_arguments(entry)) if entry is not None else ("",)),
            ],
        )
        return int(cast("int", won)) == 1

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
