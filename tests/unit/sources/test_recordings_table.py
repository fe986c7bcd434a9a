"""Every recorded answer through the parser that stands for it, over the whole client path.

A case serves the recorded body from a loopback server, asks with the real adapter, and says what
must come of it: an observation, or one class of error. The table of all of them is printed (pytest
-s) and stands in the message when one of them differs. Files that no adapter reads are listed with
the reason; together they are all files of the manifest, no more and no less.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sigmax_planner.models import DataMode
from sigmax_tasks.clock import Deadline, RunClock
from sigmax_tasks.errors import (
    BadPayloadError,
    NeverHereError,
    PermanentSourceError,
    RateLimitedError,
    SourceError,
    TransientSourceError,
    WrongQuestionError,
)
from sigmax_tasks.models.observations import DataNeed, Observation
from sigmax_tasks.settings.sources import SeriesEntry, SourceSettings
from sigmax_tasks.sources import Call
from sigmax_tasks.sources.ccxt_session import Markets
from sigmax_tasks.sources.http import HttpClient, Meter
from sigmax_tasks.sources.macro import ChartAnswer, finished_closes
from sigmax_tasks.sources.posting import ask_rpc
from sigmax_tasks.sources.registry import Provider, build_providers
from sigmax_tasks.sources.venues import VENUES

KINDS_OF_NO = {
    "wait": RateLimitedError,
    "again later": TransientSourceError,
    "never here": NeverHereError,
    "wrong question": WrongQuestionError,
    "permanent": PermanentSourceError,
    "not as promised": BadPayloadError,
}
Parse = Callable[[Call], object]


def at(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=UTC)  # type: ignore[arg-type,misc]  # year, month, day ...


@dataclass(frozen=True)
class Case:
    """``others`` are the answers to the other questions of the same fetch, by a part of them.

    ``expect`` is "parsed" or a key of KINDS_OF_NO. ``status`` stands in for the manifest's.
    ``parse`` is used in place of the provider's adapter where the adapter would ask otherwise.
    """

    file: str
    provider: str
    need: DataNeed
    now: datetime
    expect: str = "parsed"
    entry: SeriesEntry | None = None
    others: dict[str, Any] = field(default_factory=dict)
    parse: Parse | None = None
    status: int | None = None


def about(
    kind: str, name: str = "", symbol: str | None = "BTC/USDT", limit: int = 5, source: str = "x"
) -> DataNeed:
    return DataNeed(source=source, kind=kind, name=name, symbol=symbol, limit=limit)


def series(provider: str, series_id: str, unit: str, **given: Any) -> SeriesEntry:
    return SeriesEntry(provider=provider, id=series_id, unit=unit, **given)


def open_markets(call: Call) -> object:
    """What a list of markets is read for."""
    exchange = Markets(60, 2).open_exchange(VENUES[call.provider_id], call)
    return {pair: exchange.markets[pair] for pair in ("BTC/USDT", "ETH/USDT")}


def intraday(call: Call) -> object:
    """The recorded charts are of 5 minutes, the adapter asks for days."""
    chart = call.get_model(ChartAnswer, "/v8/finance/chart/X").chart
    if not chart.result:
        raise call.bad("no chart")
    return finished_closes(call, chart.result[0], call.now_ms // 1000)


def rpc(method: str) -> Parse:
    return lambda call: ask_rpc(call, method, [])


KRAKEN = {
    "/Assets": {
        "error": [],
        "result": {
            "XXBT": {"aclass": "currency", "altname": "XBT", "decimals": 10, "status": "enabled"},
            "USDT": {"aclass": "currency", "altname": "USDT", "decimals": 8, "status": "enabled"},
        },
    },
    "/AssetPairs": "kraken/asset_pairs_XBTUSDT.json",
}
BINANCE = {"/exchangeInfo": "binance/exchangeInfo_15symbols.json"}
OKX = {"/public/instruments": "okx/instruments_spot_2022.json"}
COINBASE = {
    "/v2/currencies": {"data": []},
    "/v2/exchange-rates": {"data": {"currency": "USD", "rates": {"BTC": "0.00001"}}},
    "/market/products?": {"products": ["coinbase/product_BTC-USD.json"], "num_products": 1},
}
BYBIT = {
    "/instruments-info": {
        "retCode": 0,
        "retMsg": "OK",
        "result": {
            "category": "spot",
            "list": [
                {
                    "symbol": "BTCUSDT",
                    "baseCoin": "BTC",
                    "quoteCoin": "USDT",
                    "status": "Trading",
                    "lotSizeFilter": {"basePrecision": "0.000001", "minOrderQty": "0.00004"},
                    "priceFilter": {"tickSize": "0.01"},
                }
            ],
        },
    }
}
PROFILE = about("measures", "coin_profile")
GLOBAL = about("measures", "global", None)
PRICE = about("measures", "coin_price")
TEXTS = about("texts", symbol=None, source="news")
FUNDING = about("funding")
INTEREST = about("measures", "open_interest")
BOOK = about("order_book", limit=1000)
HEAD = about("measures", "chain_head", "ETH/USDT")
FEES = about("measures", "fees", "SOL/USDT")
CHART = about("series", "gold", None)
RATE = about("series", "eur_usd", None)
NOV_11 = at(2025, 11, 11, 0, 20)
BLOCK_TIME = 1739574323  # of eth_getBlockByNumber.json

CASES = [
    Case("kraken/ohlc_XBTUSDT_1m.json", "kraken", about("candles", "1m"), NOV_11, others=KRAKEN),
    Case("kraken/ticker_XBTUSDT.json", "kraken", about("ticker"), NOV_11, others=KRAKEN),
    Case("kraken/depth_XBTUSDT_5.json", "kraken", BOOK, NOV_11, others=KRAKEN),
    Case("kraken/trades_XBTUSDT.json", "kraken", about("trades"), NOV_11, others=KRAKEN),
    Case(
        "kraken/asset_pairs_XBTUSDT.json",
        "kraken",
        about("ticker"),
        NOV_11,
        others={"/Assets": KRAKEN["/Assets"], "/Ticker": "kraken/ticker_XBTUSDT.json"},
    ),
    Case(
        "kraken/asset_pairs_all_2021.json",
        "kraken",
        about("ticker"),
        NOV_11,
        others={"/Assets": KRAKEN["/Assets"]},
        parse=open_markets,
    ),
    Case(
        "okx/candles_BTC-USDT-SWAP_1m.json",
        "okx",
        about("candles", "1m", limit=2),
        at(2025, 5, 12, 23, 56),
        others=OKX,
    ),
    Case("okx/trades_BTC-USDT.json", "okx", about("trades"), at(2025, 5, 12, 22), others=OKX),
    Case("okx/books_SHAPE.json", "okx", BOOK, at(2024, 1, 1, 0, 1), others=OKX),
    Case(
        "okx/instruments_spot_2022.json",
        "okx",
        about("ticker"),
        at(2022, 3, 1),
        parse=open_markets,
    ),
    Case("okx/funding_rate_history_SHAPE.json", "okx_futures", FUNDING, at(2024, 1, 2)),
    Case("okx/open_interest_BTC-USDT-SWAP.json", "okx_futures", INTEREST, at(2026, 9, 2, 6, 28)),
    Case(
        "coinbase/candles_BTC-USD_1h.json",
        "coinbase",
        about("candles", "1h", limit=2),
        at(2024, 4, 4, 2, 1),
        others=COINBASE,
    ),
    Case(
        "coinbase/ticker_BTC-USD.json",
        "coinbase",
        about("ticker"),
        at(2026, 4, 7, 0, 30),
        others=COINBASE,
    ),
    Case(
        "coinbase/ticker_BTC-USD.json",
        "coinbase",
        about("trades"),
        at(2026, 4, 7, 0, 30),
        others=COINBASE,
    ),
    Case(
        "coinbase/product_book_BTC-USD.json",
        "coinbase",
        BOOK,
        at(2026, 4, 7, 0, 30),
        others=COINBASE,
    ),
    Case(
        "coinbase/product_BTC-USD.json",
        "coinbase",
        about("ticker"),
        at(2026, 4, 7, 0, 30),
        others={**COINBASE, "/ticker": "coinbase/ticker_BTC-USD.json"},
    ),
    Case(
        "binance/depth1000_NKNUSDT.json",
        "binance",
        BOOK.model_copy(update={"symbol": "NKN/USDT"}),
        at(2024, 1, 1),
        others=BINANCE,
    ),
    Case(
        "binance/depth1000_BLZETH.json",
        "binance",
        BOOK.model_copy(update={"symbol": "BLZ/ETH"}),
        at(2024, 1, 1),
        others=BINANCE,
    ),
    Case(
        "binance/depth1000_LRCBTC.json",
        "binance",
        BOOK.model_copy(update={"symbol": "LRC/BTC"}),
        at(2024, 1, 1),
        others=BINANCE,
    ),
    Case(
        "binance/depth1000_RUNEEUR.json",
        "binance",
        BOOK.model_copy(update={"symbol": "RUNE/EUR"}),
        at(2024, 1, 1),
        others=BINANCE,
    ),
    Case(
        "binance/exchangeInfo_15symbols.json",
        "binance",
        about("ticker"),
        at(2021, 5, 1),
        parse=open_markets,
    ),
    Case("binance/error_451.json", "binance", about("ticker"), NOV_11, "never here"),
    Case("binance/error_451.json", "binance_futures", FUNDING, NOV_11, "never here"),
    Case(
        "binance/fapi_openInterest_BTCUSDT.json", "binance_futures", INTEREST, at(2026, 9, 2, 6, 28)
    ),
    Case(
        "binance/fapi_klines_BTCUSDT_1h.json",
        "binance",
        about("candles", "1h", limit=2),
        at(2026, 10, 8, 12, 45),
        others=BINANCE,
    ),
    Case("bybit/error_403.txt", "bybit", about("ticker"), NOV_11, "never here"),
    Case("bybit/error_403.txt", "bybit_futures", FUNDING, NOV_11, "never here"),
    Case("bybit/tickers_linear_BTCUSDT.json", "bybit_futures", INTEREST, at(2026, 9, 2, 6, 28)),
    Case(
        "bybit/kline_linear_BTCUSDT_60.json",
        "bybit",
        about("candles", "1h", limit=2),
        at(2026, 10, 8, 12, 45),
        others=BYBIT,
    ),
    Case("coingecko/coins_bitcoin_full_2021.json", "coingecko", PROFILE, at(2021, 5, 16)),
    Case("coingecko/coins_bitcoin_nomarket_2024.json", "coingecko", PROFILE, at(2024, 5, 31)),
    Case(
        "coingecko/coins_yearn_nomarket_2024.json",
        "coingecko",
        about("measures", "coin_profile", "YFI/USDT"),
        at(2024, 5, 31),
    ),
    Case("coingecko/global_2021.json", "coingecko", GLOBAL, at(2021, 5, 19)),
    Case("coingecko/global_2025-01-17.json", "coingecko", GLOBAL, at(2025, 1, 18)),
    Case("coingecko/error_422_price.json", "coingecko", PROFILE, NOV_11, "wrong question"),
    Case("coingecko/error_422_market_chart.json", "coingecko", PROFILE, NOV_11, "wrong question"),
    Case("coingecko/error_422_other.json", "coingecko", PROFILE, NOV_11, "wrong question"),
    Case("coingecko/error_422_markets.json", "coingecko", PROFILE, NOV_11, "wrong question"),
    Case("coingecko/error_500_ohlc.json", "coingecko", PROFILE, NOV_11, "again later"),
    Case("coingecko/error_429.json", "coingecko", PROFILE, NOV_11, "wait"),
    Case("coingecko/error_429.json", "coingecko", GLOBAL, NOV_11, "wait", status=200),
    Case(
        "defillama/coins_prices_current_btc.json", "defillama_coins", PRICE, at(2026, 4, 15, 12, 18)
    ),
    Case(
        "defillama/coins_prices_current_btc_eth.json",
        "defillama_coins",
        about("ticker", symbol="ETH/USDT"),
        at(2026, 6, 24, 15, 44),
    ),
    Case(
        "defillama/coins_prices_unknown.json",
        "defillama_coins",
        PRICE,
        at(2026, 1, 1, 13, 32),
        "not as promised",  # it answers an unknown coin with none
    ),
    Case(
        "defillama/coins_prices_current_solana.json",
        "defillama_coins",
        PRICE,
        at(2026, 4, 1, 15, 59),
        "not as promised",  # it is about other coins than asked for
    ),
    Case(
        "defillama/historicalChainTvl_Solana.json",
        "defillama",
        about("series", "chain_tvl", "SOL/USDT"),
        at(2026, 9, 4, 8),
        entry=series("defillama", "tvl", "USD"),
    ),
    Case(
        "defillama/stablecoincharts_Solana.json",
        "defillama_stablecoins",
        about("series", "stablecoin_supply_usd", None),
        at(2026, 9, 4, 8),
        entry=series("defillama_stablecoins", "Solana", "USD"),
    ),
    Case("defillama/overview_dexs_Solana_trimmed.json", "defillama", FEES, at(2026, 9, 4, 8)),
    Case("defillama/overview_derivatives_DOC.json", "defillama", FEES, at(2026, 9, 4, 8)),
    Case("onchain/blockcypher_eth_main.json", "blockcypher", HEAD, at(2024, 7, 12, 13, 37)),
    Case(
        "eth_rpc/eth_blockNumber.json",
        "ethereum_node",
        HEAD,
        datetime.fromtimestamp(BLOCK_TIME + 15, UTC),
        others={"eth_getBlockByNumber": "eth_rpc/eth_getBlockByNumber.json"},
    ),
    Case(
        "eth_rpc/eth_getBlockByNumber.json",
        "ethereum_node",
        HEAD,
        datetime.fromtimestamp(BLOCK_TIME + 15, UTC),
        others={"eth_blockNumber": "eth_rpc/eth_blockNumber.json"},
    ),
    Case("eth_rpc/eth_getBalance.json", "ethereum_node", HEAD, NOV_11, parse=rpc("eth_getBalance")),
    Case("eth_rpc/eth_getBalance_error.json", "ethereum_node", HEAD, NOV_11, "permanent"),
    Case("eth_rpc/eth_getLogs_error.json", "ethereum_node", HEAD, NOV_11, "permanent"),
    Case("news/coindesk_rss.xml", "coindesk", TEXTS, at(2026, 8, 30, 13)),
    Case("news/cointelegraph_rss.xml", "cointelegraph", TEXTS, at(2026, 8, 29)),
    Case("gdelt/artlist.json", "gdelt", TEXTS, at(2026, 8, 28, 13)),
    Case("gdelt/timelinetone_empty.json", "gdelt", TEXTS, at(2026, 9, 7), "not as promised"),
    Case("gdelt/error_429.txt", "gdelt", TEXTS, at(2026, 9, 7), "wait"),
    Case("gdelt/error_429.txt", "gdelt", TEXTS, at(2026, 9, 7), "wait", status=200),
    Case("yahoo/chart_BTC-USD_1d_5m.json", "yahoo", CHART, at(2026, 10, 6), parse=intraday),
    Case("yahoo/chart_nulls_7203.T_1d_5m.json", "yahoo", CHART, at(2026, 10, 6), parse=intraday),
    Case(
        "yahoo/chart_BTC-USD_1d_5m.json",
        "yahoo",
        CHART,
        at(2026, 10, 6),
        "not as promised",  # days are asked for
        entry=series("yahoo", "GC=F", "USD/oz"),
    ),
    Case(
        "yahoo/error_404.json",
        "yahoo",
        CHART,
        NOV_11,
        "wrong question",
        entry=series("yahoo", "GC=F", "USD/oz"),
    ),
    Case(
        "yahoo/error_404.json",
        "yahoo",
        CHART,
        NOV_11,
        "wrong question",
        entry=series("yahoo", "GC=F", "USD/oz"),
        status=200,
    ),
    Case(
        "yahoo/error_422.json",
        "yahoo",
        CHART,
        NOV_11,
        "wrong question",
        entry=series("yahoo", "GC=F", "USD/oz"),
    ),
    Case(
        "yahoo/v7_quote_401.json",
        "yahoo",
        CHART,
        NOV_11,
        "permanent",
        entry=series("yahoo", "GC=F", "USD/oz"),
    ),
    Case(
        "worldbank/gdp.json",
        "worldbank",
        about("series", "gdp", None),
        at(2026, 7, 20),
        entry=series("worldbank", "MEX/NY.GDP.MKTP.CD", "USD", step_days=366),
    ),
    Case(
        "worldbank/error.json",
        "worldbank",
        about("series", "gdp", None),
        at(2026, 7, 20),
        "wrong question",
        entry=series("worldbank", "XXX/NY.GDP.MKTP.CD", "USD", step_days=366),
    ),
    Case(
        "ecb/exr_D_USD.csv",
        "ecb",
        RATE,
        at(2026, 9, 5),
        entry=series("ecb", "EXR/D.USD.EUR.SP00.A", "USD"),
    ),
    Case(
        "ecb/frankfurter_latest.json",
        "frankfurter",
        RATE,
        at(2026, 8, 29),
        entry=series("frankfurter", "USD/EUR", "EUR"),
    ),
    Case(
        "mempool/fees_recommended.json", "mempool", about("measures", "fee_rates"), at(2026, 1, 1)
    ),
    *(
        Case(
            f"fred/observations_{name}.json",
            "fred_api",
            about("series", name, None, 20),
            at(2026, 8, 31),
            entry=series("fred_api", name, unit),
        )
        for name, unit in (
            ("DCOILWTICO", "USD/barrel"),
            ("DJIA", "points"),
            ("NASDAQCOM", "points"),
            ("SP500", "points"),
        )
    ),
    Case(
        "treasury/daily_treasury_yield_curve_2026-08.xml",
        "treasury",
        about("series", "us10y", None),
        at(2026, 8, 29),
        entry=series("treasury", "BC_10YEAR", "percent"),
    ),
    Case(
        "blockchain_info/n-transactions.json",
        "blockchain_info",
        about("series", "transactions"),
        at(2009, 3, 1),
        entry=series("blockchain_info", "n-transactions", "transactions"),
    ),
    Case(
        "blockchain_info/market-price.json",
        "blockchain_info",
        about("series", "price"),
        at(2026, 2, 18),
        entry=series("blockchain_info", "market-price", "USD"),
    ),
    Case(
        "coinmetrics/asset_metrics_btc.json",
        "coinmetrics",
        about("series", "transactions"),
        at(2026, 2, 18, 5),
        entry=series("coinmetrics", "TxCnt", "transactions"),
    ),
    Case("fear_greed/fng_limit1.json", "alternative_me", about("fear_greed"), at(2021, 12, 20, 6)),
]

_ASKED_OTHERWISE = "no adapter asks for this; the profile and the whole market answer the needs"
_NO_PROVIDER = "not a provider of sources.yaml"
UNREAD = {
    "kraken/system_status.json": "the state of the exchange shows in its answers",
    "kraken/futures_tickers.json": "funding and open interest come from four other venues",
    "kraken/ticker_all_2026-06-24.json": "one pair is asked for; 430 KB for all are not worth it",
    "okx/mark_price.json": "spot prices are used, no mark prices",
    "okx/index_ticker.json": "spot prices are used, no index prices",
    "okx/instruments_swap_2022.json": "perpetuals are asked for by their name, without the list",
    "hyperliquid/l2Book_BTC.json": "only its funding and open interest are asked for",
    "deribit/order_book_BTC-PERPETUAL.json": _NO_PROVIDER,
    "deribit/tradingview_chart_data.json": _NO_PROVIDER,
    "binance/fapi_depth1000_SUSHIUSDT.json": "spot books are used, no futures books",
    "binance/us_depth1000_COMPUSDT.json": "another exchange, binance.us",
    "binance/fapi_ticker24hr_BTCUSDT.json": "spot prices are used, no futures prices",
    "coingecko/coins_list_2025-08.json": "symbols are not unique there; coin_ids names the coins",
    "coingecko/history_binancecoin_2025-10-29.json": _ASKED_OTHERWISE,
    "coingecko/history_ethereum_2024-01-01.json": _ASKED_OTHERWISE,
    "coingecko/history_bitcoin_2021.json": _ASKED_OTHERWISE,
    "coingecko/simple_price_2026.json": _ASKED_OTHERWISE,
    "coingecko/simple_price_3coins.json": _ASKED_OTHERWISE,
    "coingecko/simple_price_24h_2026-08.json": _ASKED_OTHERWISE,
    "coingecko/market_chart_90d_daily_2021.json": "candles of exchanges are used",
    "coingecko/market_chart_30d_hourly_2021.json": "candles of exchanges are used",
    "coingecko/market_chart_1d_5min_2021.json": "candles of exchanges are used",
    "coingecko/ohlc_7d_2021.json": "candles of exchanges are used",
    "coingecko/global_defi_2021.json": _ASKED_OTHERWISE,
    "coingecko/exchange_volume_chart_7d_2021.json": _ASKED_OTHERWISE,
    "coingecko/coins_markets_bitcoin_2021.json": _ASKED_OTHERWISE,
    "coingecko/coins_markets_2coins_vs_eth_2021.json": _ASKED_OTHERWISE,
    "coingecko/categories_2021.json": _ASKED_OTHERWISE,
    "coingecko/search_trending_2021.json": _ASKED_OTHERWISE,
    "defillama/coins_prices_historical_bnb.json": "candles of exchanges are used for the past",
    "cryptocompare/days_BTC-USD.json": _NO_PROVIDER,
    "cryptocompare/hours_DPI-WETH_10.json": _NO_PROVIDER,
    "cryptocompare/error_404.json": _NO_PROVIDER,
    "cryptocompare/pricemulti.json": _NO_PROVIDER,
    "mempool/difficulty_adjustment.json": "difficulty comes as a daily series",
    "mempool/difficulty_adjustment_2026-08.json": "difficulty comes as a daily series",
    "mempool/prices.json": "prices come from exchanges",
}


class Recorder:
    """Answers every question of the current case: with its body, or with one of the others."""

    def __init__(self, http: Path) -> None:
        self.http = http
        self.case: Case | None = None
        self.status = 200

    def start(self, case: Case, status: int) -> None:
        self.case, self.status = case, status

    def answer(self, question: str) -> tuple[int, bytes]:
        if self.case is None:
            return 500, b""
        for part, other in self.case.others.items():
            if part in question:
                return 200, self._body(other)
        return self.status, (self.http / self.case.file).read_bytes()

    def _body(self, given: Any) -> bytes:
        if isinstance(given, str):
            return (self.http / given).read_bytes()
        return json.dumps(self._filled(given)).encode()

    def _filled(self, given: Any) -> Any:
        """``given`` with the names of recorded files replaced by what they hold."""
        if isinstance(given, dict):
            return {name: self._filled(value) for name, value in given.items()}
        if isinstance(given, list):
            return [self._filled(value) for value in given]
        if isinstance(given, str) and given.endswith(".json"):
            return json.loads((self.http / given).read_bytes())
        return given


@pytest.fixture(scope="module")
def http(shared_data: Path) -> Path:
    return shared_data / "http"


@pytest.fixture(scope="module")
def recorder(http: Path) -> Iterator[tuple[Recorder, str]]:
    recorder = Recorder(http)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
            pass

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            question = f"{self.path}? {self.rfile.read(length).decode()}"
            status, body = recorder.answer(question)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  # the base's name

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield recorder, f"http://127.0.0.1:{listener.server_address[1]}"
    listener.shutdown()
    listener.server_close()
    thread.join()


def run(
    case: Case, provider: Provider, settings: SourceSettings, client: HttpClient, url: str
) -> tuple[str, str]:
    """What came of a case, as ``Case.expect`` says it, and the details."""
    found = provider.settings
    call = Call(
        provider_id=case.provider,
        provider=found.model_copy(update={"key": None}),
        options=provider.options,
        base_url=url,
        settings=settings,
        http=client,
        meter=Meter({case.provider: Decimal(0)}),
        clock=RunClock(case.now),
        deadline=Deadline.after(20),
        data_mode=DataMode.REPLAY,
        max_response_bytes=50_000_000,
        series=case.entry,
    )
    try:
        if case.parse is not None:
            result = case.parse(call)
        else:
            result = provider.family.fetch(case.need, call)
    except SourceError as error:
        kind = next(name for name, kind in KINDS_OF_NO.items() if type(error) is kind)
        return kind, error.problem
    if isinstance(result, Observation):
        rows: tuple[object, ...] = (0,)
        for name in ("rows", "values", "items"):
            rows = getattr(result.data, name, rows)
        return "parsed", f"{result.data.kind}, {len(rows)} of them"
    return "parsed", f"read by {getattr(case.parse, '__name__', 'a part of the adapter')}"


def table(rows: list[tuple[str, str, str, str, str]]) -> str:
    lines = [("recorded answer", "provider", "expected", "came", "details"), *rows]
    widths = [max(len(line[n]) for line in lines) for n in range(4)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line[:4], widths, strict=True))
        + f"  {line[4][:90]}"
        for line in lines
    )


def test_every_recorded_answer(
    http: Path, recorder: tuple[Recorder, str], settings: SourceSettings
) -> None:
    manifest = json.loads((http / "manifest.json").read_text())
    status = {entry["file"].removeprefix("http/"): entry["status"] for entry in manifest}
    book, url = recorder
    rows = []
    for case in CASES:
        # Each with its own client and market tables, so that no answer is left of another case.
        providers = build_providers(settings, Markets(60, 2))
        client = HttpClient(
            user_agent=settings.user_agent,
            max_concurrent_calls=2,
            resolve_timeout_seconds=1,
            max_redirects=0,
        )
        book.start(case, status[case.file] if case.status is None else case.status)
        try:
            came, details = run(case, providers[case.provider], settings, client, url)
        finally:
            client.close()
        rows.append((case.file, case.provider, case.expect, came, details))
    rows += [(file, "-", "not read", "not read", reason) for file, reason in UNREAD.items()]
    shown = table(sorted(rows))
    print(f"\n{shown}")
    covered = {case.file for case in CASES}
    assert covered | set(UNREAD) == set(status), shown
    assert not covered & set(UNREAD), shown
    different = [row for row in rows if row[2] != row[3]]
    assert not different, f"{table(different)}\n\n{shown}"


def test_success_bodies_parse_and_error_bodies_do_not() -> None:
    """The table itself: what was answered with an error is never expected to be parsed."""
    for case in CASES:
        if "error" in case.file or case.file.endswith("401.json"):
            assert case.expect not in {"parsed", "not as promised"}, case.file
        elif case.expect not in {"parsed", "not as promised"}:
            pytest.fail(f"{case.file} is a good answer, expected: {case.expect}")
