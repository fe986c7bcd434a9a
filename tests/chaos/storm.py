"""Many runs under a random fault every two seconds: one decision each, nothing done twice.

``python -m tests.chaos.storm 500 [SEED]`` from the root of the repository. The tasks are timed
no-ops (``debug.simulate_execution``), so that the engine alone is tried.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import redis

from tests.chaos.harness import ChaosPool, Tally, await_runs, chaos_pool, submit

FAULT_EVERY_SECONDS = 2.0
IN_FLIGHT = 20
WORKERS = 3
SETTLE_SECONDS = 60.0
FAULTS = ("kill", "kill", "terminate", "freeze", "cut", "slow", "restart", "full")
WORKER_ENVIRON = {"SIGMAX_BROKER__VISIBILITY_TIMEOUT_SECONDS": "15"}
LASTING = ("_kombu.binding", "sigmax:finished", "chaos:")
"""Keys without a time to live that are as many after a storm as before: by their beginning."""


class Weather(threading.Thread):
    """Strikes until it is stopped."""

    def __init__(self, pool: ChaosPool, rng: random.Random) -> None:
        super().__init__(daemon=True)
        self.struck: Counter[str] = Counter()
        self._pool = pool
        self._rng = rng
        self._calm = threading.Event()

    def run(self) -> None:
        while not self._calm.wait(FAULT_EVERY_SECONDS):
            fault = self._rng.choice(FAULTS)
            self.struck[fault] += 1
            self._strike(fault)

    def stop(self) -> None:
        self._calm.set()
        self.join()

    def _strike(self, fault: str) -> None:
        signals = {
            "kill": signal.SIGKILL,
            "terminate": signal.SIGTERM,
            "freeze": signal.SIGSTOP,  # the harness thaws it
        }
        if fault in signals:
            alive = self._pool.alive()
            if alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._rng.choice(alive).pid, signals[fault])
            return
        with contextlib.suppress(redis.RedisError), _client(self._pool) as client:
            client.set(f"chaos:{fault}", "storm", ex=60)


@contextlib.contextmanager
def _client(pool: ChaosPool):
    with contextlib.closing(redis.Redis.from_url(pool.url, decode_responses=True)) as client:
        yield client


def left_over(pool: ChaosPool) -> list[str]:
    """What stands in Redis that should not: messages, open runs, keys without a time to live."""
    end = time.monotonic() + SETTLE_SECONDS
    found: list[str] = []
    with _client(pool) as client:
        while time.monotonic() < end:
            found = []
            for key in client.scan_iter(count=1000):
                queued = key.startswith(("sigmax.control", "sigmax.research"))
                open_still = queued or key in {"unacked", "unacked_index", "sigmax:live"}
                for_good = client.ttl(key) == -1 and not key.startswith(LASTING)
                if open_still or for_good:
                    found.append(key)
            if not found:
                break
            time.sleep(1)
    return found


def storm(runs: int, seed: int = 7) -> bool:
    """Whether all was as it must be; says what came of it."""
    rng = random.Random(seed)
    tally = Tally()
    began = time.monotonic()
    environ = dict.fromkeys(range(WORKERS), WORKER_ENVIRON)
    with chaos_pool(workers=WORKERS, environ=environ) as pool:
        weather = Weather(pool, rng)
        weather.start()
        lock = threading.Lock()

        def one(_: int) -> None:
            mine = Tally()
            await_runs(pool, submit(pool, 1, attempts=400), mine)
            with lock:
                tally.add(mine)

        with ThreadPoolExecutor(IN_FLIGHT) as executor:
            list(executor.map(one, range(runs)))
        weather.stop()
        seconds = time.monotonic() - began
        left = left_over(pool)
        with _client(pool) as client:
            work = sum(
                int(n) for key in client.scan_iter("chaos:work:*") for n in client.hvals(key)
            )
            done = sum(
                int(n) for key in client.scan_iter("chaos:done:*") for n in client.hvals(key)
            )
    print(
        f"{tally.runs} runs in {seconds:.0f} s, seed {seed}, "
        f"{sum(weather.struck.values())} faults: "
        + ", ".join(f"{many} {fault}" for fault, many in sorted(weather.struck.items()))
    )
    print(
        f"{tally.decisions} decisions, {tally.duplicates} duplicates, {tally.lost} hung or lost, "
        f"{tally.late_work} finished tasks begun again, worst overrun "
        f"{tally.worst_overrun_seconds:.1f} s, {tally.complete} runs complete"
    )
    print(f"{work} tasks begun, {work - done} ended by a fault, {len(left)} keys left {left[:10]}")
    for problem in tally.problems[:10]:
        print(problem)
    return tally.runs == runs and tally.good and not left


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    sys.exit(0 if storm(*(numbers or [500])) else 1)
