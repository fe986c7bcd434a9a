"""Told once by whoever's decision is kept; tried again, given up, and never more than so many."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from sigmax_tasks.clock import SystemClock, use_clock
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.notifications.alerts import AlertTeller
from sigmax_tasks.notifications.courier import Courier, wait_until_sent
from sigmax_tasks.notifications.messages import Mail
from sigmax_tasks.notifications.notices import run_notices
from sigmax_tasks.outbox import OUTBOX_KEY, Outbox, packed
from sigmax_tasks.settings.notifications import NotificationSettings
from sigmax_tasks.store import RunStore
from sigmax_tasks.tally import TALLY_KEY
from tests.unit.engine.builders import START, open_run, runtime
from tests.unit.report.builders import make_record

from .builders import settings

NOW = datetime(2025, 3, 14, 12, tzinfo=UTC)


class Ticking(SystemClock):
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


class Post:
    """In place of apprise: ``answers`` are problems, "" where it was taken."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.got: list[tuple[str, Mail]] = []

    def __call__(self, url: str, mail: Mail) -> str:
        self.got.append((url, mail))
        return self.answers.pop(0) if self.answers else ""


def commit(store: RunStore, told: NotificationSettings, times: int = 1) -> str:
    run = open_run()
    store.create(run, "{}")
    record = make_record(run_id=run.run_id, action="BUY")
    event = ProgressEvent(run_id=run.run_id, kind=EventKind.RUN_FINISHED, at=START)
    for _ in range(times):
        store.commit(run, record, event, None, run_notices(told, record))
    return run.run_id


def courier(
    client: redis.Redis, told: NotificationSettings, post: Post, environ: Any = None
) -> Courier:
    store = RunStore(client, runtime())
    known = {name.upper(): f"json://{name}" for name in told.receivers}
    outbox = Outbox(client, told.outbox_length)
    return Courier(outbox, store.record, told, known if environ is None else environ, post)


def results(client: redis.Redis) -> dict[str, int]:
    names = ("sent", "failed", "dropped")
    values = client.hmget(TALLY_KEY, [f"notices|{name}" for name in names])
    return {name: int(value or 0) for name, value in zip(names, values, strict=True)}


def test_a_decision_is_told_once_however_often_it_is_committed(client: redis.Redis) -> None:
    told, post = settings(desk={}, other={}), Post()
    commit(RunStore(client, runtime()), told, times=3)
    assert client.zcard(OUTBOX_KEY) == 2
    sender = courier(client, told, post)
    while sender.step():
        pass
    assert sorted(url for url, _ in post.got) == ["json://desk", "json://other"]
    assert {mail.title.partition(" ")[0] for _, mail in post.got} == {"BUY"}
    assert results(client) == {"sent": 2, "failed": 0, "dropped": 0}
    assert not client.exists(OUTBOX_KEY, f"{OUTBOX_KEY}:tries")


def test_a_commit_that_comes_late_tells_nothing(client: redis.Redis) -> None:
    store, told = RunStore(client, runtime()), settings(desk={})
    run_id = commit(store, told)
    assert courier(client, told, Post()).step()
    run = store.load(run_id)
    event = ProgressEvent(run_id=run_id, kind=EventKind.RUN_FINISHED, at=START)
    record = make_record(run_id=run_id, action="BUY")
    assert not store.commit(run, record, event, None, run_notices(told, record))
    assert not client.exists(OUTBOX_KEY)


def test_it_is_tried_again_later_and_then_given_up(client: redis.Redis) -> None:
    told, post = settings(desk={}), Post("refused", "refused")
    ticking = Ticking()
    with use_clock(ticking):
        commit(RunStore(client, runtime()), told)
        sender = courier(client, told, post)
        assert sender.step()
        assert not sender.step(), "not yet"
        ticking.at += timedelta(seconds=1.5)
        assert sender.step()
        ticking.at += timedelta(hours=1)
        assert not sender.step()
    assert len(post.got) == 2
    assert results(client) == {"sent": 0, "failed": 1, "dropped": 0}


def test_one_bad_receiver_does_not_double_the_others(client: redis.Redis) -> None:
    told, post = settings(bad={}, good={}), Post()
    ticking = Ticking()

    def send(url: str, mail: Mail) -> str:
        post(url, mail)
        return "refused" if "bad" in url else ""

    with use_clock(ticking):
        commit(RunStore(client, runtime()), told)
        sender = courier(client, told, send)  # type: ignore[arg-type]
        for _ in range(10):
            sender.step()
            ticking.at += timedelta(seconds=2)
    assert sorted(url for url, _ in post.got) == ["json://bad", "json://bad", "json://good"]


