"""What is kept of a run once it is over, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import fakeredis
import pytest
import redis

from sigmax_tasks import clock
from sigmax_tasks.errors import RunNotFoundError
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.run_state import OpenRun
from sigmax_tasks.settings.runtime import RuntimeSettings
from sigmax_tasks.store import RunStore
from sigmax_tasks.store_scripts import pack_text, unpack_text
from tests.unit.report.builders import make_record

from .builders import open_run, outcome, runtime


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    client = fakeredis.FakeRedis(decode_responses=True)
    yield client
    client.close()


def keeping(**retention: object) -> RuntimeSettings:
    made = runtime()
    return made.model_copy(update={"retention": made.retention.model_copy(update=retention)})


def finished(store: RunStore, number: int) -> OpenRun:
    now = clock.now()
    run = replace(
        open_run(f"20250314-120000-0000{number:04d}"),
        created_at=now,
        deadline_at=now + timedelta(seconds=60),
        submission="watchlist",
    )
    store.create(run, "{}")
    store.record_outcome(run, outcome("technical", TaskStatus.COMPLETED))
    event = ProgressEvent(run_id=run.run_id, kind=EventKind.RUN_FINISHED, at=now)
    assert store.commit(run, make_record(run_id=run.run_id), event)
    return run


def test_beyond_their_number_the_oldest_runs_go_with_all_their_keys(client: redis.Redis) -> None:
    store = RunStore(client, keeping(max_kept_runs=3))
    runs = [finished(store, number) for number in range(8)]
    assert set(store.finished_ids(100)) == {run.run_id for run in runs[-3:]}
    left = [key for key in client.keys("*") if any(run.run_id in key for run in runs[:-3])]
    assert left == []
    with pytest.raises(RunNotFoundError):
        store.record(runs[0].run_id)
    assert store.record(runs[-1].run_id) == make_record(run_id=runs[-1].run_id)


def test_without_a_number_all_are_kept_for_their_time(client: redis.Redis) -> None:
    store = RunStore(client, keeping(max_kept_runs=None))
    for number in range(8):
        finished(store, number)
    assert len(store.finished_ids(100)) == 8


def test_no_key_of_a_run_that_is_over_is_for_good(client: redis.Redis) -> None:
    store = RunStore(client, runtime())
    done = finished(store, 2)
    now = clock.now()
    open_one = replace(
        open_run(), created_at=now, deadline_at=now + timedelta(seconds=60), submission="other"
    )
    store.create(open_one, "{}")
    store.record_outcome(open_one, outcome("technical"))
    assert store.cancel(open_one.run_id)
    kept = {key: client.ttl(key) for key in client.keys("sigmax:*") if "journal" not in key}
    assert all(seconds > 0 for seconds in kept.values()), kept
    assert kept[f"sigmax:run:{open_one.run_id}"] <= 3600, "a cancelled run has nothing to show"
    assert kept[f"sigmax:run:{done.run_id}"] > 600_000


def test_long_texts_are_packed_and_come_back_as_they_were() -> None:
    for text in ("", "short", "\u00e9" * 5000, '{"a": ' + "1" * 4000 + "}"):
        assert unpack_text(pack_text(text)) == text
    assert len(pack_text("{}" * 5000)) < 500
    assert pack_text("short") == "short"
