"""History beside a decision, and allocations, as people see them."""

from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType

from sigmax_tasks.models.allocation import Allocation, AllocationShare
from sigmax_tasks.models.decision import Action
from sigmax_tasks.report.allocation_view import allocation_view
from sigmax_tasks.report.decision_view import decision_view
from sigmax_tasks.report.record_view import record_view
from tests.unit.report.builders import make_record, with_history


def text_of(view: RenderableType, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, markup=False, emoji=False, highlight=False).print(view)
    return stream.getvalue()


@pytest.mark.parametrize("view", [decision_view, record_view])
def test_the_track_record_and_the_last_decision_are_beside_the_verdict(view: object) -> None:
    assert callable(view)
    text = text_of(view(with_history(make_record())))
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.split())
    assert (
        "Track record 60.0 % of 57 decisions gained, 67.0 % of 18 at this confidence, Brier 0.231"
        in words
    )
    assert "Since 2025-02-28 12:00 UTC (SELL, confidence 0.41, score -0.12, run" in words
    assert "- action SELL to BUY" in words


@pytest.mark.parametrize("view", [decision_view, record_view])
def test_without_history_nothing_is_said(view: object) -> None:
    assert callable(view)
    text = text_of(view(make_record()))
    assert "Track record" not in text
    assert "Since " not in text


def test_a_decision_like_the_last_one_says_so() -> None:
    record = with_history(make_record())
    assert record.previous is not None
    same = record.model_copy(
        update={"previous": record.previous.model_copy(update={"changes": ()})}
    )
    assert "nothing changed" in text_of(decision_view(same))


def test_the_allocation_lists_the_positions_and_its_arithmetic() -> None:
    records = [
        make_record("BTC/USDT"),
        make_record("ETH/USDT"),
        make_record("SOL/USDT", action=Action.HOLD, size_fraction=0.0),
    ]
    shares = [("BTC/USDT", 0.05, 0.625), ("ETH/USDT", 0.03, 0.375), ("SOL/USDT", 0.0, 0.0)]
    allocation = Allocation(
        shares=tuple(AllocationShare(symbol=s, fraction=f, of_total=o) for s, f, o in shares),
        total_fraction=0.08,
        volatility_annual=0.061,
        steps=("sum: 8 % of \x1b[31mequity",),
    )
    text = text_of(allocation_view(allocation, records))
    words = " ".join(text.split())
    assert "Allocation 8.0 % of equity, volatility 6.1 % a year" in words
    assert "BTC/USDT BUY 8.4 % 5.0 % 62.5 %" in words
    assert "ETH/USDT BUY 8.4 % 3.0 % 37.5 %" in words
    assert "SOL/USDT" not in text
    assert "\x1b" not in text
