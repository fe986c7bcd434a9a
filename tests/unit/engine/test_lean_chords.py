"""Sending a chord and joining it in the steps of the run store."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from unittest.mock import Mock

import fakeredis
import pytest
import redis
from celery import Celery
from celery.app.task import Context
from celery.backends.redis import RedisBackend
from hypothesis import given
from hypothesis import strategies as st
from kombu.exceptions import OperationalError

from sigmax_planner.canvas import (
    CLOSE_BATCH,
    CONTROL_QUEUE,
    FINALIZE_RUN,
    PROTOCOL_HEADER,
    PROTOCOL_VERSION,
    RUN_RESEARCH,
)
from sigmax_tasks import clock
from sigmax_tasks.lean_chords import control_call, lean_chord, send_lean_chord
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.result_backend import Backend
from sigmax_tasks.run_state import Join, OpenRun
from sigmax_tasks.store import RunStore
from sigmax_tasks.store_tasks import MANY_WAIT
from sigmax_tasks.wire import JOINED_HEADER, Call, Held, letter, queue_key

from .builders import START, open_run, outcome, runtime, task
from .test_sweeper import flow_of

BATCH = ("technical", "momentum")


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    client = fakeredis.FakeRedis(decode_responses=True)
    yield client
    client.close()


def join(step: int = 1, *, ends_run: bool = False) -> Join:
    body = control_call(FINALIZE_RUN, "r") if ends_run else control_call(CLOSE_BATCH, "r", step)
    return Join(BATCH, step, letter(body), ends_run)


def started(run_id: str) -> ProgressEvent:
    return ProgressEvent(run_id=run_id, kind=EventKind.BATCH_STARTED, at=START, batch_index=0)


def tasks_waiting(client: redis.Redis, queue: str = CONTROL_QUEUE) -> list[str]:
    return [json.loads(text)["headers"]["task"] for text in client.lrange(queue, 0, -1)]


@given(st.lists(st.tuples(st.sampled_from(BATCH), st.booleans(), st.booleans()), max_size=12))
def test_the_body_is_sent_once_when_the_last_outcome_of_its_batch_is_kept(
    steps: list[tuple[str, bool, bool]],
) -> None:
    """Whatever comes twice, in any order, with or without a join, or from somebody else."""
    client = fakeredis.FakeRedis(decode_responses=True)
    store, run = RunStore(client, runtime()), open_run()
    store.create(run, "{}")
    kept: set[str] = set()
    due = False
    for task_id, completed, joins in steps:
        status = TaskStatus.COMPLETED if completed else TaskStatus.FAILED
        first = store.record_outcome(run, outcome(task_id, status), join=join() if joins else None)
        assert first == (task_id not in kept)
        kept.add(task_id)
        due = due or (joins and kept >= set(BATCH))
        assert tasks_waiting(client) == ([CLOSE_BATCH] if due else [])
    client.close()


def test_the_end_of_the_last_batch_is_told_and_sends_the_finaliser(client: redis.Redis) -> None:
    store, run = RunStore(client, runtime()), open_run()
    store.create(run, "{}")
    for task_id in BATCH:
        store.record_outcome(run, outcome(task_id), join=join(1, ends_run=True))
    assert tasks_waiting(client) == [FINALIZE_RUN]
    kinds = [event.kind for event in store.read_events({run.run_id: "0-0"}, 0.01)]
    assert kinds == [
        EventKind.RUN_STARTED,
        EventKind.TASK_FINISHED,
        EventKind.TASK_FINISHED,
        EventKind.RUN_FINALIZING,
    ]


def test_a_cancelled_run_goes_no_further(client: redis.Redis) -> None:
    store, run = RunStore(client, runtime()), open_run()
    store.create(run, "{}")
    store.cancel(run.run_id)
    for task_id in BATCH:
        store.record_outcome(run, outcome(task_id), join=join())
    letters = lean_chord(run.run_id, 0, [task("technical")], last=False)
    assert not store.send_batch(started(run.run_id), letters, step=0, claim=True)
    assert not store.send_batch(started(run.run_id), letters, step=0, claim=False)
    assert tasks_waiting(client) == []
    assert not client.exists("sigmax.research:1")


def test_by_critical_path_the_first_tasks_are_claimed_where_they_are_sent(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may not send them, and is refused, leaves them to a worker."""
    store, run = RunStore(client, runtime()), flow_of(task("a"), task("b"), task("c", "a"))
    first = [run.plan.task("a"), run.plan.task("b")]
    store.create(run, "{}")
    with monkeypatch.context() as refused:
        error = redis.exceptions.NoPermissionError("No permissions to access a key")
        refused.setattr(store, "_send_script", Mock(side_effect=error))
        with pytest.raises(redis.exceptions.NoPermissionError):
            send_lean_chord(store, run, 0, first, claim=True)
    state = store.state(run.run_id)
    assert state is not None
    assert (state.step, state.sent_at) == (-1, {})
    assert send_lean_chord(store, run, 0, first, claim=True)
    assert not send_lean_chord(store, run, 0, first, claim=True)
    state = store.state(run.run_id)
    assert state is not None
    assert (state.step, state.sent_at) == (0, {"a": state.step_at, "b": state.step_at})
    assert client.llen("sigmax.research:1") == 2
    assert store.claim_tasks(run, ("a", "b")) == ()


