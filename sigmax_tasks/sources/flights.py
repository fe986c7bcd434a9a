"""Single flight: one of those who want the same thing fetches it, the others wait for that.

Within a process threads wait for a thread; between processes they wait for a lease in Redis,
``sigmax:flight:<provider>:<key>``, that its holder renews. A holder that dies keeps the others
waiting for the lease at most: then one of them takes over. What a holder found, or why it failed,
is left under its token for those who waited for it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from sigmax_tasks.errors import (
    BadPayloadError,
    BulkRefusedError,
    NeverHereError,
    NotOfferedError,
    PermanentSourceError,
    RateLimitedError,
    SourceError,
    TransientSourceError,
    WrongQuestionError,
)
from sigmax_tasks.redact import redact
from sigmax_tasks.sources.breaker import CircuitOpenError
from sigmax_tasks.sources.cache import Flight
from sigmax_tasks.sources.redis_link import LinkDownError, RedisLink
from sigmax_tasks.sources.renewals import Renewals

FAILURE_MS: Final = 5_000
"""How long it is remembered why a flight brought nothing."""

_TAKE: Final = """
local holder = redis.call('GET', KEYS[1])
if holder then return holder end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
"""
_RENEW: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
# KEYS flight, failure, then the values; ARGV token, failure and its time, then each value with its
# time. A holder that lost its lease leaves nothing: somebody else is at it.
_LAND: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if ARGV[2] ~= '' then redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) end
for number = 3, #KEYS do
  redis.call('SET', KEYS[number], ARGV[2 * number - 2], 'PX', ARGV[2 * number - 1])
end
return 1
"""

_KINDS: Final[Mapping[str, type[SourceError]]] = {
    kind.__name__: kind
    for kind in (
        BadPayloadError,
        BulkRefusedError,
        CircuitOpenError,
        NeverHereError,
        NotOfferedError,
        PermanentSourceError,
        RateLimitedError,
        TransientSourceError,
        WrongQuestionError,
    )
}


class Landed(NamedTuple):
    """What a flight brought: a text to keep under ``key`` for so long."""

    key: str
    text: str
    keep_ms: int


class Leases:
    """Leases on flights, renewed while they are held. Thread-safe."""

    def __init__(self, link: RedisLink, renewals: Renewals) -> None:
        self._link = link
        self._renewals = renewals
        self._take = link.script(_TAKE)
        self._renew = link.script(_RENEW)
        self._land = link.script(_LAND)

    def take(self, flight: Flight) -> tuple[str, bool]:
        """(its token, whether it is ours to make); :class:`LinkDownError` without Redis."""
        key, token, lease_ms = flight_key(flight), secrets.token_hex(12), self._renewals.lease_ms
        answer: Any = self._link.ask(lambda _: self._take(keys=[key], args=[token, lease_ms]))
        mine = answer == token
        if mine:
            self._renewals.hold(
                key,
                lambda: self._link.ask(lambda _: self._renew(keys=[key], args=[token, lease_ms])),
            )
        return str(answer), mine

    def land(
        self, flight: Flight, token: str, landed: Sequence[Landed] = (), *, failure: str = ""
    ) -> None:
        """End our flight and leave what came of it, in one step."""
        key = flight_key(flight)
        self._renewals.drop(key)
        keys = [key, failure_key(flight), *(kept.key for kept in landed)]
        args: list[str | int] = [token, failure, FAILURE_MS]
        for kept in landed:
            args += [kept.text, max(1, kept.keep_ms)]
        with suppress(LinkDownError):  # the lease runs out by itself
            self._link.ask(lambda _: self._land(keys=keys, args=args))

    def holder(self, flight: Flight) -> str | None:
        """Whose flight is on its way."""
        key = flight_key(flight)
        answer: Any = self._link.ask(lambda client: client.get(key))
        return None if answer is None else str(answer)

    def failure(self, flight: Flight, token: str) -> SourceError | None:
        """Why the flight of that token failed, if it said so."""
        key = failure_key(flight)
        text: Any = self._link.ask(lambda client: client.get(key))
        return unpack_failure(flight.provider_id, str(text), token) if text else None


def flight_key(flight: Flight) -> str:
    return f"sigmax:flight:{flight.provider_id}:{flight.key}"


def failure_key(flight: Flight) -> str:
    return f"{flight_key(flight)}:failed"


def pack_failure(error: SourceError, token: str) -> str:
    wait = error.retry_after_seconds if isinstance(error, TransientSourceError) else None
    return json.dumps(
        {
            "by": token,
            "kind": type(error).__name__,
            "problem": redact(error.problem).text,
            "wait": wait,
        }
    )


def unpack_failure(provider: str, text: str, token: str) -> SourceError | None:
    """The error that the flight of ``token`` left; None if another one left it."""
    facts = json.loads(text)
    if facts["by"] != token:
        return None
    kind = _KINDS.get(facts["kind"], TransientSourceError)
    if issubclass(kind, TransientSourceError):
        return kind(provider, facts["problem"], retry_after_seconds=facts["wait"])
    return kind(provider, facts["problem"])
