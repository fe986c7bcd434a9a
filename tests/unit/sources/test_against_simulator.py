"""The whole desk against the simulator: every kind of need, determinism, faults, look-ahead."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fakeredis
import pytest

from sigmax_planner.models import DataMode
from sigmax_tasks.clock import Deadline, RunClock
from sigmax_tasks.models.observations import (
    Candles,
    DataNeed,
    FundingRates,
    Measures,
    Observation,
    Series,
    Texts,
)
from sigmax_tasks.settings.sources import SourceSettings
from sigmax_tasks.simulator import SimulatorServer
from sigmax_tasks.sources import Addresses, FetchContext, Gathered, RetryPolicy, SourceDesk
from sigmax_tasks.sources.call import newest_time
from sigmax_tasks.sources.shared import SharedDesk

AS_OF = datetime(2026, 1, 10, 13, 7, 21, 500_000, tzinfo=UTC)


def need(
    source: str, kind: str, name: str = "", limit: int = 30, *, market: bool = False
) -> DataNeed:
    return DataNeed(
        source=source, kind=kind, name=name, limit=limit, symbol=None if market else "BTC/USDT"
    )


EXCHANGE_NEEDS = [
    *(
        need("price_data", "candles", frame, 40)
        for frame in ("5m", "1h", "2h", "4h", "12h", "1d", "1w")
    ),
    need("volume_data", "candles", "1d", 20),
    need("price_data", "ticker"),
    need("orderbook", "order_book", limit=50),
    need("volume_data", "trades", limit=100),
    need("historical_data", "candles", "1d", 1200),
]
OTHER_NEEDS = [
    need("derivatives", "funding"),
    need("derivatives", "measures", "open_interest"),
    need("news", "texts", market=True),
    need("social", "texts", market=True),
    need("fear_greed", "fear_greed", market=True),
    *(
        need("onchain", "series", name)
        for name in (
            "active_addresses",
            "transactions",
            "hash_rate",
            "difficulty",
            "fees",
            "mvrv",
            "exchange_inflow",
            "exchange_outflow",
        )
    ),
    need("onchain", "measures", "fee_rates"),
    need("coingecko", "measures", "coin_profile"),
    need("coingecko", "measures", "coin_market"),
    need("coingecko", "measures", "global", market=True),
    need("defillama", "series", "chain_tvl"),
    need("defillama", "measures", "fees"),
    need("defillama", "measures", "coin_price"),
    need("defillama", "series", "stablecoin_supply_usd", market=True),
    *(
        need("macro_data", "series", name, market=True)
        for name in (
            "us10y",
            "us2y",
            "yield_curve_10y2y",
            "vix",
            "sp500",
            "dollar_index",
            "gold",
            "oil",
            "fed_funds",
            "m2",
            "fed_balance_sheet",
            "eur_usd",
            "world_gdp_growth",
            "us_inflation_annual",
        )
    ),
]


FOR_MANY = [
    need("coingecko", "measures", "coin_market"),
    need("defillama", "measures", "coin_price"),
    *(need("onchain", "series", name) for name in ("active_addresses", "transactions", "mvrv")),
]


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorServer]:
    with SimulatorServer() as server:
        yield server


@pytest.fixture
def desk(settings: SourceSettings) -> Iterator[SourceDesk]:
    made = SourceDesk(settings, max_concurrent_calls=6, max_response_bytes=50_000_000)
    yield made
    made.close()


def gather(
    desk: SourceDesk,
    settings: SourceSettings,
    root: str,
    needs: list[DataNeed],
    *,
    seed: int = 5,
    as_of: datetime = AS_OF,
    **changes: Any,
) -> Gathered:
    given: dict[str, Any] = {
        "symbol": "BTC/USDT",
        "clock": RunClock(as_of),
        "deadline": Deadline.after(30),
        "data_mode": DataMode.SIMULATED,
        "addresses": Addresses.simulated(settings, root, seed=seed, as_of=as_of),
        "retry": RetryPolicy(2, 0.01),
        "should_stop": lambda: False,
        "on_attempt": lambda number, provider: None,
    }
    return desk.gather(needs, FetchContext(**{**given, **changes}))


def facts(observations: tuple[Observation, ...]) -> list[dict[str, Any]]:
    return [o.model_dump(exclude={"lineage": {"fetched_at"}}) for o in observations]


def test_every_kind_of_need_is_met(
    desk: SourceDesk, settings: SourceSettings, simulator: SimulatorServer
) -> None:
    needs = EXCHANGE_NEEDS + OTHER_NEEDS
    gathered = gather(desk, settings, simulator.url, needs)
    assert gathered.missing == ()
    assert gathered.attempts == 1
    assert gathered.cost_usd == Decimal(0)
    met = {
        (o.lineage.source, o.lineage.kind, getattr(o.data, "name", ""))
        for o in gathered.observations
    }
    assert {(n.source, n.kind) for n in needs} == {(source, kind) for source, kind, _ in met}
    ids = [o.lineage.observation_id for o in gathered.observations]
    assert len(set(ids)) == len(ids)
    for observation in gathered.observations:
        newest = newest_time(observation.data)
        assert newest is None or newest <= AS_OF
        assert observation.lineage.observed_at <= AS_OF
        assert observation.lineage.simulated
        assert "127.0.0.1" not in observation.lineage.endpoint
        assert "/sim/" not in observation.lineage.endpoint


def test_the_same_world_gives_the_same_observations(
    desk: SourceDesk, settings: SourceSettings, simulator: SimulatorServer
) -> None:
    needs = [EXCHANGE_NEEDS[3], need("price_data", "ticker"), need("macro_data", "series", "gold")]
    first, second = (gather(desk, settings, simulator.url, needs) for _ in range(2))
    assert facts(first.observations) == facts(second.observations)
    other = gather(desk, settings, simulator.url, needs, seed=6)
    assert facts(first.observations) != facts(other.observations)


@pytest.mark.parametrize("provider", ["kraken", "coinbase", "binance", "okx", "bybit"])
def test_each_exchange_alone_meets_the_needs_of_a_market(
    settings: SourceSettings, simulator: SimulatorServer, provider: str
) -> None:
    gathered = gather_alone(settings, simulator.url, provider, EXCHANGE_NEEDS)
    assert gathered.missing == ()
    assert gathered.providers == (provider,)
    for observation in gathered.observations:
        data = observation.data
        if isinstance(data, Candles) and observation.lineage.source == "price_data":
            assert len(data.rows) == 40


def test_what_is_asked_for_a_watchlist_is_what_each_of_it_would_get_alone(
    settings: SourceSettings, simulator: SimulatorServer
) -> None:
    symbols = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "LTC/USDT", "PEPE/USDT")
    venues = ("kraken", "coinbase", "binance", "okx", "bybit", "defillama_coins")
    sources = {**settings.data_sources}
    sources["price_data"] = sources["price_data"].model_copy(update={"cross_check": venues})
    given = settings.model_copy(update={"data_sources": sources})
    client = fakeredis.FakeRedis(decode_responses=True)
    alone, together = (
        SourceDesk(given, max_concurrent_calls=6, max_response_bytes=50_000_000, shared=shared)
        for shared in (None, SharedDesk(client, given))
    )

    def asked(symbol: str) -> list[DataNeed]:
        check = DataNeed(source="price_data", kind="ticker", symbol=symbol, cross_check=True)
        return [check, *(n.model_copy(update={"symbol": symbol}) for n in FOR_MANY)]

    def told(gathered: Gathered) -> tuple[dict[str, Any], set[str]]:
        found = {
            o.lineage.observation_id: (o.data, o.lineage.observed_at) for o in gathered.observations
        }
        return found, {f"{gap.need}: {gap.reason.partition(':')[0]}" for gap in gathered.missing}

    try:
        counts = []
        for symbol in symbols:
            others = tuple(s for s in symbols if s != symbol)
            of_many = gather(
                together, given, simulator.url, asked(symbol), symbol=symbol, watchlist=others
            )
            of_one = gather(alone, given, simulator.url, asked(symbol), symbol=symbol)
            assert told(of_many) == told(of_one)
            assert len(of_one.observations) >= 6
            counts.append((of_many.requests, of_one.requests))
    finally:
        alone.close()
        together.close()
    assert [many for many, _ in counts[1:]] == [0] * 4, "BTC/USDT asked for all"
    assert all(one >= 9 for _, one in counts)


def gather_alone(
    settings: SourceSettings, root: str, provider: str, needs: list[DataNeed]
) -> Gathered:
    """What a desk gets whose every source has this provider only."""
    alone = {
        name: source.model_copy(update={"providers": (provider,), "fallback": ()})
        for name, source in settings.data_sources.items()
    }
    only = settings.model_copy(update={"data_sources": alone})
    desk = SourceDesk(only, max_concurrent_calls=6, max_response_bytes=50_000_000)
    try:
        return gather(desk, only, root, needs)
    finally:
        desk.close()


PERPETUAL = [need("derivatives", "funding"), need("derivatives", "measures", "open_interest")]
ETHEREUM = [
    DataNeed(source="onchain", kind="measures", name=name, symbol="ETH/USDT")
    for name in ("fee_rates", "chain_head")
]


@pytest.mark.parametrize(
    ("provider", "needs"),
    [
        ("okx_futures", PERPETUAL),
        ("bybit_futures", PERPETUAL),
        ("binance_futures", PERPETUAL),
        ("hyperliquid", PERPETUAL),
        ("ethereum_node", ETHEREUM),
        ("blockcypher", ETHEREUM),
        ("gdelt", [need("news", "texts", market=True)]),
        ("the_block", [need("news", "texts", market=True)]),
        ("bitcoin_magazine", [need("news", "texts", market=True)]),
        ("stocktwits", [need("social", "texts"), need("social", "texts", market=True)]),
        ("ecb", [need("macro_data", "series", "eur_usd", market=True)]),
        ("frankfurter", [need("macro_data", "series", "eur_usd", market=True)]),
        ("defillama_coins", [need("price_data", "ticker")]),
    ],
)
def test_each_other_provider_alone_meets_its_needs(
    settings: SourceSettings, simulator: SimulatorServer, provider: str, needs: list[DataNeed]
) -> None:
    gathered = gather_alone(settings, simulator.url, provider, needs)
    assert gathered.missing == ()
    assert gathered.providers == (provider,)
    for observation in gathered.observations:
        assert observation.lineage.observed_at <= AS_OF


def test_perpetuals_agree_over_the_venues(
    settings: SourceSettings, simulator: SimulatorServer
) -> None:
    """The same cost of holding, whatever the interval; open interest in coins everywhere."""
    for provider, hours in (("okx_futures", 8), ("bybit_futures", 8), ("hyperliquid", 1)):
        funding, interest = gather_alone(settings, simulator.url, provider, PERPETUAL).observations
        assert isinstance(funding.data, FundingRates)
        assert funding.data.interval_hours == hours
        assert isinstance(interest.data, Measures)
        coins, usd = (interest.data.get(f"open_interest_{unit}") for unit in ("coins", "usd"))
        assert coins is not None
        assert (usd is None) == (provider == "hyperliquid")


def test_the_two_givers_of_the_euro_rate_agree(
    settings: SourceSettings, simulator: SimulatorServer
) -> None:
    ask = [need("macro_data", "series", "eur_usd", market=True)]
    rows = []
    for provider in ("ecb", "frankfurter"):
        (found,) = gather_alone(settings, simulator.url, provider, ask).observations
        assert isinstance(found.data, Series)
        rows.append(found.data.rows)
    assert rows[0] == rows[1]
    assert all(0.7 < value < 1.6 for _, value in rows[0])


def test_tags_of_authors_are_kept_in_front_of_their_text(
    settings: SourceSettings, simulator: SimulatorServer
) -> None:
    (found,) = gather_alone(
        settings, simulator.url, "stocktwits", [need("social", "texts")]
    ).observations
    assert isinstance(found.data, Texts)
    words = {item.body.partition(":")[0] for item in found.data.items}
    assert words & {"Bullish", "Bearish"}


def test_coarse_candles_agree_over_the_exchanges_ways_of_giving_them(
    settings: SourceSettings, desk: SourceDesk, simulator: SimulatorServer
) -> None:
    """12h is native at one exchange and aggregated at the others; the bounds are the same."""
    gathered = gather(desk, settings, simulator.url, [need("price_data", "candles", "1w", 8)])
    (found,) = gathered.observations
    assert isinstance(found.data, Candles)
    assert {datetime.fromtimestamp(r[0] / 1000, UTC).weekday() for r in found.data.rows} == {0}


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"kind": "error", "status": 503}, "kraken: HTTP 503"),
        ({"kind": "geo_block"}, "kraken: not served here"),
        ({"kind": "html_200"}, "kraken: a page of HTML or XML in place of JSON"),
        ({"kind": "malformed"}, "kraken: not JSON"),
        ({"kind": "cut"}, "kraken: connection lost"),
        ({"kind": "down"}, "kraken: connection lost"),
        ({"kind": "rate429", "retry_after": 0}, "kraken: HTTP 429"),
    ],
)
def test_a_faulty_exchange_is_replaced_by_the_next(
    settings: SourceSettings, desk: SourceDesk, fault: dict[str, Any], says: str
) -> None:
    with SimulatorServer(faults={"providers": {"kraken": [fault]}}) as server:
        ask = [need("price_data", "candles", "1d", 10)]
        gathered = gather(desk, settings, server.url, ask)
        assert gathered.providers == ("coinbase",)
        server.faults.replace({"providers": {"*": [fault]}})
        lost = gather(desk, settings, server.url, ask, as_of=AS_OF.replace(hour=14))
        assert says in lost.missing[0].reason
        assert "coinbase: " in lost.missing[0].reason
        assert "binance: " in lost.missing[0].reason


def test_a_replay_knows_nothing_later_than_its_time(
    settings: SourceSettings, desk: SourceDesk, shared_data: Path
) -> None:
    as_of = datetime(2023, 6, 15, 10, 30, tzinfo=UTC)
    with SimulatorServer(replay_dir=shared_data) as server:
        needs = [
            need("historical_data", "candles", "1d", 400),
            need("price_data", "candles", "4h", 100),
            need("fear_greed", "fear_greed", market=True),
            need("macro_data", "series", "us10y", market=True),
            need("onchain", "measures", "fee_rates"),
        ]
        gathered = gather(
            desk,
            settings,
            server.url,
            needs,
            as_of=as_of,
            clock=RunClock(as_of),
            data_mode=DataMode.REPLAY,
            addresses=Addresses.replay(settings, server.url, as_of=as_of),
        )
    assert len(gathered.observations) == 4
    for observation in gathered.observations:
        newest = newest_time(observation.data)
        assert newest is not None
        assert newest <= as_of
        assert not observation.lineage.simulated
    (missing,) = gathered.missing
    assert missing.reason.startswith("mempool: not recorded")
