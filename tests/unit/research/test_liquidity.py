import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from price_inputs import AS_OF, BTC, book, candles, inputs_of, ms, path_of, rows_of, trades
from price_inputs import wavy_returns as waves

from sigmax_tasks.research.liquidity import depth_within, needs, research, slippage
from sigmax_tasks.research.scoring import InsufficientDataError

# Mid 100. Asks worth 1,010 + 20,400 + 103,000; bids worth 990 + 19,600 + 97,000.
ASKS = [(101.0, 10.0), (102.0, 200.0), (103.0, 1000.0)]
BIDS = [(99.0, 10.0), (98.0, 200.0), (97.0, 1000.0)]
BOOK = book(BIDS, ASKS)


def volumes(closes, amounts=None):
    return candles(rows_of(closes, volumes=amounts), source="volume_data")


def test_slippage_of_a_hand_computed_book():
    finding = research(inputs_of("liquidity", BOOK))
    # Buying for 10,000: 1,010 at 101 (10 coins), 8,990 at 102 (88.137... coins).
    base = 10 + 8_990 / 102
    assert finding.metric("slippage_buy_10k") == pytest.approx(10_000 / base / 100 - 1)
    # Buying for 50,000: 1,010 at 101, 20,400 at 102, 28,590 at 103.
    base = 10 + 200 + 28_590 / 103
    assert finding.metric("slippage_buy_50k") == pytest.approx(50_000 / base / 100 - 1)
    # Selling for 50,000: 990 at 99, 19,600 at 98, 29,410 at 97.
    base = 10 + 200 + 29_410 / 97
    assert finding.metric("slippage_sell_50k") == pytest.approx(1 - 50_000 / base / 100)
    assert finding.metric("mid_price") == 100.0
    assert finding.metric("spread_bps") == pytest.approx(200.0)


def test_depth_and_imbalance_of_a_hand_computed_book():
    finding = research(inputs_of("liquidity", BOOK))
    assert finding.metric("depth_bid_1pct") == pytest.approx(990.0)
    assert finding.metric("depth_ask_1pct") == pytest.approx(1_010.0)
    assert finding.metric("depth_bid_2pct") == pytest.approx(20_590.0)
    assert finding.metric("depth_ask_2pct") == pytest.approx(21_410.0)
    assert finding.metric("depth_ask_0_5pct") == 0.0
    assert finding.metric("imbalance_1pct") == pytest.approx(-20 / 2_000)
    assert finding.metric("imbalance_2pct") == pytest.approx((20_590 - 21_410) / 42_000)
    assert finding.labels["liquidity"] == "thin"


def test_a_book_too_thin_for_an_order_gives_no_number():
    thin = book([(99.99, 200.0)], [(100.01, 600.0)])
    finding = research(inputs_of("liquidity", thin))
    assert finding.metric("slippage_buy_50k") == pytest.approx(0.0001)
    assert finding.metric("slippage_buy_100k") is None
    assert finding.labels["slippage_buy_100k"] == "book too thin for the order"
    assert finding.metric("slippage_sell_10k") == pytest.approx(0.0001)
    assert finding.metric("slippage_sell_50k") is None
    assert finding.labels["liquidity"] == "thin"


def test_a_band_the_book_does_not_reach_to_the_end_of_gives_no_number():
    shallow = book([(99.95, 10.0), (99.8, 10.0)], [(100.05, 10.0), (100.2, 10.0)])
    finding = research(inputs_of("liquidity", shallow))
    assert finding.metric("depth_bid_0_1pct") == pytest.approx(999.5)
    assert finding.metric("depth_bid_0_5pct") is None
    assert "0.20%" in finding.labels["depth_bid_0_5pct"]
    assert finding.metric("book_value_bid") == pytest.approx(999.5 + 998.0)
    assert finding.metric("imbalance_distance") == pytest.approx(0.002)


def test_orders_in_dollars_are_not_walked_through_a_book_in_another_currency():
    other = book([(0.05, 900_000.0)], [(0.0501, 900_000.0)], symbol="ETH/BTC")
    finding = research(inputs_of("liquidity", other, symbol="ETH/BTC"))
    assert finding.metric("slippage_buy_10k") is None
    assert "BTC is not a dollar" in finding.labels["slippage"]


def test_a_deep_market_is_called_deep():
    bids = [(100_000.0 - 0.5 - i, 2.0) for i in range(500)]
    asks = [(100_000.0 + 0.5 + i, 2.0) for i in range(500)]
    finding = research(inputs_of("liquidity", book(bids, asks)))
    assert finding.labels["liquidity"] == "deep"
    assert finding.score == pytest.approx(0.0, abs=1e-2)


def test_more_bids_than_asks_speak_for_a_rise():
    heavy = book([(99.9, 50.0), (98.0, 50.0)], [(100.1, 5.0), (102.0, 5.0)])
    assert research(inputs_of("liquidity", heavy)).score > 0
    light = book([(99.9, 5.0), (98.0, 5.0)], [(100.1, 50.0), (102.0, 50.0)])
    assert research(inputs_of("liquidity", light)).score < 0


