"""dramatiq with its groups and their completion callbacks."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits.backends import RedisBackend

from tests.bench.peers import common

broker = RedisBroker(url=common.URL)
broker.add_middleware(GroupCallbacks(RedisBackend(url=common.URL)))
dramatiq.set_broker(broker)


@dramatiq.actor(max_retries=0)
def work(batch: int, index: int) -> None:
    common.work(batch, index)


@dramatiq.actor(max_retries=0)
def advance(plan: str, batch: int) -> None:
    if batch > common.LAST:
        common.done(plan)
        return
    tasks = dramatiq.group([work.message(batch, index) for index in range(common.width(batch))])
    tasks.add_completion_callback(advance.message(plan, batch + 1))
    tasks.run()


def submit(plan: str) -> None:
    advance.send(plan, 0)
