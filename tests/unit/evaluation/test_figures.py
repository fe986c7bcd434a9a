"""Figures, rules of thumb and intervals, against sums done by hand."""

from __future__ import annotations

import csv
import math
from pathlib import Path as FilePath

import numpy as np
import pytest

from sigmax_tasks.evaluation import baselines, metrics, uncertainty
from sigmax_tasks.evaluation.market import Grid, grid_of, path_of
from sigmax_tasks.evaluation.trades import Costs, Curve
from sigmax_tasks.simulator.recorded_files import Recordings

from .builders import at, ms

RETURNS = np.array([0.10, -0.05, 0.02, -0.04])
FREE = Costs(0, 0, 0)


def test_figures_of_four_returns() -> None:
    assert metrics.total_return(RETURNS) == pytest.approx(1.10 * 0.95 * 1.02 * 0.96 - 1)
    mean, spread = 0.0075, math.sqrt((0.0925**2 + 0.0575**2 + 0.0125**2 + 0.0475**2) / 3)
    assert metrics.sharpe(RETURNS, 365) == pytest.approx(mean / spread * math.sqrt(365))
    downside = math.sqrt((0.05**2 + 0.04**2) / 4)
    assert metrics.sortino(RETURNS, 365) == pytest.approx(mean / downside * math.sqrt(365))
    assert metrics.max_drawdown(RETURNS) == pytest.approx(0.95 * 1.02 * 0.96 - 1)
    assert metrics.annual_return(RETURNS, 4) == pytest.approx(1.10 * 0.95 * 1.02 * 0.96 - 1)


def test_figures_of_nothing_are_none_and_not_zero() -> None:
    still = np.zeros(10)
    assert metrics.sharpe(still, 365) is None
    assert metrics.sortino(still, 365) is None
    found = metrics.figures(Curve(still, still, still, ()), 365)
    assert (found.trades, found.hit_rate, found.mean_win, found.max_drawdown) == (0, None, None, 0)


def test_positions_pay_for_what_is_traded() -> None:
    closes = np.array([100.0, 110.0, 99.0, 99.0])
    costs = Costs(10, 5, 0)
    curve = baselines.position_curve(np.array([1.0, 1.0, 0.0]), closes, costs)
    assert curve.turnover.tolist() == [1, 0, 1]
    expected = [1.1 * (1 - 0.0015) - 1, -0.1, -0.0015]
    assert curve.returns.tolist() == pytest.approx(expected)


def test_buy_and_hold_is_the_price_before_costs() -> None:
    closes = np.array([100.0, 110.0, 99.0, 123.0])
    curve = baselines.position_curve(np.ones(3), closes, FREE)
    assert 100.0 * (1 + metrics.total_return(curve.returns)) == pytest.approx(123.0, abs=0.005)


def test_buy_and_hold_of_bitcoin_matches_the_candles_to_the_cent(shared_data: FilePath) -> None:
    path = path_of(Recordings(shared_data), "BTC/USDT")
    first, last = ms(at("2020-01-01")), ms(at("2024-12-31"))
    grid = grid_of(path, first, last, 86_400, warm_steps=0)
    assert grid is not None
    curve = baselines.rule_curve(baselines.buy_and_hold, grid, FREE)
    with (shared_data / "ohlcv/daily/BTC_USDT_1d.csv").open() as stream:
        closes = {int(row[0]): float(row[4]) for row in list(csv.reader(stream))[1:]}
    before, end = closes[first - 86_400_000], closes[last]
    assert round(before * (1 + metrics.total_return(curve.returns)), 2) == round(end, 2)


def test_sma_is_long_while_the_short_mean_is_above_the_long_one() -> None:
    closes = np.array([5.0, 4, 3, 4, 6, 8, 5, 2])
    # means of 2: - 4.5 3.5 3.5 5 7 6.5 3.5; of 3: - - 4 3.67 4.33 6 6.33 5
    found = baselines.sma(closes, closes, closes, short=2, long=3)
    assert found.tolist() == [0, 0, 0, 0, 1, 1, 1, 0]


def test_macd_is_long_while_the_line_is_above_its_signal() -> None:
    closes = np.array([10.0, 10, 10, 10, 10, 14, 18, 18, 14, 8, 6])
    # TA-Lib starts the slow mean (3) and both lines where the first signal (2) is known.
    fast, slow, line = 10.0, 10.0, []
    for close in closes[4:]:
        fast += (close - fast) * 2 / 3
        slow += (close - slow) * 2 / 4
        line.append(fast - slow)
    signal, expected = 0.0, []
    for value in line:
        signal += (value - signal) * 2 / 3
        expected.append(float(value > signal + 1e-12))
    found = baselines.macd(closes, closes, closes, fast=2, slow=3, signal=2)
    assert found[4:].tolist() == expected
    assert {0.0, 1.0} <= set(expected)


