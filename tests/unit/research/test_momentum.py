import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from price_inputs import (
    AS_OF,
    BTC,
    candles,
    change_candles,
    funding,
    inputs_of,
    path_of,
    recorded,
    rows_of,
    scaled_by,
    upside_down,
    wavy_returns,
)

from sigmax_tasks.research import technical
from sigmax_tasks.research.momentum import needs, research
from sigmax_tasks.research.scoring import InsufficientDataError


def days(closes, **more):
    return candles(rows_of(closes, **more))


def evidence(finding, name):
    return next(e for e in finding.evidence if e.evidence_id == f"momentum.{name}")


def test_returns_over_windows_by_hand():
    closes = [100.0 + i for i in range(61)]
    finding = research(inputs_of("momentum", days(closes)))
    for window in (1, 3, 7, 14, 30):
        expected = 160.0 / (160.0 - window) - 1
        assert finding.metric(f"return_{window}d") == pytest.approx(expected)
    size = math.sqrt(np.mean(np.diff(np.log(closes)) ** 2))
    assert finding.metric("scaled_return_7d") == pytest.approx(
        math.log(160 / 153) / size / math.sqrt(7)
    )


def test_the_z_score_is_against_all_earlier_changes(shared_data):
    rows = recorded(shared_data, "daily/BTC_USDT_1d.csv", timeframe="1d", limit=400)
    finding = research(inputs_of("momentum", candles(rows)))
    logs = np.log([row[4] for row in rows])
    changes = logs[10:] - logs[:-10]
    z_score = (changes[-1] - changes[:-1].mean()) / changes[:-1].std(ddof=1)
    assert finding.metric("roc_10d_z") == pytest.approx(z_score, rel=1e-9)
    assert finding.metric("roc_10d") == pytest.approx(rows[-1][4] / rows[-11][4] - 1, rel=1e-9)
    assert finding.score > 0.3
    assert finding.labels["momentum"] == "up"


def test_the_present_comes_from_the_finer_candles():
    daily = days(path_of(wavy_returns(99)), end=AS_OF - timedelta(hours=12))
    hours = candles(rows_of([100.0 + i for i in range(60)], "4h"), "4h")
    finding = research(inputs_of("momentum", daily, hours))
    assert finding.metric("return_1d") == pytest.approx(159 / 153 - 1)
    assert finding.metric("return_30d") == pytest.approx(
        research(inputs_of("momentum", daily)).metric("return_30d")
    )


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.floats(-0.08, 0.08), min_size=12, max_size=120),
    st.lists(st.floats(1, 1e6), min_size=121, max_size=121),
    st.floats(0, 0.02),
)
def test_a_mirrored_market_gives_the_mirrored_score(returns, amounts, wick):
    plain = days(path_of(returns), volumes=amounts, wick=wick)
    mirrored = change_candles(plain, upside_down)
    one = research(inputs_of("momentum", plain))
    other = research(inputs_of("momentum", mirrored))
    assert other.score == pytest.approx(-one.score, abs=1e-7)
    assert other.strength == pytest.approx(one.strength, abs=1e-7)


@settings(deadline=None, max_examples=25)
@given(st.floats(1e-8, 1e6), st.integers(12, 120))
def test_the_unit_of_price_changes_no_score(factor, length):
    plain = days(path_of(wavy_returns(length, 0.02)))
    one = research(inputs_of("momentum", plain))
    other = research(inputs_of("momentum", change_candles(plain, scaled_by(factor))))
    assert other.score == pytest.approx(one.score, abs=1e-9)
    assert other.labels == one.labels


def test_a_market_that_does_not_move_is_neutral():
    finding = research(inputs_of("momentum", days([0.3] * 90, wick=0.0)))
    assert finding.score == 0.0
    assert finding.labels["momentum"] == "flat"
    assert all(math.isfinite(metric.value) for metric in finding.metrics)
    assert finding.strength < 0.3


