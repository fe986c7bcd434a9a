"""saq with a join counted in Redis."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import redis.asyncio
from saq import Queue

from tests.bench.peers import common

queue = Queue.from_url(common.URL)
client = redis.asyncio.Redis.from_url(common.URL)
count = client.register_script(common.COUNT)


async def work(_: Any, *, plan: str, batch: int, index: int) -> None:
    await asyncio.sleep(common.seconds(batch, index))
    if not await count(keys=[common.counter(plan, batch)], args=[common.width(batch)]):
        return
    if batch == common.LAST:
        await client.rpush(common.DONE, plan)
    else:
        await send(plan, batch + 1)


async def send(plan: str, batch: int) -> None:
    for index in range(common.width(batch)):
        await queue.enqueue("work", plan=plan, batch=batch, index=index)


settings = {
    "queue": queue,
    "functions": [work],
    "concurrency": int(os.environ.get("BENCH_SLOTS", "32")),
}


class Submitter:
    """An event loop of its own for those who have none."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(queue.connect())

    def submit(self, plan: str) -> None:
        self._loop.run_until_complete(send(plan, 0))
