"""The part of the run store that knows the tasks of a run: outcomes, leases, batches, progress."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from types import MappingProxyType
from typing import cast

import redis
from pydantic_core import from_json, to_json

from sigmax_planner.facts import TaskSample
from sigmax_planner.models import DataMode
from sigmax_tasks import clock
from sigmax_tasks.lua_steps import StepCall
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.models.observations import Observation
from sigmax_tasks.models.research import TaskOutcome, TaskStatus
from sigmax_tasks.refusals import DeadLetter, add_dead_letter
from sigmax_tasks.run_state import Join, OpenRun, RunState, Sending, outcomes_of
from sigmax_tasks.settings.runtime import RuntimeSettings
from sigmax_tasks.store_events import EventStore
from sigmax_tasks.store_scripts import (
    CLAIM_STEP,
    CLAIM_TASKS,
    LEASE,
    RECORD_AND_JOIN,
    RECORD_OUTCOME,
    SEND_AGAIN,
    SEND_BATCH,
    START_TASK,
    pack_observations,
    pack_text,
    unpack_observations,
    unpack_text,
)
from sigmax_tasks.tally import TALLY_KEY, TASK_TALLY_KEY, outcome_tally
from sigmax_tasks.task_samples import (
    SAMPLE_SECONDS,
    SAMPLES_KEPT,
    HandledTask,
    parse_samples,
    sample_key,
    sample_of,
    sample_text,
)
from sigmax_tasks.wire import Held, Letter

FORGOTTEN_SECONDS = 15.0
"""How long past its deadline an open run still counts as one: then nobody looks after it."""
MANY_WAIT = 100
"""What a run waits for last is served before as many tasks: a run that is nearly done ends.

