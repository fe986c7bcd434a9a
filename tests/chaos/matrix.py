"""``make chaos``: every fault at every moment, several times, and a table of what came of it."""

from __future__ import annotations

import sys
import time

from tests.chaos.harness import Tally, await_runs, chaos_pool, submit

FAULTS = ("kill", "terminate", "quit", "freeze", "cut", "restart")
MOMENTS = (
    *("before_task", "during_task", "after_task", "in_barrier"),
    *("in_finaliser", "before_commit", "after_commit"),
)


def cell(fault: str, moment: str, runs: int, batching: str = "levels") -> Tally:
    """One fault at one moment of each of some runs that are in flight together."""
    tally = Tally()
    with chaos_pool(moment=moment, fault=fault) as pool:
        await_runs(pool, submit(pool, runs, batching=batching), tally)
    return tally


def main(runs: int = 5, batching: str = "levels") -> int:
    print("fault      moment         runs decisions duplicates lost late complete overrun  seconds")
    bad = 0
    for fault in FAULTS:
        for moment in MOMENTS:
            started = time.monotonic()
            tally = cell(fault, moment, runs, batching)
            bad += not tally.good
            print(
                f"{fault:10} {moment:14} {tally.runs:4} {tally.decisions:9} "
                f"{tally.duplicates:10} {tally.lost:4} {tally.late_work:4} {tally.complete:8} "
                f"{tally.worst_overrun_seconds:6.1f} s {time.monotonic() - started:6.1f}"
                f"{'' if tally.good else '  BAD ' + '; '.join(tally.problems)[:200]}",
                flush=True,
            )
    print(f"{len(FAULTS) * len(MOMENTS)} cells, {bad} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5, *sys.argv[2:3]))
