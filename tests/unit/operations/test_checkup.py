"""Each check of the doctor sees its trouble, and says what to do."""

from __future__ import annotations

from pathlib import Path

import fakeredis
import pytest

from sigmax_tasks.checkup.broker import BrokerFacts, broker_findings
from sigmax_tasks.checkup.finding import Finding, worst
from sigmax_tasks.checkup.place import data_findings, secret_findings
from sigmax_tasks.checkup.queues import queue_findings
from sigmax_tasks.checkup.workers import worker_findings
from sigmax_tasks.models.worker import WorkerFacts
from sigmax_tasks.settings import load_settings
from sigmax_tasks.store import RunStore

GOOD = {
    "redis_version": "7.4.1",
    "aof_enabled": 1,
    "maxmemory_policy": "noeviction",
    "used_memory": 1_000_000,
    "maxmemory": 0,
    "connected_clients": 12,
    "maxclients": 10_000,
    "pubsub_channels": 3,
}
HERE = WorkerFacts(
    name="here", package="0.1.0", celery="5.7.0", python="3.13.1", pool="", concurrency=0
)
NOW = 1_750_000_000.0


def worker(name: str, **changes: object) -> WorkerFacts:
    facts = {**HERE.model_dump(), "name": name, "pool": "threads", "concurrency": 16}
    return WorkerFacts.model_validate({**facts, "clock_ahead_seconds": 0.01, **changes})


def named(findings: list[Finding], name: str) -> Finding:
    (found,) = [finding for finding in findings if finding.name == name]
    assert (found.state == "ok") == (found.advice == ""), "advice where there is something to do"
    return found


@pytest.mark.parametrize(
    ("changes", "name", "state"),
    [
        ({}, "version", "ok"),
        ({"redis_version": "6.0.16"}, "version", "problem"),
        ({"aof_enabled": 0}, "persistence", "warning"),
        ({"aof_last_write_status": "err"}, "persistence", "problem"),
        ({"maxmemory_policy": "allkeys-lru"}, "eviction", "problem"),
        ({"maxmemory": 1_100_000}, "memory", "warning"),
        ({"maxmemory": 1_010_000}, "memory", "problem"),
        ({"connected_clients": 9_900}, "clients", "problem"),
        ({"pubsub_channels": 101}, "subscriptions", "warning"),
        ({"pubsub_channels": 100}, "subscriptions", "ok"),
    ],
)
def test_what_redis_says_of_itself(changes: dict[str, object], name: str, state: str) -> None:
    facts = BrokerFacts({**GOOD, **changes}, ping_ms=0.4, ahead_seconds=0.0)
    findings = broker_findings(facts, "unix:///run/redis.sock", workers=2)
    assert named(findings, name).state == state
    assert worst(findings) == state, "and nothing else is wrong"


@pytest.mark.parametrize(
    ("ping_ms", "ahead", "name", "state"),
    [
        (51.0, 0.0, "latency", "warning"),
        (501.0, 0.0, "latency", "problem"),
        (1.0, -2.0, "clock here", "warning"),
        (1.0, 6.0, "clock here", "problem"),
    ],
)
def test_latency_and_clock(ping_ms: float, ahead: float, name: str, state: str) -> None:
    facts = BrokerFacts(GOOD, ping_ms=ping_ms, ahead_seconds=ahead)
    assert named(broker_findings(facts, "unix:///x", 1), name).state == state


def test_no_worker_stops_all_work() -> None:
    (found,) = worker_findings([], {}, frozenset(), HERE)
    assert (found.state, found.stops_work) == ("problem", True)


@pytest.mark.parametrize(
    ("second", "answered", "name", "state"),
    [
        ({}, {"a@x", "b@x"}, "ping", "ok"),
        ({}, {"a@x"}, "ping", "warning"),
        ({}, None, "ping", "ok"),
        ({"package": "0.0.9"}, {"a@x", "b@x"}, "sigmax-tasks", "problem"),
        ({"celery": "5.6.0"}, {"a@x", "b@x"}, "Celery", "warning"),
        ({"python": "3.13.9"}, {"a@x", "b@x"}, "Python", "ok"),
        ({"python": "3.11.9"}, {"a@x", "b@x"}, "Python", "warning"),
        ({"pool": "gevent"}, {"a@x", "b@x"}, "pool", "warning"),
        ({"clock_ahead_seconds": 1.5}, {"a@x", "b@x"}, "clock of b@x", "warning"),
        ({"clock_ahead_seconds": -9.0}, {"a@x", "b@x"}, "clock of b@x", "problem"),
    ],
)
def test_workers_are_compared(
    second: dict[str, object], answered: set[str] | None, name: str, state: str
) -> None:
    facts = {"x:1": worker("a@x"), "x:2": worker("b@x", **second)}
    heard = None if answered is None else frozenset(answered)
    findings = worker_findings(["x:1", "x:2"], facts, heard, HERE)
    assert named(findings, name).state == state
    assert worst(findings) == state


def test_messages_and_runs_that_lie_are_noticed() -> None:
    client = fakeredis.FakeRedis(decode_responses=True)
    runtime = load_settings(environ={}).settings.runtime
    store = RunStore(client, runtime)

    def look() -> list[Finding]:
        return queue_findings(client, store, runtime, now=NOW, slots=2)

    assert worst(look()) == "ok"
    client.zadd("unacked_index", {"a": NOW - 100})
    client.zadd("sigmax:live", {"20250314-120000-aaaaaaaa": NOW - 5})
    client.lpush("sigmax.research", *range(8))
    assert worst(look()) == "ok"
    client.zadd("unacked_index", {"a": NOW - 191})
    assert named(look(), "at work").state == "problem"
    client.zadd("sigmax:live", {"20250314-120000-aaaaaaaa": NOW - 11})
    assert "20250314-120000-aaaaaaaa" in named(look(), "open runs").said
    client.lpush("sigmax.research:3", "one more")
    assert named(look(), "waiting").state == "warning"


def test_the_data_folder(tmp_path: Path) -> None:
    folder = tmp_path / "sigmax"
    assert "will be made" in named(data_findings(folder), "data folder").said
    folder.mkdir(mode=0o755)
    assert named(data_findings(folder), "data folder").state == "warning"
    folder.chmod(0o700)
    assert named(data_findings(folder), "data folder").state == "ok"
    assert "free" in named(data_findings(folder), "disk").said


def test_a_password_in_a_file_for_all(tmp_path: Path) -> None:
    file = tmp_path / "runtime.yaml"
    file.write_text("broker: {}")
    file.chmod(0o644)
    (found,) = secret_findings(str(file), "redis://:hunter2@host/0")
    assert found.state == "warning"
    assert "hunter2" not in found.said + found.advice
    file.chmod(0o600)
    assert secret_findings(str(file), "redis://:hunter2@host/0") == []
    assert secret_findings(str(file), "redis://host/0") == []
