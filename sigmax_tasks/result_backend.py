"""The result backend of our applications: Celery's on Redis, for results nobody waits for."""

from __future__ import annotations

from typing import Any

from celery.backends.redis import RedisBackend


class Backend(RedisBackend):  # type: ignore[misc]  # celery ships no types
    """Stores results and counts chords as Celery does, but subscribes to none.

    Runs are followed by their events and their end stands in the run store. Celery subscribes to
    the result of every message it sends outside a prefork child, and keeps the subscriptions of
    chords for good.
    """

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Nobody here waits for the result."""

    def add_pending_result(self, result: Any, weak: bool | None = None, **options: Any) -> Any:
        """Subscribe for ``result.get()``, which leaves ``weak`` out; not for a group's barrier."""
        return super().add_pending_result(result, **options) if weak is None else result