def test_a_batch_is_claimed_and_sent_by_one_caller(client: redis.Redis) -> None:
    store, run = RunStore(client, runtime()), open_run()
    store.create(run, "{}")
    letters = lean_chord(run.run_id, 0, [task("technical"), task("momentum")], last=False)
    assert not store.send_batch(started(run.run_id), letters, step=1, claim=True)
    assert store.send_batch(started(run.run_id), letters, step=0, claim=True)
    assert not store.send_batch(started(run.run_id), letters, step=0, claim=True)
    assert client.llen("sigmax.research:1") == 2
    state = store.state(run.run_id)
    assert state is not None
    assert (state.step, state.sent) == (0, 0)
    assert store.send_batch(started(run.run_id), letters[:1], step=0, claim=False), "sent again"
    assert client.llen("sigmax.research:1") == 3


def first_batch_sent(client: redis.Redis, **engine: object) -> tuple[RunStore, OpenRun]:
    """A run of two batches whose first is on its way; the second is kept ready."""
    store, run = RunStore(client, runtime(**engine)), open_run()
    store.create(run, "{}")
    assert send_lean_chord(store, run, 0, run.plan.tasks[:1], claim=True)
    assert client.hexists(f"sigmax:run:{run.run_id}", "next:1")
    return store, run


def opening(run: OpenRun) -> Join:
    """What the one task of the first batch brings along."""
    return Join(
        ("technical",), 1, letter(control_call(CLOSE_BATCH, run.run_id, 1)), False, opens=STARTED
    )


STARTED = ProgressEvent(
    run_id="20250314-120000-00000001", kind=EventKind.BATCH_STARTED, at=START, batch_index=1
)


def test_the_outcome_that_ends_a_batch_begins_the_next(client: redis.Redis) -> None:
    store, run = first_batch_sent(client)
    assert store.record_outcome(run, outcome("technical", TaskStatus.COMPLETED), join=opening(run))
    assert tasks_waiting(client) == [], "no step in between"
    (sent,) = client.lrange("sigmax.research:1", 0, -1)
    assert json.loads(base64.b64decode(json.loads(sent)["body"]))[0] == [run.run_id, "momentum"]
    state = store.state(run.run_id)
    assert state is not None
    assert (state.step, state.sent) == (1, 1)
    assert state.step_at > START.timestamp()
    assert not client.hexists(f"sigmax:run:{run.run_id}", "next:1")
    kinds = [event.kind for event in store.read_events({run.run_id: "0-0"}, 0.01)]
    assert kinds.count(EventKind.BATCH_STARTED) == 2
    assert not store.record_outcome(
        run, outcome("technical", TaskStatus.COMPLETED), join=opening(run)
    )
    assert client.llen("sigmax.research:1") == 1, "once"


