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

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, cast

import redis
from pydantic_core import from_json
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from sigmax_planner.canvas import PROTOCOL_VERSION
from sigmax_planner.facts import TaskSample
from sigmax_planner.models import AnalysisRequest, DataMode, ResearchPlan
from sigmax_tasks import clock
from sigmax_tasks.broker_url import checked_broker_url
from sigmax_tasks.budget import Account, Ledger, day_of, lower, world_of
from sigmax_tasks.errors import (
    ClusterBusyError,
    ClusterUnreachableError,
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
from sigmax_tasks.models.observations import Observation
from sigmax_tasks.models.research import TaskOutcome, TaskStatus
from sigmax_tasks.models.worker import WorkerFacts
from sigmax_tasks.outbox import OUTBOX_KEY, TRIES_KEY
from sigmax_tasks.redact import redact_url
from sigmax_tasks.refusals import (
    DeadLetter,
    add_dead_letter,
    count_dead,
    dead_letters,
    refused,
    unpark,
)
from sigmax_tasks.settings.runtime import RuntimeSettings
from sigmax_tasks.store_scripts import (
    BEGIN_CONCLUSION,
    CLAIM_STEP,
    CLAIM_TASKS,
    COMMIT,
    CREATE,
    LEASE,
    RECORD_AND_JOIN,
    RECORD_OUTCOME,
    SEND_BATCH,
    START_TASK,
    pack_observations,
    pack_text,
    unpack_observations,
    unpack_text,
)
from sigmax_tasks.tally import (
    KEEP_SECONDS,
    TALLY_KEY,
    TASK_TALLY_KEY,
    cancelled_tally,
    outcome_tally,
    record_tally,
)
from sigmax_tasks.task_samples import (
    SAMPLE_SECONDS,
    SAMPLES_KEPT,
    HandledTask,
    parse_samples,
    sample_key,
    sample_of,
    sample_text,
)
from sigmax_tasks.wire import Letter

FORGOTTEN_SECONDS = 15.0
"""How long past its deadline an open run still counts as one: then nobody looks after it."""
SPEND_GRACE_SECONDS = 30.0
"""How long past its deadline a run may still spend what it holds: its decision may be late."""
_ANY_NUMBER = 10**12
STATE_OPEN = "open"
STATE_FINISHED = "finished"
STATE_CANCELLED = "cancelled"


@dataclass(frozen=True)
class OpenRun:
    """What stays the same about a run while it runs. ``submission`` is what it came with."""

    run_id: str
    request: AnalysisRequest
    plan: ResearchPlan
    settings_hash: str
    created_at: datetime
    deadline_at: datetime
    submission: str = ""


@dataclass(frozen=True)
class RunState:
    """Where a run stands. ``step`` is the batch in work (-1: none yet), ``step_at`` since when.

    ``sent`` is the last batch whose chord was published, ``tries`` how often a worker began a task.
    ``sent_at`` holds, by critical path, the time (unix seconds) at which each task was last sent.
    """

    state: str
    step: int
    step_at: float
    sent: int
    started: Mapping[str, float]
    tries: Mapping[str, int]
    sent_at: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Join:
    """What is sent when the tasks ``needs``, a batch, all have an outcome. Once for each ``step``.

    ``step`` is the batch that follows; with ``ends_run`` none does. ``mark`` is where the run keeps
    that it was sent.
    """

    needs: tuple[str, ...]
    step: int
    letter: Letter
    ends_run: bool
    mark: str = "joined"


def connect(
    url: str, *, connect_timeout_seconds: float, answer_timeout_seconds: float = 10
) -> redis.Redis:
    """A thread-safe client; commands are tried again once, within the connection time-out.

    Raises :class:`ConfigurationError` for an address that is not one of Redis.
    """
    return redis.Redis.from_url(
        checked_broker_url(url),
        decode_responses=True,
        socket_connect_timeout=connect_timeout_seconds,
        socket_timeout=answer_timeout_seconds,
        socket_keepalive=not url.startswith("unix"),
        health_check_interval=25,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 1),
    )


