"""What the step that ends a batch leaves to the worker that sent it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import fakeredis
import pytest
import redis

from sigmax_planner.canvas import CLOSE_BATCH, FINALIZE_RUN
from sigmax_planner.models import ResearchPlan
from sigmax_tasks import follow_up
from sigmax_tasks.follow_up import ALL_LISTS, CONTROL_LISTS, FollowUp, told_to_monitors
from sigmax_tasks.lean_chords import batch_started, body_of_chord, send_lean_chord
from sigmax_tasks.models.events import EventKind
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.run_state import Join, OpenRun
from sigmax_tasks.store import RunStore
from sigmax_tasks.wire import letter

from .builders import START, open_run, outcome, runtime, task

SECOND = ("short", "long", "other")


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    client = fakeredis.FakeRedis(decode_responses=True)
    yield client
    client.close()


def three_behind_one() -> OpenRun:
    seconds = {"short": 5.0, "long": 20.0, "other": 10.0}
    tasks = [
        task(name, "technical").model_copy(update={"estimated_seconds": seconds[name]})
        for name in SECOND
    ]
    plan = ResearchPlan(
        symbol="BTC/USDT",
        risk_profile="balanced",
        tasks=(task("technical"), *tasks),
        execution_order=(("technical",), SECOND),
        width=3,
        created_at=START,
    )
    return replace(open_run(), plan=plan)


def under_way(client: redis.Redis, run: OpenRun) -> RunStore:
    """The first batch is sent, and its message taken by a worker."""
    store = RunStore(client, runtime())
    store.create(run, "{}")
    send_lean_chord(store, run, 0, run.plan.tasks[:1], claim=True)
    client.delete(*ALL_LISTS)
    return store


def offered(
    run: OpenRun, step: int, *, may_go_on: bool = True, owner: str = "me"
) -> tuple[FollowUp, Join]:
    batches = run.plan.execution_order
    following = FollowUp(run, step, "host:1", owner, lambda: may_go_on)
    ends_run = step == len(batches)
    body = body_of_chord(run.run_id, step - 1, last=ends_run)
    opens = None
    if not ends_run:
        opens = batch_started(run, step, [run.plan.task(name) for name in batches[step]])
    offer = following.offer()
    return following, Join(
        batches[step - 1], step, letter(body), ends_run, opens=opens, offer=offer
    )


def waiting(client: redis.Redis) -> list[str]:
    """The arguments' last part, or the name, of each message that waits."""
    found = []
    for name in ALL_LISTS:
        for text in client.lrange(name, 0, -1):
            message = json.loads(text)
            args = json.loads(base64.b64decode(message["body"]))[0]
            found.append(args[1] if name not in CONTROL_LISTS else message["headers"]["task"])
    return found


def test_the_longest_task_of_the_next_batch_is_begun_without_a_message(client: redis.Redis) -> None:
    run = three_behind_one()
    store = under_way(client, run)
    following, join = offered(run, 1)
    assert store.record_outcome(run, outcome("technical", TaskStatus.COMPLETED), join=join)
    assert following.accepted
    assert following.task is not None
    assert following.task.task_id == "long"
    assert sorted(waiting(client)) == ["other", "short"]
    assert client.get(f"sigmax:lease:{run.run_id}:long") == "me"
    state = store.state(run.run_id)
    assert state is not None
    assert (state.step, state.sent, dict(state.tries)) == (1, 1, {"long": 1})
    assert state.started["long"] == state.step_at
    last = store.read_events({run.run_id: "0-0"}, 0.01)[-2:]
    assert [event.kind for event in last] == [EventKind.BATCH_STARTED, EventKind.TASK_STARTED]
    assert (last[1].task_id, last[1].worker, last[1].attempt) == ("long", "host:1", 1)
    assert last[0].at == last[1].at > START, "the moment at which it began, not that of the offer"


@pytest.mark.parametrize("busy", ALL_LISTS)
def test_while_anything_waits_all_are_sent(client: redis.Redis, busy: str) -> None:
    run = three_behind_one()
    store = under_way(client, run)
    client.lpush(busy, '{"body": "WzAsMF0=", "headers": {"task": "of somebody else"}}')
    following, join = offered(run, 1)
    assert store.record_outcome(run, outcome("technical", TaskStatus.COMPLETED), join=join)
    assert not following.accepted
    client.lrem(busy, 1, '{"body": "WzAsMF0=", "headers": {"task": "of somebody else"}}')
    assert sorted(waiting(client)) == ["long", "other", "short"]
    assert not client.exists(f"sigmax:lease:{run.run_id}:long")


