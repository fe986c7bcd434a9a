import math
from datetime import timedelta

import numpy as np
import pytest
from price_inputs import AS_OF, book, candles, inputs_of, ms, rows_of

from sigmax_tasks.research.series import (
    DAY_MS,
    daily_series,
    find_candles,
    find_observation,
    log_returns,
    percentile_of_last,
    realised_volatility,
    series_of,
    tail_losses,
    volume_ratio,
)


def series(closes, timeframe="1d", **more):
    found = series_of(candles(rows_of(closes, timeframe, **more), timeframe))
    assert found is not None
    return found


def test_arrays_hold_the_rows():
    rows = rows_of([10.0, 11.0, 12.0])
    found = series_of(candles(rows))
    assert found is not None
    assert found.rows == rows
    assert len(found) == 3
    assert found.closed_at_ms == ms(AS_OF)
    assert found.last_close == 12.0


def test_candles_that_close_after_the_as_of_time_are_not_seen():
    rows = rows_of([10.0, 11.0, 12.0], end=AS_OF + timedelta(days=1))
    inputs = inputs_of("technical", candles(rows))
    found = find_candles(inputs, "price_data", "1d")
    assert found is not None
    assert found.closes.tolist() == [10.0, 11.0]
    late = inputs_of("technical", candles(rows_of([10.0], end=AS_OF + timedelta(days=5))))
    assert find_candles(late, "price_data", "1d") is None


def test_candles_are_found_by_source_time_frame_and_symbol():
    own, eth = candles(rows_of([10.0, 11.0])), candles(rows_of([2.0, 3.0]), symbol="ETH/USDT")
    hours = candles(rows_of([10.0, 10.5], "4h"), "4h")
    volumes = candles(rows_of([7.0, 8.0]), source="volume_data")
    inputs = inputs_of("technical", eth, hours, volumes, own)
    assert find_candles(inputs, "price_data", "1d").observation is own
    assert find_candles(inputs, "price_data", "4h").observation is hours
    assert find_candles(inputs, "volume_data", "1d").observation is volumes
    assert find_candles(inputs, "price_data", "1d", "ETH/USDT").observation is eth
    assert find_candles(inputs, "historical_data", "1d") is None
    assert find_candles(inputs_of("t", eth), "price_data", "1d") is None


def test_of_two_series_the_one_that_reaches_further_is_used():
    short = candles(rows_of([10.0, 11.0]))
    stale = candles(rows_of([10.0] * 9, end=AS_OF - timedelta(days=1)))
    long = candles(rows_of([10.0, 11.0, 12.0]))
    for order in ((short, stale, long), (long, stale, short)):
        assert find_candles(inputs_of("t", *order), "price_data", "1d").observation is long


def test_observations_of_another_symbol_are_not_found():
    other = book([(1.0, 1.0)], [(2.0, 1.0)], symbol="ETH/USDT")
    assert find_observation(inputs_of("t", other), "orderbook", "order_book") is None
    own = book([(1.0, 1.0)], [(2.0, 1.0)])
    assert find_observation(inputs_of("t", other, own), "orderbook", "order_book") is own


def test_a_close_some_days_ago_is_found_by_time_not_by_count():
    found = series([float(i) for i in range(1, 25)], "4h")
    assert found.close_days_ago(1) == 18.0
    assert found.close_days_ago(3) == 6.0
    assert found.close_days_ago(4) is None
    rows = rows_of([float(i) for i in range(1, 25)], "4h")
    gapped = series_of(candles(rows[:16] + rows[17:], "4h"))
    assert gapped.close_days_ago(1) == 18.0
    wide = series_of(candles(rows[:10] + rows[22:], "4h"))
    assert wide.close_days_ago(1) is None


def test_days_are_made_of_full_days_only():
    found = daily_series(series([float(i) for i in range(1, 16)], "4h"))
    assert found is not None
    assert found.closes.tolist() == [9.0, 15.0]
    assert (np.diff(found.times) == DAY_MS).all()
    assert daily_series(series([1.0, 2.0], "4h")) is None
    same = series([1.0, 2.0])
    assert daily_series(same) is same


def test_realised_volatility_by_hand():
    closes = [100.0 * math.exp(0.01 * (i % 2)) for i in range(31)]
    steps = [0.01 if i % 2 == 0 else -0.01 for i in range(30)]
    expected = math.sqrt(sum(s * s for s in steps) / 29) * math.sqrt(365)
    assert realised_volatility(series(closes)) == pytest.approx(expected)
    hours = [100.0 * math.exp(0.01 * (i % 2)) for i in range(181)]
    expected = math.sqrt(180 * 0.01**2 / 179) * math.sqrt(365 * 6)
    assert realised_volatility(series(hours, "4h")) == pytest.approx(expected)
    assert realised_volatility(series(closes[:10])) is None


def test_tail_losses_by_hand():
    returns = [-0.10, -0.06, -0.04, *([0.01] * 37)]
    closes = np.array([100.0, *(100.0 * np.cumprod([1 + r for r in returns]))])
    # Of 40 sorted returns the 5 % quantile lies at 0.05 x 39 = 1.95: between the second and third.
    value_at_risk, shortfall = tail_losses(closes)
    assert value_at_risk == pytest.approx(0.06 - 0.95 * 0.02)
    assert shortfall == pytest.approx(0.08)
    assert tail_losses(closes[:30]) is None


def test_a_market_that_only_rises_has_no_tail_loss():
    assert tail_losses(np.array([100.0 * 1.01**i for i in range(60)])) == (0.0, 0.0)


def test_volume_ratio_is_against_the_median_of_the_days_before():
    assert volume_ratio(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 9.0])) == (3.0, 3.0)
    assert volume_ratio(np.array([1.0, 2.0, 3.0, 4.0, 5.0])) is None
    assert volume_ratio(np.zeros(10)) is None


def test_percentile_of_the_last_value():
    rising = np.arange(30, dtype=float)
    assert percentile_of_last(rising) == 1.0
    assert percentile_of_last(rising[::-1].copy()) == 0.0
    assert percentile_of_last(np.ones(30)) == 0.5
    assert percentile_of_last(np.array([*([np.nan] * 15), *range(15)])) is None


def test_log_returns_add_up():
    closes = np.array([3.0, 4.0, 5.0, 6.0])
    assert log_returns(closes).sum() == pytest.approx(math.log(2))
