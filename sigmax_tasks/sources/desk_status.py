"""How each provider stands with the workers of a cluster: read from what their desks count."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import redis

from sigmax_tasks import clock
from sigmax_tasks.settings.sources import SourceSettings
from sigmax_tasks.sources.desk_counts import counts_key, latency_key
from sigmax_tasks.sources.gate import Lane, lane_keys, lane_name
from sigmax_tasks.sources.quota import left_of, quota_of

BreakerState = Literal["closed", "open", "half-open"]


@dataclass(frozen=True)
class ProviderStatus:
    """One provider. Counts and latencies are those of the last week at most.

    ``reachable`` is whether the last request was answered (a refusal is an answer), None where
    there was none.
    ``limits_left`` is what may still be asked now, by limit; ``late`` counts those who were turned
    away because their turn would have come too late. ``p50_ms`` and ``p95_ms`` are of the last 200
    answers.
    """

    provider: str
    simulated: bool
    host: str
    reachable: bool | None
    breaker: BreakerState
    breaker_seconds: float = 0.0
    cool_down_seconds: float = 0.0
    cool_down_reason: str = ""
    limits_left: Mapping[str, int] = field(default_factory=dict)
    requests: int = 0
    failed: int = 0
    hits: int = 0
    misses: int = 0
    stale: int = 0
    waits: int = 0
    waited_seconds: float = 0.0
    late: int = 0
    p50_ms: int | None = None
    p95_ms: int | None = None
    last_error: str = ""
    last_error_at: datetime | None = None
    last_answer_at: datetime | None = None


def desk_status(
    client: redis.Redis, settings: SourceSettings, environ: Mapping[str, str] | None = None
) -> tuple[ProviderStatus, ...]:
    """All providers of the settings, then those that simulated or replayed runs have asked.

    ``client`` decodes its answers to text; ``environ`` holds the providers' keys.
    """
    env = os.environ if environ is None else environ
    modes = [(name, live) for live in (True, False) for name in settings.providers]
    with client.pipeline(transaction=False) as pipe:
        for name, live in modes:
            pipe.hgetall(counts_key(name, live=live))
            pipe.lrange(latency_key(name, live=live), 0, -1)
        answers = pipe.execute()
    found = []
    for (name, live), counts, latencies in zip(modes, answers[::2], answers[1::2], strict=True):
        if live or counts:
            facts = cast("dict[str, str]", counts)
            lane = lane_in_use(settings, name, facts.get("lane", ""), env, live=live)
            found.append(_status(client, lane, facts, sorted(int(ms) for ms in latencies)))
    return tuple(found)


def lane_in_use(
    settings: SourceSettings, name: str, noted: str, env: Mapping[str, str], *, live: bool
) -> Lane:
    """The lane last used, else the one that this machine would use."""
    provider = settings.providers[name]
    label, _, host = noted.partition(" ")
    if not label:
        secret = env.get(provider.key.env) if provider.key is not None else None
        label, host = (
            lane_name(provider.base_url, secret or None),
            urlsplit(provider.base_url).netloc,
        )
    quota = quota_of(name, provider, settings.quota, label, live=live)
    return Lane(name, provider, label, host, live, quota)


def _status(
    client: redis.Redis, lane: Lane, counts: Mapping[str, str], latencies: Sequence[int]
) -> ProviderStatus:
    now_ms = clock.now().timestamp() * 1000
    cool_key, breaker_key, *_ = lane_keys(lane.provider_id, lane.name)
    cool = cast("str | None", client.get(cool_key)) or "0 "
    circuit = cast("list[str | None]", client.hmget(breaker_key, ["open", "half"]))
    open_until, half = float(circuit[0] or 0), circuit[1] == "1"
    cool_until, _, why = cool.partition(" ")

    def number(name: str) -> int:
        return int(counts.get(name, 0))

    answer_at, silence_at = number("last_answer_at"), number("last_silence_at")
    breaker: BreakerState = "closed"
    if half:
        breaker = "open" if open_until > now_ms else "half-open"
    cooling = max(0.0, float(cool_until) - now_ms) / 1000
    return ProviderStatus(
        provider=lane.provider_id,
        simulated=not lane.live,
        host=lane.host,
        reachable=None if not (answer_at or silence_at) else answer_at >= silence_at,
        breaker=breaker,
        breaker_seconds=round(max(0.0, open_until - now_ms) / 1000, 1),
        cool_down_seconds=round(cooling, 1),
        cool_down_reason=why if cooling else "",
        limits_left=left_of(client, lane.provider_id, lane.name, lane.quota),
        requests=number("requests"),
        failed=number("failed"),
        hits=number("hits"),
        misses=number("misses"),
        stale=number("stale"),
        waits=number("waits"),
        waited_seconds=number("waited_ms") / 1000,
        late=number("late"),
        p50_ms=percentile(latencies, 0.5),
        p95_ms=percentile(latencies, 0.95),
        last_error=counts.get("last_error", ""),
        last_error_at=_moment(counts.get("last_error_at")),
        last_answer_at=_moment(counts.get("last_answer_at")),
    )


def percentile(ascending: Sequence[int], share: float) -> int | None:
    """The smallest value that at least that share of them does not exceed; None of nothing."""
    if not ascending:
        return None
    rank = -(-len(ascending) * share // 1)
    return ascending[max(0, min(len(ascending) - 1, int(rank) - 1))]


def _moment(milliseconds: Any) -> datetime | None:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC) if milliseconds else None
