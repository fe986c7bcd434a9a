"""Does work flow, or does it lie somewhere?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import redis

from sigmax_planner.canvas import CONTROL_QUEUE, PRIORITY_STEPS, RESEARCH_QUEUE
from sigmax_tasks.checkup.finding import Finding
from sigmax_tasks.settings.runtime import RuntimeSettings
from sigmax_tasks.store import RunStore

AREA: Final = "queues"
UNACKED_GRACE_SECONDS: Final = 10.0
OVERDUE_SECONDS: Final = 10.0
LONG_QUEUE_PER_SLOT: Final = 4


def queue_findings(
    client: redis.Redis, store: RunStore, runtime: RuntimeSettings, *, now: float, slots: int
) -> list[Finding]:
    """``now`` is the time of Redis in unix seconds, ``slots`` how many tasks run at once."""
    waiting = {q: store.backlog(q, PRIORITY_STEPS) for q in (CONTROL_QUEUE, RESEARCH_QUEUE)}
    said = ", ".join(f"{count} in {queue}" for queue, count in waiting.items())
    found = []
    if sum(waiting.values()) > LONG_QUEUE_PER_SLOT * max(1, slots):
        advice = "start more workers, or give them more places (--concurrency)"
        found.append(Finding(AREA, "waiting", "warning", said, advice))
    else:
        found.append(Finding(AREA, "waiting", "ok", said))
    found.append(_unacked(client, runtime.broker.visibility_timeout_seconds, now))
    found.append(_overdue(store.live_runs(), now))
    return found


def _unacked(client: redis.Redis, visible_seconds: float, now: float) -> Finding:
    oldest: Any = client.zrange("unacked_index", 0, 0, withscores=True)
    count: Any = client.zcard("unacked_index")
    if not oldest:
        return Finding(AREA, "at work", "ok", "no message")
    age = max(0.0, now - oldest[0][1])
    said = f"{count} messages, the oldest for {age:.0f} s"
    if age <= visible_seconds + UNACKED_GRACE_SECONDS:
        return Finding(AREA, "at work", "ok", said)
    advice = "no worker gives back what a dead one held: restart the workers"
    return Finding(AREA, "at work", "problem", said, advice)


def _overdue(live: Sequence[tuple[str, float]], now: float) -> Finding:
    late = [run_id for run_id, deadline in live if now - deadline > OVERDUE_SECONDS]
    if not late:
        return Finding(AREA, "open runs", "ok", f"{len(live)}, none overdue")
    said = f"{len(late)} of {len(live)} past their deadline: {', '.join(late[:3])}"
    advice = "the watchdog of the workers is not at work: restart the workers"
    return Finding(AREA, "open runs", "problem", said, advice)
