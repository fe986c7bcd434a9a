"""The door of a worker: messages it cannot or must not read are refused and counted.

kombu reads an element of a queue before anybody can look at it, and dies of one it cannot read.
So the Redis client that pops messages hands each of them to this module first.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Container
from contextlib import AbstractContextManager
from typing import cast

import redis
from kombu.utils.json import loads

from sigmax_planner.canvas import CONTROL_QUEUE, RESEARCH_QUEUE
from sigmax_tasks import clock
from sigmax_tasks.envelope import Content, Refusal, examine, examine_letter
from sigmax_tasks.refusals import count_refused, park

logger = logging.getLogger(__name__)

PARK_SECONDS = 2.0
"""How long a message of a newer version rests before it is offered to the workers again."""
PARK_LIFE_SECONDS = 900.0
"""After this long without a newer worker such a message is dropped: its run is over."""
PARKED_HEADER = "sigmax_parked_at"
_CONTROL_CHANNEL = "celery.pidbox"
_TASK_QUEUES = frozenset({CONTROL_QUEUE, RESEARCH_QUEUE})


class Intake:
    """Looks at messages and keeps count. Thread-safe."""

    def __init__(self, known_tasks: Container[str], max_bytes: int) -> None:
        self._known_tasks = known_tasks
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._uncounted: Counter[str] = Counter()

    def admit(
        self, queue: str, raw: bytes, connection: Callable[[], AbstractContextManager[redis.Redis]]
    ) -> Content | None:
        """What came from that list or channel, if a worker may read it; else it is dealt with."""
        if queue.partition(":")[0] in _TASK_QUEUES:
            found = examine(raw, max_bytes=self._max_bytes, known_tasks=self._known_tasks)
        else:
            is_order = queue.startswith("/") and queue.endswith(_CONTROL_CHANNEL)
            found = examine_letter(raw, max_bytes=self._max_bytes, is_order=is_order)
        if isinstance(found, Refusal):
            self._refuse(queue, raw, found, connection)
            return None
        return found

    def _refuse(
        self,
        queue: str,
        raw: bytes,
        refusal: Refusal,
        connection: Callable[[], AbstractContextManager[redis.Redis]],
    ) -> None:
        try:
            with connection() as client:
                count = self._deal_with(client, queue, raw, refusal)
        except redis.RedisError as error:
            # The message is gone from its queue; that it was refused is told later.
            with self._lock:
                self._uncounted[refusal.reason] += 1
            logger.warning("a refused message is not counted yet (%s)", type(error).__name__)
            return
        # Not a line for each of thousands: the first three, then every power of two.
        if count <= 3 or count & (count - 1) == 0:
            logger.warning(
                "%s: message refused, %s (%s; %d so far)",
                queue,
                refusal.detail,
                refusal.reason,
                count,
            )

    def _deal_with(self, client: redis.Redis, queue: str, raw: bytes, refusal: Refusal) -> int:
        with self._lock:
            waiting, self._uncounted = self._uncounted, Counter()
        try:
            for reason in tuple(waiting):
                count_refused(client, reason, waiting[reason])
                del waiting[reason]
            if refusal.reason == "newer":
                now = clock.now().timestamp()
                kept = _stamped(raw, now)
                if kept is not None:
                    return park(client, queue, kept, now + PARK_SECONDS)
            return count_refused(client, refusal.reason)
        finally:
            if waiting:
                with self._lock:
                    self._uncounted.update(waiting)


def _stamped(raw: bytes, now: float) -> str | None:
    """The message with the time it was first parked in it; None when that is too long ago."""
    content = json.loads(raw)
    first = content["headers"].setdefault(PARKED_HEADER, now)
    if not isinstance(first, int | float) or not 0 <= now - first <= PARK_LIFE_SECONDS:
        return None
    return json.dumps(content)


_intake: Intake | None = None


def guard_intake(known_tasks: Container[str], max_bytes: int) -> None:
    """From now on this process reads messages from Redis through :class:`Intake` only."""
    global _intake  # noqa: PLW0603  # one door per process, as there is one application
    _intake = Intake(known_tasks, max_bytes)


def admit(
    name: bytes | str,
    raw: bytes | str,
    connection: Callable[[], AbstractContextManager[redis.Redis]],
) -> Content | None:
    """What came from that list or channel, if this process may read it; without a door, all."""
    name = name.decode(errors="replace") if isinstance(name, bytes) else name
    raw = raw.encode() if isinstance(raw, str) else raw
    if _intake is None:
        return cast("Content", loads(raw))
    return _intake.admit(name, raw, connection)
