import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from price_inputs import (
    BTC,
    candles,
    change_candles,
    inputs_of,
    path_of,
    recorded,
    rows_of,
    scaled_by,
    wavy_returns,
)

from sigmax_tasks.research.analogues import find_matches, returns_after
from sigmax_tasks.research.patterns import match_count, match_quality, needs, research
from sigmax_tasks.research.scoring import InsufficientDataError

walks = st.lists(st.floats(-0.1, 0.1), min_size=60, max_size=400).map(
    lambda steps: np.cumsum(np.array(steps))
)


def history(closes, **more):
    return candles(rows_of(closes, **more), source="historical_data")


def plain_distance(left, right):
    """The z-normalised distance, written out."""
    a = (left - left.mean()) / left.std()
    b = (right - right.mean()) / right.std()
    return math.sqrt(((a - b) ** 2).sum())


@settings(deadline=None, max_examples=60)
@given(walks, st.integers(5, 30), st.integers(1, 15), st.integers(1, 12))
def test_matches_overlap_neither_each_other_nor_the_present_nor_the_future(
    logs, length, horizon, count
):
    matches = find_matches(logs, length=length, horizon=horizon, count=count)
    starts = sorted(match.start for match in matches.found)
    assert len(starts) <= count
    assert all(b - a >= length for a, b in pairwise(starts))
    for match in matches.found:
        assert match.end < logs.size - length
        assert match.end + horizon <= logs.size - 1
    distances = [match.distance for match in matches.found]
    assert distances == sorted(distances)


def test_distances_equal_the_formula_written_out(shared_data):
    rows = recorded(shared_data, "daily/BTC_USDT_1d.csv", timeframe="1d", limit=600)
    logs = np.log([row[4] for row in rows])
    matches = find_matches(logs, length=30, horizon=10, count=5)
    for match in matches.found:
        window = logs[match.start : match.start + 30]
        assert match.distance == pytest.approx(plain_distance(window, logs[-30:]), rel=1e-9)
    every = [plain_distance(logs[i : i + 30], logs[-30:]) for i in range(600 - 60 + 1)]
    assert matches.candidates == len(every)
    assert matches.found[0].distance == pytest.approx(min(every), rel=1e-9)
    assert matches.found[0].start == int(np.argmin(every))


def test_what_is_later_than_the_horizon_allows_is_not_compared():
    shape = np.sin(np.arange(30) / 3.0)
    logs = np.concatenate([np.linspace(0, 1, 100) ** 2, shape, np.linspace(1, 0, 12), shape])
    near = find_matches(logs, length=30, horizon=10, count=1)
    assert near.found[0].start == 100
    assert near.found[0].distance == pytest.approx(0.0, abs=1e-6)
    far = find_matches(logs, length=30, horizon=50, count=1)
    assert far.found[0].start + 29 + 50 <= logs.size - 1


def test_a_repeating_market_finds_itself_and_what_follows():
    wave = [100 * math.exp(0.1 * math.sin(2 * math.pi * i / 50)) for i in range(600)]
    finding = research(inputs_of("patterns", history(wave)))
    # The last day stands at phase 599 mod 50 = 49: the rise begins.
    after = math.exp(0.1 * math.sin(2 * math.pi * 54 / 50)) / math.exp(
        0.1 * math.sin(2 * math.pi * 49 / 50)
    )
    assert finding.metric("match_distance_best") == pytest.approx(0.0, abs=1e-5)
    assert finding.metric("median_return_5d") == pytest.approx(after - 1, rel=1e-6)
    assert finding.metric("share_up_5d") == 1.0
    assert finding.score > 0.5
    assert finding.labels["pattern"] == "found"


def test_a_likeness_no_better_than_in_surrogates_is_trusted_less():
    saw = [100 * math.exp(0.01 * (i % 50) - 0.0001 * (i % 50) ** 2) for i in range(600)]
    noise = path_of(wavy_returns(599, 0.03))
    quality, strengths = [], []
    for closes in (saw, noise):
        finding = research(inputs_of("patterns", history(closes)))
        quality.append(finding.metric("match_quality"))
        strengths.append(finding.strength)
    assert quality[0] > quality[1]
    assert strengths[0] > strengths[1]


