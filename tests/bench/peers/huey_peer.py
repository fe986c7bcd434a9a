"""huey with a join counted in Redis."""

from __future__ import annotations

from huey import RedisHuey

from tests.bench.peers import common

huey = RedisHuey("peer", url=common.URL, results=False)


@huey.task()
def work(plan: str, batch: int, index: int) -> None:
    common.work(batch, index)
    if not common.last_of_batch(plan, batch):
        return
    if batch == common.LAST:
        common.done(plan)
    else:
        send(plan, batch + 1)


def send(plan: str, batch: int) -> None:
    for index in range(common.width(batch)):
        work(plan, batch, index)


def submit(plan: str) -> None:
    send(plan, 0)
