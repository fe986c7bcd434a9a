"""The part of the run store that knows the pool: its workers, its queues, what it refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

import redis

from sigmax_tasks import clock
from sigmax_tasks.models.worker import WorkerFacts
from sigmax_tasks.refusals import (
    DeadLetter,
    count_dead,
    dead_letters,
    refused,
    unpark,
)
from sigmax_tasks.settings.runtime import RuntimeSettings


class PoolStore:
    """What a cluster knows of its workers and of the messages nobody could work on."""

    def __init__(self, client: redis.Redis, runtime: RuntimeSettings) -> None:
        self._redis = client
        self._runtime = runtime
        self._aligned: clock.Alignment | None = None

    def backlog(self, queue: str, priorities: Sequence[int]) -> int:
        """Messages of a queue that no worker has taken yet."""
        with self._redis.pipeline(transaction=False) as pipe:
            for priority in priorities:
                pipe.llen(f"{queue}:{priority}" if priority else queue)
            return sum(cast("list[int]", pipe.execute()))

    def greet(self, worker: str, seconds: float, facts: WorkerFacts | None = None) -> float:
        """A worker process says that it lives; it counts as gone ``seconds`` from now.

        Returns the time of Redis in unix seconds.
        """
        now = clock.now().timestamp()
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.zadd("sigmax:workers", {worker: now + seconds})
            pipe.zremrangebyscore("sigmax:workers", "-inf", now)
            pipe.expire("sigmax:workers", 3600)
            if facts is not None:
                life = max(1, math.ceil(seconds))
                pipe.set(f"sigmax:worker:{worker}", facts.model_dump_json(), ex=life)
            pipe.time()
            whole, millionths = cast("tuple[int, int]", pipe.execute()[-1])
        return whole + millionths / 1e6

    def align_clock(self, known_for_seconds: float = 0.0) -> None:
        """Go by the clock of Redis in this process from now on.

        Redis is not asked where this was done in the ``known_for_seconds`` before.
        """
        if self._aligned is not None and self._aligned.holds(known_for_seconds):
            return
        began = clock.monotonic()
        whole, millionths = self._redis.time()
        there = datetime.fromtimestamp(whole + millionths / 1e6, UTC)
        self._aligned = clock.align(there + timedelta(seconds=(clock.monotonic() - began) / 2))

    def worker_facts(self) -> dict[str, WorkerFacts]:
        """What the worker processes said of themselves lately, by ``host:pid``."""
        workers = self.workers()
        keys = [f"sigmax:worker:{worker}" for worker in workers]
        texts = cast("list[str | None]", self._redis.mget(keys)) if keys else []
        return {
            worker: WorkerFacts.model_validate_json(text)
            for worker, text in zip(workers, texts, strict=True)
            if text is not None
        }

    def workers(self) -> tuple[str, ...]:
        """``host:pid`` of worker processes that have been heard of lately."""
        now = clock.now().timestamp()
        return tuple(cast("list[str]", self._redis.zrangebyscore("sigmax:workers", now, "+inf")))

    def take_watch(self, worker: str, seconds: float) -> bool:
        """True for the one worker that watches over the runs for the next ``seconds``."""
        milliseconds = max(1, int(seconds * 1000))
        return bool(self._redis.set("sigmax:watch", worker, nx=True, px=milliseconds))

    def refused(self) -> dict[str, int]:
        """Reason -> number of messages that workers have refused lately."""
        return refused(self._redis)

    def dead_letters(self, limit: int) -> tuple[DeadLetter, ...]:
        """Tasks that were set aside, newest first."""
        return dead_letters(self._redis, limit)

    def count_dead(self) -> int:
        return count_dead(self._redis)

    def unpark(self) -> int:
        """Offer messages of a newer version to the workers again; how many."""
        return unpark(self._redis, clock.now().timestamp())
