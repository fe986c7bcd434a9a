"""Sending a chord and joining it in the steps of the run store."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import fakeredis
import pytest
import redis
from celery import Celery
from celery.backends.redis import RedisBackend
from hypothesis import given
from hypothesis import strategies as st

from sigmax_planner.canvas import (
    CLOSE_BATCH,
    CONTROL_QUEUE,
    FINALIZE_RUN,
    PROTOCOL_HEADER,
    PROTOCOL_VERSION,
    RUN_RESEARCH,
)
from sigmax_tasks.lean_chords import control_call, lean_chord
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.result_backend import Backend
from sigmax_tasks.run_state import Join
from sigmax_tasks.store import RunStore
from sigmax_tasks.wire import JOINED_HEADER, Call, letter, queue_key

from .builders import START, open_run, outcome, runtime, task

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


def test_a_result_that_redis_has_no_room_for_ends_no_task(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Celery would not acknowledge its message, and the place it takes would be lost for good."""

    def full(*_: object, **__: object) -> None:
        raise redis.OutOfMemoryError("command not allowed when used memory > 'maxmemory'")

    monkeypatch.setattr(RedisBackend, "_set", full)
    app = Celery("test", broker="memory://", backend="cache+memory://")
    backend = Backend(app=app, url="redis://127.0.0.1:1/0")
    backend._set("celery-task-meta-x", "{}", 60)
    assert "a result is not kept" in caplog.text
