"""huey with a join counted in Redis."""

from __future__ import annotations

from huey import RedisHuey

from tests.bench.peers import common

huey = RedisHuey("peer", url=common.URL, results=False)


@huey.task()
def work(plan: str, batch: int, index: int) -> None:
    common.work_and_go_on(plan, batch, index, work)


def submit(plan: str) -> None:
    common.send(plan, 0, work)
