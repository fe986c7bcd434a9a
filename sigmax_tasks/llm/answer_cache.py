"""The model's answers in the Redis of the cluster, by the hash of the question.

``sigmax:llm:answer:HASH`` holds one, ``sigmax:llm:answers`` when each came; of more than
``MOST_KEPT`` the oldest go. All have a time to live. Without Redis nothing is kept.
"""

from __future__ import annotations

import logging
from typing import Final, cast

import redis
from pydantic import ValidationError

from sigmax_tasks import clock
from sigmax_tasks.models.debate import ModelAnswer

logger = logging.getLogger(__name__)

MOST_KEPT: Final = 500
MOST_BYTES: Final = 100_000
"""A longer answer is not kept."""
_INDEX: Final = "sigmax:llm:answers"


class AnswerCache:
    """Thread-safe. ``client`` decodes its answers to text."""

    def __init__(self, client: redis.Redis, keep_hours: float) -> None:
        self._redis = client
        self._seconds = int(keep_hours * 3600)

    def get(self, prompt_sha256: str) -> ModelAnswer | None:
        if self._seconds <= 0:
            return None
        try:
            text = cast("str | None", self._redis.get(_key(prompt_sha256)))
        except redis.RedisError as error:
            logger.warning("kept answers of the model cannot be read: %s", type(error).__name__)
            return None
        if text is None:
            return None
        try:
            answer = ModelAnswer.model_validate_json(text)
        except ValidationError:
            return None  # written by another version: it is asked for again
        return answer if answer.prompt_sha256 == prompt_sha256 else None

    def put(self, answer: ModelAnswer) -> None:
        text = answer.model_dump_json()
        if self._seconds <= 0 or len(text) > MOST_BYTES:
            return
        now = clock.now().timestamp()
        try:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.set(_key(answer.prompt_sha256), text, ex=self._seconds)
                pipe.zadd(_INDEX, {answer.prompt_sha256: now})
                pipe.zremrangebyscore(_INDEX, "-inf", now - self._seconds)
                pipe.zrange(_INDEX, 0, -MOST_KEPT - 1)
                pipe.zremrangebyrank(_INDEX, 0, -MOST_KEPT - 1)
                pipe.expire(_INDEX, self._seconds)
                too_many = cast("list[str]", pipe.execute()[3])
            if too_many:
                self._redis.delete(*map(_key, too_many))
        except redis.RedisError as error:
            logger.warning("an answer of the model is not kept: %s", type(error).__name__)


def _key(prompt_sha256: str) -> str:
    return f"sigmax:llm:answer:{prompt_sha256}"
