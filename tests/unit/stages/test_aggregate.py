"""One bundle of all outcomes: complete, in plan order, and of one run only."""

from __future__ import annotations

import random

import pytest

from sigmax_planner.models import DataMode
from sigmax_tasks.models.observations import Missing
from sigmax_tasks.stages.aggregate import BundleError, aggregate
from tests.unit.stages.builders import (
    AS_OF,
    BALANCED,
    SYMBOL,
    failed,
    finding,
    outcome,
    plan,
)


def outcomes() -> list:
    return [outcome(finding(task_id)) for task_id in BALANCED]


def test_nothing_is_dropped_and_the_order_is_that_of_the_plan() -> None:
    given = outcomes()
    given[3] = failed("macro")
    shuffled = list(given)
    random.Random(4).shuffle(shuffled)
    made = aggregate(plan(), shuffled, SYMBOL, AS_OF, DataMode.LIVE)
    assert made.outcomes == tuple(given)
    assert [f.task_id for f in made.findings] == [t for t in BALANCED if t != "macro"]
    assert (made.symbol, made.as_of, made.data_mode) == (SYMBOL, AS_OF, DataMode.LIVE)


def test_the_gaps_of_failed_tasks_stay_in_the_bundle() -> None:
    gap = Missing(source="news", need="texts", reason="403 from every feed")
    lost = failed("sentiment").model_copy(update={"missing": (gap,)})
    made = aggregate(plan(), [lost], SYMBOL, AS_OF, DataMode.LIVE)
    assert made.missing == (("sentiment", gap),)


def test_a_run_that_was_cut_short_still_makes_a_bundle() -> None:
    assert aggregate(plan(), [], SYMBOL, AS_OF, DataMode.LIVE).outcomes == ()


def test_what_does_not_belong_is_refused_by_name() -> None:
    def refused(*given: object, **changes: object) -> str:
        values = {"plan": plan(), "symbol": SYMBOL, **changes}
        with pytest.raises(BundleError) as caught:
            aggregate(values["plan"], given, values["symbol"], AS_OF, DataMode.LIVE)
        return str(caught.value)

    assert "not in the plan: liquidity" in refused(failed("liquidity"))
    assert "more than one outcome of a task: macro" in refused(failed("macro"), failed("macro"))
    foreign = outcome(finding("macro", symbol="ETH/USDT"))
    assert "another symbol than BTC/USDT: macro" in refused(foreign)
    swapped = outcome(finding("macro"), task_id="onchain")
    assert "finding of another task: onchain" in refused(swapped)
    assert "is for BTC/USDT, not for ETH/USDT" in refused(symbol="ETH/USDT")
