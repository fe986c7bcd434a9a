"""The circuit breaker of each provider, shared by all workers through Redis.

Its hash ``sigmax:breaker:<provider>:<hash>`` holds

========  ==========================================================================================
``ok``    when the provider last answered (unix ms); gone while it is not trusted
``fails`` failures in a row, the first of them at ``since``
``open``  until when nobody asks (unix ms)
``half``  1 from opening until an answer: requests go one at a time, and one failure opens again
========  ==========================================================================================

It opens after so many failures in a row within a window, or at once after a request that hung.
Every answer closes it, a refusal as well: whoever refuses is there.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sigmax_tasks.errors import TransientSourceError

BREAKER_LUA: Final = """
local function whole(number) return string.format('%.0f', number) end

-- Until when (unix ms) nobody may ask, 0 while one request is trying it again, nil: ask.
local function circuit_refusal(key, now, flying)
  local state = redis.call('HMGET', key, 'open', 'half')
  local open = tonumber(state[1] or '0')
  if open > now then return open end
  if state[2] == '1' and flying > 0 then return 0 end
  return nil
end

local function circuit_answered(key, now, trusted)
  redis.call('HDEL', key, 'open', 'half', 'fails', 'since')
  if trusted then redis.call('HSET', key, 'ok', whole(now)) else redis.call('HDEL', key, 'ok') end
end

local function circuit_failed(key, now, hung, most, window, open_ms)
  local state = redis.call('HMGET', key, 'fails', 'since', 'half', 'open')
  if tonumber(state[4] or '0') > now then return end
  local fails, since = tonumber(state[1] or '0'), tonumber(state[2] or '0')
  if now - since > window then fails, since = 0, now end
  fails = fails + 1
  if hung or state[3] == '1' or fails >= most then
    redis.call('HSET', key, 'open', whole(now + open_ms), 'half', '1')
    redis.call('HDEL', key, 'fails', 'since', 'ok')
  else
    redis.call('HSET', key, 'fails', fails, 'since', whole(since))
  end
end
"""


class CircuitOpenError(TransientSourceError):
    """Not asked: the provider has failed too often lately. No other error says so at once."""

    @classmethod
    def until(cls, provider: str, moment: datetime, seconds: float) -> CircuitOpenError:
        """``seconds`` is how long that is from now."""
        return cls(
            provider, f"circuit open until {moment:%H:%M:%S} UTC", retry_after_seconds=seconds
        )

    @classmethod
    def on_trial(cls, provider: str) -> CircuitOpenError:
        return cls(provider, "circuit open: one request is trying it again")
