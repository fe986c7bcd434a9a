"""What the quota of each data source still allows, for the planner: read, never taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

import redis

from sigmax_planner.facts import SourceHeadroom
from sigmax_tasks import clock
from sigmax_tasks.settings.sources import SourceSettings
from sigmax_tasks.sources.desk_counts import counts_key
from sigmax_tasks.sources.desk_status import lane_in_use
from sigmax_tasks.sources.gate import Lane
from sigmax_tasks.sources.quota import PREFIX, Window

SHORTEST_WINDOW_MS: Final = 60_000
"""A limit of less than a minute is free again while a task runs."""

_ENOUGH: Final = SourceHeadroom(1.0, 0.0, "no limit near")


@dataclass(frozen=True)
class _Reading:
    """Of one lane: its cool-down, and the entries of its windows (member, unix ms)."""

    lane: Lane
    cool_down: str
    entries: Mapping[str, Sequence[tuple[str, float]]]


def source_headroom(
    client: redis.Redis, settings: SourceSettings, environ: Mapping[str, str], *, live: bool
) -> dict[str, SourceHeadroom]:
    """Data sources that are near a limit; two round trips. Raises Redis's errors.

    A source stands as its best provider does, for the others are asked in its place. ``client``
    decodes its answers to text; ``environ`` holds the providers' keys.
    """
    names = tuple(settings.providers)
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hget(counts_key(name, live=live), "lane")
        noted = cast("list[str | None]", pipe.execute())
    lanes = [
        lane_in_use(settings, name, lane or "", environ, live=live)
        for name, lane in zip(names, noted, strict=True)
    ]
    with client.pipeline(transaction=False) as pipe:
        for lane in lanes:
            pipe.get(lane.keys[0])
            for window in _long_windows(lane):
                pipe.zrange(window.key, 0, -1, withscores=True)
        answers = iter(pipe.execute())
    now_ms = clock.now().timestamp() * 1000
    rooms = {}
    for lane in lanes:
        reading = _Reading(
            lane,
            cast("str | None", next(answers)) or "0 ",
            {window.key: next(answers) for window in _long_windows(lane)},
        )
        rooms[lane.provider_id] = _room(reading, now_ms)
    found = {
        source: max(
            (rooms[name] for name in (*entry.providers, *entry.fallback)),
            key=lambda room: (-room.wait_seconds, room.share_left),
        )
        for source, entry in settings.data_sources.items()
    }
    return {source: room for source, room in found.items() if room is not _ENOUGH}


def _long_windows(lane: Lane) -> tuple[Window, ...]:
    return tuple(
        window
        for window in lane.quota.windows
        if window.length_ms >= SHORTEST_WINDOW_MS
        and not window.key.startswith(f"{PREFIX}:spacing/")
    )


def _room(reading: _Reading, now_ms: float) -> SourceHeadroom:
    """How one provider stands, by its tightest limit."""
    name = reading.lane.provider_id
    until, _, why = reading.cool_down.partition(" ")
    cooling = (float(until) - now_ms) / 1000
    if cooling > 0:
        return SourceHeadroom(0.0, cooling, f"to wait {cooling:.0f} s for {name} ({why})")
    tightest = _ENOUGH
    for window in _long_windows(reading.lane):
        alive = [(m, score) for m, score in reading.entries[window.key] if score > now_ms]
        used = sum(int(member.rpartition(":")[2]) for member, _ in alive)
        limit = window.item.amount
        left = max(0, limit - used)
        if not used or left / limit >= tightest.share_left:
            continue
        words = f"{left} of {limit} {'weight' if window.weighted else 'requests'} left at {name}"
        wait = (alive[0][1] - now_ms) / 1000 if not left else 0.0
        tightest = SourceHeadroom(left / limit, wait, f"{words} ({window.item})")
    return tightest
