"""Many workers spend from one daily limit at once, die at any moment, and never exceed it.

Each task reserves two requests and makes one to four; what it makes is counted beside the ledger,
as a provider would. Some tasks die between reserving, spending and settling, some are done twice.
Run it from the root of the repository: ``python tests/bench/bench_budget.py [WORKERS [RUNS]]``.
"""

from __future__ import annotations

import multiprocessing
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

import redis

from sigmax_tasks import clock
from sigmax_tasks.cluster import embedded_cluster
from sigmax_tasks.cluster_link import connect
from sigmax_tasks.errors import SpendRefusedError
from sigmax_tasks.run_state import OpenRun
from sigmax_tasks.settings import load_settings
from sigmax_tasks.store import RunStore
from tests.unit.engine.builders import open_run, runtime

PRICE = Decimal("0.003")
TASKS = 6
THREADS = 16
PAID = "bench:paid"


@dataclass(frozen=True)
class Result:
    """What came of a race: USD as the provider counted, and as the ledger says."""

    paid_usd: Decimal
    ledger_usd: Decimal
    held_usd: Decimal
    requests: int
    refused: int
    died: int
    seconds: float


def runs_of(count: int) -> list[OpenRun]:
    now = clock.now()
    return [
        replace(
            open_run(f"20250314-120000-{number:08d}"),
            created_at=now,
            deadline_at=now + timedelta(seconds=300),
        )
        for number in range(count)
    ]


def work(url: str, limit: Decimal, share: list[OpenRun], threads: int, seed: int) -> None:
    """The tasks of some runs on the threads of one process; every run is closed twice."""
    client = connect(url, connect_timeout_seconds=5)
    store = RunStore(client, runtime())

    def task(run: OpenRun, name: str, chance: random.Random) -> None:
        allowance = store.ledger.allowance(store.account(run, limit), name)
        try:
            allowance.reserve(2 * PRICE)
            for _ in range(chance.randint(1, 4)):
                if chance.random() < 0.05:
                    client.incr("bench:died")
                    return  # between two requests; what it holds stays behind
                allowance.spend(PRICE)
                client.incr(PAID)
        except SpendRefusedError:
            client.incr("bench:refused")
        if chance.random() < 0.05:
            client.incr("bench:died")
            return
        allowance.settle()

    def one(number: int) -> None:
        run, chance = share[number], random.Random(seed * 100_003 + number)
        for position in range(TASKS):
            task(run, f"task{position}", chance)
            if chance.random() < 0.1:
                task(run, f"task{position}", chance)  # delivered again
        for _ in range(2):
            store.ledger.close(run.run_id)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, range(len(share))))
    client.close()


def race(url: str, *, workers: int, runs: int, limit: Decimal) -> Result:
    """``workers`` threads in processes of at most 16 threads do ``runs`` runs at once."""
    client = connect(url, connect_timeout_seconds=5)
    store = RunStore(client, runtime(max_open_runs=None))
    begun = runs_of(runs)
    for run in begun:
        store.create(run, "{}")
    processes = max(1, workers // THREADS)
    context = multiprocessing.get_context("spawn")
    started = time.monotonic()
    crew = [
        context.Process(
            target=work,
            args=(url, limit, begun[number::processes], workers // processes, number),
        )
        for number in range(processes)
    ]
    for process in crew:
        process.start()
    for process in crew:
        process.join()
        if process.exitcode:
            raise SystemExit(f"a process ended with {process.exitcode}")
    account = store.account(begun[0])
    day = store.ledger.day(account.world, account.day)
    result = Result(
        paid_usd=PRICE * int(str(client.get(PAID) or 0)),
        ledger_usd=day.spent_usd,
        held_usd=day.held_usd,
        requests=int(str(client.get(PAID) or 0)),
        refused=int(str(client.get("bench:refused") or 0)),
        died=int(str(client.get("bench:died") or 0)),
        seconds=time.monotonic() - started,
    )
    client.close()
    return result


def main() -> None:
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    limit = Decimal("1.00")
    with embedded_cluster(load_settings(environ={}).settings) as cluster:
        client = redis.Redis.from_url(cluster.broker_url)
        client.ping()
        client.close()
        result = race(cluster.broker_url, workers=workers, runs=runs, limit=limit)
    print(f"{workers} workers, {runs} runs of {TASKS} tasks, limit ${limit} a day")
    print(
        f"paid ${result.paid_usd} in {result.requests} requests, ledger ${result.ledger_usd}, "
        f"still held ${result.held_usd}; {result.refused} refused, {result.died} died; "
        f"{result.seconds:.1f} s"
    )
    if result.paid_usd > limit or result.ledger_usd != result.paid_usd or result.held_usd:
        raise SystemExit("the limit was not kept")


if __name__ == "__main__":
    main()
