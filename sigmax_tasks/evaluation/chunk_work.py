"""One chunk of an evaluation by its number, from the board and back to it. It may run twice."""

from __future__ import annotations

import logging
import threading
import traceback
from functools import lru_cache
from pathlib import Path

from sigmax_tasks.celery import settings
from sigmax_tasks.cluster_link import connect
from sigmax_tasks.errors import SigmaxError
from sigmax_tasks.evaluation.board import Board, Setup
from sigmax_tasks.evaluation.chunk import work
from sigmax_tasks.evaluation.fingerprint import digest_of
from sigmax_tasks.evaluation.models import ChunkAnswer
from sigmax_tasks.evaluation.packing import unpack_joined
from sigmax_tasks.evaluation.recorded_desk import RecordedDesk
from sigmax_tasks.redact import redact
from sigmax_tasks.runner import worker_identity
from sigmax_tasks.settings import Settings

logger = logging.getLogger(__name__)

_one_at_a_time = threading.Lock()
"""Chunks compute all the time: several threads of one process would only get in each other's way.
The desk is for one thread as well."""


def answer_chunk(broker_url: str, evaluation_id: str, number: int) -> None:
    """Work on a chunk and lay down its answer, unless there is one or nobody asks any more."""
    client = connect(
        broker_url,
        connect_timeout_seconds=settings.runtime.broker.connect_timeout_seconds,
    )
    try:
        board = Board(client, evaluation_id)
        with _one_at_a_time:
            setup = board.setup()
            question = board.question(number)
            if setup is None or question is None or board.answered(number):
                return
            known = board.known(number)
            try:
                own, desk = _place(setup)
                answer = work(question, own, desk, unpack_joined(known))
                answer = answer.model_copy(update={"worker": worker_identity()})
            except SigmaxError as error:
                answer = ChunkAnswer(error=str(error), worker=worker_identity())
            except Exception as error:  # noqa: BLE001  # the client must not wait for an answer that never comes
                # logger.exception() would log the texts of the error as they are.
                trace = redact(traceback.format_exc()).text
                logger.error("chunk %s of %s failed\n%s", number, evaluation_id, trace)  # noqa: TRY400
                problem = redact(f"chunk {number}: {type(error).__name__}: {error}").text[:500]
                answer = ChunkAnswer(error=problem, worker=worker_identity())
            board.answer(number, answer)
    finally:
        client.close()


@lru_cache(maxsize=2)
def _place(setup: Setup) -> tuple[Settings, RecordedDesk]:
    """Settings and recordings as the client has them; :class:`SigmaxError` where they differ."""
    folder = Path(setup.folder)
    if not folder.is_dir():
        raise SigmaxError(
            f"the folder of recordings {setup.folder} is not on the worker {worker_identity()}",
            advice="workers need the recordings under the same path as the client",
        )
    if digest_of(folder) != setup.recordings:
        raise SigmaxError(
            f"the recordings in {setup.folder} on {worker_identity()} are not those of the client"
        )
    own = settings.with_snapshot(setup.settings)
    return own, RecordedDesk(own.sources, folder)
