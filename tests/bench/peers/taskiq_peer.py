"""taskiq on a Redis stream, which acknowledges, with a join counted in Redis."""

from __future__ import annotations

import asyncio
import time

import redis.asyncio
from taskiq_redis import RedisStreamBroker

from tests.bench.peers import common

broker = RedisStreamBroker(url=common.URL)
client = redis.asyncio.Redis.from_url(common.URL)
count = client.register_script(common.COUNT)


@broker.task
async def work(plan: str, batch: int, index: int) -> None:
    await asyncio.sleep(common.seconds(batch, index))
    if not await count(keys=[common.counter(plan, batch)], args=[common.width(batch)]):
        return
    if batch == common.LAST:
        await client.rpush(common.DONE, plan)
    else:
        await send(plan, batch + 1)


async def send(plan: str, batch: int) -> None:
    for index in range(common.width(batch)):
        await work.kiq(plan, batch, index)


class Submitter:
    """An event loop of its own for those who have none."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(broker.startup())
        time.sleep(0)

    def submit(self, plan: str) -> None:
        self._loop.run_until_complete(send(plan, 0))
