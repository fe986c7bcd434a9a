"""Threads that are used again, and work that is not waited for for good."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from sigmax_tasks.hands import Errand, Hands

LONG = 10.0
NAME = "hands-of-a-test"


@pytest.fixture
def hands() -> Hands:
    return Hands(NAME, idle_threads=2)


def running() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(NAME)]


def noted(where: list[int]) -> Callable[[], None]:
    return lambda: where.append(threading.get_ident())


def test_one_thread_does_one_piece_after_the_other(hands: Hands) -> None:
    threads: list[int] = []
    for _ in range(20):
        assert hands.give(noted(threads)).wait(LONG)
        # It is free again a moment after its work is known to have ended.
        wait_until(lambda: hands.idle == 1)
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()


def test_work_that_hangs_is_given_up_and_holds_nobody_up(hands: Hands) -> None:
    release, threads = threading.Event(), []
    stuck = hands.give(release.wait)
    assert not stuck.wait(0.05)
    assert hands.give(noted(threads)).wait(LONG)
    assert not stuck.wait(0.0)
    release.set()
    assert stuck.wait(LONG)
    assert stuck.wait(0.0), "as often as one likes"


def test_no_more_threads_wait_than_may(hands: Hands) -> None:
    release = threading.Event()
    before = running()
    errands: list[Errand] = [hands.give(release.wait) for _ in range(6)]
    mine = [thread for thread in running() if thread not in before]
    assert len(mine) == 6
    release.set()
    assert all(errand.wait(LONG) for errand in errands)
    wait_until(lambda: hands.idle == 2)
    wait_until(lambda: sum(thread in running() for thread in mine) == 2)


def test_work_that_raises_has_ended(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[type[BaseException] | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda raised: shown.append(raised.exc_type))

    def fail() -> None:
        raise ValueError

    assert hands.give(fail).wait(LONG)
    wait_until(lambda: shown == [ValueError])
    threads: list[int] = []
    assert hands.give(noted(threads)).wait(LONG)
    assert len(threads) == 1


def wait_until(condition: Callable[[], bool]) -> None:
    done = threading.Event()
    for _ in range(1000):
        if condition():
            return
        done.wait(0.01)
    raise AssertionError("it did not happen")