def test_what_a_dead_sender_held_comes_back_but_not_for_ever(client: redis.Redis) -> None:
    told = settings(desk={})
    outbox, ticking = Outbox(client, told.outbox_length), Ticking()
    with use_clock(ticking):
        commit(RunStore(client, runtime()), told)
        for _ in range(told.max_attempts):
            assert outbox.claim(ticking.at.timestamp(), 5, ["desk"]) is not None
            assert outbox.claim(ticking.at.timestamp(), 5, ["desk"]) is None, "it is held"
            ticking.at += timedelta(seconds=6)
        post = Post()
        assert courier(client, told, post).step()
    assert post.got == []
    assert results(client) == {"sent": 0, "failed": 1, "dropped": 0}


def test_a_receiver_is_served_while_another_hangs(client: redis.Redis) -> None:
    told, post = settings(hanging={}, good={}), Post()
    commit(RunStore(client, runtime()), told)
    hanging, freed = threading.Event(), threading.Event()

    def send(url: str, mail: Mail) -> str:
        if "hanging" in url:
            hanging.set()
            freed.wait(10)
        return post(url, mail)

    sender = courier(client, told, send)  # type: ignore[arg-type]
    stuck = threading.Thread(target=sender.step, args=("hanging",))
    stuck.start()
    try:
        assert hanging.wait(10)
        assert sender.step("good")
        assert [url for url, _ in post.got] == ["json://good"]
    finally:
        freed.set()
        stuck.join(10)
    assert results(client)["sent"] == 2


def test_a_process_without_the_address_leaves_it_to_one_that_has_it(client: redis.Redis) -> None:
    told, post = settings(desk={}, other={}), Post()
    commit(RunStore(client, runtime()), told)
    sender = courier(client, told, post, {"OTHER": "json://other"})
    assert sender.usable == ("other",)
    while sender.step():
        pass
    assert [url for url, _ in post.got] == ["json://other"]
    assert client.zcard(OUTBOX_KEY) == 1


def test_more_than_fit_are_dropped_and_counted_and_so_is_what_nobody_sends(
    client: redis.Redis,
) -> None:
    store = RunStore(
        client,
        runtime().model_copy(
            update={"notifications": settings(desk={}).model_copy(update={"outbox_length": 3})}
        ),
    )
    run = open_run()
    store.create(run, "{}")
    event = ProgressEvent(run_id=run.run_id, kind=EventKind.RUN_FINISHED, at=START)
    notices = packed([{"kind": "decision", "run": f"r{n}", "to": "desk"} for n in range(5)])
    ticking = Ticking()
    with use_clock(ticking):
        store.commit(run, make_record(run_id=run.run_id), event, None, notices)
        kept = [json.loads(text)["run"] for text in client.zrange(OUTBOX_KEY, 0, -1)]
        assert kept == ["r2", "r3", "r4"]
        assert results(client)["dropped"] == 2
        ticking.at += timedelta(days=2)
        assert not courier(client, settings(desk={}), Post()).step()
    assert results(client)["dropped"] == 5


def test_a_run_that_is_not_kept_any_more_is_given_up(client: redis.Redis) -> None:
    told, post = settings(desk={}), Post()
    run_id = commit(RunStore(client, runtime()), told)
    client.delete(f"sigmax:run:{run_id}")
    assert courier(client, told, post).step()
    assert post.got == []
    assert results(client)["failed"] == 1


def test_an_alert_is_told_once_over_all_who_watch_and_when_it_is_over(client: redis.Redis) -> None:
    told, post = settings(desk={}), Post()
    one, other = AlertTeller(told, client), AlertTeller(told, client)
    for watcher in (one, other):
        watcher.tell("SigmaxNoWorkers", "No worker is alive", firing=True)
    assert other.known() == {"SigmaxNoWorkers"}
    for watcher in (one, other):
        watcher.tell("SigmaxNoWorkers", "It is over", firing=False)
    assert other.known() == frozenset()
    sender = courier(client, told, post)
    while sender.step():
        pass
    assert sorted(mail.title for _, mail in post.got) == [
        "SIGMAX: SigmaxNoWorkers firing",
        "SIGMAX: SigmaxNoWorkers over",
    ]


def test_without_redis_an_alert_is_sent_by_who_sees_it(
    client: redis.Redis, make_listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = make_listener()
    monkeypatch.setenv("DESK", listener.address)
    teller = AlertTeller(settings(desk={}).model_copy(update={"timeout_seconds": 20}), client)

    def away(*_: object, **__: object) -> bool:
        raise redis.ConnectionError("away")

    posting = teller._outbox.post_alert
    monkeypatch.setattr(teller._outbox, "post_alert", away)
    teller.tell("SigmaxRedisDown", "Redis does not answer", firing=True)
    monkeypatch.setattr(teller._outbox, "post_alert", posting)
    teller.tell("SigmaxRedisDown", "Redis is back", firing=False)
    assert [got["message"] for got in listener.got] == ["Redis does not answer", "Redis is back"]


def test_waiting_for_the_outbox_is_bounded(client: redis.Redis) -> None:
    told = settings(desk={})
    outbox = Outbox(client, 10)
    assert wait_until_sent(outbox, 0) == 0
    commit(RunStore(client, runtime()), told)
    assert wait_until_sent(outbox, 0) == 1
