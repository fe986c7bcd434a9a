"""One time of a schedule is dealt with once, whoever asks how often."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import fakeredis
import pytest
import redis

from sigmax_tasks.slots import SlotBook

AT = datetime(2025, 6, 2, 8, tzinfo=UTC)


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    client = fakeredis.FakeRedis(decode_responses=True)
    yield client
    client.close()


@pytest.fixture
def book(client: redis.Redis) -> SlotBook:
    return SlotBook(client)


def test_a_time_belongs_to_the_first_who_asks_and_stays_with_it(book: SlotBook) -> None:
    assert book.take("daily", 100, "one")
    assert not book.take("daily", 100, "two")
    assert book.take("daily", 100, "one"), "a message that is delivered again"
    assert book.take("daily", 200, "two")
    assert book.take("other", 100, "two")


def test_a_time_that_is_over_is_nobodys_not_even_its_owners(book: SlotBook) -> None:
    assert book.take("daily", 100, "one")
    book.close("daily", 100, "submitted", "1 run", AT)
    assert not book.take("daily", 100, "one")


def test_a_time_before_the_last_one_is_over_even_when_its_key_is_gone(
    book: SlotBook, client: redis.Redis
) -> None:
    book.take("daily", 100, "one")
    book.close("daily", 100, "submitted", "1 run", AT)
    client.delete("sigmax:slot:daily:100")
    assert not book.take("daily", 100, "two")
    assert not book.take("daily", 50, "two")
    assert book.take("daily", 101, "two")


def test_the_last_submitted_runs_are_remembered_over_times_left_out(book: SlotBook) -> None:
    book.add_run("daily", 100, "BTC/USDT", "run-1")
    book.add_run("daily", 100, "ETH/USDT", "run-2")
    book.close("daily", 100, "submitted", "2 runs", AT)
    book.close("daily", 200, "overlapped", "the runs before are still open", AT)
    last = book.last("daily")
    assert last is not None
    assert (last.slot, last.result) == (200, "overlapped")
    assert last.run_ids == ("run-1", "run-2")


def test_a_waiting_time_that_ends_later_does_not_hide_a_newer_one(book: SlotBook) -> None:
    assert book.wait("daily", 100)
    assert book.wait("daily", 100)
    assert not book.wait("daily", 200), "one waits at a time"
    book.close("daily", 200, "overlapped", "another time waits already", AT)
    book.add_run("daily", 100, "BTC/USDT", "run-1")
    book.close("daily", 100, "submitted", "1 run", AT)
    last = book.last("daily")
    assert last is not None
    assert (last.slot, last.run_ids) == (200, ("run-1",))
    assert book.wait("daily", 300), "nobody waits any more"


def test_one_at_a_time_deals_with_a_schedule(book: SlotBook) -> None:
    with book.alone("daily") as first, book.alone("daily") as second, book.alone("b") as other:
        assert (first, second, other) == (True, False, True)
    with book.alone("daily") as again:
        assert again


def test_nothing_is_kept_for_ever(book: SlotBook, client: redis.Redis) -> None:
    book.take("daily", 100, "one")
    book.wait("daily", 100)
    book.add_run("daily", 100, "BTC/USDT", "run-1")
    book.take("daily", 200, "one")
    book.close("daily", 200, "submitted", "1 run", AT)
    assert all(client.ttl(key) > 0 for key in client.keys("*"))
