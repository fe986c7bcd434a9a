"""dask.distributed: a graph of futures; there is no Redis between."""

from __future__ import annotations

import queue

from distributed import Client

from tests.bench.peers import common


class Submitter:
    """Connected to a scheduler; plans that are done stand in ``done``."""

    def __init__(self, address: str) -> None:
        self._client = Client(address, set_as_default=False)
        self.done: queue.Queue[str] = queue.Queue()

    def submit(self, plan: str) -> None:
        before: list[object] = []
        for batch in range(common.LAST + 1):
            before = [
                self._client.submit(
                    _work, common.seconds(batch, index), before, key=f"{plan}-{batch}-{index}"
                )
                for index in range(common.width(batch))
            ]
        (last,) = before
        last.add_done_callback(lambda _: self.done.put(plan))  # type: ignore[attr-defined]

    def close(self) -> None:
        self._client.close()


def _work(wait: float, _: list[object]) -> None:
    import time  # the function travels by value

    if wait:
        time.sleep(wait)