def test_without_a_book_volume_alone_gives_a_weak_finding():
    days = volumes(path_of(waves(60)))
    alone = research(inputs_of("liquidity", days))
    both = research(inputs_of("liquidity", BOOK, days))
    assert alone.labels["book"] == "missing, volume only"
    assert alone.metric("spread_bps") is None
    assert 0 < alone.strength < 0.1 < both.strength
    assert both.metric("volume_ratio") == 1.0


def test_neither_book_nor_volume_is_not_enough():
    with pytest.raises(InsufficientDataError, match="neither"):
        research(inputs_of("liquidity"))
    with pytest.raises(InsufficientDataError):
        research(inputs_of("liquidity", volumes([1.0, 2.0])))
    with pytest.raises(InsufficientDataError):
        research(inputs_of("liquidity", book(BIDS, ASKS, symbol="ETH/USDT")))


def test_a_rise_on_high_volume_speaks_louder_than_on_low():
    closes = [*path_of(waves(59, 0.005)), 120.0]
    high = research(inputs_of("liquidity", volumes(closes, [1000.0] * (len(closes) - 1) + [4000])))
    low = research(inputs_of("liquidity", volumes(closes, [1000.0] * (len(closes) - 1) + [300])))
    assert high.score > low.score > 0
    assert (high.labels["volume"], low.labels["volume"]) == ("high", "low")
    assert high.metric("volume_ratio") == 4.0


def test_takers_who_buy_speak_for_a_rise():
    moment = ms(AS_OF)
    rows = [(moment + i, 100.0, 3.0, "buy") for i in range(60)]
    rows += [(moment + 60 + i, 100.0, 1.0, "sell") for i in range(60)]
    finding = research(inputs_of("liquidity", BOOK, trades(*rows)))
    assert finding.metric("taker_buy_share") == pytest.approx(0.75)
    flow = next(e for e in finding.evidence if e.evidence_id == "liquidity.taker_flow")
    assert flow.polarity > 0


def test_a_market_that_does_not_move_is_neutral():
    finding = research(inputs_of("liquidity", volumes([100.0] * 40)))
    assert finding.score == 0.0


levels = st.lists(st.tuples(st.floats(0.001, 1000), st.floats(0.01, 1.0)), min_size=1, max_size=30)


@given(levels, st.floats(10, 1e6), st.floats(10, 1e6))
def test_a_larger_order_never_slips_less(steps, one, other):
    price, asks = 100.0, []
    for amount, gap in steps:
        asks.append((price, amount))
        price += gap
    small, large = (slippage(asks, 99.9, size) for size in sorted((one, other)))
    if large is not None:
        assert small is not None
        assert large >= small - 1e-12
    value, largest = sum(p * a for p, a in asks), max(one, other)
    if abs(largest / value - 1) > 1e-9:
        assert (large is None) == (largest > value)


@given(levels)
def test_depth_grows_with_the_band(steps):
    price, asks = 100.0, []
    for amount, gap in steps:
        asks.append((price, amount))
        price += gap
    found = [depth_within(asks, 99.9, band) for band in (0.001, 0.005, 0.01, 0.02)]
    known = [depth for depth in found if depth is not None]
    assert known == sorted(known)
    assert None not in found[: len(known)]


def test_the_needs_name_book_volumes_and_trades():
    asked = needs(BTC, ())
    assert [(n.source, n.kind, n.limit) for n in asked] == [
        ("orderbook", "order_book", 500),
        ("volume_data", "candles", 400),
        ("volume_data", "trades", 500),
    ]
    assert not any(n.required for n in asked)


def test_a_recorded_book_equals_plain_numpy(shared_data):
    text = (shared_data / "http/binance/depth1000_NKNUSDT.json").read_text()
    answer = json.loads(text)
    sides = {
        side: np.array([[float(p), float(a)] for p, a in answer[side]]) for side in ("bids", "asks")
    }
    symbol = "NKN/USDT"
    recorded_book = book(
        *([tuple(row) for row in side.tolist()] for side in sides.values()), symbol
    )
    finding = research(inputs_of("liquidity", recorded_book, symbol=symbol))
    mid = (sides["bids"][0, 0] + sides["asks"][0, 0]) / 2
    assert finding.metric("mid_price") == pytest.approx(mid)
    for side, word, order in (("bids", "bid", "sell"), ("asks", "ask", "buy")):
        prices, amounts = sides[side].T
        values = prices * amounts
        within = np.abs(prices / mid - 1) <= 0.02
        assert not within[-1]
        assert finding.metric(f"depth_{word}_2pct") == pytest.approx(values[within].sum())
        filled = np.cumsum(values)
        last = int(np.searchsorted(filled, 10_000))
        base = amounts[:last].sum() + (10_000 - filled[last - 1]) / prices[last]
        expected = abs(10_000 / base / mid - 1)
        assert finding.metric(f"slippage_{order}_10k") == pytest.approx(expected)
