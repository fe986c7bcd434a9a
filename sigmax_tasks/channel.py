"""The Redis transport of kombu with fewer objects and commands per message.

It also serves tasks in an order of its own (turns.py).

kombu makes a Redis client for each command it sends, and takes or acknowledges each message in a
transaction of four. Here each channel keeps one client, either is one script, and the script that
notes a message as taken takes others along for which there is room. What stands in Redis stays the
same, so stock workers can share the queues.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from queue import Empty
from typing import Any
from weakref import ref

import redis
from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.transport import redis as kombu_redis
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps
from kombu.utils.scheduling import priority_cycle

from sigmax_planner.canvas import RESEARCH_QUEUE
from sigmax_tasks.intake import admit
from sigmax_tasks.lua_steps import StepClient
from sigmax_tasks.turns import serving_order, usual_turns
from sigmax_tasks.wire import Held

logger = logging.getLogger(__name__)

MOST_TAKEN_BESIDE = 4
"""How many messages are taken along with one, as far as there are free places for them."""

# Notes a message as at work, and takes up to ARGV[4] more from the lists behind the first two keys,
# in their order. Gives for each of those: its list, itself, its tag ('' if it has none: it is not
# noted then). Keys: the index of messages at work, their texts; arguments: time, tag, text.
TAKE = """
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
local function noted(raw)
  if #raw > 100000 then return '' end
  local read, message = pcall(cjson.decode, raw)
  local properties = read and type(message) == 'table' and message.properties
  if type(properties) ~= 'table' then return '' end
  local tag, info = properties.delivery_tag, properties.delivery_info
  if type(tag) ~= 'string' or type(info) ~= 'table' then return '' end
  if type(info.exchange) ~= 'string' or type(info.routing_key) ~= 'string' then return '' end
  local where = cjson.encode({info.exchange, info.routing_key})
  redis.call('ZADD', KEYS[1], ARGV[1], tag)
  redis.call('HSET', KEYS[2], tag, '[' .. raw .. ',' .. string.sub(where, 2))
  return tag