@pytest.mark.parametrize(("last", "side"), [(112.0, "up"), (88.0, "down")])
def test_a_breakout_needs_volume_to_be_confirmed(last, side):
    closes = [100 + 5 * math.sin(i) for i in range(80)] + [last]
    quiet = [1000.0] * 80 + [400.0]
    busy = [1000.0] * 80 + [3000.0]
    found = []
    for amounts in (quiet, busy):
        finding = research(inputs_of("momentum", days(closes, volumes=amounts)))
        for channel in (20, 55):
            assert finding.labels[f"breakout_{channel}d"].startswith(side)
            argument = evidence(finding, f"breakout_{channel}d")
            assert argument.polarity * (1 if side == "up" else -1) > 0.6
        found.append(evidence(finding, "breakout_20d"))
    unconfirmed, confirmed = found
    assert "volume 0.4x its median, not confirmed" in unconfirmed.claim
    assert "volume 3.0x its median, confirmed" in confirmed.claim
    assert confirmed.reliability > 2 * unconfirmed.reliability


def test_the_channel_is_that_of_the_days_before():
    closes = [100.0] * 30 + [101.0]
    finding = research(inputs_of("momentum", days(closes, wick=0.0)))
    assert finding.metric("donchian_20_high") == pytest.approx(100.0)
    assert finding.metric("donchian_20_low") == pytest.approx(100.0)
    assert finding.labels["breakout_20d"].startswith("up")
    assert finding.metric("donchian_55_high") is None


def test_volume_of_another_day_confirms_nothing():
    closes = [100 + 5 * math.sin(i) for i in range(80)] + [112.0]
    stale = candles(
        rows_of([1.0] * 60, volumes=[9000.0] * 60, end=AS_OF - timedelta(days=1)),
        source="volume_data",
    )
    finding = research(inputs_of("momentum", days(closes), stale))
    assert "volume unknown" in finding.labels["breakout_20d"]


def test_acceleration_is_the_change_of_the_weekly_pace():
    returns = [0.0] * 20 + [0.01] * 7 + [0.03] * 7
    finding = research(inputs_of("momentum", days(path_of(returns))))
    assert finding.metric("acceleration_7d") == pytest.approx(0.02)
    assert evidence(finding, "acceleration").polarity > 0


def test_crowded_funding_speaks_against_the_crowd_and_usual_funding_for_nobody():
    prices = days(path_of(wavy_returns(90)))
    crowded = research(inputs_of("momentum", prices, funding(*[0.001] * 5)))
    assert crowded.labels["crowding"] == "longs"
    assert evidence(crowded, "funding").polarity < -0.5
    shorts = research(inputs_of("momentum", prices, funding(*[-0.001] * 5)))
    assert shorts.labels["crowding"] == "shorts"
    assert evidence(shorts, "funding").polarity > 0.5
    usual = research(inputs_of("momentum", prices, funding(*[0.0001] * 5)))
    assert usual.labels["crowding"] == "none"
    assert evidence(usual, "funding").polarity == 0.0
    hourly = research(inputs_of("momentum", prices, funding(*[0.0001] * 5, interval_hours=1.0)))
    assert hourly.metric("funding_8h") == pytest.approx(0.0008)
    assert hourly.labels["crowding"] == "longs"


def test_momentum_against_the_trend_is_weaker():
    closes = path_of(wavy_returns(399, 0.003, 0.004))
    rising = technical.research(inputs_of("technical", candles(rows_of(closes, "4h"), "4h")))
    prices = days(path_of([*wavy_returns(80, 0.005), *([-0.03] * 14)]))
    alone = research(inputs_of("momentum", prices))
    against = research(inputs_of("momentum", prices, upstream={"technical": rising}))
    assert against.labels["with_trend"] == "no"
    assert "with_trend" not in alone.labels
    assert against.strength < alone.strength
    assert against.score == alone.score


def test_4h_candles_stand_in_for_missing_daily_ones():
    hours = candles(rows_of(path_of(wavy_returns(399, 0.004)), "4h"), "4h")
    finding = research(inputs_of("momentum", hours))
    assert finding.metric("donchian_55_high") is not None


def test_too_few_days_are_not_enough():
    with pytest.raises(InsufficientDataError, match="needs 11 daily candles, there are 10"):
        research(inputs_of("momentum", days([100.0 + i for i in range(10)])))
    with pytest.raises(InsufficientDataError, match="there are 0"):
        research(inputs_of("momentum", candles(rows_of([1.0] * 50), symbol="ETH/USDT")))


def test_derivatives_are_asked_for_but_not_required():
    asked = {(n.source, n.kind, n.name): n for n in needs(BTC, ())}
    assert not asked["derivatives", "funding", ""].required
    assert [key for key, need in asked.items() if need.required] == [
        ("price_data", "candles", "1d")
    ]
