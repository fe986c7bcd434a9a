"""How research that waits for answers scales over worker processes: 1, 2, 4 and 8 of four slots.

Enough decisions are submitted that all slots stay busy; the figure is task seconds worked per
second, so that one process of four slots gives four at best. Run it from the root of the
repository: ``python -m tests.bench.bench_scale [--quick]``.
"""

from __future__ import annotations

import argparse
import statistics
import time

from tests.bench import shape
from tests.bench.stand import report, spread, table
from tests.bench.systems import drive, sigmax

COUNTS = (1, 2, 4, 8)
THREADS = 4
PLANS_PER_PROCESS = 12
WAIT_FACTOR = 2.0


def worked_per_second(processes: int, rounds: int) -> list[float]:
    plans = PLANS_PER_PROCESS * processes
    with sigmax(WAIT_FACTOR, processes, THREADS) as system:
        found = []
        for _ in range(rounds):
            start = time.perf_counter()
            drive(system, plans, plans)
            found.append(plans * shape.WORK_SECONDS * WAIT_FACTOR / (time.perf_counter() - start))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round")
    rounds = 1 if parser.parse_args().quick else 3
    found = {processes: worked_per_second(processes, rounds) for processes in COUNTS}
    alone = statistics.median(found[1])
    print(f"task seconds worked per second, processes of {THREADS} slots, {rounds} rounds each")
    print(
        table(
            ("processes", "worked per second", "of the slots", "times one process"),
            [
                (
                    str(processes),
                    spread(values, 2),
                    f"{statistics.median(values) / (processes * THREADS):.0%}",
                    f"{statistics.median(values) / alone:.2f}",
                )
                for processes, values in found.items()
            ],
        )
    )
    report("scale", {"worked_per_second": {str(key): value for key, value in found.items()}})


if __name__ == "__main__":
    main()
