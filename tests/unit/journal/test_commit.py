"""The end of a run writes its journal entry, once, wherever the journal is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import fakeredis
import pytest
import redis

from sigmax_tasks.errors import JournalError
from sigmax_tasks.finalizer import with_history
from sigmax_tasks.journal import HOME_IS_FILE, HOME_KEY, FileJournal, JournalQuery
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.models.journal import JournalEntry
from sigmax_tasks.run_state import OpenRun
from sigmax_tasks.store import RunStore
from tests.unit.engine.builders import open_run, runtime
from tests.unit.report.builders import make_record

from .builders import AS_OF, entry, outcome

ALL = JournalQuery()


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    client = fakeredis.FakeRedis(decode_responses=True)
    yield client
    client.close()


def close(store: RunStore, run: OpenRun, number: int, at: datetime = AS_OF) -> bool:
    record = make_record(run_id=run.run_id)
    event = ProgressEvent(run_id=run.run_id, kind=EventKind.RUN_FINISHED, at=at)
    return store.commit(run, record, event, entry(number, run_id=run.run_id, decided_at=at))


def test_only_the_record_that_is_kept_is_in_the_journal(client: redis.Redis) -> None:
    store, run = RunStore(client, runtime()), open_run()
    store.create(run, "{}")
    assert close(store, run, 1)
    assert not close(store, run, 2)
    (kept,) = store.journal.entries(ALL)
    assert kept.decision_hash == entry(1).decision_hash
    assert store.journal_entry(run.run_id) is None


def test_a_cancelled_run_is_not_in_the_journal(client: redis.Redis) -> None:
    store, run = RunStore(client, runtime()), open_run()
    store.create(run, "{}")
    assert store.cancel(run.run_id)
    assert not close(store, run, 1)
    assert store.journal.entries(ALL) == ()


def test_the_journal_outlives_the_run(client: redis.Redis) -> None:
    store, run = RunStore(client, runtime()), open_run()
    store.create(run, "{}")
    close(store, run, 1)
    for key in client.keys("sigmax:run:*"):
        client.delete(key)
    assert len(store.journal.entries(ALL)) == 1


def test_a_private_cluster_writes_the_file_and_leaves_the_entry_for_who_missed_it(
    client: redis.Redis, tmp_path: Path
) -> None:
    client.set(HOME_KEY, HOME_IS_FILE)
    store, run = RunStore(client, runtime()), open_run()
    store.create(run, "{}")
    assert close(store, run, 1)
    assert not close(store, run, 2)
    journal = FileJournal(tmp_path / "sigmax" / "journal.jsonl")
    (kept,) = journal.entries(ALL)
    assert store.journal_entry(run.run_id) == kept
    assert not journal.add(kept)
    assert client.keys("sigmax:journal") == []


def test_a_retention_drops_old_decisions_with_each_new_one(client: redis.Redis) -> None:
    settings = runtime()
    retention = settings.retention.model_copy(update={"journal_days": 30.0})
    store = RunStore(client, settings.model_copy(update={"retention": retention}))
    store.journal.add(entry(7, decided_at=AS_OF - timedelta(days=3650)))
    run = open_run()
    store.create(run, "{}")
    now = datetime.now(AS_OF.tzinfo)
    close(store, run, 1, at=now)
    assert [e.run_id for e in store.journal.entries(ALL)] == [run.run_id]


def test_history_is_beside_the_decision_and_not_in_its_hash(client: redis.Redis) -> None:
    journal = RunStore(client, runtime()).journal
    record = make_record(run_id="20250314-130000-00000099")
    now = JournalEntry.of(record, seed=7)
    for number in range(20):
        earlier = now.model_copy(
            update={
                "run_id": f"20250301-120000-{number:08}",
                "decision_hash": f"{number:064}",
                "as_of": now.as_of - timedelta(days=30 - number),
            }
        )
        journal.add(earlier)
        assert with_history(record, now, journal).calibration is None, "below 20 outcomes"
        journal.settle({earlier.run_id: outcome(number % 4 > 0)})
    told = with_history(record, now, journal)
    assert told.previous is not None
    assert told.previous.run_id == "20250301-120000-00000019"
    assert told.calibration is not None
    assert (told.calibration.n, told.calibration.hit_rate) == (20, 0.75)
    assert told.decision == record.decision


def test_a_journal_that_cannot_be_read_costs_no_decision(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    journal = FileJournal(tmp_path / "file" / "journal.jsonl")
    with pytest.raises(JournalError):
        journal.entries(ALL)
    record = make_record()
    told = with_history(record, JournalEntry.of(record, seed=7), journal)
    assert told.previous is told.calibration is None
    assert told.decision == record.decision
    assert told.research.alerts[-1].startswith("no history: the journal")
