"""Heartbeats that cannot be sent: nobody waits for them, and the error is seen."""

from __future__ import annotations

from typing import Any

import pytest
from celery.worker.heartbeat import Heart
from kombu.asynchronous.timer import Timer

from sigmax_tasks.application import make_app
from tests.unit.engine.builders import runtime


class DeafProducer:
    """As kombu's while Redis hangs."""

    serializer = "json"

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []

    def publish(self, event: Any, *, retry: bool, **_: Any) -> None:
        self.asked.append((event["type"], retry))
        raise ConnectionError("nobody answers")


@pytest.fixture
def events() -> Any:
    app = make_app(runtime(), "redis://127.0.0.1:1/0")
    made = app.events.Dispatcher(
        app.connection_for_write(), hostname="w0@here", enabled=False, buffer_group=["task"]
    )
    made.producer = DeafProducer()
    made.enabled = True
    return made


def test_a_heartbeat_is_tried_once_and_its_error_is_told(events: Any) -> None:
    heart = Heart(Timer(), events)
    for kind in ("worker-online", "worker-heartbeat"):
        with pytest.raises(ConnectionError):
            heart._send(kind)
    assert events.producer.asked == [("worker-online", False), ("worker-heartbeat", False)]
    assert not events._outbound_buffer


def test_other_events_wait_for_redis_as_before(events: Any) -> None:
    with pytest.raises(ConnectionError):
        Heart(Timer(), events)._send("worker-heartbeat")
    events.send("worker-offline")
    assert [event["type"] for event, _ in events._outbound_buffer] == ["worker-offline"]
