"""The Celery task of an evaluation, which every worker knows and few are ever given."""

from __future__ import annotations

from sigmax_planner.canvas import EVALUATE_CHUNK
from sigmax_tasks.celery import app


@app.task(name=EVALUATE_CHUNK, ignore_result=True)
def evaluate_chunk(evaluation_id: str, number: int) -> None:
    """See :func:`~sigmax_tasks.evaluation.chunk_work.answer_chunk`."""
    # Numbers and the tables of recordings, which the start of a worker can do without.
    from sigmax_tasks.evaluation.chunk_work import answer_chunk

    answer_chunk(app.conf.broker_url, evaluation_id, number)
