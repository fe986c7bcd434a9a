"""What the peers share: how long a task waits, a counted join, and the sign that a plan is done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import redis

from tests.bench.shape import BATCH_SECONDS

URL = os.environ.get("BENCH_REDIS", "redis://127.0.0.1:6379/0")
SCALE = float(os.environ.get("BENCH_SCALE", "0"))
DONE = "bench:done"
LAST = len(BATCH_SECONDS) - 1

# One more task of a batch is done; 1 for the last of them.
COUNT = """
local done = redis.call('INCR', KEYS[1])
if done < tonumber(ARGV[1]) then redis.call('EXPIRE', KEYS[1], 600) return 0 end
redis.call('DEL', KEYS[1])
return 1
"""

client = redis.Redis.from_url(URL)
count = client.register_script(COUNT)


def width(batch: int) -> int:
    return len(BATCH_SECONDS[batch])


def seconds(batch: int, index: int) -> float:
    return BATCH_SECONDS[batch][index] * SCALE


def work(batch: int, index: int) -> None:
    """A task: it waits, as research waits for answers."""
    wait = seconds(batch, index)
    if wait:
        time.sleep(wait)


def counter(plan: str, batch: int) -> str:
    return f"bench:{plan}:{batch}"


def last_of_batch(plan: str, batch: int) -> bool:
    return bool(count(keys=[counter(plan, batch)], args=[width(batch)]))


def done(plan: str) -> None:
    client.rpush(DONE, plan)


def send(plan: str, batch: int, enqueue: Callable[[str, int, int], object]) -> None:
    """Each task of a batch, by what takes plan, batch and index."""
    for index in range(width(batch)):
        enqueue(plan, batch, index)


def work_and_go_on(
    plan: str, batch: int, index: int, enqueue: Callable[[str, int, int], object]
) -> None:
    """A task whose end begins the next batch, or ends the plan, when it is the last of its own."""
    work(batch, index)
    if not last_of_batch(plan, batch):
        return
    if batch == LAST:
        done(plan)
    else:
        send(plan, batch + 1, enqueue)
