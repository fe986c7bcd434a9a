"""Workers replaced one after another, the older version by ours, while runs are in flight.

``python -m tests.chaos.rolling 100`` from the root of the repository. The runs are submitted as the
version before ours does it; its workers leave the messages of the new ones to the new ones.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

import redis

from sigmax_planner import canvas
from sigmax_tasks import store
from sigmax_tasks.refusals import REFUSED_KEY
from tests.chaos.harness import Tally, await_runs, chaos_pool, submit
from tests.processes import wait_until

WORKERS = 3
OLDER = "1"


@contextlib.contextmanager
def as_older() -> Iterator[None]:
    """Submit as the version before ours."""
    before = canvas.PROTOCOL_VERSION
    canvas.PROTOCOL_VERSION = store.PROTOCOL_VERSION = int(OLDER)
    try:
        yield
    finally:
        canvas.PROTOCOL_VERSION = store.PROTOCOL_VERSION = before


def rolling(runs: int, workers: int = WORKERS) -> tuple[Tally, bool]:
    """The tally, and whether all was as it must be."""
    tally = Tally()
    older = {number: {"CHAOS_PROTOCOL": OLDER} for number in range(workers)}
    with chaos_pool(workers=workers, environ=older) as pool:
        with as_older():
            run_ids = submit(pool, runs)
        waiting = threading.Thread(target=await_runs, args=(pool, run_ids, tally))
        waiting.start()
        client = redis.Redis.from_url(pool.url, decode_responses=True)
        for number in range(workers):
            pids = set(pool.pids())
            pool.upgrade_worker(number)
            wait_until(
                lambda pids=pids: (
                    {
                        int(name.rpartition(":")[2])
                        for name in client.zrange("sigmax:workers", 0, -1)
                    }
                    - pids
                ),
                60,
                f"the new worker {number}",
            )
        waiting.join()
        refused = client.hgetall(REFUSED_KEY)
        client.close()
    print(
        f"{tally.runs} runs, {workers} workers replaced, {tally.decisions} decisions, "
        f"{tally.complete} complete, {tally.duplicates} duplicates, {tally.late_work} finished "
        f"tasks begun again, worst overrun {tally.worst_overrun_seconds:.1f} s, "
        f"left to newer workers: {refused.get('newer', 0)} messages"
    )
    return tally, tally.good and tally.complete == runs and set(refused) <= {"newer"}


if __name__ == "__main__":
    began = time.monotonic()
    counted, good = rolling(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
    for problem in counted.problems[:10]:
        print(problem)
    print(f"{time.monotonic() - began:.0f} s")
    sys.exit(0 if good else 1)
