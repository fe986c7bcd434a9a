"""Blocking work beside the event loop ends before its cancellation is felt."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sigmax_tasks.compat.threads import in_thread


def test_it_gives_what_the_function_gives_or_raises() -> None:
    assert asyncio.run(in_thread(divmod, 7, 2)) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(in_thread(divmod, 7, 0))


@pytest.mark.parametrize("times", [1, 2])
def test_a_cancelled_wait_ends_only_when_the_function_has(times: int) -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(10)
        ended.set()
        raise RuntimeError("nobody waits for this any more")

    async def main() -> None:
        waiting = asyncio.create_task(in_thread(work))
        while not begun.is_set():
            await asyncio.sleep(0)
        for _ in range(times):
            waiting.cancel()
            await asyncio.sleep(0)
        assert not waiting.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert ended.is_set()

    asyncio.run(main())
