import math

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

from sigmax_tasks.research.comovement import (
    aligned_closes,
    beta,
    lead_lag,
    pearson,
    rolling_beta,
    spearman,
)
from sigmax_tasks.research.correlation import needs, peers, research
from sigmax_tasks.research.scoring import InsufficientDataError
from sigmax_tasks.research.series import series_of

ETH, SOL = "ETH/USDT", "SOL/USDT"


def noise(count, size=0.02, step=2.399):
    """Uneven, repeatable and all but uncorrelated numbers."""
    return [size * math.sin(step * i * i + 0.7 * i) for i in range(count)]


def days(returns, symbol):
    return candles(rows_of(path_of(returns)), symbol=symbol)


def ask(*observations, symbol=SOL, watchlist=()):
    return research(inputs_of("correlation", *observations, symbol=symbol, watchlist=watchlist))


def test_peers_are_the_leaders_and_the_watchlist_without_the_symbol():
    assert peers(SOL, ()) == (BTC, ETH)
    assert peers(BTC, (BTC, ETH, SOL)) == (ETH, SOL)
    assert peers("SOL/EUR", (BTC,)) == ("BTC/EUR", "ETH/EUR", BTC)
    assert peers("SOL/BTC", ()) == (BTC, "ETH/BTC")
    assert peers("ETH/BTC", ()) == (BTC,)
    many = tuple(f"C{i}/USDT" for i in range(50))
    assert len(peers(SOL, many)) == 12


def test_only_own_candles_are_required():
    asked = needs(SOL, (BTC, "ADA/USDT"))
    assert [(n.symbol, n.required) for n in asked] == [
        (SOL, True),
        (BTC, False),
        (ETH, False),
        ("ADA/USDT", False),
    ]
    assert {(n.source, n.kind, n.name, n.limit) for n in asked} == {
        ("price_data", "candles", "1d", 400)
    }


def test_beta_of_a_doubled_market_is_two_and_the_correlation_one():
    base = noise(200)
    finding = ask(days([2 * r for r in base], SOL), days(base, BTC))
    assert finding.metric("beta_btc_90d") == pytest.approx(2.0)
    assert finding.metric("beta_btc_30d_low") == pytest.approx(2.0)
    assert finding.metric("beta_btc_30d_high") == pytest.approx(2.0)
    for name in ("correlation_btc_30d", "correlation_btc_90d", "spearman_btc_90d"):
        assert finding.metric(name) == pytest.approx(1.0)
    assert finding.labels["not_compared"] == ETH


def test_measures_of_real_markets_equal_numpy(shared_data):
    closes = {}
    for name in ("BTC", "ETH", "SOL"):
        rows = recorded(shared_data, f"daily/{name}_USDT_1d.csv", timeframe="1d", limit=400)
        closes[name] = candles(rows, symbol=f"{name}/USDT")
    finding = ask(*closes.values())
    returns = {
        name: np.diff(np.log(series_of(observation).closes)) for name, observation in closes.items()
    }
    sol, btc = returns["SOL"], returns["BTC"]
    for window in (30, 90):
        expected = np.corrcoef(sol[-window:], btc[-window:])[0, 1]
        assert finding.metric(f"correlation_btc_{window}d") == pytest.approx(expected, rel=1e-9)
    expected = np.cov(sol[-90:], btc[-90:])[0, 1] / np.var(btc[-90:], ddof=1)
    assert finding.metric("beta_btc_90d") == pytest.approx(expected, rel=1e-9)
    ranks = [np.argsort(np.argsort(x[-90:])) for x in (sol, btc)]
    expected = np.corrcoef(*ranks)[0, 1]
    assert finding.metric("spearman_btc_90d") == pytest.approx(expected, rel=1e-9)
    gap = sol - btc
    assert finding.metric("relative_strength_btc_30d") == pytest.approx(gap[-30:].sum(), rel=1e-9)
    assert finding.strength < 0.3


def test_a_leader_is_found_by_its_lag():
    base = noise(130)
    for lag in (1, 2, 3):
        follower = [0.0] * lag + [0.9 * r for r in base[:-lag]]
        finding = ask(days(follower, SOL), days(base, BTC))
        assert finding.metric("lead_lag_btc_days") == lag
        assert finding.metric("lead_lag_btc_correlation") == pytest.approx(1.0, abs=1e-6)
        assert finding.labels["lead_lag_btc"].startswith(f"BTC/USDT leads by {lag} d")
        assert finding.metric("beta_btc_leading") == pytest.approx(0.9, rel=1e-6)
        implied = 0.9 * sum(base[-lag:])
        assert finding.metric("implied_move_btc") == pytest.approx(implied, rel=1e-6)
        argument = next(e for e in finding.evidence if e.evidence_id == "correlation.leader_btc")
        assert argument.polarity * implied > 0


def test_a_follower_is_not_taken_for_a_leader():
    base = noise(130)
    finding = ask(days(base, SOL), days([0.0, *base[:-1]], BTC))
    assert finding.metric("lead_lag_btc_days") == -1
    assert "follows by 1 d" in finding.labels["lead_lag_btc"]
    assert finding.metric("beta_btc_leading") is None