end
local taken = {}
for _ = 1, tonumber(ARGV[4]) do
  local raw = false
  for i = 3, #KEYS do
    raw = redis.call('RPOP', KEYS[i])
    if raw then
      taken[#taken + 1] = {KEYS[i], raw, noted(raw)}
      break
    end
  end
  if not raw then break end
end
return taken
"""
ACKNOWLEDGE = """
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
"""


class QoS(kombu_redis.QoS):  # type: ignore[misc]  # kombu ships no types
    """Keeps messages at work in Redis until they are acknowledged."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._noted: set[str] = set()
        self._held: dict[str, str] = {}
        self._settled: set[str] = set()
        _all_qos[:] = [*(kept for kept in _all_qos if kept() is not None), ref(self)]

    def take(
        self, text: str, delivery_tag: str, lists: Sequence[str] = (), most: int = 0
    ) -> Callable[[], Any]:
        """Note a message as at work, and take up to ``most`` others: (list, message, tag) each.

        It is on its way; what is given waits for the answer, and is to be called.
        """
        taken: Callable[[], Any] = self.channel.steps.take.begin(
            keys=[self.unacked_index_key, self.unacked_key, *(lists if most else ())],
            args=[time.time(), delivery_tag, text, most],
        )
        return taken

    def expect(self, delivery_tag: str) -> None:
        """The message of that tag, which comes next, is noted already."""
        self._noted.add(delivery_tag)

    def append(self, message: Any, delivery_tag: str) -> None:
        if delivery_tag in self._noted:
            self._noted.discard(delivery_tag)
        else:
            where = message.delivery_info
            text = dumps([message._raw, where["exchange"], where["routing_key"]])
            self.take(text, delivery_tag)()
        self._held[message.headers.get("id", "")] = delivery_tag
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        self._leave(delivery_tag, partial(self._forget, delivery_tag))

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if requeue:
            again = partial(self.restore_by_tag, delivery_tag, leftmost=True)
            self._leave(delivery_tag, again)
        else:
            self.ack(delivery_tag)

    def _leave(self, delivery_tag: str, settle: Callable[[], Any]) -> None:
        """Settle a message with Redis; its place here is free whatever comes of that.

        One that Redis still keeps comes again, to be found done.
        """
        try:
            settle()
        except redis.ResponseError as error:
            logger.warning("a message is not acknowledged: %.200s", error)
        finally:
            virtual.QoS.ack(self, delivery_tag)

    def drop(self, delivery_tag: str) -> None:
        """A message that was noted and is refused is not at work."""
        self.channel.steps.acknowledge(
            keys=[self.unacked_index_key, self.unacked_key],
            args=[delivery_tag],
        )

    def held(self, message_id: str) -> Held | None:
        """The message of that task as it is held here, None when it is not."""
        tag = self._held.get(message_id)
        if tag is None:
            return None
        settle = partial(self._settled.add, tag)
        return Held(self.unacked_index_key, self.unacked_key, tag, settle)

    def _forget(self, delivery_tag: str) -> None:
        message = self._delivered.get(delivery_tag)
        if message is not None:
            self._held.pop(message.headers.get("id", ""), None)
        if delivery_tag in self._settled:
            self._settled.discard(delivery_tag)
        else:
            self.drop(delivery_tag)


_all_qos: list[ref[QoS]] = []


def held_message(message_id: str) -> Held | None:
    """The message of a task that this process works on; None in a child of a pool of processes."""
    for kept in tuple(_all_qos):
        qos = kept()
        held = None if qos is None else qos.held(message_id)
        if held is not None:
            return held
    return None


class TakenTasks(priority_cycle):  # type: ignore[misc]  # kombu ships no types
    """The queues in their order, and how many tasks this channel has taken."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0

    def rotate(self, last_used: Any) -> None:
        """kombu tells of each message it has taken, and from which queue."""
        self.taken += last_used == RESEARCH_QUEUE


class Steps:
    """The Lua steps of a channel, over connections of their own made as those of its pool."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self._client = StepClient(connection_pool=pool)
        self.take = self._client.register_script(TAKE)
        self.acknowledge = self._client.register_script(ACKNOWLEDGE)

    def close(self) -> None:
        self._client.close()


class Channel(kombu_redis.Channel):  # type: ignore[misc]  # kombu ships no types
    """A channel whose commands share one thread-safe client over its pool of connections."""

    QoS = QoS
    reserved_turn_every = 0
    from_transport_options = (
        *kombu_redis.Channel.from_transport_options,
        "reserved_turn_every",
    )
    _kept: redis.Redis | None = None
    _steps: Steps | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._queue_cycle = TakenTasks()
        self._known_lists: dict[tuple[tuple[str, ...], tuple[int, ...]], tuple[str, ...]] = {}

    @property
    def kept_client(self) -> Any:
        """The client of the pool as it is now: a pool that was dropped takes its client along."""
        kept, pool = self._kept, self.pool
        if kept is None or kept.connection_pool is not pool:
            self._kept = kept = self._create_client()
        return kept

    @property
    def steps(self) -> Steps:
        """The steps on the pool as it is now."""
        if self._steps is None or self._steps.pool is not self.pool:
            self._close_steps()
            self._steps = Steps(self.pool)
        return self._steps

    def _close_steps(self) -> None:
        if self._steps is not None:
            self._steps.close()
            self._steps = None

    def close(self) -> None:
        super().close()
        self._close_steps()

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        yield self.kept_client if client is None else client

    def _brpop_start(self, timeout: float | None = None) -> None:
        """As kombu's, with our order: all control steps, then tasks by :func:`serving_order`."""
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        lists = self._lists(tuple(queues))
        command = ["BRPOP", *lists, (self.brpop_timeout if timeout is None else timeout) or 0]
        if self.global_keyprefix:
            command = self.client._prefix_args(command)
        self._in_poll = self.client.connection
        self._brpop_sent_at = time.monotonic()
        self.client.connection.send_command(*command)

    def _lists(self, queues: tuple[str, ...]) -> tuple[str, ...]:
        """The lists of Redis in the order in which the next message is looked for."""
        taken = self._queue_cycle.taken
        order = serving_order(self.priority_steps, taken, self.reserved_turn_every)
        known = self._known_lists.get((queues, order))
        if known is None:
            known = tuple(
                self._q_for_pri(queue, step)
                for tasks in (False, True)
                for step in (order if tasks else self.priority_steps)
                for queue in queues
                if (queue == RESEARCH_QUEUE) is tasks
            )
            self._known_lists[queues, order] = known
        return known

    def _brpop_read(self, **options: Any) -> bool:
        """The answer of BRPOP: its message and some more for free places, looked at and delivered.

        Raises ``Empty`` when there is none to deliver, as if the queues were empty.
        """
        connection = self.client.connection
        try:
            try:
                answer = self.client.parse_response(connection, "BRPOP", **options)
            except self.connection_errors:
                connection.disconnect()
                raise
            if not answer or not self._hand_over(*answer):
                raise Empty
            return True
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()

    def _hand_over(self, key: Any, raw: Any) -> bool:
        name, content = self._admitted(key, raw)
        if content is None:
            return False
        tag = content["properties"]["delivery_tag"]
        where = content["properties"]["delivery_info"]
        text = f"[{bytes_to_str(raw)},{dumps([where['exchange'], where['routing_key']])[1:]}"
        # The work of the first begins while Redis takes the others.
        taken = self.qos.take(text, tag, self._lists(tuple(self.active_queues)), self._room())
        try:
            self._noted_deliver(name, content, tag)
        finally:
            beside = taken()
        for other_key, other_raw, noted in beside:
            name, content = self._admitted(other_key, other_raw)
            other_tag = bytes_to_str(noted)
            if content is not None:
                self._noted_deliver(name, content, other_tag)
            elif other_tag:
                self.qos.drop(other_tag)
        return True

    def _room(self) -> int:
        """How many messages may be taken beside one, in the usual order."""
        free = self.qos.can_consume_max_estimate()
        turns = usual_turns(self._queue_cycle.taken, self.reserved_turn_every)
        return min(MOST_TAKEN_BESIDE, turns, MOST_TAKEN_BESIDE if free is None else free - 1)

    def _admitted(self, key: Any, raw: Any) -> tuple[str, Any]:
        """The queue of a list, and the message if it is not refused."""
        name: str = bytes_to_str(key).rsplit(self.sep, 1)[0]
        self._queue_cycle.rotate(name)
        return name, admit(key, raw, self.conn_or_acquire)

    def _noted_deliver(self, queue: str, content: Any, tag: str) -> None:
        if tag:
            self.qos.expect(tag)
        self.connection._deliver(content, queue)

    def _handle_message(self, client: Any, r: Any) -> Any:
        """What came over publish and subscribe, without its data where that is refused."""
        payload = super()._handle_message(client, r)
        data = payload.get("data")
        if not isinstance(data, bytes | str):
            return payload
        admitted = admit(payload["channel"], data, self.conn_or_acquire)
        return payload if admitted is not None else {**payload, "data": None}


class Transport(kombu_redis.Transport):  # type: ignore[misc]  # kombu ships no types
    """The Redis transport with such channels."""

    Channel = Channel


def use_lean_transport() -> None:
    """From now on this process speaks to Redis brokers through :class:`Transport`."""
    name = f"{__name__}:{Transport.__name__}"
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), name))
