"""One reading of a cluster's figures: three round trips to Redis, no key is searched for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, cast

import redis

from sigmax_planner.canvas import CONTROL_QUEUE, PRIORITY_STEPS, RESEARCH_QUEUE
from sigmax_tasks import clock
from sigmax_tasks.budget import WORLDS, DaySpend, day_of, day_spend, spend_key
from sigmax_tasks.outbox import OUTBOX_KEY
from sigmax_tasks.refusals import DEAD_KEY, PARKED_KEY, REFUSED_KEY
from sigmax_tasks.settings import Settings
from sigmax_tasks.sources.desk_counts import counts_key
from sigmax_tasks.sources.gate import lane_keys
from sigmax_tasks.tally import TALLY_KEY, TASK_TALLY_KEY

QUEUES = (CONTROL_QUEUE, RESEARCH_QUEUE)


@dataclass(frozen=True)
class ProviderReading:
    """What the desks of all workers counted of a provider; times left in seconds from now."""

    provider: str
    simulated: bool
    counts: Mapping[str, str]
    open_seconds: float = 0.0
    half_open: bool = False
    cool_down_seconds: float = 0.0


@dataclass(frozen=True)
class Reading:
    """A cluster at one moment. ``answers_in_seconds`` None: its Redis did not answer.

    ``spend`` is today's, by world (budget.py).
    """

    answers_in_seconds: float | None
    tally: Mapping[str, str] = field(default_factory=dict)
    task_tally: Mapping[str, str] = field(default_factory=dict)
    spend: Mapping[str, DaySpend] = field(default_factory=dict)
    day_limit_usd: float | None = None
    workers: int = 0
    open_runs: int = 0
    overdue_runs: int = 0
    kept_runs: int = 0
    unacknowledged: int = 0
    outbox: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    parked: int = 0
    dead_letters: int = 0
    queued: Mapping[tuple[str, int], int] = field(default_factory=dict)
    providers: tuple[ProviderReading, ...] = ()


def read_cluster(client: redis.Redis, settings: Settings) -> Reading:
    """Read everything. ``client`` decodes its answers to text. Raises ``redis.RedisError``."""
    began = clock.monotonic()
    client.ping()
    answers_in = clock.monotonic() - began
    moment = clock.now()
    now = moment.timestamp()
    queues = [(queue, priority) for queue in QUEUES for priority in PRIORITY_STEPS]
    asked = [
        (name, simulated) for name in settings.sources.providers for simulated in (False, True)
    ]
    with client.pipeline(transaction=False) as pipe:
        pipe.hgetall(TALLY_KEY)
        pipe.hgetall(TASK_TALLY_KEY)
        pipe.zcount("sigmax:workers", now, "+inf")
        pipe.zcard("sigmax:live")
        pipe.zcount("sigmax:live", "-inf", now)
        pipe.zcard("sigmax:finished")
        pipe.hlen("unacked")
        pipe.zcard(OUTBOX_KEY)
        pipe.hgetall(REFUSED_KEY)
        pipe.zcard(PARKED_KEY)
        pipe.xlen(DEAD_KEY)
        for world in WORLDS:
            pipe.hmget(spend_key(world, day_of(moment)), ["spent", "held"])
        for queue, priority in queues:
            pipe.llen(f"{queue}:{priority}" if priority else queue)
        for name, simulated in asked:
            pipe.hgetall(counts_key(name, live=not simulated))
        answers: list[Any] = pipe.execute()
    rest = iter(answers)
    tally, task_tally, workers, live, overdue, kept, unacked, outbox = islice(rest, 8)
    refused, parked, dead = islice(rest, 3)
    spend = {world: day_spend(next(rest)) for world in WORLDS}
    queued = {place: int(next(rest)) for place in queues}
    counted = [
        (name, simulated, cast("dict[str, str]", counts))
        for (name, simulated), counts in zip(asked, rest, strict=True)
        if counts
    ]
    limit = settings.planning.performance.max_cost_per_day
    return Reading(
        answers_in_seconds=answers_in,
        tally=tally,
        task_tally=task_tally,
        spend=spend,
        day_limit_usd=None if limit is None else float(limit),
        workers=workers,
        open_runs=live,
        overdue_runs=overdue,
        kept_runs=kept,
        unacknowledged=unacked,
        outbox=outbox,
        refused={reason: int(number) for reason, number in refused.items()},
        parked=parked,
        dead_letters=dead,
        queued=queued,
        providers=_standing(client, counted, now * 1000),
    )


def _standing(
    client: redis.Redis, counted: list[tuple[str, bool, dict[str, str]]], now_ms: float
) -> tuple[ProviderReading, ...]:
    """The providers with breaker and cool-down of the lane they were last asked in."""
    with client.pipeline(transaction=False) as pipe:
        for name, _, counts in counted:
            cool_key, breaker_key, *_ = lane_keys(name, counts.get("lane", "").partition(" ")[0])
            pipe.get(cool_key)
            pipe.hmget(breaker_key, ["open", "half"])
        answers: list[Any] = pipe.execute() if counted else []
    found = []
    for (name, simulated, counts), cool, circuit in zip(
        counted, answers[::2], answers[1::2], strict=True
    ):
        open_seconds = max(0.0, float(circuit[0] or 0) - now_ms) / 1000
        cool_until = float((cool or "0").partition(" ")[0])
        found.append(
            ProviderReading(
                provider=name,
                simulated=simulated,
                counts=counts,
                open_seconds=open_seconds,
                half_open=circuit[1] == "1" and not open_seconds,
                cool_down_seconds=max(0.0, cool_until - now_ms) / 1000,
            )
        )
    return tuple(found)
