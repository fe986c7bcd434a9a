"""Trades and curves, against sums done by hand."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from sigmax_tasks.evaluation.market import Path, grid_of
from sigmax_tasks.evaluation.metrics import combined, total_return
from sigmax_tasks.evaluation.trades import Costs, simulate, trade_of
from sigmax_tasks.models.decision import Action
from sigmax_tasks.models.journal import Hit

from .builders import DAY_MS, at, ms, step_decision

START = at("2024-01-01")
FREE = Costs(0, 0, 0)
DEAR = Costs(fee_bps=10, slippage_bps=5, short_bps_a_day=3)


def path(*candles: tuple[float, float, float, float]) -> Path:
    """Daily candles of (open, high, low, close) from 2024-01-01 on."""
    return Path.of(
        [(ms(START) + i * DAY_MS, o, h, low, c, 1.0) for i, (o, h, low, c) in enumerate(candles)],
        86_400,
    )


FLAT = (100.0, 101.0, 99.0, 100.0)


def moments(count: int) -> list[int]:
    return [ms(START) + i * DAY_MS for i in range(count)]


def test_a_trade_to_its_horizon_gains_what_the_price_does() -> None:
    prices = path((100, 104, 99, 103), (103, 111, 102, 110), FLAT)
    trade = trade_of(step_decision(START), prices, FREE, moments(4)[-1])
    assert trade is not None
    assert trade.hit is Hit.HORIZON
    assert (trade.fill, trade.exit_price) == (100.0, 110.0)
    assert trade.net_return == pytest.approx(0.10)


def test_costs_are_taken_at_both_sides() -> None:
    prices = path((100, 104, 99, 103), (103, 111, 102, 110), FLAT)
    trade = trade_of(step_decision(START), prices, DEAR, moments(4)[-1])
    assert trade is not None
    fill, out = 100 * 1.0005, 110 * 0.9995
    assert trade.net_return == pytest.approx(out / fill - 1 - 0.001 * (1 + out / fill))
    assert trade.gross_return == pytest.approx(0.10)


def test_a_short_position_pays_by_the_day_and_gains_in_a_fall() -> None:
    prices = path((100, 101, 94, 95), (95, 96, 89, 90), FLAT)
    decision = step_decision(START, Action.SELL)
    trade = trade_of(decision, prices, Costs(0, 0, 3), moments(4)[-1])
    assert trade is not None
    assert trade.net_return == pytest.approx(0.10 - 2 * 0.0003)


def test_the_stop_counts_where_both_lie_in_one_candle_and_a_gap_fills_at_the_open() -> None:
    both = path((100, 120, 80, 100), FLAT)
    trade = trade_of(step_decision(START, stop=90, target=110), both, FREE, moments(3)[-1])
    assert trade is not None
    assert (trade.hit, trade.exit_price) == (Hit.STOP, 90.0)
    gap = path(FLAT, (70, 75, 65, 72), FLAT)
    trade = trade_of(step_decision(START, stop=90), gap, FREE, moments(3)[-1])
    assert trade is not None
    assert (trade.hit, trade.exit_price) == (Hit.STOP, 70.0)
    reached = path((100, 112, 99, 105), FLAT)
    trade = trade_of(step_decision(START, target=110), reached, FREE, moments(3)[-1])
    assert trade is not None
    assert (trade.hit, trade.exit_price) == (Hit.TARGET, 110.0)


def test_a_hold_opens_nothing_and_a_trade_at_the_end_stays_open() -> None:
    prices = path((100, 104, 99, 104))
    assert trade_of(step_decision(START, Action.HOLD), prices, FREE, moments(2)[-1]) is None
    trade = trade_of(step_decision(START), prices, FREE, moments(2)[-1])
    assert trade is not None
    assert trade.hit is None
    late = step_decision(START + timedelta(days=1))
    assert trade_of(late, prices, FREE, moments(3)[-1]) is None


def test_the_curve_adds_up_to_the_trades() -> None:
    prices = path((100, 104, 99, 103), (103, 111, 102, 110), (110, 115, 100, 105), FLAT)
    decisions = [step_decision(START, size=0.5), step_decision(START + timedelta(days=1), size=0.2)]
    curve = simulate(decisions, prices, moments(5), FREE)
    first = 0.5 * 0.03
    assert curve.returns[0] == pytest.approx(first)
    second = 0.5 * 0.07 + 0.2 * (1 + first) * (110 / 103 - 1)
    assert curve.returns[1] == pytest.approx(second / (1 + first))
    equity = 1 + first + second + 0.2 * (1 + first) * (105 - 110) / 103
    assert total_return(curve.returns) == pytest.approx(equity - 1)
    assert curve.exposure[0] == pytest.approx(0.5)
    assert curve.turnover[0] == pytest.approx(0.5)
    assert curve.turnover[3] == 0.0


@pytest.mark.parametrize("action", [Action.BUY, Action.SELL])
def test_a_lonely_trade_costs_in_the_curve_what_it_costs_alone(action: Action) -> None:
    prices = path((100, 104, 99, 103), (103, 111, 102, 110), FLAT, FLAT)
    decision = step_decision(START, action, size=0.4)
    curve = simulate([decision], prices, moments(5), DEAR)
    assert total_return(curve.returns) == pytest.approx(0.4 * curve.trades[0].net_return)


def test_symbols_share_the_equity_from_their_first_step_on() -> None:
    prices = path(*([FLAT] * 4))
    one = simulate([step_decision(START, size=0.0)], prices, moments(5), FREE)
    late = simulate([], prices, moments(5)[2:], FREE)
    object.__setattr__(one, "returns", np.array([0.1, 0.1, 0.1, 0.1]))
    object.__setattr__(late, "returns", np.array([0.3, -0.1]))
    both = combined([(moments(4), one), (moments(4)[2:], late)], moments(4))
    assert both.returns.tolist() == pytest.approx([0.1, 0.1, 0.2, 0.0])


def test_a_grid_has_the_closes_known_at_each_moment() -> None:
    prices = path((100, 104, 99, 103), (103, 111, 102, 110), (110, 115, 100, 105))
    grid = grid_of(prices, moments(1)[0], moments(3)[-1], 86_400, warm_steps=5)
    assert grid is not None
    assert grid.live_closes.tolist() == [103, 110, 105]
    assert grid.highs.tolist() == [104, 111, 115]
    assert grid.live_times_ms.tolist() == moments(4)[1:]
    assert grid_of(prices, moments(9)[-1], moments(10)[-1], 86_400, warm_steps=0) is None