@pytest.mark.parametrize("status", [TaskStatus.FAILED, TaskStatus.SKIPPED])
def test_behind_a_task_that_did_not_complete_a_step_looks_what_can_run(
    client: redis.Redis, status: TaskStatus
) -> None:
    store, run = first_batch_sent(client)
    store.record_outcome(run, outcome("technical", status), join=opening(run))
    assert tasks_waiting(client) == [CLOSE_BATCH]
    assert client.llen("sigmax.research:1") == 0


def test_a_batch_that_somebody_else_began_is_not_begun_again(client: redis.Redis) -> None:
    store, run = first_batch_sent(client)
    assert store.claim_step(run.run_id, 1)
    store.record_outcome(run, outcome("technical", TaskStatus.COMPLETED), join=opening(run))
    assert client.llen("sigmax.research:1") == 0
    assert tasks_waiting(client) == [CLOSE_BATCH], "which finds nothing to do"


def test_what_was_kept_ready_goes_with_the_run(client: redis.Redis) -> None:
    store, run = first_batch_sent(client)
    store.cancel(run.run_id)
    assert not client.hexists(f"sigmax:run:{run.run_id}", "next:1")


def test_a_run_behind_others_of_its_submission_waits_behind_all_that_are_not(
    client: redis.Redis,
) -> None:
    store = RunStore(client, runtime(front_runs=1))
    front = replace(open_run(), submission="one")
    behind = replace(open_run("20250314-120000-00000002"), submission="one")
    for run in (front, behind):
        later = replace(run, created_at=clock.now(), deadline_at=clock.now() + timedelta(hours=1))
        store.create(later, "{}")
        send_lean_chord(store, later, 0, run.plan.tasks[:1], claim=True)
        store.record_outcome(later, outcome("technical", TaskStatus.COMPLETED), join=opening(later))
    for name, run in (("", front), (":4", behind)):
        (first,) = client.lrange(f"sigmax.research{name}", 0, -1)
        assert run.run_id in base64.b64decode(json.loads(first)["body"]).decode()
    for name, run in ((":1", front), (":5", behind)):
        (second,) = client.lrange(f"sigmax.research{name}", 0, -1)
        assert run.run_id in base64.b64decode(json.loads(second)["body"]).decode()


@pytest.mark.parametrize(("waiting", "place"), [(MANY_WAIT, -1), (MANY_WAIT - 1, 0)])
def test_what_a_run_waits_for_last_is_served_first_while_many_tasks_wait(
    client: redis.Redis, waiting: int, place: int
) -> None:
    """The last of the list is served next."""
    store, run = first_batch_sent(client)
    client.lpush("sigmax.research:1", *["of another run"] * waiting)
    store.record_outcome(run, outcome("technical", TaskStatus.COMPLETED), join=opening(run))
    assert client.llen("sigmax.research:1") == waiting + 1
    served = client.lindex("sigmax.research:1", place)
    assert run.run_id in base64.b64decode(json.loads(served or "")["body"]).decode()


def test_a_batch_that_is_not_the_last_waits_its_turn(client: redis.Redis) -> None:
    store, run = RunStore(client, runtime()), open_run()
    more = (*run.plan.tasks, task("patterns", "momentum"))
    order = (*run.plan.execution_order, ("patterns",))
    run = replace(run, plan=run.plan.model_copy(update={"tasks": more, "execution_order": order}))
    store.create(run, "{}")
    send_lean_chord(store, run, 0, more[:1], claim=True)
    client.lpush("sigmax.research:1", *["of another run"] * MANY_WAIT)
    store.record_outcome(run, outcome("technical", TaskStatus.COMPLETED), join=opening(run))
    assert client.lindex("sigmax.research:1", -1) == "of another run"
    assert client.llen("sigmax.research:1") == MANY_WAIT + 1


