"""ccxt's own exchange classes against the simulator: only base URLs are changed."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import ccxt
import pytest

from .conftest import AS_OF, Simulator

HOUR = 3_600_000


def exchange(simulator: Simulator, name: str, as_of: int | None = None) -> Any:
    options = {"options": {"fetchMarkets": {"types": ["spot"]}}} if name == "binance" else {}
    made = getattr(ccxt, name)(options)
    made.enableRateLimit = False
    base = simulator.base(name, as_of)
    if name == "coinbase":
        made.urls["api"]["rest"] = base
    else:
        made.urls["api"]["public"] = base + ("/api/v3" if name == "binance" else "")
    return made


CASES = [("kraken", "BTC/USDT"), ("coinbase", "BTC/USD"), ("binance", "BTC/USDT")]


@pytest.fixture(scope="module", params=CASES, ids=[case[0] for case in CASES])
def pair(request: pytest.FixtureRequest, simulator: Simulator) -> tuple[Any, str]:
    name, symbol = request.param
    made = exchange(simulator, name)
    made.load_markets()
    return made, symbol


def test_markets_load(pair: tuple[Any, str]) -> None:
    made, symbol = pair
    assert len(made.markets) > 50
    assert made.market(symbol)["spot"] is True
    assert made.market(symbol)["active"] is True
    assert {"ETH", "SOL", "DOGE"} <= {m["base"] for m in made.markets.values()}


@pytest.mark.parametrize("timeframe", ["1m", "5m", "15m", "30m", "1h", "1d"])
def test_candles(pair: tuple[Any, str], timeframe: str) -> None:
    made, symbol = pair
    rows = made.fetch_ohlcv(symbol, timeframe, limit=120)
    length = made.parse_timeframe(timeframe) * 1000
    assert len(rows) >= 120
    assert {b[0] - a[0] for a, b in pairwise(rows)} == {length}
    now = made.milliseconds()
    assert rows[-1][0] <= now < rows[-1][0] + length + 60_000
    for _, o, h, low, c, v in rows:
        assert 0 < low <= o <= h
        assert low <= c <= h
        assert v >= 0


def test_candles_from_a_moment_on(pair: tuple[Any, str]) -> None:
    made, symbol = pair
    since = (made.milliseconds() - 40 * HOUR) // HOUR * HOUR
    rows = made.fetch_ohlcv(symbol, "1h", since, 10)
    assert rows[0][0] == since
    assert len(rows) == 10


def test_ticker(pair: tuple[Any, str]) -> None:
    made, symbol = pair
    ticker = made.fetch_ticker(symbol)
    assert ticker["bid"] < ticker["ask"]
    assert ticker["last"] == pytest.approx(ticker["bid"], rel=0.005)
    if made.id != "coinbase":
        assert ticker["low"] <= ticker["last"] <= ticker["high"]
        assert ticker["baseVolume"] > 0


def test_order_book(pair: tuple[Any, str]) -> None:
    made, symbol = pair
    book = made.fetch_order_book(symbol, 100)
    assert len(book["bids"]) == len(book["asks"]) == 100
    assert book["bids"][0][0] < book["asks"][0][0]


def test_trades(pair: tuple[Any, str]) -> None:
    made, symbol = pair
    trades = made.fetch_trades(symbol, limit=50)
    assert len(trades) == 50
    assert {trade["side"] for trade in trades} <= {"buy", "sell"}
    assert [t["timestamp"] for t in trades] == sorted(t["timestamp"] for t in trades)
    assert len({t["id"] for t in trades}) == 50


def test_unknown_symbols_are_answered_as_the_exchanges_do(simulator: Simulator) -> None:
    kraken = simulator.get("kraken", "/0/public/Ticker?pair=NOPEUSD")
    assert (kraken.status, kraken.json) == (200, {"error": ["EQuery:Unknown asset pair"]})
    binance = simulator.get("binance", "/api/v3/klines?symbol=XMRUSDT&interval=1h")
    assert (binance.status, binance.json["code"]) == (400, -1121)
    coinbase = simulator.get("coinbase", "/api/v3/brokerage/market/products/XMR-USD")
    assert coinbase.status == 404
    with pytest.raises(ccxt.BadSymbol):
        exchange(simulator, "binance").fetch_ticker("XMR/USDT")


def test_real_limits_hold(simulator: Simulator) -> None:
    ohlc = simulator.get("kraken", "/0/public/OHLC?pair=XBTUSD&interval=60&since=0").json["result"]
    assert len(ohlc["XXBTZUSD"]) == 721
    assert ohlc["last"] == ohlc["XXBTZUSD"][-2][0]
    klines = simulator.get("binance", "/api/v3/klines?symbol=BTCUSDT&interval=1d&limit=5000").json
    assert len(klines) == 1000
    query = f"granularity=ONE_MINUTE&start={AS_OF // 1000 - 100_000}&end={AS_OF // 1000}"
    path = f"/api/v3/brokerage/market/products/BTC-USD/candles?{query}"
    assert simulator.get("coinbase", path).status == 400
    depth = simulator.get("kraken", "/0/public/Depth?pair=XBTUSD&count=9999").json["result"]
    assert len(depth["XXBTZUSD"]["asks"]) == 500


def test_bad_parameters_are_refused_in_the_exchanges_words(simulator: Simulator) -> None:
    get = simulator.get
    assert get("kraken", "/0/public/OHLC?pair=XBTUSD&interval=7").json["error"]
    assert get("binance", "/api/v3/klines?symbol=BTCUSDT&interval=7h").json["code"] == -1120
    assert get("binance", "/api/v3/klines?symbol=BTCUSDT&interval=1h&limit=x").status == 400
    assert get("binance", "/api/v3/ticker/24hr?symbols=%5B1%5D").status == 400
    bad = "/api/v3/brokerage/market/products/BTC-USD/candles?granularity=YEAR&start=1&end=2"
    assert get("coinbase", bad).json["error"] == "INVALID_ARGUMENT"
