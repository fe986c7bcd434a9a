"""What a cluster refused or set aside, counted where everybody can see it.

===================  ======  ===================================================================
``sigmax:refused``   hash    reason -> how many messages were refused (envelope.py lists reasons)
``sigmax:parked``    zset    messages of a newer version, by when they go back to their queue
``sigmax:dead``      stream  tasks that were set aside because they kill their workers
===================  ======  ===================================================================

Each is bounded in size and lives ``KEPT_SECONDS`` from its last entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import redis

REFUSED_KEY = "sigmax:refused"
PARKED_KEY = "sigmax:parked"
DEAD_KEY = "sigmax:dead"

KEPT_SECONDS = 30 * 86_400
MOST_DEAD = 1_000
MOST_PARKED = 10_000
UNPARKED_AT_ONCE = 200

# Parks a message unless too many are; the number of those of its reason so far comes back.
_PARK = """
if redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
  redis.call('EXPIRE', KEYS[1], ARGV[4])
end
local count = redis.call('HINCRBY', KEYS[2], 'newer', 1)
redis.call('EXPIRE', KEYS[2], ARGV[4])
return count
"""
# Puts parked messages that are due back at the end of their queues.
_UNPARK = """
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, member in ipairs(due) do
  local cut = string.find(member, '\\n', 1, true)
  redis.call('LPUSH', string.sub(member, 1, cut - 1), string.sub(member, cut + 1))
  redis.call('ZREM', KEYS[1], member)
end
return #due
"""


@dataclass(frozen=True)
class DeadLetter:
    """A task that was set aside. ``reason`` says why."""

    run_id: str
    task_id: str
    reason: str
    at: datetime


def count_refused(client: redis.Redis, reason: str, times: int = 1) -> int:
    """Count refused messages; how many of that reason there have been."""
    with client.pipeline(transaction=True) as pipe:
        pipe.hincrby(REFUSED_KEY, reason, times)
        pipe.expire(REFUSED_KEY, KEPT_SECONDS)
        return int(pipe.execute()[0])


def refused(client: redis.Redis) -> dict[str, int]:
    """Reason -> number of refused messages."""
    values = cast("Mapping[str, str]", client.hgetall(REFUSED_KEY))
    return {reason: int(count) for reason, count in sorted(values.items())}


def park(client: redis.Redis, queue: str, raw: str, due: float) -> int:
    """Keep a message for a newer worker until ``due`` (unix seconds), and count it."""
    script = client.register_script(_PARK)
    arguments: list[str | float] = [f"{queue}\n{raw}", due, MOST_PARKED, KEPT_SECONDS]
    return int(cast("int", script(keys=[PARKED_KEY, REFUSED_KEY], args=arguments)))


def unpark(client: redis.Redis, now: float) -> int:
    """Put messages that are due back into their queues; how many."""
    script = client.register_script(_UNPARK)
    return int(cast("int", script(keys=[PARKED_KEY], args=[now, UNPARKED_AT_ONCE])))


def add_dead_letter(client: redis.Redis, letter: DeadLetter) -> None:
    with client.pipeline(transaction=True) as pipe:
        pipe.xadd(
            DEAD_KEY,
            {
                "run": letter.run_id,
                "task": letter.task_id,
                "reason": letter.reason,
                "at": letter.at.isoformat(),
            },
            maxlen=MOST_DEAD,
            approximate=True,
        )
        pipe.expire(DEAD_KEY, KEPT_SECONDS)
        pipe.execute()


def dead_letters(client: redis.Redis, limit: int = MOST_DEAD) -> tuple[DeadLetter, ...]:
    """Newest first."""
    entries = cast("list[tuple[str, dict[str, str]]]", client.xrevrange(DEAD_KEY, count=limit))
    return tuple(
        DeadLetter(
            run_id=fields["run"],
            task_id=fields["task"],
            reason=fields["reason"],
            at=datetime.fromisoformat(fields["at"]).astimezone(UTC),
        )
        for _, fields in entries
    )


def count_dead(client: redis.Redis) -> int:
    return client.xlen(DEAD_KEY)
