"""Our transport and result backend beside those of Celery, on a real Redis."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

import pytest
import redis
from celery import chord
from kombu import Connection, Exchange, Queue
from kombu.transport import redis as kombu_redis

from sigmax_tasks import intake
from sigmax_tasks.application import make_app
from sigmax_tasks.channel import Transport
from tests.unit.engine.builders import runtime

from .conftest import Pool

QUEUE = Queue("letters", Exchange("", type="direct"), routing_key="letters")


def _taken(url: str, transport: type) -> tuple[Connection, list]:
    """A connection that has taken the one message of the queue and not acknowledged it."""
    connection = Connection(url, transport=transport)
    messages: list = []
    consumer = connection.Consumer(QUEUE, callbacks=[lambda body, m: messages.append((body, m))])
    consumer.consume()
    connection.drain_events(timeout=60)
    return connection, messages


def _publish(url: str, transport: type) -> None:
    with Connection(url, transport=transport) as connection:
        connection.Producer().publish({"n": 1}, routing_key="letters", serializer="json")


def test_a_message_at_work_is_kept_like_kombu_keeps_it(make_pool: Callable[[], Pool]) -> None:
    pool = make_pool()
    client = redis.Redis.from_url(pool.url)
    kept = []
    for transport in (Transport, kombu_redis.Transport):
        _publish(pool.url, transport)
        connection, ((body, message),) = _taken(pool.url, transport)
        assert body == {"n": 1}
        assert client.zscore("unacked_index", message.delivery_tag) is not None
        (text,) = client.hvals("unacked")
        kept.append(json.loads(text.replace(message.delivery_tag.encode(), b"TAG")))
        message.ack()
        assert not client.exists("unacked", "unacked_index")
        connection.release()
    assert kept[0] == kept[1]
    client.close()


def test_messages_taken_along_with_one_are_kept_like_it(
    make_pool: Callable[[], Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Junk between them is not delivered, and not kept as being at work."""
    pool = make_pool()
    client = redis.Redis.from_url(pool.url)
    for number in range(7):
        _publish(pool.url, Transport)
        if number == 2:
            client.lpush("letters", b"not a message")
            client.lpush("letters", b'{"properties": {"delivery_tag": "t", "delivery_info": {}}}')
    monkeypatch.setattr(intake, "_intake", intake.Intake((), 100_000))
    connection = Connection(pool.url, transport=Transport)
    messages: list = []
    consumer = connection.Consumer(QUEUE, callbacks=[lambda _, m: messages.append(m)])
    consumer.qos(prefetch_count=4)
    consumer.consume()
    connection.drain_events(timeout=60)
    assert len(messages) == 3, "one, and four beside it of which two are none"
    with suppress(TimeoutError, OSError):
        connection.drain_events(timeout=1)
    assert len(messages) == 4, "no more than may be worked on at a time"
    tags = {message.delivery_tag.encode() for message in messages}
    assert set(client.hkeys("unacked")) == set(client.zrange("unacked_index", 0, -1)) == tags
    assert client.llen("letters") == 3
    for message in messages:
        message.ack()
    assert not client.exists("unacked", "unacked_index")
    connection.release()
    client.close()


def test_a_message_of_a_lost_worker_is_restored_by_stock_kombu(
    make_pool: Callable[[], Pool],
) -> None:
    pool = make_pool()
    client = redis.Redis.from_url(pool.url)
    _publish(pool.url, Transport)
    lost, ((_, message),) = _taken(pool.url, Transport)
    with Connection(pool.url, transport=kombu_redis.Transport) as other:
        other.default_channel.qos.restore_by_tag(message.delivery_tag)
    assert client.llen("letters") == 1
    again, ((body, message),) = _taken(pool.url, Transport)
    assert body == {"n": 1}
    message.reject(requeue=True)
    assert client.llen("letters") == 1
    assert not client.exists("unacked")
    for connection in (lost, again):
        connection.transport.cycle.close()
        connection.release()
    client.close()


@pytest.mark.parametrize("requeue", [False, True])
def test_a_message_that_redis_does_not_let_go_takes_no_place(
    requeue: bool, make_pool: Callable[[], Pool], caplog: pytest.LogCaptureFixture
) -> None:
    """It stays at work for Redis, and comes again from there."""
    pool = make_pool()
    client = redis.Redis.from_url(pool.url)
    _publish(pool.url, Transport)
    connection, ((_, message),) = _taken(pool.url, Transport)
    qos = message.channel.qos
    qos.prefetch_count = 1
    assert not qos.can_consume()
    client.config_set("min-replicas-to-write", 1)  # no writes any more
    message.reject(requeue=requeue) if requeue else message.ack()
    assert qos.can_consume()
    assert "a message is not acknowledged" in caplog.text
    client.config_set("min-replicas-to-write", 0)
    assert client.hkeys("unacked") == [message.delivery_tag.encode()]
    qos.restore_by_tag(message.delivery_tag)
    assert client.llen("letters") == 1
    connection.release()
    client.close()


def test_a_sent_chord_leaves_no_subscription(make_pool: Callable[[], Pool]) -> None:
    pool = make_pool()
    client = redis.Redis.from_url(pool.url)
    app = make_app(runtime(), pool.url)
    header = [app.signature("x", args=(n,), queue="sigmax.research") for n in range(3)]
    chord(header, app.signature("y", queue="sigmax.control"), app=app).apply_async()
    assert client.llen("sigmax.research") == 3
    assert sum(int(each["sub"]) for each in client.client_list()) == 0
    app.close()
    client.close()


def test_a_result_can_still_be_waited_for(make_pool: Callable[[], Pool]) -> None:
    pool = make_pool()
    app = make_app(runtime(), pool.url)
    result = app.AsyncResult("some-task")
    app.backend.store_result("some-task", "done", "SUCCESS")
    assert result.get(timeout=60) == "done"
    app.close()
