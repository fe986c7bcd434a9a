import math
from datetime import timedelta

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from price_inputs import (
    AS_OF,
    BTC,
    candles,
    change_candles,
    inputs_of,
    observe,
    path_of,
    recorded,
    rows_of,
    scaled_by,
    wavy_returns,
)

from sigmax_tasks.models.observations import Ticker
from sigmax_tasks.research.candlesticks import candle_patterns
from sigmax_tasks.research.indicators import indicators_of, power_of_two_scale, trend_word
from sigmax_tasks.research.levels import price_levels, split_levels
from sigmax_tasks.research.scoring import InsufficientDataError
from sigmax_tasks.research.series import series_of
from sigmax_tasks.research.technical import needs, research

# The last values of BTC/USDT on Binance, 400 candles up to 2024-11-15 00:00 UTC.
KNOWN = {
    "4h": {
        "close": 87325.59,
        "rsi": 52.3953919967284,
        "macd": 2166.4853111524135,
        "macd_signal": 2727.5167269444237,
        "macd_hist": -561.0314157920102,
        "bollinger_upper": 92074.51109281923,
        "bollinger_middle": 88721.5415,
        "bollinger_lower": 85368.57190718081,
        "percent_b": 0.2918335580809286,
        "atr": 2336.8637257835135,
        "adx": 43.21170549008752,
        "plus_di": 23.102276232949723,
        "minus_di": 20.152345254125052,
    },
    "1d": {
        "close": 87325.59,
        "rsi": 74.31919784519857,
        "macd": 5483.664511813811,
        "macd_signal": 3822.6127997902886,
        "macd_hist": 1661.0517120235227,
        "bollinger_upper": 90268.17024562789,
        "bollinger_middle": 75230.326,
        "bollinger_lower": 60192.48175437203,
        "percent_b": 0.9021608351049583,
        "atr": 3586.284568266559,
        "adx": 38.60267074054072,
        "plus_di": 41.8458066132588,
        "minus_di": 6.465913520528511,
    },
}
FILES = {"4h": "4h/BTC_USDT_4h.csv", "1d": "daily/BTC_USDT_1d.csv"}


def btc(folder, timeframe, limit=400, source="price_data", until=AS_OF):
    rows = recorded(folder, FILES[timeframe], timeframe=timeframe, limit=limit, until=until)
    return candles(rows, timeframe, source=source)


def four_hours(closes, **more):
    return candles(rows_of(closes, "4h", **more), "4h")


def found_in(closes, **more):
    return indicators_of(series_of(four_hours(closes, **more)))


@pytest.mark.parametrize("timeframe", ["4h", "1d"])
def test_indicators_of_real_candles_equal_talib_and_the_recorded_values(shared_data, timeframe):
    series = series_of(btc(shared_data, timeframe))
    found = indicators_of(series)
    high, low, close = series.highs, series.lows, series.closes
    macd, signal, histogram = talib.MACD(close, 12, 26, 9)
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    direct = {
        "close": close[-1],
        "rsi": talib.RSI(close, 14)[-1],
        "macd": macd[-1],
        "macd_signal": signal[-1],
        "macd_hist": histogram[-1],
        "bollinger_upper": upper[-1],
        "bollinger_middle": middle[-1],
        "bollinger_lower": lower[-1],
        "percent_b": (close[-1] - lower[-1]) / (upper[-1] - lower[-1]),
        "atr": talib.ATR(high, low, close, 14)[-1],
        "adx": talib.ADX(high, low, close, 14)[-1],
        "plus_di": talib.PLUS_DI(high, low, close, 14)[-1],
        "minus_di": talib.MINUS_DI(high, low, close, 14)[-1],
    }
    ours = {name: getattr(found, name) for name in direct}
    assert ours == direct
    assert ours == pytest.approx(KNOWN[timeframe], rel=1e-9)
    finding = research(inputs_of("technical", btc(shared_data, "4h"), btc(shared_data, "1d")))
    suffix = "" if timeframe == "4h" else "_1d"
    assert finding.metric(f"rsi_14{suffix}") == pytest.approx(KNOWN[timeframe]["rsi"], rel=1e-9)
    assert finding.metric(f"atr_14{suffix}") == pytest.approx(KNOWN[timeframe]["atr"], rel=1e-9)


def wilder_mean(values, period=14):
    """Wilder's running mean, seeded with the plain mean of the first period."""
    out = [float(np.mean(values[:period]))]
    for value in values[period:]:
        out.append(out[-1] + (value - out[-1]) / period)
    return np.array(out)


