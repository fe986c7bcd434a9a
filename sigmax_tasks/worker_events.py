"""What a worker says of itself to Flower and others, when Redis does not listen."""

from __future__ import annotations

from typing import Any

from celery.app.events import Events as CeleryEvents
from celery.events.dispatcher import EventDispatcher


class Dispatcher(EventDispatcher):  # type: ignore[misc]  # celery ships no types
    """Does not insist on a heartbeat.

    Celery sends one over and over until it is through, in the very loop that takes messages and
    heeds signals: while Redis hangs, a worker could not be stopped. Here the error ends the round
    of that loop, which connects again and heeds signals meanwhile. Heartbeats are all that Celery
    insists on.
    """

    buffer_while_offline: bool

    def _publish(
        self, event: Any, producer: Any, routing_key: str, retry: bool = False, **options: Any
    ) -> None:
        kept = self.buffer_while_offline
        # Whoever sends holds the lock of this dispatcher.
        self.buffer_while_offline = kept and not retry
        try:
            super()._publish(event, producer, routing_key, **options)
        finally:
            self.buffer_while_offline = kept


class Events(CeleryEvents):  # type: ignore[misc]
    """The events of an application of ours."""

    dispatcher_cls = f"{__name__}:{Dispatcher.__name__}"