def test_a_worker_that_takes_nothing_more_sends_all(client: redis.Redis) -> None:
    run = three_behind_one()
    store = under_way(client, run)
    following, join = offered(run, 1, may_go_on=False)
    store.record_outcome(run, outcome("technical", TaskStatus.COMPLETED), join=join)
    assert not following.accepted
    assert len(waiting(client)) == 3


def test_behind_a_task_that_did_not_complete_nothing_is_begun(client: redis.Redis) -> None:
    run = three_behind_one()
    store = under_way(client, run)
    following, join = offered(run, 1)
    store.record_outcome(run, outcome("technical", TaskStatus.FAILED), join=join)
    assert not following.accepted
    assert waiting(client) == [CLOSE_BATCH]


def test_what_is_accepted_is_left_to_one_caller(client: redis.Redis) -> None:
    run = three_behind_one()
    store = under_way(client, run)
    accepted = []
    for owner in ("me", "another", "a third"):
        following, join = offered(run, 1, owner=owner)
        client.delete(*ALL_LISTS)
        store.record_outcome(run, outcome("technical", TaskStatus.COMPLETED), join=join)
        accepted.append(following.accepted)
    assert accepted == [True, False, False]
    assert waiting(client) == []


def test_who_did_not_get_the_answer_and_asks_again_has_it_still(client: redis.Redis) -> None:
    run = three_behind_one()
    store = under_way(client, run)
    for first in (True, False):
        following, join = offered(run, 1)
        kept = store.record_outcome(run, outcome("technical", TaskStatus.COMPLETED), join=join)
        assert kept is first
        assert following.accepted
    state = store.state(run.run_id)
    assert state is not None
    assert dict(state.tries) == {"long": 1}
    assert sorted(waiting(client)) == ["other", "short"]


@pytest.mark.parametrize("busy", [False, True])
def test_the_end_of_a_run_is_left_to_who_ends_its_last_batch(
    client: redis.Redis, busy: bool
) -> None:
    run = three_behind_one()
    store = under_way(client, run)
    store.claim_step(run.run_id, 1)
    if busy:
        client.lpush(CONTROL_LISTS[0], "{}")
    for name in SECOND:
        following, join = offered(run, 2)
        store.record_outcome(run, outcome(name, TaskStatus.COMPLETED), join=join)
        assert following.accepted is (name == SECOND[-1] and not busy)
    assert following.task is None
    if busy:
        client.rpop(CONTROL_LISTS[0])
    assert waiting(client) == ([FINALIZE_RUN] if busy else [])
    assert store.read_events({run.run_id: "0-0"}, 0.01)[-1].kind is EventKind.RUN_FINALIZING


class Dispatcher:
    def __init__(self, *, enabled: bool = True) -> None:
        self.enabled = enabled
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def send(self, kind: str, **fields: Any) -> None:
        self.sent.append((kind, fields))


@pytest.mark.parametrize("fails", [False, True])
def test_monitors_of_celery_hear_of_it_as_of_a_message(
    monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    dispatcher = Dispatcher()
    monkeypatch.setattr(follow_up, "_consumer", SimpleNamespace(event_dispatcher=dispatcher))
    with suppress(ZeroDivisionError), told_to_monitors("r1", "technical"):
        _ = 1 / (not fails)
    kinds = [kind for kind, _ in dispatcher.sent]
    assert kinds == ["task-received", "task-started", "task-failed" if fails else "task-succeeded"]
    assert len({fields["uuid"] for _, fields in dispatcher.sent}) == 1
    assert dispatcher.sent[0][1]["name"] == "sigmax.run_research"


def test_without_task_events_monitors_hear_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    dispatcher = Dispatcher(enabled=False)
    monkeypatch.setattr(follow_up, "_consumer", SimpleNamespace(event_dispatcher=dispatcher))
    with told_to_monitors("r1", None):
        pass
    assert dispatcher.sent == []