@pytest.mark.parametrize("timeframe", ["4h", "1d"])
def test_wilder_indicators_equal_an_independent_computation(shared_data, timeframe):
    series = series_of(btc(shared_data, timeframe, limit=3000))
    found = indicators_of(series)
    high, low, close = series.highs, series.lows, series.closes
    change = np.diff(close)
    up, down = wilder_mean(np.maximum(change, 0)), wilder_mean(np.maximum(-change, 0))
    assert found.rsi == pytest.approx(100 - 100 / (1 + up[-1] / down[-1]), rel=1e-6)

    true_range = np.maximum(high[1:], close[:-1]) - np.minimum(low[1:], close[:-1])
    atr = wilder_mean(true_range)
    assert found.atr == pytest.approx(atr[-1], rel=1e-6)

    rise, fall = np.diff(high), -np.diff(low)
    plus = wilder_mean(np.where((rise > fall) & (rise > 0), rise, 0.0)) / atr * 100
    minus = wilder_mean(np.where((fall > rise) & (fall > 0), fall, 0.0)) / atr * 100
    assert found.plus_di == pytest.approx(plus[-1], rel=1e-6)
    assert found.minus_di == pytest.approx(minus[-1], rel=1e-6)
    adx = wilder_mean(100 * np.abs(plus - minus) / (plus + minus))
    assert found.adx == pytest.approx(adx[-1], rel=1e-6)


def test_obv_slope_and_bollinger_equal_plain_numpy(shared_data):
    series = series_of(btc(shared_data, "4h"))
    found = indicators_of(series)
    flow = np.cumsum(np.sign(np.diff(series.closes)) * series.volumes[1:])[-30:]
    slope = np.polyfit(np.arange(30), flow, 1)[0] / series.volumes[-30:].mean()
    assert found.obv_slope == pytest.approx(slope, rel=1e-9)
    last = series.closes[-20:]
    assert found.bollinger_upper == pytest.approx(last.mean() + 2 * last.std(), rel=1e-9)
    assert found.bandwidth == pytest.approx(4 * last.std() / last.mean(), rel=1e-7)


def test_rsi_of_a_rising_series_is_100_of_a_falling_one_0_of_a_still_one_50():
    assert found_in([100.0 + i for i in range(60)]).rsi == 100.0
    assert found_in([200.0 - i for i in range(60)]).rsi == 0.0
    assert found_in([100.0] * 60).rsi == 50.0


def test_a_market_that_does_not_move_is_neutral():
    for wick in (0.0, 0.002):
        finding = research(inputs_of("technical", four_hours([0.1] * 400, wick=wick)))
        assert finding.score == pytest.approx(0.0, abs=1e-9)
        assert finding.labels["trend"] == "sideways"
        assert all(math.isfinite(metric.value) for metric in finding.metrics)
    assert finding.metric("rsi_14") == 50.0
    still = research(inputs_of("technical", four_hours([0.1] * 400, wick=0.0)))
    assert still.labels["volatility"] == "none"
    assert still.strength < 0.3


@pytest.mark.parametrize(("drift", "word"), [(0.004, "up"), (-0.004, "down")])
def test_a_steady_trend_is_named_and_scored(drift, word):
    closes = path_of(wavy_returns(399, 0.003, drift))
    finding = research(inputs_of("technical", four_hours(closes)))
    assert finding.labels["trend"] == word
    assert finding.labels["regime"] == "trending"
    assert finding.score * drift > 0
    assert abs(finding.score) > 0.2


def test_overbought_in_a_strong_trend_is_weak_evidence():
    in_trend = research(inputs_of("technical", four_hours(path_of([0.01] * 399))))
    waves = [100 + 2 * math.sin(0.9 * i) for i in range(398)]
    in_range = research(inputs_of("technical", four_hours([*waves, 105.0, 112.0])))
    readings = []
    for finding in (in_trend, in_range):
        reading = next(e for e in finding.evidence if e.evidence_id == "technical.rsi")
        assert finding.metric("rsi_14") > 70
        assert "overbought" in reading.claim
        assert reading.polarity < 0
        readings.append(reading.reliability)
    assert in_trend.metric("adx_14") > 25 > in_range.metric("adx_14")
    assert readings[0] < readings[1] / 3


def test_support_and_resistance_are_where_price_turned():
    wave = [100 + 10 * math.sin(2 * math.pi * i / 40) for i in range(400)]
    finding = research(inputs_of("technical", four_hours(wave, wick=0.001)))
    assert finding.metric("support_1") == pytest.approx(90, rel=0.01)
    assert finding.metric("resistance_1") == pytest.approx(110, rel=0.01)
    assert finding.metric("support_1_touches") >= 9
    assert finding.metric("resistance_1_touches") >= 9


