"""First write wins, and nothing of a run is without a time to live."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import Mock

import fakeredis
import pytest
import redis

from sigmax_tasks import clock
from sigmax_tasks.cluster_link import connect, reachable
from sigmax_tasks.errors import (
    ClusterUnreachableError,
    NewerRunError,
    RunNotFoundError,
)
from sigmax_tasks.lean_chords import first_batch
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.store import RunStore

from .builders import START, begun, open_run, outcome, runtime


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    client = fakeredis.FakeRedis(decode_responses=True)
    yield client
    client.close()


@pytest.fixture
def store(client: redis.Redis) -> RunStore:
    return RunStore(client, runtime())


def test_a_run_comes_back_as_it_was_written(store: RunStore) -> None:
    run = open_run()
    store.create(run, '{"a":1}')
    assert store.load(run.run_id) == run
    assert store.settings_snapshot(run.settings_hash) == '{"a":1}'
    assert store.is_open(run.run_id)
    assert [run_id for run_id, _ in store.live_runs()] == [run.run_id]


def test_an_unknown_run_is_an_error_that_names_it(store: RunStore) -> None:
    with pytest.raises(RunNotFoundError, match="20250314-120000-00000009"):
        store.load("20250314-120000-00000009")
    assert store.state("20250314-120000-00000009") is None


def test_the_first_outcome_of_a_task_is_kept(store: RunStore) -> None:
    run = open_run()
    store.create(run, "{}")
    assert store.record_outcome(run, outcome("technical", reason="first"))
    assert not store.record_outcome(run, outcome("technical", reason="second"))
    assert store.outcomes(run.run_id)["technical"].reason == "first"


def test_an_outcome_of_a_run_that_is_gone_leaves_no_key(
    store: RunStore, client: redis.Redis
) -> None:
    assert not store.record_outcome(open_run(), outcome("technical"))
    assert client.keys("*") == []


def test_only_one_caller_moves_a_run_to_the_next_batch(store: RunStore) -> None:
    run = open_run()
    store.create(run, "{}")
    assert not store.claim_step(run.run_id, 1), "a batch cannot be passed over"
    assert store.claim_step(run.run_id, 0)
    assert not store.claim_step(run.run_id, 0)
    assert store.claim_step(run.run_id, 1)


def test_a_lease_belongs_to_one_owner_until_the_outcome(store: RunStore) -> None:
    run = open_run()
    store.create(run, "{}")
    assert store.start_task("a", begun(run, "technical")) == 1
    assert store.hold_lease(run.run_id, "technical", "a"), "its owner renews it"
    assert not store.hold_lease(run.run_id, "technical", "b")
    assert store.start_task("b", begun(run, "technical")) == 0
    assert store.leased(run.run_id, ["technical", "momentum"]) == {"technical"}
    store.record_outcome(run, outcome("technical"))
    assert store.leased(run.run_id, ["technical"]) == frozenset()


def test_a_cancelled_run_takes_no_step_and_is_closed_once(store: RunStore) -> None:
    run = open_run()
    store.create(run, "{}")
    assert store.cancel(run.run_id)
    assert not store.cancel(run.run_id)
    assert not store.claim_step(run.run_id, 0)
    assert store.live_runs() == ()
    kinds = [event.kind for event in store.read_events({run.run_id: "0-0"}, 0.01)]
    assert kinds == [EventKind.RUN_STARTED, EventKind.RUN_CANCELLED]


def test_events_are_read_from_where_the_reader_stands(store: RunStore) -> None:
    run = open_run()
    store.create(run, "{}")
    store.record_outcome(run, outcome("technical", TaskStatus.COMPLETED, ""))
    events = store.read_events({run.run_id: "0-0"}, 0.01)
    assert [event.kind for event in events] == [EventKind.RUN_STARTED, EventKind.TASK_FINISHED]
    assert events[1].status == "completed"
    assert events[1].seconds == 2.0
    assert store.read_events({run.run_id: events[-1].event_id}, 0.01) == []


def test_news_of_one_moment_are_read_together(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = open_run()
    store.create(run, "{}")

    def meanwhile(_seconds: float) -> None:
        store.start_task("a", begun(run, "technical"))

    monkeypatch.setattr(clock, "sleep", meanwhile)
    events = store.read_events({run.run_id: "0-0"}, 0.2)
    assert [event.kind for event in events] == [EventKind.RUN_STARTED, EventKind.TASK_STARTED]
    monkeypatch.undo()
    assert store.read_events({run.run_id: events[-1].event_id}, 0.01) == [], "each of them once"


def test_nobody_waits_longer_for_the_end_of_a_run(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = open_run()
    store.create(run, "{}")
    store.cancel(run.run_id)
    waits: list[float] = []
    monkeypatch.setattr(clock, "sleep", waits.append)
    events = store.read_events({run.run_id: "0-0"}, 0.2)
    assert events[-1].kind is EventKind.RUN_CANCELLED
    assert waits == []


def test_an_event_of_a_run_that_is_gone_makes_no_stream(
    store: RunStore, client: redis.Redis
) -> None:
    store.add_event(ProgressEvent(run_id="gone-run-1", kind=EventKind.TASK_STARTED, at=START))
    assert client.keys("*") == []


def test_every_key_of_a_run_has_a_time_to_live(store: RunStore, client: redis.Redis) -> None:
    run = open_run()
    store.create(run, "{}")
    store.claim_step(run.run_id, 0)
    store.start_task("a", begun(run, "technical"))
    store.record_outcome(run, outcome("technical"))
    store.hold_lease(run.run_id, "momentum", "a")
    keys = [key for key in client.keys("sigmax:*") if key != "sigmax:live"]
    assert len(keys) == 7
    assert all(client.ttl(key) > 0 for key in keys), {key: client.ttl(key) for key in keys}


def test_workers_are_known_while_they_are_heard_of(store: RunStore) -> None:
    store.greet("host:1", 30)
    store.greet("host:2", -1)
    assert store.workers() == ("host:1",)
    assert store.take_watch("host:1", 5)
    assert not store.take_watch("host:2", 5)


def test_a_dead_broker_is_one_clear_error_without_its_password() -> None:
    url = "redis://:secret@127.0.0.1:1/0"
    client = connect(url, connect_timeout_seconds=0.5)
    with pytest.raises(ClusterUnreachableError) as caught, reachable(url):
        client.ping()
    assert "secret" not in str(caught.value)
    assert "127.0.0.1:1" in str(caught.value)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (redis.exceptions.OutOfMemoryError("command not allowed"), "its memory is full"),
        (redis.exceptions.ReadOnlyError("You can't write"), "it is a replica"),
        (redis.ResponseError("MISCONF Errors writing to the AOF file"), "write to its disk"),
        (redis.ResponseError("Command # 1 of pipeline caused error: MISCONF x"), "to its disk"),
    ],
)
def test_a_redis_that_takes_no_writes_is_one_clear_error(
    error: redis.ResponseError, said: str
) -> None:
    with (
        pytest.raises(ClusterUnreachableError, match=said) as caught,
        reachable("redis://:secret@127.0.0.1:1/0"),
    ):
        raise error
    assert "secret" not in str(caught.value)


def test_another_answer_of_redis_stays_what_it_is() -> None:
    with (
        pytest.raises(redis.ResponseError, match="wrong kind"),
        reachable("redis://127.0.0.1:1/0"),
    ):
        raise redis.ResponseError("WRONGTYPE wrong kind of value")


def test_a_task_with_an_outcome_cannot_be_taken_again(store: RunStore) -> None:
    run = open_run()
    store.create(run, "{}")
    assert store.start_task("a", begun(run, "technical")) == 1
    store.record_outcome(run, outcome("technical"))
    assert store.start_task("b", begun(run, "technical")) == 0
    assert not store.hold_lease(run.run_id, "technical", "a")
    assert not store.hold_lease(run.run_id, "technical", "b")


def test_a_task_is_taken_by_one_worker_and_its_start_is_told_once(store: RunStore) -> None:
    run = open_run()
    store.create(run, "{}")
    assert store.start_task("a", begun(run, "technical"))
    assert not store.start_task("b", begun(run, "technical")), "another holds it"
    state, outcomes = store.standing(run.run_id)
    assert state is not None
    assert state.started == {"technical": START.timestamp()}
    assert outcomes == {}
    kinds = [event.kind for event in store.read_events({run.run_id: "0-0"}, 0.01)]
    assert kinds == [EventKind.RUN_STARTED, EventKind.TASK_STARTED]
    store.record_outcome(run, outcome("technical"))
    assert not store.start_task("a", begun(run, "technical")), "it is done"


def test_no_task_of_a_closed_run_is_taken(store: RunStore) -> None:
    run = open_run()
    assert not store.start_task("a", begun(run, "technical")), "it does not exist"
    store.create(run, "{}")
    store.cancel(run.run_id)
    assert not store.start_task("a", begun(run, "technical"))
    assert store.leased(run.run_id, ["technical"]) == frozenset()


def test_statuses_are_those_of_the_outcomes(store: RunStore) -> None:
    run = open_run()
    store.create(run, "{}")
    store.record_outcome(run, outcome("technical", TaskStatus.COMPLETED, ""))
    store.record_outcome(run, outcome("momentum"))
    assert store.statuses(run.run_id) == {
        "technical": TaskStatus.COMPLETED,
        "momentum": TaskStatus.FAILED,
    }
    assert store.standing(run.run_id)[1] == store.outcomes(run.run_id)


def test_a_task_is_begun_three_times_at_most(store: RunStore, client: redis.Redis) -> None:
    run = open_run()
    store.create(run, "{}")
    for number in (1, 2, 3):
        assert store.start_task(f"owner-{number}", begun(run, "technical")) == number
        client.delete(f"sigmax:lease:{run.run_id}:technical")  # as when it runs out
    assert store.start_task("owner-4", begun(run, "technical")) == -1
    assert store.leased(run.run_id, ["technical"]) == frozenset()


def test_a_task_of_a_run_that_is_gone_is_not_begun(store: RunStore, client: redis.Redis) -> None:
    assert store.start_task("a", begun(open_run("gone-run-1"), "technical")) == 0
    assert client.keys("*") == []


def test_a_task_that_is_set_aside_is_a_dead_letter_once(
    store: RunStore, client: redis.Redis
) -> None:
    run = open_run()
    store.create(run, "{}")
    killed = outcome("technical", reason="set aside: its worker died 3 times")
    assert store.set_aside(run, killed)
    assert not store.set_aside(run, killed)
    assert store.count_dead() == 1
    (letter,) = store.dead_letters(10)
    assert (letter.run_id, letter.task_id) == (run.run_id, "technical")
    assert "died 3 times" in letter.reason
    assert client.ttl("sigmax:dead") > 0


def test_a_run_of_a_newer_version_is_left_alone(store: RunStore, client: redis.Redis) -> None:
    run = open_run()
    store.create(run, "{}")
    client.hset(f"sigmax:run:{run.run_id}", "protocol", "99")
    with pytest.raises(NewerRunError, match="protocol 99"):
        store.load(run.run_id)
    client.hdel(f"sigmax:run:{run.run_id}", "protocol")
    assert store.load(run.run_id).run_id == run.run_id, "as the version before wrote it"


def test_a_run_that_is_written_twice_stays_as_it_is(store: RunStore, client: redis.Redis) -> None:
    """As by a client whose connection failed before it had its answer."""
    run = open_run()
    first = first_batch(run, run.plan.tasks[:1])
    assert store.create(run, "{}", first)
    assert store.start_task("a", begun(run, "technical")) == 1
    assert store.create(run, "{}", first)
    state = store.state(run.run_id)
    assert state is not None
    assert (state.step, list(state.started)) == (0, ["technical"])
    assert client.llen("sigmax.research:0") + client.llen("sigmax.research") == 1
    kinds = [event.kind for event in store.read_events({run.run_id: "0-0"}, 0.01)]
    assert kinds == [EventKind.RUN_STARTED, EventKind.BATCH_STARTED, EventKind.TASK_STARTED]


def test_who_may_not_send_a_batch_has_written_the_run(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = open_run()
    error = redis.exceptions.NoPermissionError("No permissions to access a key")
    monkeypatch.setattr(store, "_send_script", Mock(side_effect=error))
    assert not store.create(run, "{}", first_batch(run, run.plan.tasks[:1]))
    assert store.load(run.run_id) == run
    monkeypatch.setattr(store, "_send_script", Mock(side_effect=redis.ResponseError("MISCONF")))
    with pytest.raises(redis.ResponseError):
        store.create(open_run("20250314-120000-00000002"), "{}", first_batch(run, ()))


def test_deadlines_are_those_of_the_runs(store: RunStore, client: redis.Redis) -> None:
    run = open_run()
    store.create(run, "{}")
    assert store.deadlines([run.run_id]) == {run.run_id: run.deadline_at}
    with pytest.raises(RunNotFoundError, match="20250314-120000-00000009"):
        store.deadlines([run.run_id, "20250314-120000-00000009"])
    client.hset(f"sigmax:run:{run.run_id}", "protocol", 99)
    with pytest.raises(NewerRunError):
        store.deadlines([run.run_id])


def test_settings_are_sent_once_and_again_where_redis_has_lost_them(
    store: RunStore, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    script = store._create_script

    def told(keys, args):
        sent.append(args[2])
        return script(keys=keys, args=args)

    monkeypatch.setattr(store, "_create_script", told)
    runs = [open_run(f"20250314-120000-0000000{number}") for number in range(3)]
    store.create(runs[0], "{}")
    client.expire(f"sigmax:settings:{runs[0].settings_hash}", 60)
    store.create(runs[1], "{}", first_batch(runs[1], runs[1].plan.tasks[:1]))
    assert client.ttl(f"sigmax:settings:{runs[0].settings_hash}") > 60
    assert sent == ["{}", ""]
    client.delete(f"sigmax:settings:{runs[0].settings_hash}")
    assert store.create(runs[2], "{}", first_batch(runs[2], runs[2].plan.tasks[:1]))
    assert sent == ["{}", "", "", "{}"]
    assert store.settings_snapshot(runs[0].settings_hash) == "{}"
    assert [store.state(run.run_id).step for run in runs] == [-1, 0, 0]
    kinds = [event.kind for event in store.read_events({runs[2].run_id: "0-0"}, 0.01)]
    assert kinds == [EventKind.RUN_STARTED, EventKind.BATCH_STARTED]
