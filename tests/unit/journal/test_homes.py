"""Both homes of the journal keep the same promises."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from unittest.mock import Mock

import fakeredis
import pytest
import redis

from sigmax_planner.models import DataMode
from sigmax_tasks.errors import JournalError
from sigmax_tasks.journal import (
    HOME_IS_FILE,
    HOME_KEY,
    FileJournal,
    Journal,
    JournalQuery,
    RedisJournal,
    default_file,
    journal_on,
)
from sigmax_tasks.models.decision import Action
from sigmax_tasks.models.journal import JournalEntry

from .builders import AS_OF, entry, outcome

ALL = JournalQuery()


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    client = fakeredis.FakeRedis(decode_responses=True)
    yield client
    client.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "journal.jsonl"


@pytest.fixture(params=["file", "redis"])
def journal(request: pytest.FixtureRequest, client: redis.Redis, path: Path) -> Journal:
    homes: dict[str, Callable[[], Journal]] = {
        "file": lambda: FileJournal(path),
        "redis": lambda: RedisJournal(client, "the test's Redis"),
    }
    return homes[request.param]()


def test_an_entry_comes_back_as_it_was_written(journal: Journal) -> None:
    one = entry(1, seed=7, data_mode=DataMode.SIMULATED, simulated=True)
    assert journal.add(one)
    assert journal.entries(ALL) == (one,)
    assert journal.damage() == ()


def test_an_empty_journal_has_nothing_and_is_no_error(journal: Journal) -> None:
    assert journal.entries(ALL) == ()
    assert journal.latest(entry().book, not_after=AS_OF) is None
    assert journal.settle({}) == 0
    assert journal.settle({entry().run_id: outcome()}) == 0
    assert journal.forget_before(AS_OF) == 0


def test_the_first_entry_of_a_run_stays(journal: Journal) -> None:
    assert journal.add(entry(1))
    assert not journal.add(entry(1, action=Action.HOLD))
    assert [e.action for e in journal.entries(ALL)] == [Action.BUY]


def test_the_first_outcome_of_a_run_stays(journal: Journal) -> None:
    journal.add(entry(1))
    journal.add(entry(2))
    assert (
        journal.settle({entry(1).run_id: outcome(True), "20250314-120000-99999999": outcome()}) == 1
    )
    assert journal.settle({entry(1).run_id: outcome(False)}) == 0
    newest, oldest = journal.entries(ALL)
    assert newest.outcome is None
    assert oldest.outcome == outcome(True)


def test_an_outcome_is_seen_by_who_has_read_its_entry_before(journal: Journal) -> None:
    journal.add(entry(1))
    assert [e.outcome for e in journal.entries(ALL)] == [None]
    journal.settle({entry(1).run_id: outcome(True)})
    assert [e.outcome for e in journal.entries(ALL)] == [outcome(True)]


def test_what_was_read_before_is_not_parsed_again(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.add(entry(1))
    known = journal.entries(ALL)
    parse = Mock(side_effect=AssertionError("parsed again"))
    monkeypatch.setattr(JournalEntry, "model_validate_json", parse)
    assert journal.entries(ALL) == known


def test_entries_are_listed_newest_first_and_filtered(journal: Journal) -> None:
    journal.add(entry(1))
    journal.add(entry(2, symbol="ETH/USDT"))
    journal.add(entry(3, profile="aggressive"))
    journal.add(entry(4, data_mode=DataMode.REPLAY, as_of=AS_OF - timedelta(days=300)))
    journal.add(entry(5, as_of=AS_OF - timedelta(days=1)))

    def numbers(**filters: object) -> list[int]:
        query = JournalQuery(**filters)  # type: ignore[arg-type]
        return [int(e.run_id[-8:]) for e in journal.entries(query)]

    assert numbers() == [5, 4, 3, 2, 1]
    assert numbers(limit=2) == [5, 4]
    assert numbers(symbol="ETH/USDT") == [2]
    assert numbers(profile="aggressive") == [3]
    assert numbers(data_mode=DataMode.REPLAY) == [4]
    assert numbers(data_mode=DataMode.LIVE, profile="balanced") == [5, 2, 1]
    assert numbers(data_mode=DataMode.LIVE, profile="balanced", symbol="BTC/USDT", limit=1) == [5]


def test_the_latest_of_a_book_does_not_lie_in_the_future(journal: Journal) -> None:
    for number, days in ((1, 0), (2, 5), (3, 2)):
        journal.add(entry(number, as_of=AS_OF + timedelta(days=days)))
    journal.add(entry(4, profile="aggressive", as_of=AS_OF + timedelta(days=1)))
    journal.add(entry(5, data_mode=DataMode.REPLAY, as_of=AS_OF + timedelta(days=1)))
    book = entry().book

    def latest(days: float, besides: str = "") -> int | None:
        found = journal.latest(book, not_after=AS_OF + timedelta(days=days), besides=besides)
        return None if found is None else int(found.run_id[-8:])

    assert latest(-0.1) is None
    assert latest(0) == 1
    assert latest(3) == 3
    assert latest(9) == 2
    assert latest(9, besides=entry(2).run_id) == 3


def test_simulated_markets_of_other_seeds_are_other_books(journal: Journal) -> None:
    simulated = {"data_mode": DataMode.SIMULATED, "simulated": True}
    journal.add(entry(1, seed=7, **simulated))
    assert journal.latest(entry(2, seed=8, **simulated).book, not_after=AS_OF) is None
    assert journal.latest(entry(2, seed=7, **simulated).book, not_after=AS_OF) is not None


def test_what_is_older_than_the_retention_is_forgotten(journal: Journal) -> None:
    for number in (1, 2, 3):
        journal.add(entry(number, decided_at=AS_OF + timedelta(days=number)))
        journal.settle({entry(number).run_id: outcome()})
    assert journal.forget_before(AS_OF + timedelta(days=2)) == 1
    assert [int(e.run_id[-8:]) for e in journal.entries(ALL)] == [3, 2]
    assert journal.forget_before(AS_OF + timedelta(days=2)) == 0
    assert journal.add(entry(1)), "nothing is left of it"


def test_a_private_redis_says_that_the_journal_is_a_file(
    client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert isinstance(journal_on(client, "here"), RedisJournal)
    client.set(HOME_KEY, HOME_IS_FILE)
    found = journal_on(client, "here")
    assert isinstance(found, FileJournal)
    assert found.where == str(default_file()) == str(tmp_path / "sigmax" / "journal.jsonl")


def test_redis_forgets_every_key_of_an_entry(client: redis.Redis) -> None:
    journal = RedisJournal(client, "here")
    journal.add(entry(1))
    journal.settle({entry(1).run_id: outcome()})
    assert client.keys("*")
    journal.forget_before(AS_OF + timedelta(days=1))
    assert client.keys("*") == []


def test_the_journal_in_redis_has_no_time_to_live(client: redis.Redis) -> None:
    RedisJournal(client, "here").add(entry(1))
    keys = client.keys("sigmax:journal*")
    assert len(keys) == 4
    assert all(client.ttl(key) == -1 for key in keys)


def test_the_file_has_one_line_a_decision_for_its_owner_only(path: Path) -> None:
    journal = FileJournal(path)
    journal.add(entry(1))
    journal.add(entry(2))
    journal.settle({entry(1).run_id: outcome()})
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 2
    assert all(line.endswith(b"\n") for line in lines)
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in path.parent.iterdir()) == ["journal.jsonl", "journal.lock"]


def test_a_line_cut_short_is_said_and_kept_and_harms_nothing_else(path: Path) -> None:
    journal = FileJournal(path)
    journal.add(entry(1))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    assert [e.run_id for e in journal.entries(ALL)] == [entry(1).run_id]
    (sentence,) = journal.damage()
    assert sentence == f"line 2 of {path} cannot be read and is left out"
    assert journal.add(entry(2))
    assert journal.settle({entry(2).run_id: outcome()}) == 1
    assert [int(e.run_id[-8:]) for e in journal.entries(ALL)] == [2, 1]
    assert whole[: len(whole) // 2] in path.read_bytes()
    assert len(journal.damage()) == 1


def test_several_writers_lose_nothing(path: Path) -> None:
    journals = [FileJournal(path) for _ in range(4)]

    def write(which: int) -> None:
        for number in range(10):
            journals[which].add(entry(which * 100 + number))
            journals[which].settle({entry(which * 100 + number).run_id: outcome()})

    threads = [threading.Thread(target=write, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = journals[0].entries(ALL)
    assert len(found) == 40
    assert all(e.outcome is not None for e in found)
    assert journals[0].damage() == ()


def test_a_folder_that_cannot_be_used_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    journal = FileJournal(tmp_path / "data" / "journal.jsonl")
    for use in (journal.prepare, lambda: journal.add(entry(1)), lambda: journal.entries(ALL)):
        with pytest.raises(JournalError, match=r"cannot be (written|read)"):
            use()