def test_levels_are_sorted_by_distance_and_lie_on_their_sides():
    series = series_of(four_hours(path_of(wavy_returns(399, 0.02))))
    levels = price_levels(series, 2.0)
    supports, resistances = split_levels(levels, series.last_close)
    assert len(levels) == len(supports) + len(resistances) > 2
    assert [s.price for s in supports] == sorted((s.price for s in supports), reverse=True)
    assert all(s.price <= series.last_close for s in supports)
    assert all(r.price > series.last_close for r in resistances)
    assert price_levels(series, 0.0) == ()


def test_an_engulfing_candle_after_a_fall_is_bullish_and_in_the_midst_of_a_rise_is_not_reported():
    def with_tail(closes, *tail):
        rows = rows_of(closes, "4h", wick=0.001)
        last = rows[-1]
        step = 4 * 3_600_000
        for number, (opened, high, low, close) in enumerate(tail, start=1):
            rows.append((last[0] + number * step, opened, high, low, close, 1000.0))
        return series_of(candles(rows, "4h"))

    falling = [100.0 - i for i in range(30)]
    tail = ((71.0, 71.2, 69.8, 70.0), (69.7, 72.6, 69.6, 72.5))
    (pattern,) = [p for p in candle_patterns(with_tail(falling, *tail)) if p.name == "engulfing"]
    assert (pattern.direction, pattern.candles_ago) == (1, 0)
    assert pattern.text == "bullish engulfing on the last candle"
    rising = [42.0 + i for i in range(30)]
    assert not [p for p in candle_patterns(with_tail(rising, *tail)) if p.name == "engulfing"]


@settings(deadline=None, max_examples=30)
@given(
    st.floats(1e-9, 1e7),
    st.floats(-0.003, 0.003),
    st.integers(40, 300),
)
def test_the_unit_of_price_changes_no_score(factor, drift, length):
    plain = four_hours(path_of(wavy_returns(length, 0.01, drift)))
    one = research(inputs_of("technical", plain))
    other = research(inputs_of("technical", change_candles(plain, scaled_by(factor))))
    assert other.score == pytest.approx(one.score, abs=1e-7)
    assert other.strength == pytest.approx(one.strength, abs=1e-7)
    assert other.labels == one.labels
    assert other.metric("rsi_14") == pytest.approx(one.metric("rsi_14"), rel=1e-7)


def test_coins_far_below_a_cent_have_bands():
    closes = path_of(wavy_returns(399), start=1e-8)
    found = found_in(closes)
    assert found.bandwidth > 0.01
    assert 0 <= found.percent_b <= 1.5
    assert 32768 <= closes[-1] * power_of_two_scale(closes[-1]) < 65536


def test_daily_candles_stand_in_for_missing_4h_ones(shared_data):
    finding = research(inputs_of("technical", btc(shared_data, "1d")))
    assert finding.labels["primary_timeframe"] == "1d"
    assert "no usable 4h candles" in finding.summary
    assert finding.metric("rsi_14") == pytest.approx(KNOWN["1d"]["rsi"], rel=1e-9)
    assert "higher_timeframe" not in finding.labels


def test_nothing_of_another_symbol_gets_in():
    own = four_hours(path_of(wavy_returns(399)))
    other = candles(rows_of([7.0] * 400), symbol="ETH/USDT")
    alone, beside = (research(inputs_of("technical", own, *more)) for more in ((), (other,)))
    assert alone == beside
    with pytest.raises(InsufficientDataError):
        research(inputs_of("technical", other))


def test_candles_after_the_as_of_time_change_nothing():
    closes = path_of(wavy_returns(399))
    now = inputs_of("technical", four_hours(closes))
    crash = [*closes[6:], *[50.0] * 6]
    later = four_hours(crash, end=AS_OF + timedelta(days=1))
    peeked, plain = research(inputs_of("technical", later)), research(now)
    assert peeked.metric("last_close") == plain.metric("last_close")
    assert peeked.metric("last_close") == pytest.approx(closes[-1])


def test_too_few_candles_are_not_enough():
    with pytest.raises(InsufficientDataError, match="needs 30 closed candles, there are 12 of 4h"):
        research(inputs_of("technical", four_hours(path_of(wavy_returns(11)))))


def test_a_short_history_is_used_for_what_it_allows():
    finding = research(inputs_of("technical", four_hours(path_of(wavy_returns(39)))))
    assert finding.metric("rsi_14") is not None
    assert finding.metric("ema_20") is not None
    assert finding.metric("ema_200") is None
    assert finding.metric("value_at_risk_95_1d") is None
    long = research(inputs_of("technical", four_hours(path_of(wavy_returns(399)))))
    assert finding.strength < long.strength


