"""What the desk counts of each provider, for all workers, in Redis.

``sigmax:desk:<provider>`` is a hash (``sigmax:desk:<provider>:simulated`` for simulated and
replayed data): requests, failed, hits, misses, stale, waits, waited_ms, late, last_error,
last_error_at, last_answer_at, last_silence_at (unix ms), lane; how long answers took as ``took|50``
(more than the bound below and at most 50 ms) up to ``took|inf``, and took_ms, their sum.
``...:latency`` lists the milliseconds of the last 200 answers. Both are forgotten a week after the
last of them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final, Literal

import redis

from sigmax_tasks.sources.redis_link import LinkDownError, RedisLink

PREFIX: Final = "sigmax:desk"
LATENCIES: Final = 200
LATENCY_BOUNDS_MS: Final = (25, 50, 100, 200, 400, 800, 1500, 3000, 6000, 12_000, 30_000)
_KEEP_SECONDS: Final = 7 * 86_400
Counted = Literal["hits", "misses", "stale", "late"]

COUNT_LUA: Final = (
    """
local function note_problem(counts, now, problem)
  if problem ~= '' then
    redis.call('HSET', counts, 'last_error', problem, 'last_error_at', whole(now))
    redis.call('EXPIRE', counts, KEEP)
  end
end

local function count_answer(counts, took)
  local bound = 'inf'
  for _, most in ipairs({BOUNDS}) do
    if tonumber(took) <= most then bound = most break end
  end
  redis.call('HINCRBY', counts, 'took|' .. bound, 1)
  redis.call('HINCRBY', counts, 'took_ms', took)
end

local function count_request(counts, latencies, now, outcome, waited, took, lane, problem)
  redis.call('HINCRBY', counts, 'requests', 1)
  redis.call('HSET', counts, 'lane', lane)
  if tonumber(waited) > 0 then
    redis.call('HINCRBY', counts, 'waits', 1)
    redis.call('HINCRBY', counts, 'waited_ms', waited)
  end
  if outcome == 'answered' then
    redis.call('LPUSH', latencies, took)
    redis.call('LTRIM', latencies, 0, LATENCIES - 1)
    redis.call('EXPIRE', latencies, KEEP)
    count_answer(counts, took)
  else
    redis.call('HINCRBY', counts, 'failed', 1)
  end
  local there = outcome == 'answered' or outcome == 'refused'
  redis.call('HSET', counts, there and 'last_answer_at' or 'last_silence_at', whole(now))
  redis.call('EXPIRE', counts, KEEP)
  note_problem(counts, now, problem)
end
""".replace("KEEP", str(_KEEP_SECONDS))
    .replace("LATENCIES", str(LATENCIES))
    .replace("BOUNDS", ", ".join(map(str, LATENCY_BOUNDS_MS)))
)


def counts_key(provider_id: str, *, live: bool) -> str:
    return f"{PREFIX}:{provider_id}" if live else f"{PREFIX}:{provider_id}:simulated"


def latency_key(provider_id: str, *, live: bool) -> str:
    return f"{counts_key(provider_id, live=live)}:latency"


def count(link: RedisLink, provider_id: str, what: Counted, *, live: bool) -> None:
    """Add one; without Redis nothing is counted."""
    key = counts_key(provider_id, live=live)

    def add(client: redis.Redis) -> None:
        with client.pipeline(transaction=False) as pipe:
            pipe.hincrby(key, what, 1)
            pipe.expire(key, _KEEP_SECONDS)
            pipe.execute()

    with suppress(LinkDownError):
        link.ask(add)
