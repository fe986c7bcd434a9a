"""A short form of ``make chaos``: the faults that cost most when they go wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.harness import ChaosPool, chaos_pool
from tests.chaos.matrix import strike_cell
from tests.chaos.special import SPECIAL

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def pool() -> Iterator[ChaosPool]:
    with chaos_pool() as started:
        yield started


@pytest.mark.parametrize(
    ("fault", "moment"),
    [
        ("kill", "during_task"),
        ("kill", "in_barrier"),
        ("kill", "before_commit"),
        ("cut", "before_ack"),
        ("restart", "during_task"),
        ("full", "after_task"),
        ("clock", "during_task"),
    ],
)
def test_every_run_ends_in_exactly_one_decision(pool: ChaosPool, fault: str, moment: str) -> None:
    tally = strike_cell(pool, fault, moment, 2)
    assert tally.good, tally


@pytest.mark.parametrize("name", ["duplicate", "wipe", "poison", "full disk", "silence"])
def test_a_cell_of_its_own(name: str) -> None:
    tally, good = SPECIAL[name](2)
    assert good, tally
