"""Notices that are to be sent out, kept in Redis until they are: the outbox of the cluster.

A run's notices are laid into it in the same step that keeps its decision, so exactly the decision
that is kept is told of, whoever dies. Each notice is for one receiver. Who sends it holds it for
``lease_seconds``; one whose sender died comes back, so a receiver may get a notice twice where a
sender died between sending and saying so. Its id tells.

====================  ====  ======================================================================
``sigmax:outbox``     zset  notices as JSON, by when they are due (unix seconds)
``...:tries``         hash  notice -> how often it was tried
``...:alerts``        hash  alert -> 1 while it has been told that it fires
====================  ====  ======================================================================

Bounded: of more than ``most`` notices the oldest are dropped and counted, and so is what nobody has
sent for a day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import redis

from sigmax_tasks.tally import KEEP_SECONDS, TALLY_KEY

OUTBOX_KEY: Final = "sigmax:outbox"
TRIES_KEY: Final = "sigmax:outbox:tries"
ALERTS_KEY: Final = "sigmax:outbox:alerts"
_DAY_SECONDS: Final = 86_400
_LOOKED_AT: Final = 100

# Lays the notices of a JSON list into the outbox.
OUTBOX_LUA: Final = """
local function drop(outbox, tries, all, old)
  for _, notice in ipairs(old) do
    redis.call('ZREM', outbox, notice)
    redis.call('HDEL', tries, notice)
    redis.call('HINCRBY', all, 'notices|dropped', 1)
  end
end
local function post(outbox, tries, all, text, now, most)
  if text == '' then return end
  for _, notice in ipairs(cjson.decode(text)) do redis.call('ZADD', outbox, 'NX', now, notice) end
  local over = redis.call('ZCARD', outbox) - tonumber(most)
  if over > 0 then drop(outbox, tries, all, redis.call('ZRANGE', outbox, 0, over - 1)) end
  redis.call('EXPIRE', outbox, WEEK)
  redis.call('EXPIRE', tries, WEEK)
end
""".replace("WEEK", str(7 * _DAY_SECONDS))

_POST_ALERT: Final = (
    OUTBOX_LUA
    + """
-- KEYS outbox, tries, tally, alerts; ARGV notices, now, most, alert, 1 or 0
local known = redis.call('HGET', KEYS[4], ARGV[4]) or '0'
if known == ARGV[5] then return 0 end
redis.call('HSET', KEYS[4], ARGV[4], ARGV[5])
redis.call('EXPIRE', KEYS[4], WEEK)
post(KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2], ARGV[3])
return 1
""".replace("WEEK", str(7 * _DAY_SECONDS))
)
_CLAIM: Final = (
    OUTBOX_LUA
    + """
-- KEYS outbox, tries, tally; ARGV now, lease, receivers as JSON, how many to look at, oldest
drop(KEYS[1], KEYS[2], KEYS[3], redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[5]))
local mine = {}
for _, name in ipairs(cjson.decode(ARGV[3])) do mine[name] = true end
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[4])
for _, notice in ipairs(due) do
  if mine[cjson.decode(notice)['to']] then
    redis.call('ZADD', KEYS[1], 'XX', ARGV[1] + ARGV[2], notice)
    local tries = redis.call('HINCRBY', KEYS[2], notice, 1)
    redis.call('EXPIRE', KEYS[2], WEEK)
    return {notice, tries}
  end
end
return {}
""".replace("WEEK", str(7 * _DAY_SECONDS))
)
_END: Final = """
-- KEYS outbox, tries, tally; ARGV notice, what to count
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HINCRBY', KEYS[3], ARGV[2], 1)
redis.call('EXPIRE', KEYS[3], KEEP)
return 1
""".replace("KEEP", str(KEEP_SECONDS))


@dataclass(frozen=True)
class Claimed:
    """A notice that this process is to send, for the ``tries``-th time."""

    text: str
    tries: int

    @property
    def facts(self) -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", json.loads(self.text))


class Outbox:
    """Thread-safe. ``client`` decodes its answers to text. Methods raise ``redis.RedisError``."""

    def __init__(self, client: redis.Redis, most: int) -> None:
        self._redis = client
        self._most = most
        self._alert_script = client.register_script(_POST_ALERT)
        self._claim_script = client.register_script(_CLAIM)
        self._end_script = client.register_script(_END)

    def post_alert(self, notices: str, now: float, name: str, *, firing: bool) -> bool:
        """Lay an alert into it, unless that was told before; ``notices`` as of :func:`packed`."""
        told = self._alert_script(
            keys=[*outbox_keys(), ALERTS_KEY],
            args=[notices, now, self._most, name, int(firing)],
        )
        return int(cast("int", told)) == 1

    def firing(self) -> frozenset[str]:
        """Names of the alerts that were told to fire, and not yet to be over."""
        known = cast("dict[str, str]", self._redis.hgetall(ALERTS_KEY))
        return frozenset(name for name, state in known.items() if state == "1")

    def claim(self, now: float, lease_seconds: float, receivers: Sequence[str]) -> Claimed | None:
        """The next notice for one of the receivers that is due; None where there is none."""
        found = self._claim_script(
            keys=outbox_keys(),
            args=[now, lease_seconds, json.dumps(receivers), _LOOKED_AT, now - _DAY_SECONDS],
        )
        if not found:
            return None
        notice, tries = cast("tuple[str, int]", found)
        return Claimed(notice, int(tries))

    def sent(self, claimed: Claimed) -> None:
        self._end(claimed, "sent")

    def failed(self, claimed: Claimed) -> None:
        """Given up."""
        self._end(claimed, "failed")

    def again(self, claimed: Claimed, at: float) -> None:
        """To be tried again then (unix seconds)."""
        self._redis.zadd(OUTBOX_KEY, {claimed.text: at}, xx=True)

    def waiting(self) -> int:
        """How many notices are not sent yet."""
        return int(self._redis.zcard(OUTBOX_KEY))

    def _end(self, claimed: Claimed, how: str) -> None:
        self._end_script(keys=outbox_keys(), args=[claimed.text, f"notices|{how}"])


def outbox_keys() -> tuple[str, str, str]:
    """The keys that the scripts here write to, besides that of the alerts."""
    return OUTBOX_KEY, TRIES_KEY, TALLY_KEY


def packed(notices: Sequence[Mapping[str, object]]) -> str:
    """Notices for the scripts; "" where there are none."""
    texts = [json.dumps(notice, sort_keys=True, separators=(",", ":")) for notice in notices]
    return json.dumps(texts) if texts else ""