def test_risk_metrics_are_there_for_the_steps_after(shared_data):
    sources = [btc(shared_data, "4h"), btc(shared_data, "1d")]
    sources.append(btc(shared_data, "1d", source="volume_data"))
    finding = research(inputs_of("technical", *sources))
    closes = series_of(sources[1]).closes
    returns = closes[1:] / closes[:-1] - 1
    tail = np.quantile(returns[-365:], 0.05)
    assert finding.metric("value_at_risk_95_1d") == pytest.approx(-tail, rel=1e-9)
    worst = returns[-365:][returns[-365:] <= tail]
    assert finding.metric("expected_shortfall_95_1d") == pytest.approx(-worst.mean(), rel=1e-9)
    volatility = np.log(closes[-31:][1:] / closes[-31:][:-1]).std(ddof=1) * math.sqrt(365)
    assert finding.metric("realised_volatility_annual") == pytest.approx(volatility, rel=1e-9)
    assert finding.metric("drawdown_from_90d_high") == pytest.approx(1 - 87325.59 / 93265.64)
    volumes = series_of(sources[2]).volumes
    ratio = volumes[-1] / np.median(volumes[-31:-1])
    assert finding.metric("volume_ratio") == pytest.approx(ratio, rel=1e-9)
    assert finding.metric("atr_14_fraction") == pytest.approx(2336.8637257835 / 87325.59, rel=1e-9)
    assert finding.sources_used == ("price_data", "volume_data")


def test_the_higher_time_frame_agrees_or_not():
    up, down = path_of(wavy_returns(399, 0.003, 0.004)), path_of(wavy_returns(399, 0.003, -0.004))
    rising = four_hours(up)
    agreed = research(inputs_of("technical", rising, candles(rows_of(up))))
    opposed = research(inputs_of("technical", rising, candles(rows_of(down))))
    assert agreed.labels["higher_timeframe"] == "1d up, agrees"
    assert opposed.labels["higher_timeframe"] == "1d down, disagrees"
    assert opposed.score < agreed.score
    hours = candles(rows_of(up, "1h"), "1h")
    assert (
        research(inputs_of("technical", rising, hours)).labels["lower_timeframe"].startswith("1h")
    )


def test_a_trend_word_without_adx_needs_a_clear_order():
    assert trend_word(found_in(path_of([0.02] * 24))) == "up"
    assert trend_word(found_in([100.0] * 10)) == "sideways"


def test_the_same_inputs_give_the_same_finding(shared_data):
    inputs = inputs_of("technical", btc(shared_data, "4h"), btc(shared_data, "1d"))
    assert research(inputs).model_dump_json() == research(inputs).model_dump_json()


def test_the_needs_require_only_4h_candles():
    asked = needs(BTC, ("ETH/USDT",))
    assert [(n.source, n.name, n.limit, n.required) for n in asked] == [
        ("price_data", "4h", 400, True),
        ("price_data", "1d", 400, False),
        ("price_data", "1h", 300, False),
        ("volume_data", "1d", 400, False),
        ("price_data", "", 1, False),
    ]
    assert {n.symbol for n in asked} == {BTC}
    assert [(n.kind, n.cross_check) for n in asked][-1] == ("ticker", True)
    assert not any(n.cross_check for n in asked[:-1])


def venue_price(provider, last, symbol=BTC, *, cross_check=True):
    made = observe("price_data", Ticker(symbol=symbol, last=last))
    changes = {
        "provider": provider,
        "observation_id": f"ticker:{provider}:{symbol}:",
        "cross_check": cross_check,
    }
    return made.model_copy(update={"lineage": made.lineage.model_copy(update=changes)})


def test_prices_of_venues_give_their_median_and_how_far_they_lie_apart():
    rows = candles(rows_of(path_of(wavy_returns(120))))
    quotes = [
        venue_price("kraken", 100.0),
        venue_price("coinbase", 101.0),
        venue_price("binance", 104.0),
        venue_price("okx", 900.0, cross_check=False),
        venue_price("bybit", 900.0, symbol="ETH/USDT"),
    ]
    finding = research(inputs_of("technical", rows, *quotes))
    assert finding.metric("venue_median_price") == 101.0
    assert finding.metric("venue_spread_fraction") == pytest.approx(4 / 101)
    assert finding.metric("venue_price_binance") == 104.0
    assert finding.metric("venue_price_okx") is None
    assert finding.labels["venues"] == "3 within 3.96%"
    median = next(m for m in finding.metrics if m.name == "venue_median_price")
    assert len(median.observation_ids) == 3
    plain = research(inputs_of("technical", rows))
    assert (finding.score, finding.strength) == (plain.score, plain.strength)


def test_one_venue_alone_has_no_median():
    rows = candles(rows_of(path_of(wavy_returns(120))))
    finding = research(inputs_of("technical", rows, venue_price("kraken", 100.0)))
    assert finding.metric("venue_price_kraken") == 100.0
    assert finding.metric("venue_median_price") is None
    assert "venues" not in finding.labels