Before fewer it is not, or in the end the workers wait for runs whose other tasks came too late.
"""
_NOTHING_READY: Mapping[int, Sequence[Letter]] = MappingProxyType({})


class TaskStore(EventStore):
    """Outcomes are set once; a batch is sent, a task begun and a step taken by one caller each."""

    def __init__(self, client: redis.Redis, runtime: RuntimeSettings) -> None:
        super().__init__(client, runtime)
        self._outcome_script = client.register_script(RECORD_OUTCOME)
        self._step_script = client.register_script(CLAIM_STEP)
        self._claim_script = client.register_script(CLAIM_TASKS)
        self._lease_script = client.register_script(LEASE)
        self._join_script = client.register_script(RECORD_AND_JOIN)
        self._send_script = client.register_script(SEND_BATCH)
        self._again_script = client.register_script(SEND_AGAIN)
        self._start_script = client.register_script(START_TASK)

    def outcomes(self, run_id: str) -> dict[str, TaskOutcome]:
        return outcomes_of(self._redis.hgetall(f"sigmax:out:{run_id}"))

    def statuses(self, run_id: str) -> dict[str, TaskStatus]:
        """How each task ended that has; the rest of the outcomes is not read."""
        values = cast("dict[str, str]", self._redis.hgetall(f"sigmax:out:{run_id}"))
        return {
            key: TaskStatus(from_json(unpack_text(text))["status"]) for key, text in values.items()
        }

    def outcome_ids(self, run_id: str) -> frozenset[str]:
        """Ids of the tasks that have an outcome."""
        return frozenset(cast("list[str]", self._redis.hkeys(f"sigmax:out:{run_id}")))

    def record_outcome(
        self,
        run: OpenRun,
        outcome: TaskOutcome,
        observations: Sequence[Observation] = (),
        join: Join | None = None,
        held: Held | None = None,
    ) -> bool:
        """Keep the outcome, and what it rests on, if it is the first of its task; else False.

        ``join`` says what is sent, in the same step, when this was the last of its batch. ``held``
        is the message that asked for it: the step acknowledges it.
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
            *((held.index_key, held.texts_key) if held is not None else ()),
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
            "" if outcome.status is TaskStatus.COMPLETED else "broken",
            "" if held is None else held.tag,
        ]
        if join is None:
            written = int(cast("int", self._outcome_script(keys=keys, args=args)))
        else:
            answer = self._join_script(
                keys=[*keys, join.letter.key],
                args=[*args, join.letter.text, self._joining(run, join)],
            )
            written = int(cast("int", answer))
        first = written == 1
        if first and held is not None:
            held.settle()
        return first

    def _joining(self, run: OpenRun, join: Join) -> str:
        facts: dict[str, object] = {
            "needs": join.needs,
            "step": join.step,
            "mark": join.mark,
        }
        if join.ends_run:
            event = ProgressEvent(run_id=run.run_id, kind=EventKind.RUN_FINALIZING, at=clock.now())
            facts["event"] = self._event(event)
        if join.opens is not None:
            now = clock.now()
            facts |= {
                "run": run.run_id,
                "opens": self._event_at(join.opens, now),
                "at": str(now.timestamp()),
                "ahead_of": MANY_WAIT if join.step + 1 == len(run.plan.execution_order) else 0,
                "front_runs": self._runtime.engine.front_runs,
                "forgotten": str(now.timestamp() - FORGOTTEN_SECONDS),
            }
        return to_json(facts).decode()

    def send_batch(
        self,
        event: ProgressEvent,
        letters: Sequence[Letter],
        *,
        step: int,
        claim: bool,
        ready: Mapping[int, Sequence[Letter]] = _NOTHING_READY,
        marked: Sequence[str] = (),
    ) -> bool:
        """Send the tasks of batch ``step`` of an open run and tell of it by ``event``, in one step.

        With ``claim`` the run moves there from the batch before, and True is for one caller only.
        ``ready`` are batches behind it, each to be sent by the step that ends the one before.
        ``marked`` are tasks that are claimed with it, see :meth:`claim_tasks`.
        Raises ``NoPermissionError``, with nothing done, for a user who may not write to the queue.
        """
        call = self._send_call(Sending(event, letters, ready, marked), step=step, claim=claim)
        return int(cast("int", call.step(keys=call.keys, args=call.args))) == 1

    def _send_call(self, batch: Sending, *, step: int, claim: bool) -> StepCall:
        run_id, now = batch.event.run_id, clock.now().timestamp()
        # Named as keys, so that who may not write to them is refused before anything is done.
        queues = sorted({key for each in batch.letters for key in (each.key, each.key_behind)})
        return StepCall(
            self._send_script,
            keys=[f"sigmax:run:{run_id}", f"sigmax:ev:{run_id}", *queues],
            args=[
                step - 1 if claim else "",
                step,
                now,
                self._event(batch.event),
                self._runtime.engine.event_stream_max_length,
                _pushes(batch.letters),
                run_id,
                self._runtime.engine.front_runs,
                now - FORGOTTEN_SECONDS,
                *(part for n in batch.ready for part in (f"next:{n}", _pushes(batch.ready[n]))),
                *(part for task_id in batch.marked for part in (f"sent:{task_id}", now)),
            ],
        )

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

    @property
    def _lease_milliseconds(self) -> int:
        return int(self._runtime.engine.lease_seconds * 1000)

    def hold_lease(self, run_id: str, task_id: str, owner: str) -> bool:
        """Renew the right to run a task; False while another holds it or it is done."""
        held = self._lease_script(
            keys=[f"sigmax:lease:{run_id}:{task_id}", f"sigmax:out:{run_id}"],
            args=[owner, self._lease_milliseconds, task_id],
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
                self._lease_milliseconds,
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

    def claim_lost(
        self, run_id: str, state: RunState, lost: Sequence[str], died: Container[str]
    ) -> tuple[str, ...]:
        """Those of the lost tasks that the caller has to send again: each is for one caller.

        Not one that has ended, was taken or was sent again since ``state``. Their clocks (by
        critical path each has its own, else the batch has one) begin anew; of those that ``died``
        with their worker it is forgotten that they had begun.
        """
        args: list[str | float] = [state.step, clock.now().timestamp()]
        for task_id in lost:
            own = state.sent_at.get(task_id)
            seen = ("step_at", state.step_at) if own is None else (f"sent:{task_id}", own)
            args += [task_id, *seen, "1" if task_id in died else ""]
        keys = [f"sigmax:run:{run_id}", f"sigmax:out:{run_id}", TALLY_KEY]
        leases = [f"sigmax:lease:{run_id}:{task_id}" for task_id in lost]
        claimed = self._again_script(keys=[*keys, *leases], args=args)
        return tuple(cast("list[str]", claimed))

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

    @property
    def _run_seconds(self) -> int:
        return int(self._runtime.retention.run_hours * 3600)

    def _open_seconds(self, run: OpenRun) -> int:
        """Life of a run's keys while it is open: well past its deadline, whatever dies."""
        planned = (run.deadline_at - run.created_at).total_seconds()
        return int(planned + self._runtime.retention.working_hours * 3600) + 60


def _pushes(letters: Sequence[Letter]) -> str:
    """What the scripts push: see RELEASE_LUA."""
    pushes = [(letter.key, letter.key_behind, letter.text) for letter in letters]
    return to_json(pushes).decode()
