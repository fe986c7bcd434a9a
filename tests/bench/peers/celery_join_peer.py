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
    common.work_and_go_on(plan, batch, index, work.delay)


def submit(plan: str) -> None:
    common.send(plan, 0, work.delay)
