"""The quota of each provider: moving windows over all workers, kept in Redis.

A request holds its place in a window from the moment it is let go until the window's length after
its answer came, not after it was let go: it reaches the provider somewhere in between. So no
second of the provider's own log, wherever it begins, holds more than the limit allows, whatever
the network and the workers' clocks do (all times are those of Redis). A worker that dies gives its
places back when the last possible moment of its request has passed.

Limits are written, parsed and named with the limits library; :class:`SharedWindows` is a storage
of it, so its moving-window strategy reads what is left. Its own script to take a place is not
used: it knows neither several windows at once nor places held while a request is under way.

Who has to wait stands in a queue, and is told at once when its turn would come too late.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import parse_qs

import redis
from limits import RateLimitItem, parse_many
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter

from sigmax_tasks.errors import ConfigurationError, TransientSourceError
from sigmax_tasks.settings.sources import ProviderSettings, QuotaSettings, WeightRule

PREFIX: Final = "sigmax:quota"

QUOTA_LUA: Final = """
local function cost_of(member) return tonumber(string.match(member, ':(%d+)$')) end

local function used_of(window, now)
  redis.call('ZREMRANGEBYSCORE', window, '-inf', whole(now))
  local used = 0
  for _, member in ipairs(redis.call('ZRANGE', window, 0, -1)) do used = used + cost_of(member) end
  return used
end

-- Milliseconds until `needed` fits under the limit, 0 when it does now. A place still held counts
-- as free one window from now, though it may take longer.
local function wait_of(window, limit, length, needed, now)
  local over = used_of(window, now) + needed - limit
  if over <= 0 then return 0 end
  local entries = redis.call('ZRANGE', window, 0, -1, 'WITHSCORES')
  local last = now
  for i = 1, #entries, 2 do
    over = over - cost_of(entries[i])
    last = math.min(tonumber(entries[i + 1]), now + length)
    if over <= 0 then return math.max(1, last - now) end
  end
  return last - now + math.ceil(over / limit) * length
end

-- Requests and weight of those who wait ahead of `ticket`; who has not come back in time is out.
local function ahead_of(queue, places, ticket, now)
  local requests, weight = 0, 0
  for _, other in ipairs(redis.call('ZRANGE', queue, 0, -1)) do
    if other == ticket then break end
    local due, its = string.match(redis.call('HGET', places, other) or '0:0', '^(%d+):(%d+)$')
    if tonumber(due) < now then
      redis.call('ZREM', queue, other)
      redis.call('HDEL', places, other)
    else
      requests, weight = requests + 1, weight + tonumber(its)
    end
  end
  return requests, weight
end

local function leave_queue(queue, places, ticket)
  redis.call('ZREM', queue, ticket)
  redis.call('HDEL', places, ticket)
end

-- What the provider says was used beyond what we know of: others ask it from here, too.
local function note_used(window, breaker, length, said, now)
  local before = redis.call('HGET', breaker, 'others')
  if before then redis.call('ZREM', window, before) end
  local others = math.floor(said - used_of(window, now))
  if others > 0 then
    local member = 'others:' .. whole(others)
    redis.call('ZADD', window, whole(now + length), member)
    redis.call('HSET', breaker, 'others', member)
  else
    redis.call('HDEL', breaker, 'others')
  end
