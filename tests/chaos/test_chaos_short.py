"""A short form of ``make chaos``: the faults that cost most when they go wrong."""

from __future__ import annotations

import pytest

from tests.chaos.harness import Tally, await_runs, chaos_pool, submit
from tests.chaos.matrix import cell

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("fault", "moment", "batching"),
    [
        ("kill", "during_task", "levels"),
        ("kill", "in_barrier", "levels"),
        ("kill", "in_barrier", "critical_path"),
        ("kill", "before_commit", "levels"),
        ("cut", "after_task", "levels"),
        ("restart", "during_task", "levels"),
    ],
)
def test_every_run_ends_in_exactly_one_decision(fault: str, moment: str, batching: str) -> None:
    tally = cell(fault, moment, 2, batching)
    assert tally.good, tally
    assert tally.complete == tally.runs, "no task is lost to a single fault"


def test_redis_without_its_data_is_said_clearly() -> None:
    """A run that the store lost ends in one clear error, well before its deadline."""
    tally = Tally()
    with chaos_pool(workers=1, moment="during_task", fault="none") as pool:
        (run_id,) = submit(pool, 1)
        pool.restart_redis(keep_data=False)
        await_runs(pool, [run_id], tally)
    assert tally.lost == 1
    assert "was lost" in tally.problems[0] or "not known" in tally.problems[0]
