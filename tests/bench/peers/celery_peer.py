"""Celery as its documentation shows it: a chain of groups with barriers, which it makes chords."""

from __future__ import annotations

from celery import Celery, chain, group

from tests.bench.peers import common

app = Celery("peer", broker=common.URL, backend=common.URL)
app.conf.update(
    result_expires=600,
    worker_prefetch_multiplier=1,
    result_backend_thread_safe=True,
    broker_connection_retry_on_startup=True,
)


@app.task
def work(batch: int, index: int) -> int:
    common.work(batch, index)
    return index


@app.task
def barrier(_: object = None) -> None:
    return None


@app.task
def finish(plan: str) -> None:
    common.done(plan)


def submit(plan: str) -> None:
    steps = []
    for batch in range(common.LAST + 1):
        steps.append(group([work.si(batch, index) for index in range(common.width(batch))]))
        steps.append(finish.si(plan) if batch == common.LAST else barrier.si())
    chain(*steps).apply_async()
