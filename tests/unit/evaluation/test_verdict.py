"""The first paragraph claims no more than the figures hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sigmax_tasks.evaluation.metrics import Figures
from sigmax_tasks.evaluation.result import RandomRule, Row
from sigmax_tasks.evaluation.uncertainty import Deflated, Interval
from sigmax_tasks.evaluation.verdict import verdict_of

FIGURES = Figures(
    steps=500,
    total_return=0.2,
    annual_return=0.1,
    annual_volatility=0.1,
    sharpe=1.2,
    sortino=1.5,
    max_drawdown=-0.1,
    exposure=0.2,
    turnover_annual=10,
    trades=200,
    open_trades=0,
    hit_rate=0.55,
    mean_win=0.02,
    mean_loss=-0.02,
)
LUCK = RandomRule(1000, 0.0, -1.0, 1.0, 0.0, 0.01, 0.01, np.zeros(1))
SURE = Deflated(0.06, 0.0, 1, 0.99)


def row(low: float, high: float, **changes: object) -> Row:
    figures = replace(FIGURES, **changes)  # type: ignore[arg-type]
    return Row("x", figures, None, Interval(low, high), None, np.zeros(1))


HOLD = row(0.0, 2.0, sharpe=1.0, trades=0)
AGAINST = Interval(-0.5, 0.9)


def test_evidence_is_claimed_where_all_three_agree() -> None:
    said = verdict_of((row(0.2, 2.1), HOLD), LUCK, AGAINST, SURE)
    assert said.startswith("There is evidence of an edge on these data.")
    assert "0.20 and 2.10" in said
    assert "does not include zero" in said


@pytest.mark.parametrize(
    ("ours", "luck", "deflated"),
    [
        (row(-0.1, 2.1), LUCK, SURE),
        (row(0.2, 2.1), replace(LUCK, better_sharpe=0.2), SURE),
        (row(0.2, 2.1), LUCK, replace(SURE, probability=0.9, trials=40)),
        (row(0.2, 2.1), LUCK, None),
    ],
)
def test_it_is_not_claimed_where_one_of_them_does_not(
    ours: Row, luck: RandomRule, deflated: Deflated | None
) -> None:
    said = verdict_of((ours, HOLD), luck, AGAINST, deflated)
    assert said.startswith("There is no evidence of an edge.")


def test_a_loss_is_called_one_and_nothing_is_called_nothing() -> None:
    lost = verdict_of((row(-2.0, -0.2, sharpe=-1.1), HOLD), LUCK, AGAINST, SURE)
    assert lost.startswith("There is evidence of a loss")
    idle = verdict_of((row(0.0, 0.0, trades=0, sharpe=None), HOLD), LUCK, None, None)
    assert idle.startswith("No evidence either way: 0 closed trades")
