"""Content decides, not status: what each provider says inside a good answer, and what it means."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sigmax_planner.models import DataMode
from sigmax_tasks.errors import (
    BadPayloadError,
    NeverHereError,
    NotOfferedError,
    PermanentSourceError,
    RateLimitedError,
    SourceError,
    TransientSourceError,
    WrongQuestionError,
)
from sigmax_tasks.models.observations import DataNeed, Measures, Series, Texts, Ticker
from sigmax_tasks.sources import Call
from sigmax_tasks.sources.coingecko import fetch_coingecko
from sigmax_tasks.sources.defillama import fetch_defillama_price, fetch_stablecoins
from sigmax_tasks.sources.derivatives import (
    fetch_binance_perpetual,
    fetch_bybit_perpetual,
    fetch_hyperliquid,
    fetch_okx_perpetual,
)
from sigmax_tasks.sources.ethereum import fetch_blockcypher, fetch_ethereum_node
from sigmax_tasks.sources.fear_greed import fetch_fear_greed
from sigmax_tasks.sources.gdelt import fetch_gdelt
from sigmax_tasks.sources.onchain import fetch_coinmetrics, fetch_mempool_fees
from sigmax_tasks.sources.rates import fetch_ecb, fetch_frankfurter, fetch_worldbank
from sigmax_tasks.sources.stocktwits import fetch_stocktwits
from tests.unit.sources.conftest import Asked, MakeCall, ScriptedServer

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
NOW_S = 1768046400
NOW_MS = NOW_S * 1000
NEWS = DataNeed(source="news", kind="texts", limit=50)
SOCIAL = DataNeed(source="social", kind="texts", limit=50)
FUNDING = DataNeed(source="derivatives", kind="funding", symbol="BTC/USDT", limit=5)
INTEREST = DataNeed(source="derivatives", kind="measures", name="open_interest", symbol="BTC/USDT")
GAS = DataNeed(source="onchain", kind="measures", name="fee_rates", symbol="ETH/USDT")
PRICE = DataNeed(source="defillama", kind="measures", name="coin_price", symbol="BTC/USDT")
RATE = DataNeed(source="macro_data", kind="series", name="eur_usd", limit=5)
GDELT = "/api/v2/doc/doc"
STOCKTWITS = "/api/2/streams/symbol/BTC.X.json"
COIN = "/prices/current/coingecko:bitcoin"


def refused(run: Callable[[], object], kind: type[SourceError], says: str = "") -> SourceError:
    with pytest.raises(kind, match=says or None) as caught:
        run()
    assert type(caught.value) is kind
    return caught.value


# GDELT: plain text with status 200


@pytest.mark.parametrize("status", [200, 429])
def test_gdelts_request_to_slow_down_is_one_whatever_the_status(
    server: ScriptedServer, make_call: MakeCall, status: int
) -> None:
    said = "Please limit requests to one every 5 seconds or contact us"
    server.routes[GDELT] = lambda asked: asked.send(said, status)
    error = refused(lambda: fetch_gdelt(NEWS, make_call("gdelt", NOW)), RateLimitedError)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_seconds == 900


def test_other_text_of_gdelt_is_about_the_question(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    server.routes[GDELT] = "Your query was too short or too long.\n"
    refused(lambda: fetch_gdelt(NEWS, make_call("gdelt", NOW)), WrongQuestionError, "query was too")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "no item"),
        ({"articles": []}, "no item"),
        ({"articles": [{"title": "x", "seendate": "yesterday"}]}, "unreadable time"),
        ("<html>busy</html>", "HTML"),
        ("", "empty body"),
    ],
)
def test_gdelt_answers_that_are_refused(
    server: ScriptedServer, make_call: MakeCall, body: Any, says: str
) -> None:
    server.routes[GDELT] = lambda asked: asked.send(body)
    refused(lambda: fetch_gdelt(NEWS, make_call("gdelt", NOW)), BadPayloadError, says)


def test_gdelt_is_asked_up_to_the_runs_clock_and_its_titles_are_mended(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    article = {
        "url": "https://example.org:443/a?utm_source=x",
        "title": "Bitcoin slips , then recovers ; traders shrug  ",
        "seendate": "20260110T113000Z",
        "domain": "example.org",
    }
    later = {**article, "title": "later", "seendate": "20260110T123000Z"}
    server.routes[GDELT] = {"articles": [later, article, article]}
    data = fetch_gdelt(NEWS, make_call("gdelt", NOW)).data
    assert isinstance(data, Texts)
    (item,) = data.items
    assert item.title == "Bitcoin slips, then recovers; traders shrug"
    assert (item.url, item.outlet) == ("https://example.org/a", "example.org")
    asked = server.asked[-1][1]
    assert asked["enddatetime"] == "20260110120000"
    assert asked["startdatetime"] == "20260109120000"


# StockTwits


def message(number: int, **changes: Any) -> dict[str, Any]:
    made = {
        "id": number,
        "body": f"$BTC.X message {number} &amp; more",
        "created_at": "2026-01-10T11:30:00Z",
        "entities": {"sentiment": None},
    }
    return {**made, **changes}


def test_stocktwits_tags_are_kept_and_untagged_messages_too(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    server.routes[STOCKTWITS] = {
        "response": {"status": 200},
        "messages": [
            message(1, entities={"sentiment": {"basic": "Bullish"}}),
            message(2, entities={"sentiment": {"basic": "Sideways"}}),
            message(3, entities=None),
            {k: v for k, v in message(4).items() if k != "entities"},
            message(5, body=" "),
        ],
    }
    data = fetch_stocktwits(SOCIAL, make_call("stocktwits", NOW)).data
    assert isinstance(data, Texts)
    assert data.channel == "social"
    assert [item.body for item in data.items] == [
        "Bullish: $BTC.X message 1 & more",
        "",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, RateLimitedError), (404, WrongQuestionError), (403, PermanentSourceError)],
)
def test_stocktwits_status_in_the_body_counts(
    server: ScriptedServer, make_call: MakeCall, status: int, kind: type[SourceError]
) -> None:
    server.routes[STOCKTWITS] = {
        "response": {"status": status},
        "errors": [{"message": "Rate limit exceeded"}],
    }
    refused(lambda: fetch_stocktwits(SOCIAL, make_call("stocktwits", NOW)), kind, "Rate limit")


# JSON-RPC


def node(answers: dict[str, Any]) -> Callable[[Asked], None]:
    """A node that answers each method with its result, or with the error object of it."""

    def answer(asked: Asked) -> None:
        question = json.loads(asked.handler.posted)  # type: ignore[attr-defined]  # of the fixture
        given = answers[question["method"]]
        key = "error" if isinstance(given, dict) and "code" in given else "result"
        asked.send({"jsonrpc": "2.0", "id": question["id"], key: given})

    return answer


HISTORY = {
    "oldestBlock": "0x10",
    "baseFeePerGas": ["0x3b9aca00", "0x77359400", "0x2cb417800"],
    "gasUsedRatio": [0.5, 0.6],
    "reward": [["0x1", "0x3b9aca00", "0x77359400"], ["0x1", "0x77359400", "0xb2d05e00"]],
}
BLOCK = {"number": "0x12", "timestamp": hex(NOW_S - 12)}
GOOD_NODE = {
    "eth_getBlockByNumber": BLOCK,
    "eth_gasPrice": "0x2cb417800",
    "eth_feeHistory": HISTORY,
}


def test_gas_in_gwei_dated_by_the_newest_block(server: ScriptedServer, make_call: MakeCall) -> None:
    server.routes["/"] = node(GOOD_NODE)
    found = fetch_ethereum_node(GAS, make_call("ethereum_node", NOW))
    assert isinstance(found.data, Measures)
    assert {m.name: m.value for m in found.data.values} == {
        "gas_price": 12.0,
        "base_fee": 12.0,
        "priority_fee": 1.5,
        "priority_fee_low": 1e-9,
        "priority_fee_high": 2.5,
    }
    assert {m.unit for m in found.data.values} == {"gwei"}
    assert found.lineage.observed_at.timestamp() == NOW_S - 12
    assert "eth_getBlockByNumber" in found.lineage.endpoint


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": -32005, "message": "limit"}, RateLimitedError),
        ({"code": -32000, "message": "Rate limit exceeded, slow down"}, RateLimitedError),
        ({"code": -32601, "message": "the method does not exist"}, WrongQuestionError),
        ({"code": -32602, "message": "invalid argument"}, WrongQuestionError),
        ({"code": -32603, "message": "internal error"}, TransientSourceError),
        ({"code": -32002, "message": "No state available for block 1"}, PermanentSourceError),
    ],
)
def test_json_rpc_errors_come_with_status_200(
    server: ScriptedServer, make_call: MakeCall, error: dict[str, Any], kind: type[SourceError]
) -> None:
    server.routes["/"] = node({**GOOD_NODE, "eth_gasPrice": error})
    refused(lambda: fetch_ethereum_node(GAS, make_call("ethereum_node", NOW)), kind, "eth_gasPrice")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"eth_gasPrice": None}, "without a result"),
        ({"eth_gasPrice": 12}, "not a hexadecimal number"),
        ({"eth_gasPrice": "0x"}, "not a hexadecimal number"),
        ({"eth_gasPrice": "0x0"}, "gas price of 0"),
        ({"eth_gasPrice": "0x" + "f" * 20}, "impossible gas price"),
        ({"eth_getBlockByNumber": {**BLOCK, "timestamp": hex(NOW_S - 3600)}}, "stale"),
        ({"eth_getBlockByNumber": {**BLOCK, "timestamp": hex(NOW_S + 60)}}, "in the future"),
        ({"eth_getBlockByNumber": {**BLOCK, "timestamp": hex(NOW_MS)}}, "not a recent time"),
        ({"eth_feeHistory": {**HISTORY, "reward": [["0x1"]]}}, "other percentiles"),
        ({"eth_feeHistory": {**HISTORY, "baseFeePerGas": []}}, "empty fee history"),
    ],
)
def test_node_answers_that_are_refused(
    server: ScriptedServer, make_call: MakeCall, changes: dict[str, Any], says: str
) -> None:
    server.routes["/"] = node({**GOOD_NODE, **changes})
    refused(
        lambda: fetch_ethereum_node(GAS, make_call("ethereum_node", NOW)), BadPayloadError, says
    )


@pytest.mark.parametrize("fetch", [fetch_ethereum_node, fetch_blockcypher])
def test_ethereum_providers_say_before_asking_what_they_do_not_know(
    server: ScriptedServer, make_call: MakeCall, fetch: Callable[[DataNeed, Call], object]
) -> None:
    for changes in ({"symbol": "BTC/USDT"}, {"name": "mempool"}):
        need = GAS.model_copy(update=changes)
        refused(lambda n=need: fetch(n, make_call("blockcypher", NOW)), NotOfferedError)
    assert server.paths() == []


# exchanges' futures


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (10006, RateLimitedError),
        (10016, TransientSourceError),
        (10001, WrongQuestionError),
        (10005, PermanentSourceError),
    ],
)
def test_bybit_errors_inside_a_good_answer(
    server: ScriptedServer, make_call: MakeCall, code: int, kind: type[SourceError]
) -> None:
    body = {"retCode": code, "retMsg": "no", "result": {}, "time": NOW_MS}
    server.routes["/v5/market/funding/history"] = body
    refused(lambda: fetch_bybit_perpetual(FUNDING, make_call("bybit_futures", NOW)), kind)


def test_bybits_geo_block_is_not_a_rate_limit(server: ScriptedServer, make_call: MakeCall) -> None:
    said = (
        "{\n    error:The Amazon CloudFront distribution is configured to block access from your "
        "country\n}"
    )
    server.routes["/v5/market/tickers"] = lambda asked: asked.send(
        said, 403, {"Content-Type": "application/json"}
    )
    refused(
        lambda: fetch_bybit_perpetual(INTEREST, make_call("bybit_futures", NOW)), NeverHereError
    )


def bybit_tickers(**changes: str) -> dict[str, Any]:
    row = {"symbol": "BTCUSDT", "openInterest": "55005.505", "openInterestValue": "", **changes}
    return {
        "retCode": 0,
        "retMsg": "OK",
        "result": {"category": "linear", "list": [row]},
        "time": NOW_MS - 1000,
    }


def test_an_empty_number_is_missing_and_not_worked_out(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    server.routes["/v5/market/tickers"] = bybit_tickers()
    data = fetch_bybit_perpetual(INTEREST, make_call("bybit_futures", NOW)).data
    assert isinstance(data, Measures)
    assert data.get("open_interest_coins") == 55005.505
    assert data.get("open_interest_usd") is None
    for changes, says in (({"symbol": "ETHUSDT"}, "another contract"), ({"openInterest": ""}, "")):
        server.routes["/v5/market/tickers"] = bybit_tickers(**changes)
        refused(
            lambda: fetch_bybit_perpetual(INTEREST, make_call("bybit_futures", NOW)),
            BadPayloadError,
            says,
        )


@pytest.mark.parametrize("time", [NOW_S, NOW_MS * 1000, NOW_MS * 1_000_000, 0, -1])
def test_a_time_in_another_unit_is_refused(
    server: ScriptedServer, make_call: MakeCall, time: int
) -> None:
    hour = 8 * 3600 * (time // NOW_S or 1)
    rows = [
        {"symbol": "BTCUSDT", "fundingTime": time - n * hour, "fundingRate": "0.0001"}
        for n in range(3)
    ]
    server.routes["/fapi/v1/fundingRate"] = rows
    refused(
        lambda: fetch_binance_perpetual(FUNDING, make_call("binance_futures", NOW)),
        BadPayloadError,
    )


@pytest.mark.parametrize("rate", ["1.5", "-2", "nan", "inf", "", None])
def test_funding_rates_that_cannot_be_are_refused(
    server: ScriptedServer, make_call: MakeCall, rate: str | None
) -> None:
    rows = [
        {"instId": "BTC-USDT-SWAP", "fundingTime": str(NOW_MS - n * 28_800_000), "fundingRate": r}
        for n, r in ((1, rate), (2, "0.0001"))
    ]
    server.routes["/api/v5/public/funding-rate-history"] = {"code": "0", "msg": "", "data": rows}
    refused(lambda: fetch_okx_perpetual(FUNDING, make_call("okx_futures", NOW)), BadPayloadError)


def test_hyperliquid_says_nothing_of_a_coin_it_does_not_list(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    server.routes["/info"] = "null"
    refused(lambda: fetch_hyperliquid(FUNDING, make_call("hyperliquid", NOW)), NotOfferedError)
    server.routes["/info"] = [{"universe": [{"name": "ETH"}]}, [{"openInterest": "5"}]]
    refused(lambda: fetch_hyperliquid(INTEREST, make_call("hyperliquid", NOW)), NotOfferedError)
    server.routes["/info"] = [{"universe": [{"name": "BTC"}]}, []]
    refused(
        lambda: fetch_hyperliquid(INTEREST, make_call("hyperliquid", NOW)),
        BadPayloadError,
        "0 states for 1 markets",
    )


# prices, supplies, rates


def price(**changes: Any) -> dict[str, Any]:
    row = {"price": 90000.5, "symbol": "BTC", "timestamp": NOW_S - 60, "confidence": 0.99}
    return {"coins": {"coingecko:bitcoin": {**row, **changes}}}


def test_a_price_over_many_venues(server: ScriptedServer, make_call: MakeCall) -> None:
    server.routes[COIN] = price()
    data = fetch_defillama_price(PRICE, make_call("defillama_coins", NOW)).data
    assert isinstance(data, Measures)
    assert (data.get("price_usd"), data.get("confidence")) == (90000.5, 0.99)
    need = DataNeed(source="price_data", kind="ticker", symbol="BTC/USDT")
    found = fetch_defillama_price(need, make_call("defillama_coins", NOW))
    assert isinstance(found.data, Ticker)
    assert (found.data.last, found.data.bid) == (90000.5, None)
    assert found.lineage.observed_at.timestamp() == NOW_S - 60
    euro = need.model_copy(update={"symbol": "BTC/EUR"})
    refused(lambda: fetch_defillama_price(euro, make_call("defillama_coins", NOW)), NotOfferedError)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"coins": {}}, "no price"),
        (price(price=0), "greater than 0"),
        (price(price=-5), "greater than 0"),
        (price(price=None), "valid number"),
        (price(timestamp=NOW_S - 7200), "stale"),
        (price(timestamp=NOW_MS), "less than"),
        (price(timestamp=NOW_S + 300), "in the future"),
        (price(confidence=0.2), "confidence 0.2 only"),
    ],
)
def test_prices_that_are_refused(
    server: ScriptedServer, make_call: MakeCall, body: dict[str, Any], says: str
) -> None:
    server.routes[COIN] = body
    refused(
        lambda: fetch_defillama_price(PRICE, make_call("defillama_coins", NOW)),
        BadPayloadError,
        says,
    )


def test_stablecoins_of_all_pegs_without_the_running_day(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    day = 86_400
    today = NOW_S - NOW_S % day
    rows = [
        {"date": str(today), "totalCirculatingUSD": {"peggedUSD": 9.0}},
        {"date": str(today - day), "totalCirculatingUSD": {"peggedUSD": 7.0, "peggedEUR": 0.5}},
        {"date": str(today - 2 * day), "totalCirculatingUSD": {}},
    ]
    server.routes["/stablecoincharts/all"] = rows
    need = DataNeed(source="defillama", kind="series", name="stablecoin_supply_usd", limit=9)
    given = {"series": "stablecoin_supply_usd", "source": "defillama"}
    data = fetch_stablecoins(need, make_call("defillama_stablecoins", NOW, **given)).data
    assert isinstance(data, Series)
    assert data.rows == (((today - day) * 1000, 7.5),)
    rows[1]["totalCirculatingUSD"] = {"peggedUSD": -1.0}
    refused(
        lambda: fetch_stablecoins(need, make_call("defillama_stablecoins", NOW, **given)),
        BadPayloadError,
        "negative",
    )


def test_zeroes_of_coingecko_are_not_values(server: ScriptedServer, make_call: MakeCall) -> None:
    market = {
        "current_price": {"usd": 5.0},
        "market_cap": {"usd": 0},
        "total_supply": 0,
        "max_supply": None,
        "price_change_percentage_24h": 0.0,
    }
    server.routes["/api/v3/coins/bitcoin"] = {"id": "bitcoin", "market_data": market}
    need = DataNeed(source="coingecko", kind="measures", name="coin_profile", symbol="BTC/USDT")
    data = fetch_coingecko(need, make_call("coingecko", NOW)).data
    assert isinstance(data, Measures)
    assert {m.name for m in data.values} == {"price_usd", "change_24h_percent"}
    market["current_price"] = {"usd": -5.0}
    refused(
        lambda: fetch_coingecko(need, make_call("coingecko", NOW)), BadPayloadError, "impossible"
    )


def test_frankfurter_names_what_it_does_not_know(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    path = "/v1/2025-12-24..2026-01-10"

    def ask() -> object:
        return fetch_frankfurter(RATE, make_call("frankfurter", NOW, series="eur_usd"))

    server.routes[path] = {"message": "not found"}
    refused(ask, WrongQuestionError, "not found")
    good = {"amount": 1.0, "base": "EUR", "rates": {"2026-01-09": {"USD": 1.16}}}
    for changes, says in (
        ({"base": "USD"}, "asked for EUR"),
        ({"rates": {"2026-01-09": {"CHF": 1}}}, "no rate of EUR in USD"),
        ({"rates": {"2026-01-09": {"USD": 0}}}, "rate of 0"),
        ({"rates": {"2026-01-12": {"USD": 1.1}}}, "in the future"),
        ({"amount": 0}, "amount"),
    ):
        server.routes[path] = {**good, **changes}
        refused(ask, BadPayloadError, says)


ECB_HEAD = "KEY,FREQ,TIME_PERIOD,OBS_VALUE\n"
ECB_KEY = "EXR.D.USD.EUR.SP00.A"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"message":"no"}', "message in place of CSV"),
        ("<html></html>", "HTML in place of CSV"),
        ("No results found.", "not the promised CSV"),
        (f"{ECB_HEAD}EXR.D.CHF.EUR.SP00.A,D,2026-01-09,0.9\n", "answered about EXR.D.CHF"),
        (f"{ECB_HEAD}{ECB_KEY},D\n", "cut line"),
        (f"{ECB_HEAD}{ECB_KEY},D,2026-01-09,0\n", "rate of 0"),
        (f"{ECB_HEAD}{ECB_KEY},D,2026-01-09,\n", "no finished value"),
        (f"{ECB_HEAD}{ECB_KEY},D,09.01.2026,1.1\n", "unreadable date"),
    ],
)
def test_ecb_answers_that_are_refused(
    server: ScriptedServer, make_call: MakeCall, body: str, says: str
) -> None:
    server.routes["/service/data/EXR/D.USD.EUR.SP00.A"] = body
    refused(lambda: fetch_ecb(RATE, make_call("ecb", NOW, series="eur_usd")), BadPayloadError, says)


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        ([{"message": [{"value": "not valid"}]}], WrongQuestionError, "not valid"),
        ([{"page": 1}], BadPayloadError, "no values"),
        ([{"page": 1}, None], BadPayloadError, "no values"),
        ([], BadPayloadError, "promised pair"),
        ({"error": "x"}, BadPayloadError, "promised pair"),
        (
            [{}, [{"countryiso3code": "WLD", "date": "2024Q1", "value": 1}]],
            BadPayloadError,
            "not a year",
        ),
        (
            [{}, [{"countryiso3code": "WLD", "date": "2024", "value": None}]],
            BadPayloadError,
            "no values",
        ),
    ],
)
def test_world_bank_answers_that_are_refused(
    server: ScriptedServer, make_call: MakeCall, body: Any, kind: type[SourceError], says: str
) -> None:
    server.routes["/v2/country/WLD/indicator/NY.GDP.MKTP.KD.ZG"] = lambda asked: asked.send(body)
    need = DataNeed(source="macro_data", kind="series", name="world_gdp_growth", limit=5)
    refused(
        lambda: fetch_worldbank(need, make_call("worldbank", NOW, series="world_gdp_growth")),
        kind,
        says,
    )


# values that cannot be, in adapters that were there before


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e31"])
def test_chain_metrics_that_cannot_be_are_refused(
    server: ScriptedServer, make_call: MakeCall, value: str
) -> None:
    row = {"asset": "btc", "time": "2026-01-09T00:00:00.000000000Z", "TxCnt": value}
    server.routes["/v4/timeseries/asset-metrics"] = {"data": [row]}
    need = DataNeed(source="onchain", kind="series", name="transactions", symbol="BTC/USDT")
    call = make_call("coinmetrics", NOW, series="transactions", source="onchain")
    refused(lambda: fetch_coinmetrics(need, call), BadPayloadError, "impossible")


def test_times_of_the_index_in_milliseconds_are_refused(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    server.routes["/fng/"] = {"data": [{"value": "25", "timestamp": str(NOW_MS)}]}
    need = DataNeed(source="fear_greed", kind="fear_greed")
    refused(
        lambda: fetch_fear_greed(need, make_call("alternative_me", NOW)),
        BadPayloadError,
        "not a recent time",
    )


def test_fee_rates_of_zero_are_refused(server: ScriptedServer, make_call: MakeCall) -> None:
    names = ("fastestFee", "halfHourFee", "hourFee", "economyFee", "minimumFee")
    server.routes["/api/v1/fees/recommended"] = dict.fromkeys(names, 0)
    need = DataNeed(source="onchain", kind="measures", name="fee_rates", symbol="BTC/USDT")
    refused(lambda: fetch_mempool_fees(need, make_call("mempool", NOW)), BadPayloadError)


def test_the_demo_key_of_coingecko_is_sent_live_only(
    server: ScriptedServer, make_call: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.routes["/api/v3/coins/bitcoin"] = {"id": "bitcoin", "market_cap_rank": 1}
    need = DataNeed(source="coingecko", kind="measures", name="coin_profile", symbol="BTC/USDT")
    for value, mode, sent in (
        ("demo-key-of-mine", DataMode.LIVE, "demo-key-of-mine"),
        ("demo-key-of-mine", DataMode.SIMULATED, None),
        ("", DataMode.LIVE, None),
    ):
        monkeypatch.setenv("SIGMAX_COINGECKO_DEMO_KEY", value)
        found = fetch_coingecko(need, make_call("coingecko", None, data_mode=mode))
        headers = {name.lower(): text for name, text in server.asked[-1][2].items()}
        assert headers.get("x-cg-demo-api-key") == sent
        assert "demo-key" not in found.lineage.endpoint
