"""Is the Redis of the cluster fit for the job?"""

from __future__ import annotations

import ipaddress
import statistics
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import redis

from sigmax_tasks import clock
from sigmax_tasks.checkup.finding import Finding, State, graded
from sigmax_tasks.cluster_link import connect

AREA: Final = "broker"
OLDEST_REDIS: Final = (6, 2)
PINGS: Final = 5
SLOW_MS: Final = (50.0, 500.0)
"""A run takes about a hundred round trips one after the other."""
FULL_SHARE: Final = (0.8, 0.95)
LEAK_PER_WORKER: Final = 50
"""Channels that are listened to; a result in the making has one for milliseconds."""
CLOCK_SECONDS: Final = (1.0, 5.0)
"""Leases last 6 s; deadlines are compared between machines."""


@dataclass(frozen=True)
class BrokerFacts:
    """What Redis says of itself. ``ahead_seconds`` is the clock here less its clock."""

    info: dict[str, Any]
    ping_ms: float
    ahead_seconds: float


def broker_facts(client: redis.Redis) -> BrokerFacts:
    """Ask Redis; raises its errors."""
    took = []
    for _ in range(PINGS):
        began = clock.monotonic()
        client.ping()
        took.append((clock.monotonic() - began) * 1000)
    began_at = clock.now().timestamp()
    at_redis: Any = client.time()
    middle = (began_at + clock.now().timestamp()) / 2
    info: Any = client.info()
    return BrokerFacts(
        info=info,
        ping_ms=round(statistics.median(took), 1),
        ahead_seconds=round(middle - (at_redis[0] + at_redis[1] / 1e6), 3),
    )


def broker_findings(facts: BrokerFacts, url: str, workers: int) -> list[Finding]:
    """``workers`` is how many processes are known of."""
    return [
        _version(facts),
        _latency(facts),
        _persistence(facts),
        _eviction(facts),
        *_memory(facts),
        _password(url),
        _encryption(url),
        _clients(facts),
        _subscriptions(facts, workers),
        clock_finding("clock here", facts.ahead_seconds),
    ]


def clock_finding(name: str, ahead_seconds: float) -> Finding:
    state = graded(abs(ahead_seconds), warning=CLOCK_SECONDS[0], problem=CLOCK_SECONDS[1])
    way = "ahead of" if ahead_seconds >= 0 else "behind"
    advice = "set the clock by NTP (timedatectl set-ntp true)" if state != "ok" else ""
    said = f"{abs(ahead_seconds):.2f} s {way} that of Redis"
    return Finding("clocks", name, state, said, advice)


def _version(facts: BrokerFacts) -> Finding:
    text = str(facts.info.get("redis_version", "0"))
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    if numbers >= OLDEST_REDIS:
        return Finding(AREA, "version", "ok", f"Redis {text}")
    return Finding(AREA, "version", "problem", f"Redis {text}", "run Redis 6.2 or newer; 7 for ACL")


def _latency(facts: BrokerFacts) -> Finding:
    state = graded(facts.ping_ms, warning=SLOW_MS[0], problem=SLOW_MS[1])
    advice = "put Redis nearer to the workers, or look at its load" if state != "ok" else ""
    return Finding(AREA, "latency", state, f"answers in {facts.ping_ms:g} ms", advice)


def _persistence(facts: BrokerFacts) -> Finding:
    info = facts.info
    if info.get("aof_enabled"):
        if info.get("aof_last_write_status", "ok") != "ok":
            advice = "look at the disk of Redis: what comes in now is lost in a crash"
            return Finding(AREA, "persistence", "problem", "the last write failed", advice)
        return Finding(AREA, "persistence", "ok", "append-only file")
    advice = "set appendonly yes (ops/redis/redis.conf), or a restart of Redis loses open runs"
    return Finding(AREA, "persistence", "warning", "nothing is written to disk", advice)


def _eviction(facts: BrokerFacts) -> Finding:
    policy = str(facts.info.get("maxmemory_policy", "unknown"))
    if policy == "noeviction":
        return Finding(AREA, "eviction", "ok", policy)
    advice = "set maxmemory-policy noeviction: any other throws messages and runs away"
    return Finding(AREA, "eviction", "problem", policy, advice)


def _memory(facts: BrokerFacts) -> list[Finding]:
    used, limit = int(facts.info.get("used_memory", 0)), int(facts.info.get("maxmemory", 0))
    if not limit:
        return [Finding(AREA, "memory", "ok", f"{used / 1e6:.0f} MB used, no limit")]
    state = graded(used / limit, warning=FULL_SHARE[0], problem=FULL_SHARE[1])
    advice = "raise maxmemory, or shorten retention.run_hours" if state != "ok" else ""
    said = f"{used / 1e6:.0f} of {limit / 1e6:.0f} MB used"
    return [Finding(AREA, "memory", state, said, advice)]


def _password(url: str) -> Finding:
    """Whether somebody without a name may read."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return Finding(AREA, "password", "ok", "a socket; the rights of its file decide")
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    with closing(connect(bare, connect_timeout_seconds=1.0)) as stranger:
        try:
            stranger.exists("sigmax:live")
        except (redis.AuthenticationError, redis.ResponseError):
            return Finding(AREA, "password", "ok", "needed")
    state: State = "warning" if _is_near(parts.hostname) else "problem"
    advice = "set users (ops/redis/users.acl) or requirepass"
    return Finding(AREA, "password", state, "none: whoever reaches it rules it", advice)


def _encryption(url: str) -> Finding:
    parts = urlsplit(url)
    if parts.scheme == "rediss":
        return Finding(AREA, "encryption", "ok", "TLS, certificate checked")
    if parts.scheme == "unix" or _is_near(parts.hostname):
        return Finding(AREA, "encryption", "ok", "none, and none needed on this machine")
    advice = "use rediss:// (ops/redis/tls.conf) unless the network is yours alone"
    return Finding(AREA, "encryption", "warning", "none", advice)


def _is_near(host: str | None) -> bool:
    if host in {None, "", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _clients(facts: BrokerFacts) -> Finding:
    count, most = facts.info.get("connected_clients", 0), facts.info.get("maxclients", 10_000)
    state = graded(count / most, warning=FULL_SHARE[0], problem=FULL_SHARE[1])
    advice = "raise maxclients, or run fewer worker processes" if state != "ok" else ""
    return Finding(AREA, "clients", state, f"{count} of {most}", advice)


def _subscriptions(facts: BrokerFacts, workers: int) -> Finding:
    count = int(facts.info.get("pubsub_channels", 0))
    usual = LEAK_PER_WORKER * max(1, workers)
    if count <= usual:
        return Finding(AREA, "subscriptions", "ok", f"{count} channels")
    said = f"{count} channels, more than {usual} that {max(1, workers)} workers use"
    advice = "something leaks subscriptions: restart programs that submit and stay, then workers"
    return Finding(AREA, "subscriptions", "warning", said, advice)