def test_zmr_buys_far_below_the_mean_and_sells_at_it() -> None:
    closes = np.array([10.0, 10, 10, 10, 6, 7, 12, 10])
    # span 4; at the fall z = (6 - 9) / 1.73 = -1.73; then (7 - 8.25) / 1.79 = -0.70 is held;
    # then (12 - 8.75) / 2.28 = 1.43 leaves
    found = baselines.zmr(closes, closes, closes, span=4)
    assert found.tolist() == [0, 0, 0, 0, 1, 1, 0, 0]


def test_kdj_rsi_waits_for_both() -> None:
    falling = np.concatenate((np.linspace(100, 60, 30), np.linspace(61, 120, 30)))
    found = baselines.kdj_rsi(falling, falling + 0.5, falling - 0.5)
    first = int(np.argmax(found))
    # RSI(14) needs 14 moves; K of the last nine is at its foot all the way down.
    assert first == 14
    assert found[:14].sum() == 0
    assert found[-1] == 0.0
    assert found[29] == 1.0


def test_rules_know_nothing_of_later_prices() -> None:
    generator = np.random.default_rng(3)
    closes = 100 * np.exp(np.cumsum(generator.normal(0, 0.03, 160)))
    highs, lows = closes * 1.01, closes * 0.99
    for rule in baselines.RULES.values():
        whole = rule(closes, highs, lows)
        part = rule(closes[:120], highs[:120], lows[:120])
        assert whole[:120].tolist() == part.tolist()


def test_a_rule_is_not_paid_for_what_it_did_in_the_warm_up() -> None:
    closes = np.array([1.0, 2, 4, 8, 16])
    grid = Grid(np.arange(5), closes, closes, closes, warm=2)
    curve = baselines.rule_curve(baselines.buy_and_hold, grid, FREE)
    assert metrics.total_return(curve.returns) == pytest.approx(3.0)


def test_random_trades_have_the_same_turnover_and_the_same_costs() -> None:
    closes = np.full(101, 50.0)
    sizes, sides = np.array([0.1, 0.2, 0.3]), np.array([1.0, -1.0, 1.0])
    holds = np.array([2, 3, 100])
    costs = Costs(10, 5, 3)
    found = baselines.random_returns(sizes, sides, holds, closes, costs, np.random.default_rng(1))
    paid = 2 * 0.6 * 0.0015 + 3 * 0.2 * 0.0003
    assert found.sum() == pytest.approx(-paid)
    again = baselines.random_returns(sizes, sides, holds, closes, costs, np.random.default_rng(1))
    assert found.tolist() == again.tolist()


def test_blocks_hang_together_and_cover_the_series_evenly() -> None:
    indices = uncertainty.block_indices(200, 500, 20.0, np.random.default_rng(5))
    assert indices.shape == (500, 200)
    follows = (np.diff(indices, axis=1) % 200) == 1
    assert follows.mean() == pytest.approx(1 - 1 / 20, abs=0.01)
    counts = np.bincount(indices.ravel(), minlength=200)
    assert counts.min() > 0.7 * counts.mean()


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(11)
    hits = 0
    for _ in range(100):
        sample = generator.normal(0.0, 1.0, 120)
        indices = uncertainty.block_indices(120, 200, 5.0, generator)
        interval = uncertainty.interval_of(lambda r: float(np.mean(r)), sample, indices)
        hits += interval is not None and interval.holds(0.0)
    assert 84 <= hits <= 100


def test_deflated_sharpe_of_a_worked_example() -> None:
    """Bailey and Lopez de Prado (2014): 1250 days, SR 2.5 a year, skew -3, kurtosis 10, N 100."""
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 1, 1250)
    returns = (noise - noise.mean()) / noise.std(ddof=1) * 0.01 + 0.01 * 2.5 / math.sqrt(250)
    found = uncertainty.deflated_sharpe(returns, 100, 0.5 / 250)
    assert found is not None
    assert found.sharpe == pytest.approx(2.5 / math.sqrt(250))
    assert found.expected_best == pytest.approx(0.1132, abs=0.0005)


def test_more_variants_tried_make_the_same_result_less_sure() -> None:
    returns = np.random.default_rng(2).normal(0.001, 0.01, 500)
    chances = [uncertainty.deflated_sharpe(returns, n) for n in (1, 10, 1000)]
    told = [c.probability for c in chances if c is not None]
    assert len(told) == 3
    assert told[0] > told[1] > told[2]
    assert uncertainty.deflated_sharpe(np.zeros(50), 1) is None
