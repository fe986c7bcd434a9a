"""The result backend of our applications: Celery's on Redis, for results nobody waits for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from celery import states
from celery.backends.redis import RedisBackend
from kombu.exceptions import OperationalError

from sigmax_tasks.wire import JOINED_HEADER

logger = logging.getLogger(__name__)


class Backend(RedisBackend):  # type: ignore[misc]  # celery ships no types
    """Stores results and counts chords as Celery does, but subscribes to none.

    Runs are followed by their events and their end stands in the run store. Celery subscribes to
    the result of every message it sends outside a prefork child, and keeps the subscriptions of
    chords for good.

    Tasks marked with :data:`JOINED_HEADER` are done with when they end: the step that kept their
    outcome has counted their part of the chord, and the outcome is their result.
    """

    def mark_as_done(
        self,
        task_id: str,
        result: Any,
        request: Any = None,
        store_result: bool = True,
        state: str = states.SUCCESS,
    ) -> None:
        if not _joined(request):
            super().mark_as_done(task_id, result, request, store_result, state)

    def mark_as_failure(self, *args: Any, **options: Any) -> None:
        """As Celery does, with the messages that a failure sends."""
        with _in_spite_of_redis("the failure of a task is not told"):
            super().mark_as_failure(*args, **options)

    def on_chord_part_return(self, request: Any, state: str, result: Any, **options: Any) -> Any:
        """Count a part; one that failed outside of its work is for the watchdog to send again."""
        if _joined(request):
            return None
        with _in_spite_of_redis("a part of a chord is not counted"):
            return super().on_chord_part_return(request, state, result, **options)

    def store_result(self, *args: Any, **options: Any) -> Any:
        """Write a result, which nobody here waits for."""
        with _in_spite_of_redis("a result is not kept"):
            return super().store_result(*args, **options)

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Nobody here waits for the result."""

    def add_pending_result(self, result: Any, weak: bool | None = None, **options: Any) -> Any:
        """Subscribe for ``result.get()``, which leaves ``weak`` out; not for a group's barrier."""
        return super().add_pending_result(result, **options) if weak is None else result


@contextmanager
def _in_spite_of_redis(lost: str) -> Iterator[None]:
    """Do without what Redis does not take, as when its memory is full or it is away.

    An error here would keep Celery from acknowledging the message, whose place in the worker would
    stay taken for good. What a run needs stands in the run store, and the watchdog goes by that.
    """
    try:
        yield
    except (redis.RedisError, OperationalError) as error:
        logger.warning("%s: %.200s", lost, error)


def _joined(request: Any) -> bool:
    return request is not None and bool(request.get(JOINED_HEADER))
