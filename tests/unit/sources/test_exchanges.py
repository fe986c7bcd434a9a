"""Exchanges through ccxt: recorded answers, checks of every row, paging, pairs, error classes."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sigmax_tasks.candles import TIMEFRAME_SECONDS
from sigmax_tasks.clock import Deadline
from sigmax_tasks.errors import (
    BadPayloadError,
    ConfigurationError,
    NeverHereError,
    NotOfferedError,
    RateLimitedError,
    SourceError,
    TransientSourceError,
    WrongQuestionError,
)
from sigmax_tasks.models.observations import (
    Candles,
    DataNeed,
    Observation,
    OrderBook,
    Ticker,
    Trades,
)
from sigmax_tasks.sources.ccxt_loading import exchange_class
from sigmax_tasks.sources.ccxt_session import Markets, make_exchange
from sigmax_tasks.sources.exchanges import ExchangeAdapter, clean_candles
from sigmax_tasks.sources.venues import VENUES
from tests.unit.sources.conftest import Asked, MakeCall, ScriptedServer

DAY = 86_400
Fetch = Callable[..., Observation]


def at(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=UTC)  # type: ignore[arg-type,misc]  # year, month, day ...


@pytest.fixture
def fetch(make_call: MakeCall) -> Fetch:
    adapter = ExchangeAdapter(Markets(3600, 4))

    def run(
        provider: str,
        kind: str,
        now: datetime,
        name: str = "",
        limit: int = 10,
        symbol: str | None = "BTC/USDT",
        **given: Any,
    ) -> Observation:
        need = DataNeed(source="price_data", kind=kind, name=name, limit=limit, symbol=symbol)
        return adapter(need, make_call(provider, now, **given))

    return run


KRAKEN_PAIR = {
    "altname": "XBTUSDT",
    "wsname": "XBT/USDT",
    "base": "XXBT",
    "quote": "USDT",
    "pair_decimals": 1,
    "lot_decimals": 8,
    "lot_multiplier": 1,
    "cost_decimals": 5,
    "fees": [[0, 0.4]],
    "fees_maker": [[0, 0.25]],
    "ordermin": "0.0001",
    "costmin": "0.5",
    "tick_size": "0.1",
    "status": "online",
}


def kraken(server: ScriptedServer, **routes: Any) -> None:
    server.routes["/0/public/Assets"] = {
        "error": [],
        "result": {
            "XXBT": {"aclass": "currency", "altname": "XBT", "decimals": 10, "status": "enabled"},
            "USDT": {"aclass": "currency", "altname": "USDT", "decimals": 8, "status": "enabled"},
        },
    }
    server.routes["/0/public/AssetPairs"] = {"error": [], "result": {"XBTUSDT": KRAKEN_PAIR}}
    for name, route in routes.items():
        server.routes[f"/0/public/{name}"] = route


def ohlc(rows: list[list[Any]]) -> dict[str, Any]:
    return {"error": [], "result": {"XBTUSDT": rows, "last": 0}}


def kraken_row(seconds: int, price: float = 100.0) -> list[Any]:
    text = str(price)
    return [seconds, text, str(price + 1), str(price - 1), text, text, "2.5", 7]


def binance(server: ScriptedServer, symbols: list[tuple[str, str]], **routes: Any) -> None:
    server.routes["/api/v3/exchangeInfo"] = {
        "symbols": [
            {
                "symbol": base + quote,
                "status": "TRADING",
                "baseAsset": base,
                "quoteAsset": quote,
                "baseAssetPrecision": 8,
                "quotePrecision": 8,
                "isSpotTradingAllowed": True,
                "permissions": ["SPOT"],
                "orderTypes": ["LIMIT"],
                "filters": [],
            }
            for base, quote in symbols
        ]
    }
    for name, route in routes.items():
        server.routes[f"/api/v3/{name.replace('__', '/')}"] = route


def binance_klines(asked: Asked) -> None:
    """What a real exchange would give: every candle between startTime and endTime, up to limit."""
    step = TIMEFRAME_SECONDS[asked.query["interval"]] * 1000
    start, end = int(asked.query["startTime"]), int(asked.query["endTime"])
    first = -(-start // step) * step
    times = list(range(first, end + 1, step))[: int(asked.query["limit"])]
    asked.send(
        [[t, "10", "12", "9", "11", "5", t + step - 1, "55", 3, "2", "22", "0"] for t in times]
    )


# kraken, as recorded on 2025-11-11


@pytest.fixture
def recorded_kraken(shared_data: Path, server: ScriptedServer) -> Path:
    http = shared_data / "http/kraken"
    kraken(
        server,
        AssetPairs=(http / "asset_pairs_XBTUSDT.json").read_bytes(),
        OHLC=(http / "ohlc_XBTUSDT_1m.json").read_bytes(),
        Ticker=(http / "ticker_XBTUSDT.json").read_bytes(),
        Depth=(http / "depth_XBTUSDT_5.json").read_bytes(),
        Trades=(http / "trades_XBTUSDT.json").read_bytes(),
    )
    return shared_data / "ccxt_unified"


def test_recorded_kraken_candles(recorded_kraken: Path, fetch: Fetch) -> None:
    expected = json.loads((recorded_kraken / "kraken_ohlcv_1m.json").read_text())
    now = datetime.fromtimestamp(expected[-1][0] / 1000 + 30, UTC)
    found = fetch("kraken", "candles", now, "1m", limit=720)
    assert isinstance(found.data, Candles)
    assert [list(row) for row in found.data.rows] == expected[:-1]
    assert found.lineage.endpoint == "/0/public/OHLC?pair=XBTUSDT&interval=1"
    assert found.lineage.observed_at == datetime.fromtimestamp(expected[-1][0] / 1000, UTC)
    assert found.lineage.payload_bytes > 10_000


def test_candles_of_another_length_are_refused(recorded_kraken: Path, fetch: Fetch) -> None:
    expected = json.loads((recorded_kraken / "kraken_ohlcv_1m.json").read_text())
    now = datetime.fromtimestamp(expected[-1][0] / 1000 + 30, UTC)
    with pytest.raises(BadPayloadError, match="do not start where 1h candles do"):
        fetch("kraken", "candles", now, "2h", limit=2)


def test_recorded_kraken_ticker_book_and_trades(recorded_kraken: Path, fetch: Fetch) -> None:
    now = at(2025, 11, 11, 0, 20)
    ticker = fetch("kraken", "ticker", now).data
    assert isinstance(ticker, Ticker)
    assert (ticker.last, ticker.bid, ticker.ask) == (105899.4, 105944.2, 105944.3)
    assert ticker.base_volume_24h == 163.28908096
    assert ticker.change_24h_fraction is None
    book = fetch("kraken", "order_book", now, limit=5).data
    assert isinstance(book, OrderBook)
    assert book.bids[0] == (105944.2, 0.002)
    assert book.asks[0] == (105944.3, 0.136)
    assert len(book.bids) == 5
    trades = fetch("kraken", "trades", now, limit=1000).data
    expected = json.loads((recorded_kraken / "kraken_trades_first50.json").read_text())
    assert isinstance(trades, Trades)
    by_time = {(t["timestamp"], t["price"], t["amount"], t["side"]) for t in expected}
    assert by_time <= set(trades.rows)
    assert [row[0] for row in trades.rows] == sorted(row[0] for row in trades.rows)


def test_recorded_coinbase(shared_data: Path, server: ScriptedServer, fetch: Fetch) -> None:
    http = shared_data / "http/coinbase"
    product = json.loads((http / "product_BTC-USD.json").read_text())
    market = "/api/v3/brokerage/market"
    server.routes |= {
        "/v2/currencies": {"data": []},
        "/v2/currencies/crypto": {"data": []},
        "/v2/exchange-rates": {"data": {"currency": "USD", "rates": {"BTC": "0.00001"}}},
        f"{market}/products": {"products": [product], "num_products": 1},
        f"{market}/products/BTC-USD/candles": (http / "candles_BTC-USD_1h.json").read_bytes(),
        f"{market}/products/BTC-USD/ticker": (http / "ticker_BTC-USD.json").read_bytes(),
        f"{market}/product_book": (http / "product_book_BTC-USD.json").read_bytes(),
    }
    candles = fetch("coinbase", "candles", at(2024, 4, 4, 2, 1), "1h", limit=2)
    assert isinstance(candles.data, Candles)
    assert candles.data.symbol == "BTC/USDT"
    assert "BTC-USD/candles" in candles.lineage.endpoint
    assert candles.data.rows == (
        (1712188800000, 65984.18, 66387.77, 65857.35, 66314.59, 358.74851052),
        (1712192400000, 66312.4, 66331.99, 66055.14, 66181.6, 355.82896243),
    )
    now = at(2026, 4, 7, 0, 29)
    ticker = fetch("coinbase", "ticker", now).data
    assert isinstance(ticker, Ticker)
    assert (ticker.last, ticker.bid, ticker.ask) == (68923.67, 68923.66, 68923.67)
    assert ticker.base_volume_24h is None
    book = fetch("coinbase", "order_book", now, limit=5).data
    assert isinstance(book, OrderBook)
    assert book.asks[0] == (68923.67, 0.16987193)
    trades = fetch("coinbase", "trades", now, limit=3).data
    assert isinstance(trades, Trades)
    assert len(trades.rows) == 3
    with pytest.raises(BadPayloadError, match="in the future"):
        fetch("coinbase", "trades", at(2026, 4, 7), limit=3)


def test_recorded_binance_book_and_block(
    shared_data: Path, server: ScriptedServer, fetch: Fetch
) -> None:
    http = shared_data / "http/binance"
    server.routes["/api/v3/exchangeInfo"] = (http / "exchangeInfo_15symbols.json").read_bytes()
    listed = json.loads((http / "exchangeInfo_15symbols.json").read_text())["symbols"]
    symbol = next(s for s in listed if s["quoteAsset"] == "USDT" and s["status"] == "TRADING")
    server.routes["/api/v3/depth"] = (http / "depth1000_NKNUSDT.json").read_bytes()
    pair = f"{symbol['baseAsset']}/USDT"
    book = fetch("binance", "order_book", at(2021, 10, 12, 1), limit=100, symbol=pair).data
    expected = json.loads(
        (shared_data / "ccxt_unified/binance_order_book_NKN_USDT_first100.json").read_text()
    )
    assert isinstance(book, OrderBook)
    assert [list(level) for level in book.bids] == expected["bids"]
    assert [list(level) for level in book.asks] == expected["asks"]
    block = (http / "error_451.json").read_bytes()
    server.routes["/api/v3/depth"] = lambda asked: asked.send(block, 451)
    with pytest.raises(NeverHereError, match="restricted location"):
        fetch("binance", "order_book", at(2021, 10, 12, 1), limit=100, symbol=pair)


# candles


def test_the_running_candle_is_dropped_by_the_runs_clock(
    server: ScriptedServer, fetch: Fetch
) -> None:
    rows = [kraken_row(n * DAY) for n in range(20000, 20010)]
    kraken(server, OHLC=ohlc(rows))
    closed = fetch("kraken", "candles", datetime.fromtimestamp(20010 * DAY, UTC), "1d", 100)
    running = fetch("kraken", "candles", datetime.fromtimestamp(20010 * DAY - 1, UTC), "1d", 100)
    assert isinstance(closed.data, Candles)
    assert isinstance(running.data, Candles)
    assert (len(closed.data.rows), len(running.data.rows)) == (10, 9)


def test_a_candle_of_the_future_is_refused(server: ScriptedServer, fetch: Fetch) -> None:
    kraken(server, OHLC=ohlc([kraken_row(n * DAY) for n in range(20000, 20010)]))
    with pytest.raises(BadPayloadError, match="in the future of the run's clock"):
        fetch("kraken", "candles", datetime.fromtimestamp(20005 * DAY, UTC), "1d", 100)


def test_stale_candles_are_refused_and_say_so(server: ScriptedServer, fetch: Fetch) -> None:
    kraken(server, OHLC=ohlc([kraken_row(n * DAY) for n in range(20000, 20010)]))
    fetch("kraken", "candles", datetime.fromtimestamp(20013 * DAY, UTC), "1d", 5)
    with pytest.raises(BadPayloadError, match="stale: its newest 1d candle closed 2024-10-14"):
        fetch("kraken", "candles", datetime.fromtimestamp(20013 * DAY + 1, UTC), "1d", 5)


def test_missing_time_frames_are_made_of_finer_ones(server: ScriptedServer, fetch: Fetch) -> None:
    def candles(asked: Asked) -> None:
        step = int(asked.query["interval"]) * 60
        end = 480_050 * 3600 // step * step
        asked.send(
            ohlc([kraken_row(t, 100 + t // step % 24) for t in range(end - 48 * step, end, step)])
        )

    kraken(server, OHLC=candles)
    now = datetime.fromtimestamp(480_049 * 3600 + 60, UTC)
    data = fetch("kraken", "candles", now, "12h", limit=3).data
    assert isinstance(data, Candles)
    assert server.asked[-1][1]["interval"] == "240"
    two = fetch("kraken", "candles", now, "2h", limit=3).data
    assert server.asked[-1][1]["interval"] == "60"
    assert isinstance(two, Candles)
    assert len(two.rows) == 3
    first = two.rows[0]
    assert first[0] % 7_200_000 == 0
    assert first[5] == 5.0
    assert two.rows[-1][0] + 7_200_000 <= now.timestamp() * 1000


def test_duplicates_and_disorder_are_mended() -> None:
    rows = [[2000, 5, 6, 4, 5, 1], [1000, 5, 6, 4, 5, 1], [2000, 5, 7, 4, 5, 2]]
    assert clean_candles("x", rows) == [
        (1000, 5.0, 6.0, 4.0, 5.0, 1.0),
        (2000, 5.0, 7.0, 4.0, 5.0, 2.0),
    ]


@pytest.mark.parametrize(
    "row",
    [
        [1000, None, None, None, None, None],
        [1000, 5, 6, 4, 5],
        [1000, 5, 4, 4, 5, 1],
        [1000, 5, 6, 5.5, 5, 1],
        [1000, 5, 6, 0, 5, 1],
        [1000, 5, 6, 4, 5, -1],
        [1000, 5, float("inf"), 4, 5, 1],
        [1000, 5, "6", 4, 5, 1],
    ],
)
def test_incomplete_and_impossible_rows_are_refused(row: list[Any]) -> None:
    with pytest.raises(BadPayloadError, match="candle"):
        clean_candles("x", [row])


def test_long_histories_are_paged(server: ScriptedServer, fetch: Fetch) -> None:
    binance(server, [("BTC", "USDT")], klines=binance_klines)
    now = at(2026, 1, 10, 12)
    found = fetch("binance", "candles", now, "1d", limit=2500)
    assert isinstance(found.data, Candles)
    times = [row[0] for row in found.data.rows]
    assert len(times) == 2500
    assert times == list(range(times[0], times[0] + 2500 * DAY * 1000, DAY * 1000))
    assert times[-1] == at(2026, 1, 9).timestamp() * 1000
    assert server.count("/api/v3/klines") == 3
    assert found.lineage.endpoint.endswith("(+2 more)")


def test_what_an_exchange_cannot_give_is_said_before_asking(
    server: ScriptedServer, fetch: Fetch
) -> None:
    kraken(server)
    now = at(2026, 1, 1)
    with pytest.raises(NotOfferedError, match="1500 candles 1d, it keeps 720"):
        fetch("kraken", "candles", now, "1d", limit=1500)
    with pytest.raises(NotOfferedError, match="time frame '3m'"):
        fetch("kraken", "candles", now, "3m")
    with pytest.raises(NotOfferedError, match="market FOO/BAR"):
        fetch("kraken", "ticker", now, symbol="FOO/BAR")
    with pytest.raises(NotOfferedError, match="without a symbol"):
        fetch("kraken", "ticker", now, symbol=None)
    assert server.count("/0/public/OHLC") == 0


# pairs, markets


def test_another_quote_of_the_table_stands_in(server: ScriptedServer, fetch: Fetch) -> None:
    binance(server, [("ABC", "USDC"), ("XYZ", "EUR")], klines=binance_klines)
    now = at(2026, 1, 10)
    found = fetch("binance", "candles", now, "1d", symbol="ABC/USDT")
    assert found.lineage.symbol == "ABC/USDT"
    assert "symbol=ABCUSDC" in found.lineage.endpoint
    with pytest.raises(NotOfferedError, match="market XYZ/USDT"):
        fetch("binance", "candles", now, "1d", symbol="XYZ/USDT")


def test_the_list_of_markets_is_asked_for_once(server: ScriptedServer, fetch: Fetch) -> None:
    binance(server, [("BTC", "USDT")], klines=binance_klines)
    for _ in range(3):
        fetch("binance", "candles", at(2026, 1, 10), "1d")
    assert server.count("/api/v3/exchangeInfo") == 1
    assert server.count("/api/v3/klines") == 3


def test_an_empty_list_of_markets_is_refused(server: ScriptedServer, fetch: Fetch) -> None:
    binance(server, [])
    with pytest.raises(BadPayloadError, match="lists no markets"):
        fetch("binance", "ticker", at(2026, 1, 10))


# books and tickers


@pytest.mark.parametrize(
    ("bids", "asks", "says"),
    [
        ([], [["2", "1"]], "empty side"),
        ([["1", "1"]], [], "empty side"),
        ([["2", "1"]], [["2", "1"]], "crossed"),
        ([["3", "1"]], [["2", "1"]], "crossed"),
        ([["0", "1"]], [["2", "1"]], "impossible|incomplete"),
        ([["1", "0"]], [["2", "1"]], "empty side"),
        ([["1"]], [["2", "1"]], "promised|incomplete"),
    ],
)
def test_unusable_books_are_refused(
    server: ScriptedServer, fetch: Fetch, bids: list[Any], asks: list[Any], says: str
) -> None:
    body = {"lastUpdateId": 1, "bids": bids, "asks": asks}
    binance(server, [("BTC", "USDT")], depth=body)
    with pytest.raises(BadPayloadError, match=says):
        fetch("binance", "order_book", at(2026, 1, 10))


def test_the_binance_ticker_has_its_day_change(server: ScriptedServer, fetch: Fetch) -> None:
    now = at(2026, 1, 10)
    ticker = {
        "symbol": "BTCUSDT",
        "lastPrice": "100",
        "bidPrice": "99",
        "askPrice": "101",
        "priceChangePercent": "-2.5",
        "volume": "12",
        "openPrice": "102",
        "highPrice": "103",
        "lowPrice": "98",
        "closeTime": int(now.timestamp() * 1000) - 500,
    }
    binance(server, [("BTC", "USDT")], ticker__24hr=ticker)
    found = fetch("binance", "ticker", now)
    assert isinstance(found.data, Ticker)
    assert found.data.change_24h_fraction == -0.025
    assert found.data.base_volume_24h == 12
    assert found.lineage.observed_at < now
    ticker["bidPrice"] = "102"
    with pytest.raises(BadPayloadError, match="crossed quotes"):
        fetch("binance", "ticker", now)
    ticker["lastPrice"] = "0"
    with pytest.raises(BadPayloadError, match="without a last price"):
        fetch("binance", "ticker", now)


# errors


@pytest.mark.parametrize(
    ("route", "expected", "says"),
    [
        ({"error": ["EAPI:Rate limit exceeded"]}, RateLimitedError, "Rate limit"),
        ({"error": ["EGeneral:Too many requests"]}, RateLimitedError, "Too many"),
        ({"error": ["EQuery:Unknown asset pair"]}, WrongQuestionError, "Unknown asset pair"),
        ({"error": ["EService:Unavailable"]}, TransientSourceError, "Unavailable"),
        ({"error": ["EGeneral:Invalid arguments"]}, WrongQuestionError, "Invalid arguments"),
        ("<html>maintenance</html>", BadPayloadError, "HTML"),
        ('{"error":[],"result":{"XBTUSDT":', BadPayloadError, "not JSON"),
        ({"error": [], "result": {}}, BadPayloadError, "promised|last price"),
        ([1, 2, 3], BadPayloadError, "promised|last price"),
    ],
)
def test_errors_inside_a_good_answer(
    server: ScriptedServer, fetch: Fetch, route: Any, expected: type[SourceError], says: str
) -> None:
    kraken(server, Ticker=route)
    with pytest.raises(SourceError, match=says) as caught:
        fetch("kraken", "ticker", at(2026, 1, 1))
    assert type(caught.value) is expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (429, '{"code":-1003,"msg":"Too many requests"}', RateLimitedError),
        (418, '{"code":-1003,"msg":"banned until"}', RateLimitedError),
        (400, '{"code":-1121,"msg":"Invalid symbol."}', WrongQuestionError),
        (503, "upstream error", TransientSourceError),
        (403, "", SourceError),
    ],
)
def test_statuses_keep_their_class_through_ccxt(
    server: ScriptedServer, fetch: Fetch, status: int, body: str, expected: type[SourceError]
) -> None:
    binance(
        server,
        [("BTC", "USDT")],
        depth=lambda asked: asked.send(body, status, {"Retry-After": "3"}),
    )
    with pytest.raises(expected) as caught:
        fetch("binance", "order_book", at(2026, 1, 1))
    if isinstance(caught.value, TransientSourceError):
        assert caught.value.retry_after_seconds == 3


def test_ccxt_is_bounded_by_our_deadline_and_size(server: ScriptedServer, fetch: Fetch) -> None:
    def hang(asked: Asked) -> None:
        server.stopping.wait(20)

    binance(server, [("BTC", "USDT")], depth=hang)
    with pytest.raises(TransientSourceError, match="in the time left"):
        fetch("binance", "order_book", at(2026, 1, 1), seconds=0.5)
    server.routes["/api/v3/depth"] = b'{"bids":[' + b" " * 200_000 + b"]}"
    with pytest.raises(BadPayloadError, match="larger than 100000"):
        fetch("binance", "order_book", at(2026, 1, 1), max_bytes=100_000)


# loading


@pytest.mark.parametrize("name", VENUES)
def test_each_call_has_an_exchange_as_new(name: str) -> None:
    venue = VENUES[name]
    options = dict(venue.ccxt_options)
    new = exchange_class(venue.exchange_id)({"enableRateLimit": False, "options": options})
    used, next_one = make_exchange(venue, None), make_exchange(venue, None)
    used.options["learned"] = True
    for value in vars(used).values():
        if isinstance(value, dict):
            value["learned"] = True
    for value in used.options.values():
        if isinstance(value, dict):
            value["learned"] = True
    own = {"origin", "session", "logger"}
    assert {k: v for k, v in vars(next_one).items() if k not in own} == {
        k: v for k, v in vars(new).items() if k not in own
    }


def test_only_the_exchange_in_use_is_imported() -> None:
    script = (
        "import sys\n"
        "from sigmax_tasks.sources.ccxt_loading import exchange_class\n"
        "kraken = exchange_class('kraken')\n"
        "assert 'ccxt.okx' not in sys.modules\n"
        "assert len([m for m in sys.modules if m.startswith('ccxt')]) < 30\n"
        "import ccxt\n"
        "assert ccxt.kraken is kraken\n"
        "assert ccxt.okx.__name__ == 'okx' and ccxt.__version__\n"
        "assert exchange_class('kraken') is kraken\n"
        "try:\n"
        "    ccxt.no_such_name\n"
        "except AttributeError:\n"
        "    print('ok')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_loading_works_where_ccxt_is_imported_already() -> None:
    ccxt = importlib.import_module("ccxt")
    assert exchange_class("kraken") is ccxt.kraken
    with pytest.raises(ConfigurationError, match="no exchange 'mtgox'"):
        exchange_class("mtgox")


def test_the_time_it_takes_to_load_ccxt_is_not_the_providers(
    server: ScriptedServer, make_call: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    kraken(server, Ticker={"error": [], "result": {"XBTUSDT": {"c": ["5", "1"]}}})

    def slowly(*given: Any) -> Any:
        time.sleep(0.5)
        return make_exchange(*given)

    monkeypatch.setattr("sigmax_tasks.sources.ccxt_session.make_exchange", slowly)
    need = DataNeed(source="price_data", kind="ticker", symbol="BTC/USDT")
    call = make_call("kraken", at(2026, 1, 1), seconds=0.4)
    call.latest = Deadline.after(10)
    found = ExchangeAdapter(Markets(3600, 4))(need, call)
    assert isinstance(found.data, Ticker)
    assert found.data.last == 5
    late = make_call("kraken", at(2026, 1, 1), seconds=0.4)
    late.latest = late.deadline
    with pytest.raises(TransientSourceError):
        ExchangeAdapter(Markets(3600, 4))(need, late)