@contextmanager
def reachable(url: str) -> Iterator[None]:
    """Connection errors of the block become :class:`ClusterUnreachableError`."""
    try:
        yield
    except redis.AuthenticationError as error:  # a ConnectionError, too
        raise ClusterUnreachableError(
            f"broker {redact_url(url)} refuses the password",
            advice="set it in SIGMAX_BROKER_URL as redis://user:password@host:port/0, without "
            "user where Redis has none",
        ) from error
    except (redis.ConnectionError, redis.TimeoutError) as error:
        if "certificate" in str(error).lower():
            raise ClusterUnreachableError(
                f"the TLS certificate of broker {redact_url(url)} is not trusted",
                advice="name its authority with ?ssl_ca_certs=FILE, and use a host name that the "
                "certificate holds",
            ) from error
        raise ClusterUnreachableError(
            f"broker {redact_url(url)} does not answer ({type(error).__name__})",
            advice="start it, or leave the broker unset to run on a private one",
        ) from error
    except redis.exceptions.NoPermissionError as error:
        raise ClusterUnreachableError(
            f"the user of broker {redact_url(url)} may not do this ({_forbidden(str(error))})",
            advice="use an address with another user; docs/OPERATIONS.md lists what each may do",
        ) from error
    except redis.InvalidResponse as error:
        raise ClusterUnreachableError(
            f"what answers at {redact_url(url)} is not a Redis", advice="check host and port"
        ) from error


def _forbidden(message: str) -> str:
    """Redis's sentence without what was sent, which may hold settings."""
    found = re.search(r"no permissions to .*", message)
    sentence = found[0] if found else "no permissions"
    return sentence.partition(" of pipeline")[0][:120]


