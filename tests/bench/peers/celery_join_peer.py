"""The least that Celery takes: plain tasks with a join counted in Redis, as the huey peer has it.

Nothing is kept of a task or its result. What any engine on Celery's workers adds, it adds to this.
"""

from __future__ import annotations

from celery import Celery

from tests.bench.peers import common

app = Celery("peer", broker=common.URL)
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)


@app.task
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
        work.delay(plan, batch, index)


def submit(plan: str) -> None:
    send(plan, 0)
