"""How many runs may be open, and who still counts as one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import fakeredis
import pytest
import redis

from sigmax_tasks import clock
from sigmax_tasks.cli.exit import ExitCode, exit_code_of
from sigmax_tasks.errors import ClusterBusyError
from sigmax_tasks.run_state import OpenRun
from sigmax_tasks.store import RunStore

from .builders import open_run, runtime


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    client = fakeredis.FakeRedis(decode_responses=True)
    yield client
    client.close()


def started(number: int, seconds: float = 60) -> OpenRun:
    now = clock.now()
    run = open_run(f"20250314-120000-0000{number:04d}")
    return replace(run, created_at=now, deadline_at=now + timedelta(seconds=seconds))


def test_a_cluster_that_is_full_takes_no_further_run(client: redis.Redis) -> None:
    store = RunStore(client, runtime(max_open_runs=2))
    store.create(started(1), "{}")
    store.create(started(2), "{}")
    keys = set(client.keys("*"))
    with pytest.raises(ClusterBusyError, match="2 runs are open") as caught:
        store.create(started(3), "{}")
    assert set(client.keys("*")) == keys
    assert exit_code_of(caught.value) is ExitCode.UNREACHABLE
    store.cancel(started(1).run_id)
    store.create(started(3), "{}")


def test_a_run_that_nobody_ends_keeps_its_slot_until_shortly_past_its_deadline(
    client: redis.Redis,
) -> None:
    store = RunStore(client, runtime(max_open_runs=1))
    store.create(started(1, seconds=-10), "{}")
    with pytest.raises(ClusterBusyError):
        store.create(started(2), "{}")
    client.zadd("sigmax:live", {started(1).run_id: clock.now().timestamp() - 16})
    store.create(started(2), "{}")


def test_without_a_limit_any_number_is_open(client: redis.Redis) -> None:
    store = RunStore(client, runtime(max_open_runs=None))
    for number in range(20):
        store.create(started(number), "{}")
    assert len(store.live_runs()) == 20