class RunStore:
    """All that a cluster knows of its runs. ``ledger`` is their money."""

    def __init__(self, client: redis.Redis, runtime: RuntimeSettings) -> None:
        self._redis = client
        self._runtime = runtime
        self._create_script = client.register_script(CREATE)
        self._outcome_script = client.register_script(RECORD_OUTCOME)
        self._step_script = client.register_script(CLAIM_STEP)
        self._claim_script = client.register_script(CLAIM_TASKS)
        self._commit_script = client.register_script(COMMIT)
        self._lease_script = client.register_script(LEASE)
        self._join_script = client.register_script(RECORD_AND_JOIN)
        self._send_script = client.register_script(SEND_BATCH)
        self._start_script = client.register_script(START_TASK)
        self._conclusion_script = client.register_script(BEGIN_CONCLUSION)
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
        return _state_of(self._redis.hgetall(f"sigmax:run:{run_id}"))

    def standing(self, run_id: str) -> tuple[RunState | None, dict[str, TaskOutcome]]:
        """:meth:`state` and :meth:`outcomes` of one moment."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(f"sigmax:run:{run_id}")
            pipe.hgetall(f"sigmax:out:{run_id}")
            state, outcomes = pipe.execute()
        return _state_of(state), _outcomes_of(outcomes)

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

    # Workers

    def backlog(self, queue: str, priorities: Sequence[int]) -> int:
        """Messages of a queue that no worker has taken yet."""
        with self._redis.pipeline(transaction=False) as pipe:
            for priority in priorities:
                pipe.llen(f"{queue}:{priority}" if priority else queue)
            return sum(cast("list[int]", pipe.execute()))

    def greet(self, worker: str, seconds: float, facts: WorkerFacts | None = None) -> float:
        """A worker process says that it lives; it counts as gone ``seconds`` from now.

        Returns the time of Redis in unix seconds.
        """
        now = clock.now().timestamp()
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.zadd("sigmax:workers", {worker: now + seconds})
            pipe.zremrangebyscore("sigmax:workers", "-inf", now)
            pipe.expire("sigmax:workers", 3600)
            if facts is not None:
                life = max(1, math.ceil(seconds))
                pipe.set(f"sigmax:worker:{worker}", facts.model_dump_json(), ex=life)
            pipe.time()
            whole, millionths = cast("tuple[int, int]", pipe.execute()[-1])
        return whole + millionths / 1e6

    def align_clock(self) -> None:
        """Go by the clock of Redis in this process from now on."""
        began = clock.monotonic()
        whole, millionths = self._redis.time()
        there = datetime.fromtimestamp(whole + millionths / 1e6, UTC)
        clock.align(there + timedelta(seconds=(clock.monotonic() - began) / 2))

    def worker_facts(self) -> dict[str, WorkerFacts]:
        """What the worker processes said of themselves lately, by ``host:pid``."""
        workers = self.workers()
        keys = [f"sigmax:worker:{worker}" for worker in workers]
        texts = cast("list[str | None]", self._redis.mget(keys)) if keys else []
        return {
            worker: WorkerFacts.model_validate_json(text)
            for worker, text in zip(workers, texts, strict=True)
            if text is not None
        }

    def workers(self) -> tuple[str, ...]:
        """``host:pid`` of worker processes that have been heard of lately."""
        now = clock.now().timestamp()
        return tuple(cast("list[str]", self._redis.zrangebyscore("sigmax:workers", now, "+inf")))

    def take_watch(self, worker: str, seconds: float) -> bool:
        """True for the one worker that watches over the runs for the next ``seconds``."""
        milliseconds = max(1, int(seconds * 1000))
        return bool(self._redis.set("sigmax:watch", worker, nx=True, px=milliseconds))

    # What was refused and set aside

    def refused(self) -> dict[str, int]:
        """Reason -> number of messages that workers have refused lately."""
        return refused(self._redis)

    def dead_letters(self, limit: int) -> tuple[DeadLetter, ...]:
        """Tasks that were set aside, newest first."""
        return dead_letters(self._redis, limit)

    def count_dead(self) -> int:
        return count_dead(self._redis)

    def unpark(self) -> int:
        """Offer messages of a newer version to the workers again; how many."""
        return unpark(self._redis, clock.now().timestamp())

    # Tasks

    def outcomes(self, run_id: str) -> dict[str, TaskOutcome]:
        return _outcomes_of(self._redis.hgetall(f"sigmax:out:{run_id}"))

    def statuses(self, run_id: str) -> dict[str, TaskStatus]:
        """How each task ended that has; the rest of the outcomes is not read."""
        values = cast("dict[str, str]", self._redis.hgetall(f"sigmax:out:{run_id}"))
        return {
            key: TaskStatus(from_json(unpack_text(text))["status"]) for key, text in values.items()
        }

    def outcome_ids(self, run_id: str) -> frozenset[str]:
        """Ids of the tasks that have an outcome."""
        return frozenset(cast("list[str]", self._redis.hkeys(f"sigmax:out:{run_id}")))

    def has_outcome(self, run_id: str, task_id: str) -> bool:
        return bool(self._redis.hexists(f"sigmax:out:{run_id}", task_id))

    def record_outcome(
        self,
        run: OpenRun,
        outcome: TaskOutcome,
        observations: Sequence[Observation] = (),
        join: Join | None = None,
    ) -> bool:
        """Keep the outcome, and what it rests on, if it is the first of its task; else False.

        ``join`` says what is sent, in the same step, when this was the last of its batch.
        """
        run_id = run.run_id
        task = run.plan.task(outcome.task_id)
        sample = sample_of(run_id, task, outcome)
        event = self._event(
            ProgressEvent(
                run_id=run_id,
                kind=EventKind.TASK_FINISHED,
                at=outcome.finished_at,
                task_id=outcome.task_id,
                status=outcome.status.value,
                attempt=outcome.attempts,
                seconds=outcome.duration_seconds,
                cost_usd=outcome.cost_usd,
                providers=outcome.providers,
                worker=outcome.worker,
                detail=outcome.reason,
            )
        )
        keys = [
            f"sigmax:run:{run_id}",
            f"sigmax:out:{run_id}",
            f"sigmax:ev:{run_id}",
            f"sigmax:lease:{run_id}:{outcome.task_id}",
            f"sigmax:obs:{run_id}",
            TALLY_KEY,
            TASK_TALLY_KEY,
            sample_key(run.request.data_mode, task),
        ]
        args: list[str | int | float] = [
            outcome.task_id,
            pack_text(outcome.model_dump_json()),
            event,
            self._open_seconds(run),
            self._runtime.engine.event_stream_max_length,
            pack_observations(observations) if observations else "",
            outcome_tally(outcome),
            sample_text(sample) if sample is not None else "",
            SAMPLES_KEPT,
            SAMPLE_SECONDS,
        ]
        if join is None:
            written = self._outcome_script(keys=keys, args=args)
        else:
            written = self._join_script(
                keys=[*keys, join.letter.key], args=[*args, self._joining(run, join)]
            )
        return int(cast("int", written)) == 1

    def _joining(self, run: OpenRun, join: Join) -> str:
        facts: dict[str, object] = {
            "needs": join.needs,
            "step": join.step,
            "mark": join.mark,
            "message": join.letter.text,
        }
        if join.ends_run:
            event = ProgressEvent(run_id=run.run_id, kind=EventKind.RUN_FINALIZING, at=clock.now())
            facts["event"] = self._event(event)
        return json.dumps(facts, separators=(",", ":"))

    def send_batch(
        self, event: ProgressEvent, letters: Sequence[Letter], *, step: int, claim: bool
    ) -> bool:
        """Send the tasks of batch ``step`` of an open run and tell of it by ``event``, in one step.

        With ``claim`` the run moves there from the batch before, and True is for one caller only.
        """
        run_id = event.run_id
        sent = self._send_script(
            keys=[
                f"sigmax:run:{run_id}",
                f"sigmax:ev:{run_id}",
                *(letter.key for letter in letters),
            ],
            args=[
                step - 1 if claim else "",
                step,
                clock.now().timestamp(),
                self._event(event),
                self._runtime.engine.event_stream_max_length,
                *(letter.text for letter in letters),
            ],
        )
        return int(cast("int", sent)) == 1

    def observations(self, run_id: str) -> dict[str, tuple[Observation, ...]]:
        """What each task of a run was given, by task id."""
        values = cast("dict[str, str]", self._redis.hgetall(f"sigmax:obs:{run_id}"))
        return {task_id: unpack_observations(text) for task_id, text in values.items()}

    def samples(
        self, mode: DataMode, tasks: Sequence[HandledTask]
    ) -> dict[str, tuple[TaskSample, ...]]:
        """What each of the tasks took in its latest runs of that mode, newest first."""
        with self._redis.pipeline(transaction=False) as pipe:
            for task in tasks:
                pipe.lrange(sample_key(mode, task), 0, SAMPLES_KEPT - 1)
            answers = cast("list[list[str]]", pipe.execute())
        return {
            task.task_id: parse_samples(texts) for task, texts in zip(tasks, answers, strict=True)
        }

    def hold_lease(self, run_id: str, task_id: str, owner: str) -> bool:
        """Renew the right to run a task; False while another holds it or it is done."""
        milliseconds = int(self._runtime.engine.lease_seconds * 1000)
        held = self._lease_script(
            keys=[f"sigmax:lease:{run_id}:{task_id}", f"sigmax:out:{run_id}"],
            args=[owner, milliseconds, task_id],
        )
        return int(cast("int", held)) == 1

    def leased(self, run_id: str, task_ids: Sequence[str]) -> frozenset[str]:
        """Those of the tasks that a live worker runs right now."""
        if not task_ids:
            return frozenset()
        keys = [f"sigmax:lease:{run_id}:{task_id}" for task_id in task_ids]
        owners = cast("list[str | None]", self._redis.mget(keys))
        return frozenset(t for t, owner in zip(task_ids, owners, strict=True) if owner)

    @property
    def most_tries(self) -> int:
        """How often a task is begun at most, each time by a worker that dies of it or with it."""
        return self._runtime.engine.max_redispatches + 1

    def start_task(self, owner: str, event: ProgressEvent) -> int:
        """Take a task and tell of its start: how often it was begun by now.

        0 when the run is over, the task done or taken; -1 when it was begun ``most_tries`` times
        and never finished. ``event`` names run, task and time.
        """
        run_id, task_id = event.run_id, event.task_id
        taken = self._start_script(
            keys=[
                f"sigmax:run:{run_id}",
                f"sigmax:out:{run_id}",
                f"sigmax:ev:{run_id}",
                f"sigmax:lease:{run_id}:{task_id}",
            ],
            args=[
                task_id,
                owner,
                int(self._runtime.engine.lease_seconds * 1000),
                event.at.timestamp(),
                self._event(event),
                self._runtime.engine.event_stream_max_length,
                self.most_tries,
            ],
        )
        return int(cast("int", taken))

    def set_aside(self, run: OpenRun, outcome: TaskOutcome) -> bool:
        """Keep the outcome of a task that kills its workers, also as a dead letter."""
        first = self.record_outcome(run, outcome)
        if first:
            letter = DeadLetter(run.run_id, outcome.task_id, outcome.reason, outcome.finished_at)
            add_dead_letter(self._redis, letter)
        return first

    def mark_sent(self, run_id: str, step: int) -> None:
        """Remember that the chord of a batch is on its way."""
        self._redis.hset(f"sigmax:run:{run_id}", "sent", str(step))

    def mark_sent_again(self, run_id: str, died: Iterable[str]) -> None:
        """Forget that tasks whose worker died had begun; restart the stall clock of the batch."""
        with self._redis.pipeline(transaction=True) as pipe:
            for task_id in died:
                pipe.hdel(f"sigmax:run:{run_id}", f"started:{task_id}")
                pipe.hincrby(TALLY_KEY, "redispatched", 1)
            pipe.hset(f"sigmax:run:{run_id}", "step_at", clock.now().timestamp())
            pipe.execute()

    def restart_clocks(self, run_id: str, task_ids: Sequence[str]) -> None:
        """By critical path: these tasks are sent again now."""
        now = clock.now().timestamp()
        sent: dict[str, float] = {f"sent:{task_id}": now for task_id in task_ids}
        self._redis.hset(f"sigmax:run:{run_id}", mapping=cast("dict[Any, Any]", sent))

    def claim_tasks(self, run: OpenRun, candidates: Sequence[str]) -> tuple[str, ...]:
        """By critical path: those of the candidates that the caller has to send now.

        As many as the width of the plan leaves room for, each task for exactly one caller.
        """
        others = [t.task_id for t in run.plan.tasks if t.task_id not in set(candidates)]
        claimed = self._claim_script(
            keys=[f"sigmax:run:{run.run_id}", f"sigmax:out:{run.run_id}"],
            args=[
                run.plan.width,
                clock.now().timestamp(),
                len(candidates),
                *candidates,
                *others,
            ],
        )
        return tuple(cast("list[str]", claimed))

    def claim_step(self, run_id: str, step: int) -> bool:
        """Move from batch ``step - 1`` to ``step``; True for exactly one caller."""
        won = self._step_script(
            keys=[f"sigmax:run:{run_id}"], args=[step - 1, step, clock.now().timestamp()]
        )
        return int(cast("int", won)) == 1

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

    def begin_conclusion(self, run_id: str) -> int:
        """How often it was tried to conclude the run, this time included; 0 once it is closed."""
        return int(cast("int", self._conclusion_script(keys=[f"sigmax:run:{run_id}"])))

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

    # Progress

    def add_event(self, event: ProgressEvent) -> None:
        """Tell about a step of an open run; the stream keeps the time to live it was made with."""
        self._redis.xadd(
            f"sigmax:ev:{event.run_id}",
            {"e": self._event(event)},
            maxlen=self._runtime.engine.event_stream_max_length,
            approximate=True,
            nomkstream=True,
        )

    def read_events(
        self, positions: Mapping[str, str], block_seconds: float
    ) -> list[ProgressEvent]:
        """Events behind the given stream ids, by run id; waits up to ``block_seconds`` for one."""
        streams = {f"sigmax:ev:{run_id}": last for run_id, last in positions.items()}
        answer = self._redis.xread(
            cast("dict[Any, Any]", streams), count=500, block=max(1, int(block_seconds * 1000))
        )
        events = []
        for _, entries in _stream_entries(answer):
            for event_id, fields in entries:
                facts = json.loads(fields["e"])
                events.append(ProgressEvent.model_validate({**facts, "event_id": event_id}))
        return events

    @staticmethod
    def _event(event: ProgressEvent) -> str:
        return event.model_dump_json(exclude_defaults=True, exclude={"event_id"})

    @property
    def _run_seconds(self) -> int:
        return int(self._runtime.retention.run_hours * 3600)

    def _open_seconds(self, run: OpenRun) -> int:
        """Life of a run's keys while it is open: well past its deadline, whatever dies."""
        planned = (run.deadline_at - run.created_at).total_seconds()
        return int(planned + self._runtime.retention.working_hours * 3600) + 60


