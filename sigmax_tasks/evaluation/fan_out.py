"""Sends the chunks of an evaluation to the workers and gathers their answers. Resumable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import redis

from sigmax_planner.canvas import chunk_signature
from sigmax_tasks import clock
from sigmax_tasks.application import make_app
from sigmax_tasks.cluster_link import as_redis_says, connect, reachable
from sigmax_tasks.errors import EvaluationError
from sigmax_tasks.evaluation.board import Board, Setup
from sigmax_tasks.evaluation.kept import Kept
from sigmax_tasks.evaluation.models import ChunkAnswer, ChunkDecisions, Question
from sigmax_tasks.ids import new_evaluation_id
from sigmax_tasks.settings.runtime import RuntimeSettings
from sigmax_tasks.store import RunStore

_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Progress:
    """``done`` chunks of ``total``; ``cached`` of them needed no worker."""

    done: int
    total: int
    cached: int
    decisions: int


class FanOut:
    """One evaluation on one cluster. ``check`` raises where the cluster itself has died.

    ``processes`` is how many work on it; None asks the cluster. Two chunks for each are under way,
    so that none waits and the threads of a worker stay free for research.
    """

    def __init__(
        self,
        runtime: RuntimeSettings,
        broker_url: str,
        kept: Kept,
        *,
        processes: int | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._runtime = runtime
        self._url = broker_url
        self._kept = kept
        self._processes = processes
        self._check = check
        self._app = make_app(runtime, broker_url)

    def run(
        self,
        setup: Setup,
        questions: Sequence[Question],
        done: Mapping[int, ChunkDecisions],
        on_progress: Callable[[Progress], None],
    ) -> dict[int, ChunkDecisions]:
        """The decisions of every question, by its place; those in ``done`` are not asked again.

        What comes in is kept at once, so that a second run after a stop goes on from there.
        Raises :class:`EvaluationError` where a worker could not do its part, or none answers.
        """
        found = dict(done)
        waiting = [number for number in range(len(questions)) if number not in found]
        decisions = sum(len(chunk.decisions) for chunk in found.values())
        on_progress(Progress(len(found), len(questions), len(done), decisions))
        if not waiting:
            return found
        client = connect(
            self._url,
            connect_timeout_seconds=self._runtime.broker.connect_timeout_seconds,
        )
        board = Board(client, new_evaluation_id())
        try:
            with reachable(self._url):
                processes = self._processes or len(RunStore(client, self._runtime).workers())
                at_once = min(self._runtime.evaluation.chunks_under_way, 2 * max(1, processes))
                board.open(setup)
                self._work(board, waiting, questions, found, at_once, on_progress)
        finally:
            _close_quietly(board, client)
            self._app.close()
        return found

    def _work(
        self,
        board: Board,
        waiting: list[int],
        questions: Sequence[Question],
        found: dict[int, ChunkDecisions],
        at_once: int,
        on_progress: Callable[[Progress], None],
    ) -> None:
        patience = self._runtime.evaluation.chunk_timeout_seconds
        cached = len(found)
        under_way: set[int] = set()
        heard_at, reminded = clock.monotonic(), False
        while waiting or under_way:
            while waiting and len(under_way) < at_once:
                number = waiting.pop(0)
                question = questions[number]
                board.ask(number, question, self._kept.findings(question.task_keys.values()))
                self._send(board, number)
                under_way.add(number)
            answers = board.collect()
            for number, answer in answers.items():
                if number in under_way:
                    under_way.discard(number)
                    found[number] = self._accept(answer)
            if answers:
                heard_at, reminded = clock.monotonic(), False
                decisions = sum(len(chunk.decisions) for chunk in found.values())
                on_progress(Progress(len(found), len(questions), cached, decisions))
                continue
            self._check()
            if clock.monotonic() - heard_at > patience:
                if reminded:
                    raise EvaluationError(
                        f"no worker answered for {2 * patience:g} s",
                        advice="look at the workers with: sigmax status; what is done is kept",
                    )
                # A message may have been lost with its worker; a second one does no harm.
                for number in sorted(under_way):
                    self._send(board, number)
                heard_at, reminded = clock.monotonic(), True
            clock.sleep(_LOOK_SECONDS)

    def _accept(self, answer: ChunkAnswer) -> ChunkDecisions:
        if answer.error or answer.decisions is None:
            raise EvaluationError(f"worker {answer.worker}: {answer.error or 'gave no decisions'}")
        self._kept.keep(answer.blocks, answer.decisions)
        return answer.decisions

    def _send(self, board: Board, number: int) -> None:
        with as_redis_says():
            chunk_signature(self._app, board.evaluation_id, number).apply_async(ignore_result=True)


def _close_quietly(board: Board, client: redis.Redis) -> None:
    """Drop what is in Redis; where it is gone already there is nothing to drop."""
    try:
        board.close()
    except redis.RedisError:
        return
    finally:
        client.close()