def test_the_bound_is_two_over_the_root_of_the_pairs():
    base = np.array(noise(91))
    found = lead_lag(base[:-1], base[1:])
    assert found.lag == 1
    assert found.bound == pytest.approx(2 / math.sqrt(89))
    assert found.significant
    assert lead_lag(base[:20], base[:20]) is None


def test_relative_strength_speaks_for_the_stronger_market():
    base, drift = noise(120), 0.01
    strong = ask(days([r + drift for r in base], SOL), days(noise(120, step=1.3), BTC))
    weak = ask(days([r - drift for r in base], SOL), days(noise(120, step=1.3), BTC))
    scaled = "relative_strength_30d_scaled"
    assert strong.metric(scaled) > 0 > weak.metric(scaled)
    assert strong.labels["relative_strength"] == "strong"
    assert weak.labels["relative_strength"] == "weak"
    assert strong.score > weak.score


def test_bitcoin_is_compared_with_ether_and_the_watchlist():
    finding = ask(
        days(noise(120), BTC),
        days(noise(120, step=1.1), ETH),
        days(noise(120, step=0.9), SOL),
        symbol=BTC,
        watchlist=(BTC, SOL),
    )
    assert finding.labels["compared_with"] == f"{ETH}, {SOL}"
    assert finding.metric("beta_eth_90d") is not None
    assert finding.metric("correlation_sol_90d") is not None
    assert finding.metric("correlation_btc_90d") is None


def test_one_base_in_two_quotes_keeps_both():
    finding = ask(
        days(noise(120), SOL),
        days(noise(120, step=1.1), BTC),
        days(noise(120, step=0.9), "BTC/USDC"),
        watchlist=("BTC/USDC",),
    )
    assert finding.metric("correlation_btc_90d") is not None
    assert finding.metric("correlation_btc_usdc_90d") is not None


def test_pairs_are_the_days_both_have():
    own = rows_of([float(i) for i in range(1, 41)])
    other = [row for i, row in enumerate(rows_of([2.0 * i for i in range(1, 51)])) if i != 20]
    mine, theirs = aligned_closes(series_of(candles(own)), series_of(candles(other, symbol=ETH)))
    assert mine.size == theirs.size == 39
    assert (theirs - 2 * mine == 20.0).all()


def test_markets_that_do_not_move_have_no_correlation_and_no_score():
    still = ask(days([0.0] * 100, SOL), days(noise(100), BTC))
    assert still.metric("correlation_btc_90d") is None
    assert still.metric("beta_btc_90d") == 0.0
    assert all(math.isfinite(metric.value) for metric in still.metrics)
    both = ask(days([0.0] * 100, SOL), days([0.0] * 100, BTC))
    assert both.score == 0.0
    assert both.metric("beta_btc_90d") is None


def test_too_little_in_common_is_not_enough():
    with pytest.raises(InsufficientDataError, match="its own daily candles"):
        ask(days(noise(60), BTC))
    with pytest.raises(InsufficientDataError, match="21 days in common"):
        ask(days(noise(60), SOL))
    with pytest.raises(InsufficientDataError, match="21 days in common"):
        ask(days(noise(60), SOL), days(noise(19), BTC))
    assert ask(days(noise(60), SOL), days(noise(20), BTC)).metric("lead_lag_btc_days") is None


numbers = st.lists(
    st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=60
).map(lambda pairs: np.array(pairs, dtype=float).T)


@given(numbers)
def test_correlations_are_bounded_and_symmetric(pair):
    left, right = pair
    for measure in (pearson, spearman):
        value = measure(left, right)
        assert (value is None) == (np.ptp(left) == 0 or np.ptp(right) == 0)
        if value is not None:
            assert -1 <= value <= 1
            assert measure(right, left) == pytest.approx(value)
            assert measure(-left, right) == pytest.approx(-value)


@given(numbers)
def test_spearman_sees_only_the_order(pair):
    left, right = pair
    value, bent = spearman(left, right), spearman(left**3, np.exp(right / 10))
    assert value == bent if value is None else bent == pytest.approx(value)


def test_tied_ranks_share_their_mean():
    # By hand: ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4.
    found = spearman(np.array([1.0, 5.0, 5.0, 9.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert found == pytest.approx(4.5 / math.sqrt(4.5 * 5.0))


def test_rolling_beta_has_one_value_a_window():
    base = np.array(noise(50))
    own = np.concatenate([base[:25], 3 * base[25:]])
    found = rolling_beta(own, base, 10)
    assert found.size == 41
    assert found[0] == pytest.approx(1.0)
    assert found[-1] == pytest.approx(3.0)
    assert beta(own[:2], base[:2]) is None


@settings(deadline=None, max_examples=20)
@given(st.floats(1e-8, 1e6), st.floats(1e-8, 1e6))
def test_the_unit_of_price_changes_no_score(one, other):
    own, leader = days(wavy_returns(150, 0.02), SOL), days(noise(150), BTC)
    plain = ask(own, leader)
    scaled = ask(change_candles(own, scaled_by(one)), change_candles(leader, scaled_by(other)))
    assert scaled.score == pytest.approx(plain.score, abs=1e-7)
    assert scaled.labels == plain.labels
