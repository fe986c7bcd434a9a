"""The Redis transport of kombu with fewer objects and commands per message.

It also serves tasks in an order of its own (turns.py).

kombu makes a Redis client for each command it sends and takes or acknowledges a message in a
transaction of four. Here each channel keeps one client, and either is one script. What stands in
Redis stays the same, so stock workers can share the queues.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import redis
from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.transport import redis as kombu_redis
from kombu.utils.json import dumps
from kombu.utils.scheduling import priority_cycle

from sigmax_planner.canvas import RESEARCH_QUEUE
from sigmax_tasks.intake import admits
from sigmax_tasks.turns import serving_order

# Keys: the index of messages at work, and their texts.
TAKE = """
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
"""
ACKNOWLEDGE = """
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
"""


class QoS(kombu_redis.QoS):  # type: ignore[misc]  # kombu ships no types
    """Keeps messages at work in Redis until they are acknowledged."""

    def append(self, message: Any, delivery_tag: str) -> None:
        where = message.delivery_info
        text = dumps([message._raw, where["exchange"], where["routing_key"]])
        self._take(
            keys=[self.unacked_index_key, self.unacked_key],
            args=[time.time(), delivery_tag, text],
            client=self.channel.kept_client,
        )
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        self._forget(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if requeue:
            self.restore_by_tag(delivery_tag, leftmost=True)
        else:
            self._forget(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)

    def _forget(self, delivery_tag: str) -> None:
        self._acknowledge(
            keys=[self.unacked_index_key, self.unacked_key],
            args=[delivery_tag],
            client=self.channel.kept_client,
        )

    @cached_property
    def _take(self) -> Any:
        return self.channel.kept_client.register_script(TAKE)

    @cached_property
    def _acknowledge(self) -> Any:
        return self.channel.kept_client.register_script(ACKNOWLEDGE)


class TakenTasks(priority_cycle):  # type: ignore[misc]  # kombu ships no types
    """The queues in their order, and how many tasks this channel has taken."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0

    def rotate(self, last_used: Any) -> None:
        """kombu tells of each message it has taken, and from which queue."""
        self.taken += last_used == RESEARCH_QUEUE


class Channel(kombu_redis.Channel):  # type: ignore[misc]  # kombu ships no types
    """A channel whose commands share one thread-safe client over its pool of connections."""

    QoS = QoS
    reserved_turn_every = 0
    from_transport_options = (
        *kombu_redis.Channel.from_transport_options,
        "reserved_turn_every",
    )
    _kept: redis.Redis | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._queue_cycle = TakenTasks()

    @property
    def kept_client(self) -> Any:
        """The client of the pool as it is now: a pool that was dropped takes its client along."""
        kept, pool = self._kept, self.pool
        if kept is None or kept.connection_pool is not pool:
            self._kept = kept = self._create_client()
        return kept

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        yield self.kept_client if client is None else client

    def _brpop_start(self, timeout: float | None = None) -> None:
        """As kombu's, with our order: all control steps, then tasks by :func:`serving_order`."""
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        order = serving_order(
            self.priority_steps, self._queue_cycle.taken, self.reserved_turn_every
        )
        keys = [
            self._q_for_pri(queue, step)
            for tasks in (False, True)
            for step in (order if tasks else self.priority_steps)
            for queue in queues
            if (queue == RESEARCH_QUEUE) is tasks
        ]
        command = ["BRPOP", *keys, (self.brpop_timeout if timeout is None else timeout) or 0]
        if self.global_keyprefix:
            command = self.client._prefix_args(command)
        self._in_poll = self.client.connection
        self._brpop_sent_at = time.monotonic()
        self.client.connection.send_command(*command)

    def _create_client(self, asynchronous: bool = False) -> Any:
        client = super()._create_client(asynchronous=asynchronous)
        if asynchronous:
            client.set_response_callback("BRPOP", self._sift)
        return client

    def _sift(self, answer: Any, **_: Any) -> tuple[Any, Any] | None:
        """The answer of BRPOP; None, as if the queues were empty, for a refused message."""
        if not answer:
            return None
        key, raw = answer
        return (key, raw) if admits(key, raw, self.conn_or_acquire) else None

    def _handle_message(self, client: Any, r: Any) -> Any:
        """What came over publish and subscribe, without its data where that is refused."""
        payload = super()._handle_message(client, r)
        data = payload.get("data")
        if isinstance(data, bytes | str) and not admits(
            payload["channel"], data, self.conn_or_acquire
        ):
            return {**payload, "data": None}
        return payload


class Transport(kombu_redis.Transport):  # type: ignore[misc]  # kombu ships no types
    """The Redis transport with such channels."""

    Channel = Channel


def use_lean_transport() -> None:
    """From now on this process speaks to Redis brokers through :class:`Transport`."""
    name = f"{__name__}:{Transport.__name__}"
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), name))
