"""Many markets in one request: who asks, what each run gets of it, and what is missing from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import fakeredis
import pytest

from sigmax_planner.models import DataMode
from sigmax_tasks.clock import Deadline, use_clock
from sigmax_tasks.models.observations import DataNeed, Measures, Observation, Series, Ticker
from sigmax_tasks.settings.sources import SourceSettings, source_settings
from sigmax_tasks.sources import Gathered
from sigmax_tasks.sources.bulk import neighbours
from sigmax_tasks.sources.cache import Flight
from sigmax_tasks.sources.flights import Leases
from sigmax_tasks.sources.shared import SharedDesk
from tests.unit.sources.conftest import (
    Asked,
    Bench,
    FakeClock,
    MakeCall,
    ScriptedServer,
    sharing_bench,
)
from tests.unit.sources.test_exchanges import binance, kraken

WATCHLIST = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
METRICS = "/coinmetrics/v4/timeseries/asset-metrics"
MARKETS = "/coingecko/api/v3/coins/markets"
IDS = {"BTC": "bitcoin", "ETH": "ethereum", "SOL": "solana"}
MakeDesk = Callable[..., Bench]


@pytest.fixture
def make_desk(shipped: dict[str, Any], server: ScriptedServer) -> Iterator[MakeDesk]:
    """Desks of several workers on one Redis."""
    made: list[Bench] = []
    redis_server = fakeredis.FakeServer()

    def make(**sections: dict[str, Any]) -> Bench:
        settings = source_settings(
            {**shipped, **{name: {**shipped[name], **v} for name, v in sections.items()}}
        )
        made.append(sharing_bench(settings, server, redis_server))
        return made[-1]

    yield make
    for bench in made:
        bench.desk.close()


def ask(bench: Bench, symbol: str, *needs: DataNeed, **changes: Any) -> Gathered:
    given = {"watchlist": tuple(s for s in WATCHLIST if s != symbol), **changes}
    return bench.desk.gather(needs, bench.context(symbol=symbol, **given))


def metric(name: str, symbol: str, limit: int = 3) -> DataNeed:
    return DataNeed(source="onchain", kind="series", name=name, symbol=symbol, limit=limit)


def market(symbol: str) -> DataNeed:
    return DataNeed(source="coingecko", kind="measures", name="coin_market", symbol=symbol)


def price(symbol: str, *, cross_check: bool = True) -> DataNeed:
    return DataNeed(source="price_data", kind="ticker", symbol=symbol, cross_check=cross_check)


def metrics_server(known: Mapping[str, Mapping[str, float]]) -> Callable[[Asked], None]:
    """The days up to 9 January 2026; a metric that an asset has not is left out, or refused."""

    def answer(asked: Asked) -> None:
        lenient = asked.query.get("ignore_forbidden_errors") == "true"
        assets, metrics = (asked.query[name].split(",") for name in ("assets", "metrics"))
        rows = []
        for asset in assets:
            there = {m: v for m, v in known.get(asset, {}).items() if m in metrics}
            if len(there) < len(metrics) and not lenient:
                asked.send({"error": {"type": "forbidden", "message": "not available"}}, 403)
                return
            rows += [
                {
                    "asset": asset,
                    "time": f"2026-01-{day:02}T00:00:00.000000000Z",
                    **{m: str(v + day) for m, v in there.items()},
                }
                for day in (7, 8, 9)
                if there
            ]
        asked.send({"data": rows})

    return answer


def market_rows(asked: Asked) -> None:
    asked.send(
        [
            {
                "id": name,
                "market_cap": 1000.0 * len(name),
                "current_price": float(len(name)),
                "price_change_percentage_30d_in_currency": 2.5,
                "last_updated": "2026-01-10T11:59:00.000Z",
            }
            for name in asked.query["ids"].split(",")
        ]
    )


def refusing_many(status: int) -> Callable[[Asked], None]:
    """Has an answer for one coin, and that status for more."""

    def answer(asked: Asked) -> None:
        if "," in asked.query["ids"]:
            asked.send({"error": "too many ids"}, status)
        else:
            market_rows(asked)

    return answer


def later(asked: Asked) -> None:
    asked.send({"error": "later"}, 503)


def coins_asked_for(server: ScriptedServer) -> list[str]:
    """The coins of each request for what coins are worth."""
    return [query["ids"] for path, query, _ in server.asked if path == MARKETS]


def redis_of(bench: Bench) -> Any:
    return bench.desk._rounds.shared._link.client  # type: ignore[union-attr]


def only(gathered: Gathered) -> Observation:
    (found,) = gathered.observations
    return found


def test_neighbours_are_the_same_for_each_of_them_and_shared_out_evenly() -> None:
    symbols = [f"C{number:02}/USDT" for number in range(50)]
    groups = {neighbours(symbols, symbol, 20) for symbol in symbols}
    assert sorted(len(group or ()) for group in groups) == [16, 17, 17]
    assert sorted(s for group in groups for s in group or ()) == symbols
    assert neighbours(reversed(symbols), "C07/USDT", 50) == tuple(symbols)
    assert neighbours(symbols, "BTC/USDT", 20) is None
    assert neighbours(symbols, None, 20) is None
    assert neighbours(["BTC/USDT", "BTC/USDT"], "BTC/USDT", 1) == ("BTC/USDT",)


def test_a_watchlist_asks_once_and_each_run_gets_its_own(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    server.routes[MARKETS] = market_rows
    found = {s: only(ask(make_desk(), s, market(s))) for s in WATCHLIST}
    assert server.count(MARKETS) == 1
    asked = next(query for path, query, _ in server.asked if path == MARKETS)
    assert asked["ids"] == "bitcoin,ethereum,solana"
    for symbol, observation in found.items():
        name = IDS[symbol.partition("/")[0]]
        data, lineage = observation.data, observation.lineage
        assert isinstance(data, Measures)
        assert (data.symbol, data.subject) == (symbol, name)
        values = {v.name: v.value for v in data.values}
        assert values["price_usd"] == len(name)
        assert values["change_30d_percent"] == 2.5
        assert lineage.symbol == symbol
        assert lineage.observation_id == f"measures:coingecko:{symbol}:coin_market"
        assert lineage.endpoint == f"/api/v3/coins/markets?vs_currency=usd&ids={name} (one of 3)"
        assert lineage.cache_hit == (symbol != "BTC/USDT")
        assert lineage.observed_at.minute == 59
    assert len({o.lineage.payload_sha256 for o in found.values()}) == 1


def test_runs_that_want_it_at_once_wait_for_one_request(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    def slow(asked: Asked) -> None:
        time.sleep(0.3)
        market_rows(asked)

    server.routes[MARKETS] = slow
    benches = [make_desk() for _ in range(2)]
    with ThreadPoolExecutor(12) as pool:
        jobs = [
            (s, pool.submit(ask, bench, s, market(s)))
            for bench in benches
            for s in (*WATCHLIST, *WATCHLIST)
        ]
        found = [(symbol, only(job.result())) for symbol, job in jobs]
    assert server.count(MARKETS) == 1
    assert all(observation.lineage.symbol == symbol for symbol, observation in found)


def test_all_metrics_of_all_coins_are_one_request_and_what_is_not_there_is_not_asked_again(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    server.routes[METRICS] = metrics_server(
        {"btc": {"AdrActCnt": 100.0, "TxCnt": 200.0, "HashRate": 300.0}, "eth": {"TxCnt": 400.0}}
    )
    needs = ("active_addresses", "transactions", "mvrv")
    one, two = make_desk(), make_desk()
    btc = ask(one, "BTC/USDT", *(metric(name, "BTC/USDT") for name in (*needs, "hash_rate")))
    eth = ask(two, "ETH/USDT", *(metric(name, "ETH/USDT") for name in needs))
    again = ask(one, "ETH/USDT", *(metric(name, "ETH/USDT") for name in needs))
    assert server.count(METRICS) == 1
    values = {
        (o.lineage.symbol, o.lineage.name): o.data.rows[-1][1]
        for gathered in (btc, eth)
        for o in gathered.observations
        if isinstance(o.data, Series)
    }
    assert values == {
        ("BTC/USDT", "active_addresses"): 109,
        ("BTC/USDT", "transactions"): 209,
        ("BTC/USDT", "hash_rate"): 309,
        ("ETH/USDT", "transactions"): 409,
    }
    for gathered in (eth, again):
        reasons = {gap.need: gap.reason for gap in gathered.missing}
        said = reasons["series mvrv of ETH/USDT"]
        assert said == "coinmetrics: not offered: CapMVRVCur of eth"
        assert "active_addresses" in " ".join(reasons)
    endpoint = next(
        o for o in btc.observations if o.lineage.name == "transactions"
    ).lineage.endpoint
    assert endpoint.startswith(f"{METRICS.removeprefix('/coinmetrics')}?assets=btc&metrics=TxCnt (")


def test_what_was_not_there_is_asked_for_again_once_its_time_is_over(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    server.routes[METRICS] = metrics_server({"btc": {"TxCnt": 1.0}})
    need = metric("mvrv", "BTC/USDT")
    bench = make_desk()
    assert not ask(bench, "BTC/USDT", need).observations
    client = redis_of(bench)
    kept = {key: client.pttl(key) for key in client.keys("sigmax:cache:coinmetrics:*:refused")}
    ttl_ms = bench.settings.data_sources["onchain"].ttl_seconds * 1000
    assert kept
    assert all(ttl_ms * 0.9 < left <= ttl_ms for left in kept.values())
    client.delete(*kept)
    server.routes[METRICS] = metrics_server({"btc": {"TxCnt": 1.0, "CapMVRVCur": 2.0}})
    assert len(ask(bench, "BTC/USDT", need).observations) == 1


def test_an_older_answer_stands_in_where_a_request_for_many_brings_a_bad_one(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    server.routes[MARKETS] = market_rows
    one, two = make_desk(), make_desk()
    clock = FakeClock()
    with use_clock(clock):
        ask(one, "ETH/USDT", market("ETH/USDT"), deadline=Deadline.after(10))
        clock.elapsed += 600  # beyond its time to live, within stale_if_error_seconds
        server.routes[MARKETS] = [
            {"id": "bitcoin", "market_cap": 5.0},
            {"id": "ethereum", "market_cap": -5.0},
        ]
        btc = ask(two, "BTC/USDT", market("BTC/USDT"), deadline=Deadline.after(10))
        eth = ask(two, "ETH/USDT", market("ETH/USDT"), deadline=Deadline.after(10))
        sol = ask(two, "SOL/USDT", market("SOL/USDT"), deadline=Deadline.after(10))
    assert server.count(MARKETS) == 2, "that it was bad is remembered for a moment"
    data = only(btc).data
    assert isinstance(data, Measures)
    assert [(v.name, v.value) for v in data.values] == [("market_cap_usd", 5.0)]
    for old in (eth, sol):
        assert only(old).lineage.cache_age_seconds == pytest.approx(600)


def test_a_provider_that_refuses_many_at_once_is_asked_one_by_one(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    server.routes[MARKETS] = refusing_many(400)
    bench = make_desk()
    found = {s: only(ask(bench, s, market(s))) for s in WATCHLIST}
    asked = coins_asked_for(server)
    assert asked == ["bitcoin,ethereum,solana", "bitcoin", "ethereum", "solana"]
    assert found["SOL/USDT"].lineage.endpoint.endswith(
        "ids=solana&per_page=250&price_change_percentage=7d,30d,1y"
    )


def test_a_request_for_many_that_fails_in_passing_is_made_again(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    server.routes[MARKETS] = [later, market_rows]
    gathered = ask(make_desk(), "BTC/USDT", market("BTC/USDT"))
    assert only(gathered).lineage.symbol == "BTC/USDT"
    asked = coins_asked_for(server)
    assert asked == ["bitcoin,ethereum,solana"] * 2


def test_a_provider_that_keeps_failing_over_many_is_asked_one_by_one(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    """As one that needs too long for many of them, and has an answer for one."""
    server.routes[MARKETS] = refusing_many(504)
    bench = make_desk()
    found = {s: only(ask(bench, s, market(s))) for s in WATCHLIST}
    assert [o.lineage.symbol for o in found.values()] == list(WATCHLIST)
    asked = coins_asked_for(server)
    many = "bitcoin,ethereum,solana"
    assert asked == [many, many, "bitcoin", "ethereum", "solana"]


def test_one_by_one_is_not_tried_where_there_are_too_many_requests_already(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    server.routes[MARKETS] = partial(
        Asked.send, body={"error": "slow down"}, status=429, headers={"Retry-After": "0.01"}
    )
    bench = make_desk()
    assert not ask(bench, "BTC/USDT", market("BTC/USDT")).observations
    asked = coins_asked_for(server)
    assert len(asked) > 2
    assert set(asked) == {"bitcoin,ethereum,solana"}


def test_failures_between_answers_do_not_add_up(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    server.routes[MARKETS] = [later, market_rows, later, market_rows]
    one = make_desk()
    assert ask(one, "BTC/USDT", market("BTC/USDT")).observations
    client = redis_of(one)
    client.delete(*client.keys("sigmax:cache:coingecko:*"))
    assert ask(one, "BTC/USDT", market("BTC/USDT")).observations
    asked = coins_asked_for(server)
    assert asked == ["bitcoin,ethereum,solana"] * 4


def test_more_rows_than_one_page_are_no_answer(server: ScriptedServer, make_desk: MakeDesk) -> None:
    def paged(asked: Asked) -> None:
        if "," in asked.query["assets"]:
            asked.send({"data": [], "next_page_token": "1"})
        else:
            metrics_server({"btc": {"TxCnt": 5.0}})(asked)

    server.routes[METRICS] = paged
    found = only(ask(make_desk(), "BTC/USDT", metric("transactions", "BTC/USDT")))
    assert isinstance(found.data, Series)
    assert found.data.rows[-1][1] == 14
    assert "more)" not in found.lineage.endpoint, "what was no answer is no part of it"


@pytest.mark.parametrize(
    ("changes", "settings"),
    [({"data_mode": DataMode.REPLAY, "world": "run"}, {}), ({}, {"cache": {"enabled": False}})],
)
def test_nothing_else_is_asked_for_in_a_replay_or_where_nothing_is_shared(
    server: ScriptedServer,
    make_desk: MakeDesk,
    changes: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    server.routes[MARKETS] = market_rows
    ask(make_desk(**settings), "BTC/USDT", market("BTC/USDT"), **changes)
    assert coins_asked_for(server) == ["bitcoin"]


def binance_tickers(asked: Asked) -> None:
    assert asked.query["symbols"] == '["BTCUSDT","ETHUSD"]'
    asked.send(
        [
            {"symbol": name, "lastPrice": last, "bidPrice": "1", "askPrice": "900000"}
            for name, last in (("BTCUSDT", "50000"), ("ETHUSD", "3000"))
        ]
    )


def test_tickers_of_a_venue_come_together_each_of_its_own_pair(
    server: ScriptedServer, make_desk: MakeDesk, shipped: dict[str, Any]
) -> None:
    server.routes.clear()
    binance(server, [("BTC", "USDT"), ("ETH", "USD")], ticker__24hr=binance_tickers)
    server.routes = {f"/binance{path}": route for path, route in server.routes.items()}
    sources = shipped["data_sources"]
    only_binance = {"price_data": {**sources["price_data"], "cross_check": ["binance"]}}
    unlisted = ask(make_desk(data_sources=only_binance), "SOL/USDT", price("SOL/USDT"))
    assert unlisted.requests == 1, "that it is not listed is known without asking for tickers"
    found = {s: ask(make_desk(data_sources=only_binance), s, price(s)) for s in WATCHLIST}
    assert server.count("/binance/api/v3/ticker/24hr") == 1
    assert server.count("/binance/api/v3/exchangeInfo") == 1, "its list of markets is shared"
    prices = {}
    for symbol in ("BTC/USDT", "ETH/USDT"):
        observation = only(found[symbol])
        assert isinstance(observation.data, Ticker)
        prices[symbol] = observation.data.last
    assert prices == {"BTC/USDT": 50_000, "ETH/USDT": 3_000}
    endpoint = only(found["ETH/USDT"]).lineage.endpoint
    assert endpoint == "/api/v3/ticker/24hr ETH/USD (one of 2)", "says which pair stood in"
    assert [gap.reason for gap in found["SOL/USDT"].missing] == [
        "binance: not offered: market SOL/USDT"
    ]


def test_a_price_to_compare_with_is_not_kept_as_a_whole_ticker(
    server: ScriptedServer, make_desk: MakeDesk, shipped: dict[str, Any]
) -> None:
    """Coinbase's list of products holds prices; a ticker has quotes and the time of the trade."""

    def product(name: str) -> dict[str, Any]:
        base, quote = name.split("-")
        return {
            "product_id": name,
            "price": "77",
            "status": "online",
            "base_increment": "0.1",
            "quote_increment": "0.1",
            "product_type": "SPOT",
            "base_currency_id": base,
            "quote_currency_id": quote,
            "trading_disabled": False,
        }

    products = "/coinbase/api/v3/brokerage/market/products"
    server.routes[products] = {"products": [product("BTC-USDT"), product("ETH-USDT")]}
    server.routes[f"{products}/BTC-USDT/ticker"] = {
        "trades": [{"price": "78", "time": "2026-01-10T11:58:00Z", "product_id": "BTC-USDT"}],
        "best_bid": "77.5",
        "best_ask": "78.5",
    }
    for path in ("currencies", "currencies/crypto"):
        server.routes[f"/coinbase/v2/{path}"] = {"data": []}
    server.routes["/coinbase/v2/exchange-rates"] = {"data": {"currency": "USD", "rates": {}}}
    sources = shipped["data_sources"]
    given = {**sources["price_data"], "cross_check": ["coinbase"], "providers": ["coinbase"]}
    bench = make_desk(data_sources={"price_data": given})
    compared = only(ask(bench, "BTC/USDT", price("BTC/USDT")))
    whole = only(ask(bench, "BTC/USDT", price("BTC/USDT", cross_check=False)))
    assert isinstance(compared.data, Ticker)
    assert (compared.data.last, compared.data.bid) == (77, None)
    assert isinstance(whole.data, Ticker)
    assert (whole.data.last, whole.data.bid) == (78, 77.5)