end
"""

_TAKE_LUA: Final = """
local function whole(number) return string.format('%.0f', number) end
{quota}
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local limit, length, amount = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if used_of(KEYS[1], now) + amount > limit then return 0 end
redis.call('ZADD', KEYS[1], whole(now + length), ARGV[4] .. ':' .. whole(amount))
redis.call('PEXPIRE', KEYS[1], whole(length))
return 1
""".replace("{quota}", QUOTA_LUA)


class QuotaWaitError(TransientSourceError):
    """Not asked: its turn would come too late. ``retry_after_seconds`` is when it would come."""

    @classmethod
    def next_slot(cls, provider: str, seconds: float) -> QuotaWaitError:
        shown = f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}"
        return cls(provider, f"quota: next slot in {shown} s", retry_after_seconds=seconds)


@dataclass(frozen=True)
class Window:
    """One limit of one provider: ``item`` says how much of it in which time."""

    item: RateLimitItem
    key: str
    weighted: bool
    length_ms: int


@dataclass(frozen=True)
class Quota:
    """The limits of one provider at one address, and what its requests count for."""

    windows: tuple[Window, ...]
    weights: tuple[WeightRule, ...] = ()

    def weight(self, endpoint: str) -> int:
        """What a request of that path and query counts for in weighted windows."""
        path, _, query = endpoint.partition("?")
        for rule in self.weights:
            if fnmatchcase(path, rule.path) and _fits(rule, query):
                return rule.weight
        return 1


def quota_of(
    provider_id: str, provider: ProviderSettings, quota: QuotaSettings, lane: str, *, live: bool
) -> Quota:
    """The provider's limits in live mode, else those of ``quota.simulated_limits``.

    :class:`ConfigurationError` for a request that weighs more than a limit allows.
    """
    if not live:
        return Quota(_windows(provider_id, lane, quota.simulated_limits.get(provider_id)))
    counted = _windows(provider_id, lane, provider.limits)
    weighted = _windows(provider_id, lane, provider.weight_limits, weighted=True)
    spaced: tuple[Window, ...] = ()
    if provider.min_interval_seconds > 0:
        item = parse_many("1/second")[0]
        length_ms = round(provider.min_interval_seconds * 1000)
        spaced = (Window(item, f"{PREFIX}:spacing/{provider_id}/{lane}", False, length_ms),)
    heaviest = max((rule.weight for rule in provider.weights), default=1)
    for window in weighted:
        if heaviest > window.item.amount:
            raise ConfigurationError(
                f"providers.{provider_id}: a request of weight {heaviest} never fits "
                f"weight_limits {provider.weight_limits!r}"
            )
    return Quota((*counted, *spaced, *weighted), provider.weights)


def _windows(
    provider_id: str, lane: str, text: str | None, *, weighted: bool = False
) -> tuple[Window, ...]:
    if not text:
        return ()
    windows = []
    for parsed in parse_many(text):
        item = type(parsed)(
            parsed.amount, parsed.multiples, namespace="weight" if weighted else "requests"
        )
        key = f"{PREFIX}:{item.key_for(provider_id, lane)}"
        windows.append(Window(item, key, weighted, item.get_expiry() * 1000))
    return tuple(windows)


def _fits(rule: WeightRule, query: str) -> bool:
    if rule.parameter is None or rule.at_most is None:
        return True
    values = parse_qs(query).get(rule.parameter, [])
    if not values:
        return False
    value = values[-1]
    if value.startswith("["):
        return value.count(",") + 1 <= rule.at_most
    return value.isdigit() and int(value) <= rule.at_most


class SharedWindows(RedisStorage):
    """The windows as a storage of the limits library."""

    def __init__(self, client: redis.Redis) -> None:
        # Given a pool, the address is not used.
        super().__init__("redis://", connection_pool=client.connection_pool, key_prefix=PREFIX)
        self._client = client
        self._take = client.register_script(_TAKE_LUA)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Take a place that nobody settles: it is free again ``expiry`` seconds from now."""
        ticket = f"{time.monotonic_ns():x}"
        taken = self._take(
            keys=[self.prefixed_key(key)], args=[limit, expiry * 1000, amount, ticket]
        )
        return bool(taken)

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002  # the library's signature
        """(unix time from which the window counts, what is used of it)."""
        now = time.time()
        entries: Sequence[tuple[str, float]] = self._client.zrange(  # type: ignore[assignment]  # a synchronous client
            self.prefixed_key(key), 0, -1, withscores=True
        )
        alive = [(member, score / 1000) for member, score in entries if score / 1000 > now]
        if not alive:
            return now, 0
        return alive[0][1] - expiry, sum(int(member.rpartition(":")[2]) for member, _ in alive)


def left_of(client: redis.Redis, provider_id: str, lane: str, quota: Quota) -> Mapping[str, Any]:
    """What is left of each limit, by its text, such as ``{"5 per 1 second": 3}``."""
    limiter = MovingWindowRateLimiter(SharedWindows(client))
    return {
        f"{window.item.amount} {'weight ' if window.weighted else ''}per "
        f"{window.item.multiples} {window.item.GRANULARITY.name}": max(
            0, limiter.get_window_stats(window.item, provider_id, lane).remaining
        )
        for window in quota.windows
        if not window.key.startswith(f"{PREFIX}:spacing/")
    }
