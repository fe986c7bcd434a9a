"""One clock for all of a cluster."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import fakeredis
import pytest

from sigmax_tasks import clock
from sigmax_tasks.store import RunStore

from .builders import START, runtime


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_clock", clock.SystemClock())


def test_a_jump_of_the_machine_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Jumped(clock.SystemClock):
        def now(self) -> datetime:
            return datetime.now(UTC) + timedelta(hours=1)

    monkeypatch.setattr(clock, "_clock", Jumped())
    client = fakeredis.FakeRedis(decode_responses=True)
    RunStore(client, runtime()).align_clock()
    assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 30


def test_a_small_difference_is_left_and_a_large_one_is_not() -> None:
    clock.align(START)
    first = clock._clock
    clock.align(clock.now() + timedelta(seconds=0.2))
    assert clock._clock is first
    clock.align(START + timedelta(hours=1))
    assert clock.now() - START >= timedelta(hours=1)


def test_a_clock_that_was_put_in_place_is_left_alone() -> None:
    class Still(clock.Clock):
        def now(self) -> datetime:
            return START

        def monotonic(self) -> float:
            return 0.0

        def sleep(self, seconds: float) -> None:
            del seconds

    with clock.use_clock(Still()):
        clock.align(START + timedelta(days=1))
        assert clock.now() == START


def test_redis_is_not_asked_for_the_time_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Asked(fakeredis.FakeRedis):
        def time(self):
            asked.append(True)
            return super().time()

    store = RunStore(Asked(decode_responses=True), runtime())
    for _ in range(3):
        store.align_clock(60)
    assert len(asked) == 1
    store.align_clock()
    assert len(asked) == 2
    wall = time.time()
    monkeypatch.setattr(time, "time", lambda: wall + 3600)  # as after an hour of sleep
    store.align_clock(60)
    assert len(asked) == 3
    clock.align(START)
    store.align_clock(60)
    assert len(asked) == 4, "another Redis has set the clock meanwhile"
