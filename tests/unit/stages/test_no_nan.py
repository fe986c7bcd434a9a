"""NaN and infinity never reach a decision: messages refuse them, and so does the arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from sigmax_planner.models import Message
from sigmax_tasks.errors import SigmaxError
from sigmax_tasks.models.observations import Candles, FearGreed, Measure, OrderBook, Series
from sigmax_tasks.models.research import Evidence, Finding, Metric
from sigmax_tasks.stages.chain import run_chain
from tests.unit.stages.builders import bundle, finding, outcome, profile, shipped_policy

NUMBERS = (math.nan, math.inf, -math.inf)
SOURCES: dict[str, Callable[[float], Message]] = {
    "candles": lambda x: Candles(symbol="A/B", timeframe="1h", rows=((0, 1, 1, 1, x, 1),)),
    "order book": lambda x: OrderBook(symbol="A/B", bids=((x, 1),), asks=((1, 1),)),
    "series": lambda x: Series(name="a", unit="x", rows=((0, x),)),
    "fear and greed": lambda x: FearGreed(rows=((0, x),)),
    "measure": lambda x: Measure(name="a", value=x, unit="x"),
    "metric": lambda x: Metric(name="a", value=x, unit="x", observation_ids=("o",)),
}


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("kind", SOURCES)
def test_no_message_holds_one(kind: str, number: float) -> None:
    SOURCES[kind](1.0)
    with pytest.raises(ValidationError):
        SOURCES[kind](number)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("field", ["score", "strength"])
def test_no_finding_holds_one(field: str, number: float) -> None:
    with pytest.raises(ValidationError):
        Finding.model_validate({**finding("macro").model_dump(), field: number})


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("field", ["polarity", "reliability"])
def test_no_argument_holds_one(field: str, number: float) -> None:
    with pytest.raises(ValidationError):
        Evidence.model_validate({**finding("macro").evidence[0].model_dump(), field: number})


def smuggled(found: Finding, where: str, number: float) -> Finding:
    """The finding with the number put past all checks."""
    if where in {"score", "strength"}:
        return found.model_copy(update={where: number})
    items: tuple[Any, ...] = getattr(found, where)
    field = "value" if where == "metrics" else "reliability"
    first = items[0].model_copy(update={field: number})
    return found.model_copy(update={where: (first, *items[1:])})


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("where", ["score", "strength", "metrics", "evidence"])
def test_one_that_got_past_the_messages_ends_without_a_decision(where: str, number: float) -> None:
    bad = smuggled(finding("technical"), where, number)
    with pytest.raises((SigmaxError, ValidationError)):
        run_chain(bundle(outcome(bad)), profile(), shipped_policy())