def test_the_step_that_keeps_an_outcome_acknowledges_the_message_it_comes_from(
    client: redis.Redis,
) -> None:
    store, run = RunStore(client, runtime()), open_run()
    store.create(run, "{}")
    settled: list[str] = []
    for tag in ("one", "two"):
        client.zadd("unacked_index", {tag: 1})
        client.hset("unacked", tag, "text")
        held = Held("unacked_index", "unacked", tag, lambda tag=tag: settled.append(tag))
        store.record_outcome(run, outcome("technical"), held=held)
    assert settled == ["one"], "the second came too late to keep anything: its worker does it"
    assert client.hkeys("unacked") == client.zrange("unacked_index", 0, -1) == ["two"]


def test_the_tasks_of_a_chord_carry_its_group_and_its_body() -> None:
    tasks = [task("technical", priority="CRITICAL"), task("momentum", priority="LOW")]
    letters = lean_chord("r1", 2, tasks, last=False)
    assert [each.key for each in letters] == ["sigmax.research", "sigmax.research:3"]
    contents = [json.loads(each.text) for each in letters]
    assert len({content["headers"]["group"] for content in contents}) == 1
    assert [content["headers"]["group_index"] for content in contents] == [0, 1]
    assert len({content["properties"]["delivery_tag"] for content in contents}) == 2
    for each, content in zip(tasks, contents, strict=True):
        args, kwargs, embed = json.loads(base64.b64decode(content["body"]))
        assert (content["headers"]["task"], args) == (RUN_RESEARCH, ["r1", each.task_id])
        assert kwargs == {}
        assert Call.of_signature(embed["chord"]) == Call(
            CLOSE_BATCH, ["r1", 3], CONTROL_QUEUE, 0, {PROTOCOL_HEADER: PROTOCOL_VERSION}
        )
    last = json.loads(lean_chord("r1", 2, tasks, last=True)[0].text)
    assert json.loads(base64.b64decode(last["body"]))[2]["chord"]["task"] == FINALIZE_RUN


def test_messages_are_small() -> None:
    letters = lean_chord("20250314-120000-00000001", 0, [task("technical")], last=False)
    assert len(letters[0].text) < 1300


def test_priority_zero_is_the_queue_itself() -> None:
    assert queue_key("q", 0) == "q"
    assert queue_key("q", 3) == "q:3"


def test_the_backend_leaves_marked_tasks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    stock = Backend.__mro__[1]
    for name in ("mark_as_done", "on_chord_part_return"):
        monkeypatch.setattr(stock, name, lambda *_, name=name, **__: asked.append(name))
    backend = object.__new__(Backend)
    for request in ({JOINED_HEADER: 1}, {}):
        backend.mark_as_done("id", "result", request)
        backend.on_chord_part_return(request, "FAILURE", ValueError("x"))
    assert asked == ["mark_as_done", "on_chord_part_return"], "only for the other request"


@pytest.mark.parametrize(
    "refusal",
    [
        redis.OutOfMemoryError("command not allowed when used memory > 'maxmemory'"),
        redis.ConnectionError("Connection refused"),
        OperationalError("the body could not be sent"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_redis_does_not_take_of_a_task_ends_no_task(
    refusal: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Celery would not acknowledge its message, and the place it takes would be lost for good."""
    asked: list[str] = []

    def refuse(name: str) -> Callable[..., None]:
        def refused(*_: object, **__: object) -> None:
            asked.append(name)
            raise refusal

        return refused

    steps = ["store_result", "on_chord_part_return", "_call_task_errbacks"]
    for name in steps:
        monkeypatch.setattr(RedisBackend, name, refuse(name))
    app = Celery("test", broker="memory://", backend="cache+memory://")
    backend = Backend(app=app, url="redis://127.0.0.1:1/0")
    request = Context(id="task", chord={"task": "y"}, errbacks=[{"task": "z"}])
    backend.mark_as_done("task", "result", request)
    assert asked == steps[:2]
    asked.clear()
    backend.mark_as_failure("task", ValueError("x"), request=request)
    assert asked == steps
    for lost in ("a result is not kept", "a part of a chord", "the failure of a task"):
        assert lost in caplog.text
    app.close()