@pytest.fixture
def kraken_only(shipped: dict[str, Any], server: ScriptedServer) -> dict[str, Any]:
    """Settings under which market data come from kraken, which is there."""
    server.routes.clear()
    kraken(
        server,
        Ticker={"error": [], "result": {"XBTUSDT": {"c": ["5", "1"], "a": ["6"], "b": ["4"]}}},
        Depth={
            "error": [],
            "result": {"XBTUSDT": {"bids": [["4", "1", 0]], "asks": [["6", "1", 0]]}},
        },
    )
    server.routes = {f"/kraken{path}": route for path, route in server.routes.items()}
    sources = shipped["data_sources"]
    return {
        name: {**sources[name], "providers": ["kraken"]} for name in ("price_data", "orderbook")
    }


QUOTE = price("BTC/USDT", cross_check=False)
BOOK = DataNeed(source="orderbook", kind="order_book", symbol="BTC/USDT", limit=5)
PAIRS = "/kraken/0/public/AssetPairs"


def test_workers_share_what_an_exchange_lists(
    server: ScriptedServer, make_desk: MakeDesk, kraken_only: dict[str, Any]
) -> None:
    """Asked for once, also when all want it in the same moment."""
    pairs = server.routes[PAIRS]

    def slow(asked: Asked) -> None:
        time.sleep(0.3)
        asked.send(pairs)

    server.routes[PAIRS] = slow
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(ask, make_desk(data_sources=kraken_only), "BTC/USDT", need, watchlist=())
            for need in (QUOTE, BOOK)
        ]
        found = [only(job.result()) for job in jobs]
    later = ask(make_desk(data_sources=kraken_only), "BTC/USDT", BOOK, watchlist=(), world="other")
    assert server.count(PAIRS) == 1
    assert server.count("/kraken/0/public/Assets") == 1
    assert [o.data.kind for o in found] == ["ticker", "order_book"]
    assert (later.requests, only(later).lineage.payload_bytes) == (
        1,
        found[1].lineage.payload_bytes,
    )