def _state_of(answer: object) -> RunState | None:
    """From the hash of a run; None when there is none."""
    values = cast("dict[str, str]", answer)
    if "state" not in values:
        return None
    return RunState(
        state=values["state"],
        step=int(values["step"]),
        step_at=float(values["step_at"]),
        sent=int(values.get("sent", -1)),
        started={
            name.removeprefix("started:"): float(value)
            for name, value in values.items()
            if name.startswith("started:")
        },
        tries={
            name.removeprefix("tries:"): int(value)
            for name, value in values.items()
            if name.startswith("tries:")
        },
        sent_at={
            name.removeprefix("sent:"): float(value)
            for name, value in values.items()
            if name.startswith("sent:")
        },
    )


def _outcomes_of(answer: object) -> dict[str, TaskOutcome]:
    values = cast("dict[str, str]", answer)
    return {key: TaskOutcome.model_validate_json(unpack_text(v)) for key, v in values.items()}


def _stream_entries(answer: object) -> Iterable[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """(stream, entries) pairs of an XREAD answer, in both forms the client library gives."""
    if not answer:
        return ()
    if isinstance(answer, Mapping):
        return [
            (name, parts[0] if parts and isinstance(parts[0], list) else parts)
            for name, parts in answer.items()
        ]
    return cast("list[tuple[str, list[tuple[str, dict[str, str]]]]]", answer)
