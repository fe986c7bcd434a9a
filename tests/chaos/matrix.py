"""``make chaos``: every fault at every moment, several times, and a table of what came of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.chaos.harness import ChaosPool, Tally, await_runs, chaos_pool, submit
from tests.chaos.special import SPECIAL

MOMENTS = (
    *("before_task", "during_task", "after_task", "before_ack"),
    *("in_barrier", "in_finaliser", "before_commit", "after_commit"),
)
FAULTS = (
    *("kill", "terminate", "quit", "freeze", "clock"),
    *("cut", "slow", "restart", "full"),
)
"""Of a worker with threads, of the network, of Redis."""
WORKERS_AT_ONCE = 3
HEADER = (
    f"{'fault':14} {'moment':13} {'runs':>4} {'decisions':>9} {'duplicates':>10} {'lost':>4} "
    f"{'again':>5} {'complete':>8} {'overrun':>9} {'seconds':>7}"
)

Row = tuple[str, str, Tally, float, bool]


def strike_cell(pool: ChaosPool, fault: str, moment: str, runs: int) -> Tally:
    """One fault at one moment of each of some runs that are in flight together."""
    tally = Tally()
    pool.set_cell(fault, moment)
    await_runs(pool, submit(pool, runs), tally)
    return tally


def cell(fault: str, moment: str, runs: int) -> Tally:
    """The same on a pool of its own."""
    with chaos_pool() as pool:
        return strike_cell(pool, fault, moment, runs)


def _rows(faults: tuple[str, ...], runs: int, report: Callable[[Row], None], pool: str) -> None:
    options = ("-P", "prefork", "-c", "4") if pool == "processes" else ("-c", "8")
    with chaos_pool(options=options) as started:
        for fault in faults:
            for moment in MOMENTS:
                began = time.monotonic()
                tally = strike_cell(started, fault, moment, runs)
                name = f"{fault} child" if pool == "processes" and fault == "kill" else fault
                report((name, moment, tally, time.monotonic() - began, tally.good))


def _special(name: str, runs: int, report: Callable[[Row], None]) -> None:
    began = time.monotonic()
    tally, good = SPECIAL[name](runs)
    report((name, "-", tally, time.monotonic() - began, good))


def main(runs: int = 5, *only: str) -> int:
    """``only`` some faults, by name; all without any. 0 if all is as it must be."""
    print(HEADER, flush=True)
    rows: list[Row] = []

    def report(row: Row) -> None:
        rows.append(row)
        fault, moment, tally, seconds, good = row
        print(
            f"{fault:14} {moment:13} {tally.runs:4} {tally.decisions:9} {tally.duplicates:10} "
            f"{tally.lost:4} {tally.late_work:5} {tally.complete:8} "
            f"{tally.worst_overrun_seconds:7.1f} s {seconds:7.1f}"
            f"{'' if good else '  BAD ' + '; '.join(tally.problems)[:300]}",
            flush=True,
        )

    jobs = [
        partial(_rows, (fault,), runs, report, "threads") for fault in FAULTS if wanted(fault, only)
    ]
    if wanted("kill", only):
        jobs.append(partial(_rows, ("kill", "kill_all"), runs, report, "processes"))
    jobs += [partial(_special, name, runs, report) for name in SPECIAL if wanted(name, only)]
    began = time.monotonic()
    with ThreadPoolExecutor(WORKERS_AT_ONCE) as executor:
        for done in [executor.submit(job) for job in jobs]:
            done.result()
    bad = sum(not row[4] for row in rows)
    every = [row[2] for row in rows]
    print(
        f"{len(rows)} cells, {sum(t.runs for t in every)} runs, "
        f"{sum(t.decisions for t in every)} decisions, {sum(t.duplicates for t in every)} "
        f"duplicates, {sum(t.late_work for t in every)} finished tasks begun again, "
        f"worst overrun {max(t.worst_overrun_seconds for t in every):.1f} s, {bad} bad, "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if bad else 0


def wanted(name: str, only: tuple[str, ...]) -> bool:
    return not only or name in only


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    sys.exit(main(count, *sys.argv[2:]))
