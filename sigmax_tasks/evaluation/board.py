"""What the client and the workers of an evaluation share in Redis.

=====================================  ======  =====================================================
``sigmax:evaluation:ID``               hash    settings, folder, digest of the recordings
``sigmax:evaluation:ID:questions``     hash    chunk number -> its question
``sigmax:evaluation:ID:known``         hash    chunk number -> findings that are known, packed
``sigmax:evaluation:ID:answers``       hash    chunk number -> its answer, packed; the first counts
=====================================  ======  =====================================================

All keys live for a day after they were last written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import redis

from sigmax_tasks.evaluation.models import ChunkAnswer, Question
from sigmax_tasks.evaluation.packing import pack, unpack
from sigmax_tasks.ids import EVALUATION_ID_PATTERN

LIFE_SECONDS = 86_400


@dataclass(frozen=True)
class Setup:
    """What holds for all chunks of an evaluation. ``recordings`` is the digest of the folder."""

    settings: str
    settings_hash: str
    folder: str
    recordings: str


class Board:
    """One evaluation in Redis. Raises Redis's errors; ValueError for what is no id."""

    def __init__(self, client: redis.Redis, evaluation_id: str) -> None:
        if not EVALUATION_ID_PATTERN.fullmatch(evaluation_id):
            raise ValueError(f"{evaluation_id!r} is not the id of an evaluation")
        self._redis = client
        self.evaluation_id = evaluation_id
        self._key = f"sigmax:evaluation:{evaluation_id}"

    def open(self, setup: Setup) -> None:
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(self._key, mapping={name: str(text) for name, text in vars(setup).items()})
            pipe.expire(self._key, LIFE_SECONDS)
            pipe.execute()

    def close(self) -> None:
        """Drop everything; messages that are still on their way then find nothing to do."""
        self._redis.delete(self._key, *(self._part(p) for p in ("questions", "known", "answers")))

    def setup(self) -> Setup | None:
        """None once the evaluation is over."""
        values = cast("dict[str, str]", self._redis.hgetall(self._key))
        return Setup(**values) if values else None

    def ask(self, number: int, question: Question, known: str) -> None:
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(self._part("questions"), str(number), question.model_dump_json())
            pipe.expire(self._part("questions"), LIFE_SECONDS)
            if known:
                pipe.hset(self._part("known"), str(number), known)
                pipe.expire(self._part("known"), LIFE_SECONDS)
            pipe.expire(self._key, LIFE_SECONDS)
            pipe.execute()

    def question(self, number: int) -> Question | None:
        """None where it is answered and collected."""
        text = cast("str | None", self._redis.hget(self._part("questions"), str(number)))
        return None if text is None else Question.model_validate_json(text)

    def known(self, number: int) -> str:
        """Packed findings; "" for none."""
        return cast("str | None", self._redis.hget(self._part("known"), str(number))) or ""

    def answered(self, number: int) -> bool:
        return bool(self._redis.hexists(self._part("answers"), str(number)))

    def answer(self, number: int, answer: ChunkAnswer) -> bool:
        """Whether this answer is the one that counts."""
        text = pack(answer)
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hsetnx(self._part("answers"), str(number), text)
            pipe.expire(self._part("answers"), LIFE_SECONDS)
            first, _ = pipe.execute()
        return bool(first)

    def collect(self) -> Mapping[int, ChunkAnswer]:
        """The answers there are; each is given once and dropped with its question."""
        values = cast("dict[str, str]", self._redis.hgetall(self._part("answers")))
        found = {int(number): unpack(ChunkAnswer, text) for number, text in values.items()}
        if values:
            with self._redis.pipeline(transaction=True) as pipe:
                for part in ("answers", "questions", "known"):
                    pipe.hdel(self._part(part), *values)
                pipe.execute()
        return found

    def _part(self, name: str) -> str:
        return f"{self._key}:{name}"