def test_the_same_shape_counts_even_where_the_surrogates_have_it_too():
    wave = [100 * math.exp(0.1 * math.sin(2 * math.pi * i / 50)) for i in range(600)]
    symmetric = find_matches(np.log(wave), length=30, horizon=10, count=5)
    assert symmetric.null_distance == pytest.approx(0.0, abs=1e-5)
    assert match_quality(symmetric) == pytest.approx(1.0, abs=1e-5)


def test_outcomes_on_real_candles_equal_plain_numpy(shared_data):
    rows = recorded(shared_data, "daily/BTC_USDT_1d.csv", timeframe="1d", limit=1500)
    finding = research(inputs_of("patterns", candles(rows, source="historical_data")))
    logs = np.log([row[4] for row in rows])
    matches = find_matches(logs, length=30, horizon=10, count=12)
    closes = np.array([row[4] for row in rows])
    for horizon in (5, 10):
        after = np.array([closes[m.end + horizon] / closes[m.end] - 1 for m in matches.found])
        assert finding.metric(f"median_return_{horizon}d") == pytest.approx(np.median(after))
        low, high = np.percentile(after, [25, 75])
        assert finding.metric(f"lower_quartile_{horizon}d") == pytest.approx(low)
        assert finding.metric(f"upper_quartile_{horizon}d") == pytest.approx(high)
        assert finding.metric(f"share_up_{horizon}d") == pytest.approx((after > 0).mean())
    assert finding.metric("match_count") == 12
    assert finding.labels["match_1"].startswith("2024-01-17 to 2024-02-15")
    assert finding.strength < 0.3


def test_returns_after_are_simple_returns():
    logs = np.log(np.array([100.0, 110.0, 121.0, 60.5]))
    assert returns_after(logs, np.array([0, 1]), 2) == pytest.approx([0.21, -0.45])


@settings(deadline=None, max_examples=15)
@given(st.floats(1e-8, 1e6))
def test_the_unit_of_price_changes_no_score(factor):
    plain = history(path_of(wavy_returns(250, 0.02)))
    one = research(inputs_of("patterns", plain))
    other = research(inputs_of("patterns", change_candles(plain, scaled_by(factor))))
    assert other.score == pytest.approx(one.score, abs=1e-7)
    assert other.metric("match_count") == one.metric("match_count")


def test_a_market_that_does_not_move_has_no_like():
    finding = research(inputs_of("patterns", history([5.0] * 300)))
    assert finding.score == finding.strength == 0.0
    assert finding.labels["pattern"] == "none"
    assert finding.lineage


def test_windows_that_do_not_move_are_no_match():
    closes = [*([5.0] * 100), *path_of(wavy_returns(149, 0.02), 5.0)]
    matches = find_matches(np.log(closes), length=30, horizon=10, count=12)
    assert all(match.end >= 100 for match in matches.found)
    assert all(math.isfinite(match.distance) for match in matches.found)


def test_too_short_a_history_is_not_enough():
    with pytest.raises(InsufficientDataError, match="need 200 daily candles, there are 199"):
        research(inputs_of("patterns", history(path_of(wavy_returns(198)))))
    research(inputs_of("patterns", history(path_of(wavy_returns(199)))))
    other = candles(rows_of(path_of(wavy_returns(300))), source="price_data")
    with pytest.raises(InsufficientDataError, match="there are 0"):
        research(inputs_of("patterns", other))


def test_the_number_of_matches_grows_with_the_history():
    assert [match_count(rows) for rows in (200, 400, 1500)] == [2, 6, 12]


def test_the_need_is_a_long_daily_history():
    (need,) = needs(BTC, ())
    assert (need.source, need.name, need.limit, need.required) == (
        "historical_data",
        "1d",
        1500,
        True,
    )