def test_a_list_of_markets_that_cannot_be_had_is_told_to_all_who_wait(
    server: ScriptedServer, make_desk: MakeDesk, kraken_only: dict[str, Any]
) -> None:
    def refuse(asked: Asked) -> None:
        time.sleep(0.3)
        asked.send({"error": "gone"}, 404)

    server.routes[PAIRS] = refuse
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(ask, make_desk(data_sources=kraken_only), "BTC/USDT", need, watchlist=())
            for need in (QUOTE, BOOK)
        ]
        reasons = [gap.reason for job in jobs for gap in job.result().missing]
    assert server.count(PAIRS) == 1
    assert len(reasons) == 2
    assert len(set(reasons)) == 1


def test_a_list_of_markets_that_landed_since_one_looked_is_not_asked_for_again(
    settings: SourceSettings, make_call: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = fakeredis.FakeRedis(decode_responses=True)
    one, two = (SharedDesk(client, settings) for _ in range(2))
    call = make_call("kraken", data_mode=DataMode.SIMULATED)
    asked = []
    take = Leases.take

    def load() -> dict[str, str]:
        asked.append("list")
        return {"/list": "[]"}

    def late(leases: Leases, flight: Flight) -> tuple[str, bool]:
        """Between looking and taking another worker fetches it."""
        monkeypatch.setattr(Leases, "take", take)
        one.pages("markets", call, 60, load)
        return take(leases, flight)

    monkeypatch.setattr(Leases, "take", late)
    assert two.pages("markets", call, 60, load).bodies == {"/list": "[]"}
    assert asked == ["list"]
    one.close()
    two.close()
