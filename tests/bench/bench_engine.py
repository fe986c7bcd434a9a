"""The engine beside other task queues, interleaved: one decision, many, and 200 at once.

Two worker processes of 32 slots each; those of the others stand still while one has its turn.
(a) one decision whose tasks wait: time beyond what the batches take. (b) plans whose tasks do
nothing, 50 in flight: plans a second, CPU and Redis use of each. (c) 200 decisions at once on 64
slots. (leaks) what 2,000 plans leave behind. Run it from the root of the repository:
``python -m tests.bench.bench_engine [--quick] [--only a,b,c,leaks] [--systems sigmax,celery]``. It
needs ``pip install -e '.[dev,bench]'``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tests.bench import shape
from tests.bench.stand import report, spread, table
from tests.bench.systems import OURS, PEERS, System, check_names, drive, peer, sigmax

PROCESSES = 2
THREADS = 32
FLIGHT = 50
AT_ONCE = 200
LEAK_PLANS = 2000
SETTLE_SECONDS = 3.0
"""taskiq takes most of it to connect again."""


def open_systems(stack: contextlib.ExitStack, names: Sequence[str], scale: float) -> list[System]:
    systems: list[System] = []
    for name in names:
        if name in OURS:
            lean = "true" if name == "sigmax" else "false"
            systems.append(
                stack.enter_context(
                    sigmax(scale, PROCESSES, THREADS, f"engine.lean_chords={lean}", name=name)
                )
            )
        else:
            systems.append(stack.enter_context(peer(name, scale, PROCESSES, THREADS)))
        systems[-1].stand.pause()
    return systems


@contextlib.contextmanager
def turn(system: System) -> Iterator[None]:
    """Only this system's workers run for the block, after which they stand still.

    They make up for what they missed meanwhile, then a plan that is not measured goes first.
    """
    system.stand.resume()
    time.sleep(SETTLE_SECONDS)
    try:
        drive(system, 1, 1)
        yield
    finally:
        system.stand.pause()


async def _asyncio_plan() -> None:
    for batch in shape.BATCH_SECONDS:
        await asyncio.gather(*(asyncio.sleep(wait) for wait in batch))


def asyncio_seconds(plans: int) -> float:
    """The same in one process without any queue: the floor."""

    async def every() -> None:
        await asyncio.gather(*(_asyncio_plan() for _ in range(plans)))

    start = time.perf_counter()
    asyncio.run(every())
    return time.perf_counter() - start


def sequential_seconds() -> float:
    start = time.perf_counter()
    for batch in shape.BATCH_SECONDS:
        for wait in batch:
            time.sleep(wait)
    return time.perf_counter() - start


def one_decision(systems: Sequence[System], rounds: int) -> dict[str, Any]:
    beyond: dict[str, list[float]] = {system.name: [] for system in systems}
    beyond |= {"asyncio, one process": [], "one by one": []}
    for number in range(rounds):
        for system in systems:
            with turn(system):
                (took,) = drive(system, 1, 1)
            beyond[system.name].append(1000 * (took - shape.LIMIT_SECONDS))
        beyond["asyncio, one process"].append(1000 * (asyncio_seconds(1) - shape.LIMIT_SECONDS))
        if number < 3:
            beyond["one by one"].append(1000 * (sequential_seconds() - shape.LIMIT_SECONDS))
    print(
        f"\n(a) one decision: ms beyond the {1000 * shape.LIMIT_SECONDS:.0f} ms its batches take"
        f" (its longest chain takes as long), median (least to most) of {rounds}"
    )
    order = sorted(beyond, key=lambda name: statistics.median(beyond[name]))
    print(table(("system", "ms beyond"), [(name, spread(beyond[name])) for name in order]))
    return {name: [round(value, 2) for value in values] for name, values in beyond.items()}


def no_op_plans(systems: Sequence[System], rounds: int, plans: int) -> dict[str, Any]:
    figures: dict[str, dict[str, list[float]]] = {system.name: {} for system in systems}
    for _ in range(rounds):
        for system in systems:
            with turn(system):
                keys = system.stand.keys()
                before = system.stand.read()
                drive(system, plans, FLIGHT)
                used = system.stand.read().since(before)
            for name, value in {
                "plans_per_second": plans / used.at,
                "worker_cpu_ms": 1000 * used.worker_cpu / plans,
                "submitter_cpu_ms": 1000 * used.own_cpu / plans,
                "redis_cpu_ms": 1000 * used.redis_cpu / plans,
                "commands": used.commands / plans,
                "kilobytes_in": used.bytes_in / plans / 1000,
                "kilobytes_out": used.bytes_out / plans / 1000,
                "keys_left": (system.stand.keys() - keys) / plans,
                "subscriptions": float(system.stand.subscriptions()),
            }.items():
                figures[system.name].setdefault(name, []).append(value)
    print(
        f"\n(b) plans of six tasks in three batches that do nothing, {FLIGHT} in flight;"
        f" medians of {rounds} rounds of {plans}"
    )
    head = ("system", "plans/s", "CPU ms: workers", "submitter", "Redis", "commands", "kB in")
    head = (*head, "kB out", "keys left", "subscribed")
    rows = []
    for name, values in sorted(
        figures.items(), key=lambda item: -statistics.median(item[1]["plans_per_second"])
    ):
        middle = {key: statistics.median(each) for key, each in values.items()}
        rows.append(
            (
                name,
                spread(values["plans_per_second"], 0),
                spread(values["worker_cpu_ms"]),
                *(f"{middle[key]:.1f}" for key in ("submitter_cpu_ms", "redis_cpu_ms")),
                f"{middle['commands']:.0f}",
                *(f"{middle[key]:.1f}" for key in ("kilobytes_in", "kilobytes_out", "keys_left")),
                f"{middle['subscriptions']:.0f}",
            )
        )
    print(table(head, rows))
    return {
        name: {key: [round(value, 3) for value in each] for key, each in values.items()}
        for name, values in figures.items()
    }


def many_at_once(systems: Sequence[System], rounds: int) -> dict[str, Any]:
    limit = AT_ONCE * shape.WORK_SECONDS / (PROCESSES * THREADS)
    took: dict[str, list[float]] = {system.name: [] for system in systems}
    for _ in range(rounds):
        for system in systems:
            with turn(system):
                start = time.perf_counter()
                drive(system, AT_ONCE, AT_ONCE)
                took[system.name].append(time.perf_counter() - start)
    print(
        f"\n(c) {AT_ONCE} decisions at once on {PROCESSES * THREADS} slots:"
        f" seconds until the last, limit {limit:.2f}"
    )
    order = sorted(took, key=lambda name: statistics.median(took[name]))
    print(
        table(
            ("system", "seconds", "of the limit"),
            [
                (name, spread(took[name], 2), f"{statistics.median(took[name]) / limit:.2f}")
                for name in order
            ],
        )
    )
    return {"limit_seconds": limit, **took}


def leaks(system: System, plans: int) -> dict[str, Any]:
    stand = system.stand
    with turn(system):
        before = (stand.keys(), stand.subscriptions(), stand.memory_mb())
        drive(system, plans, FLIGHT)
        time.sleep(1.0)  # the last message is acknowledged behind the end of its run
        # Hash per run, its outcomes and its events are kept on purpose, each with a time to live.
        live = {
            key.decode()
            for key in stand.client.scan_iter(count=1000)
            if stand.client.ttl(key) == -1
        }
        kept = (stand.keys() - before[0]) / plans
        subscribed = stand.subscriptions() - before[1]
        grown = stand.memory_mb() - before[2]
    print(
        f"\n(leaks) after {plans} plans: {kept:.2f} keys a plan kept for their time, subscriptions"
        f" {subscribed:+d}, memory of both workers {grown:+.1f} MB,\n  keys without a time to live:"
        f" {', '.join(sorted(live))}"
    )
    return {
        "plans": plans,
        "keys_per_plan": kept,
        "subscriptions": subscribed,
        "workers_mb": grown,
        "endless_keys": sorted(live),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of each")
    parser.add_argument("--only", default="a,b,c,leaks")
    parser.add_argument("--systems", default=",".join((*OURS, *PEERS)))
    options = parser.parse_args()
    parts, names = options.only.split(","), options.systems.split(",")
    check_names(names)
    quick = options.quick
    figures: dict[str, Any] = {}
    if {"a", "c"} & set(parts):
        with contextlib.ExitStack() as stack:
            systems = open_systems(stack, names, 1.0)
            if "a" in parts:
                figures["one_decision_ms_beyond"] = one_decision(systems, 3 if quick else 9)
            if "c" in parts:
                figures["many_at_once"] = many_at_once(systems, 1 if quick else 3)
    if {"b", "leaks"} & set(parts):
        with contextlib.ExitStack() as stack:
            systems = open_systems(stack, names, 0.0)
            if "b" in parts:
                rounds, plans = (1, 60) if quick else (3, 200)
                figures["no_op_plans"] = no_op_plans(systems, rounds, plans)
            for system in systems:
                if "leaks" in parts and system.name == "sigmax":
                    figures["leaks"] = leaks(system, 300 if quick else LEAK_PLANS)
    report("engine", figures)


if __name__ == "__main__":
    main()
