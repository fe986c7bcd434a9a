"""Every parser on the answers that real providers gave, over the whole client path."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sigmax_tasks.errors import BadPayloadError, WrongQuestionError
from sigmax_tasks.models.observations import (
    DataNeed,
    FearGreed,
    FundingRates,
    Measures,
    Observation,
    Series,
    Texts,
)
from sigmax_tasks.sources.coingecko import fetch_coingecko
from sigmax_tasks.sources.defillama import fetch_defillama
from sigmax_tasks.sources.derivatives import fetch_okx_perpetual
from sigmax_tasks.sources.fear_greed import fetch_fear_greed
from sigmax_tasks.sources.macro import (
    ChartAnswer,
    fetch_fred_api,
    fetch_treasury,
    fetch_yahoo,
    finished_closes,
    parse_fred_csv,
)
from sigmax_tasks.sources.news import fetch_rss
from sigmax_tasks.sources.onchain import (
    fetch_blockchain_chart,
    fetch_coinmetrics,
    fetch_mempool_fees,
)
from tests.unit.sources.conftest import MakeCall, ScriptedServer


def at(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=UTC)  # type: ignore[arg-type,misc]  # year, month, day ...


def days(data: object) -> list[tuple[str, float]]:
    assert isinstance(data, Series | FearGreed)
    return [(f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d}", v) for ms, v in data.rows]


@pytest.fixture
def http(shared_data: Path) -> Path:
    return shared_data / "http"


def check_lineage(found: Observation, body: bytes, endpoint: str) -> None:
    assert found.lineage.payload_sha256 == hashlib.sha256(body).hexdigest()
    assert found.lineage.payload_bytes == len(body)
    assert found.lineage.endpoint == endpoint


def test_fear_and_greed(http: Path, server: ScriptedServer, make_call: MakeCall) -> None:
    body = (http / "fear_greed/fng_limit1.json").read_bytes()
    server.routes["/fng/"] = body
    need = DataNeed(source="fear_greed", kind="fear_greed", limit=1)
    found = fetch_fear_greed(need, make_call("alternative_me", at(2021, 12, 20, 6)))
    assert days(found.data) == [("2021-12-20", 25.0)]
    assert isinstance(found.data, FearGreed)
    assert found.data.classification == "Extreme Fear"
    check_lineage(found, body, "/fng/?limit=1&format=json")
    assert found.lineage.observation_id == "fear_greed:alternative_me:market:"


def test_coinmetrics(http: Path, server: ScriptedServer, make_call: MakeCall) -> None:
    body = (http / "coinmetrics/asset_metrics_btc.json").read_bytes()
    server.routes["/v4/timeseries/asset-metrics"] = body
    need = DataNeed(
        source="onchain", kind="series", name="transactions", symbol="BTC/USDT", limit=30
    )
    call = make_call("coinmetrics", at(2026, 2, 18, 5), series="transactions", source="onchain")
    found = fetch_coinmetrics(need, call)
    assert days(found.data) == [("2026-02-17", 661420.0)]
    running = make_call("coinmetrics", at(2026, 2, 17, 5), series="transactions", source="onchain")
    with pytest.raises(BadPayloadError, match="no finished value"):
        fetch_coinmetrics(need, running)
    ahead = make_call("coinmetrics", at(2026, 2, 10), series="transactions", source="onchain")
    with pytest.raises(BadPayloadError, match="in the future"):
        fetch_coinmetrics(need, ahead)


def test_blockchain_charts(http: Path, server: ScriptedServer, make_call: MakeCall) -> None:
    server.routes["/charts/n-transactions"] = (
        http / "blockchain_info/n-transactions.json"
    ).read_bytes()
    need = DataNeed(
        source="onchain", kind="series", name="transactions", symbol="BTC/USDT", limit=4
    )
    now = at(2009, 3, 1)
    call = make_call("blockchain_info", now, series="transactions", source="onchain")
    found = fetch_blockchain_chart(need, call)
    recorded = json.loads((http / "blockchain_info/n-transactions.json").read_text())["values"]
    assert isinstance(found.data, Series)
    assert list(found.data.rows) == [(p["x"] * 1000, p["y"]) for p in recorded][-4:]


def test_mempool_fees(http: Path, server: ScriptedServer, make_call: MakeCall) -> None:
    server.routes["/api/v1/fees/recommended"] = (
        http / "mempool/fees_recommended.json"
    ).read_bytes()
    need = DataNeed(source="onchain", kind="measures", name="fee_rates", symbol="BTC/USDT")
    found = fetch_mempool_fees(need, make_call("mempool", at(2026, 1, 1)))
    assert isinstance(found.data, Measures)
    assert found.data.get("fastest_fee") == 2
    assert {value.unit for value in found.data.values} == {"sat/vB"}


def test_coingecko_profile(http: Path, server: ScriptedServer, make_call: MakeCall) -> None:
    server.routes["/api/v3/coins/bitcoin"] = (
        http / "coingecko/coins_bitcoin_full_2021.json"
    ).read_bytes()
    need = DataNeed(source="coingecko", kind="measures", name="coin_profile", symbol="BTC/USDT")
    found = fetch_coingecko(need, make_call("coingecko", at(2021, 5, 16)))
    recorded = json.loads((http / "coingecko/coins_bitcoin_full_2021.json").read_text())
    data = found.data
    assert isinstance(data, Measures)
    assert data.subject == "bitcoin"
    market = recorded["market_data"]
    assert data.get("price_usd") == market["current_price"]["usd"]
    assert data.get("market_cap_usd") == market["market_cap"]["usd"]
    assert data.get("circulating_supply") == market["circulating_supply"]
    assert data.get("commit_count_4_weeks") == recorded["developer_data"]["commit_count_4_weeks"]
    assert data.get("tvl_usd") is None
    assert found.lineage.observed_at < at(2021, 5, 16)


def test_coingecko_market(http: Path, server: ScriptedServer, make_call: MakeCall) -> None:
    body = (http / "coingecko/coins_markets_bitcoin_2021.json").read_bytes()
    server.routes["/api/v3/coins/markets"] = body
    need = DataNeed(source="coingecko", kind="measures", name="coin_market", symbol="BTC/USDT")
    found = fetch_coingecko(need, make_call("coingecko", at(2021, 5, 16)))
    (row,) = json.loads(body)
    data = found.data
    assert isinstance(data, Measures)
    assert data.subject == "bitcoin"
    assert data.get("price_usd") == row["current_price"]
    assert data.get("market_cap_usd") == row["market_cap"]
    assert data.get("volume_24h_usd") == row["total_volume"]
    assert data.get("circulating_supply") == row["circulating_supply"]
    assert data.get("market_cap_rank") == 1
    assert data.get("change_24h_percent") == row["price_change_percentage_24h"]
    assert data.get("change_30d_percent") is None, "it was not asked for then"
    assert found.lineage.observed_at == at(2021, 5, 15, 15, 59, 43, 867_000)


def test_coingecko_without_market_data_gives_what_there_is(
    http: Path, server: ScriptedServer, make_call: MakeCall
) -> None:
    server.routes["/api/v3/coins/bitcoin"] = (
        http / "coingecko/coins_bitcoin_nomarket_2024.json"
    ).read_bytes()
    need = DataNeed(source="coingecko", kind="measures", name="coin_profile", symbol="BTC/USDT")
    data = fetch_coingecko(need, make_call("coingecko", at(2025, 1, 1))).data
    assert isinstance(data, Measures)
    assert data.get("market_cap_rank") == 1
    assert data.get("price_usd") is None


def test_another_coins_profile_is_refused(
    http: Path, server: ScriptedServer, make_call: MakeCall
) -> None:
    server.routes["/api/v3/coins/ethereum"] = (
        http / "coingecko/coins_bitcoin_full_2021.json"
    ).read_bytes()
    need = DataNeed(source="coingecko", kind="measures", name="coin_profile", symbol="ETH/USDT")
    with pytest.raises(BadPayloadError, match="asked for ethereum, answered about bitcoin"):
        fetch_coingecko(need, make_call("coingecko", at(2022, 1, 1)))


@pytest.mark.parametrize(
    ("name", "now", "cap", "dominance"),
    [
        ("global_2025-01-17.json", at(2025, 1, 18), 3751351705612.96, 53.9930159141062),
        ("global_2021.json", at(2021, 5, 19), None, None),
    ],
)
def test_coingecko_global(
    http: Path,
    server: ScriptedServer,
    make_call: MakeCall,
    name: str,
    now: datetime,
    cap: float | None,
    dominance: float | None,
) -> None:
    recorded = json.loads((http / "coingecko" / name).read_text())["data"]
    server.routes["/api/v3/global"] = (http / "coingecko" / name).read_bytes()
    need = DataNeed(source="coingecko", kind="measures", name="global")
    data = fetch_coingecko(need, make_call("coingecko", now)).data
    assert isinstance(data, Measures)
    assert data.get("total_market_cap_usd") == (cap or recorded["total_market_cap"]["usd"])
    expected = dominance or recorded["market_cap_percentage"]["btc"]
    assert data.get("btc_dominance_percent") == expected


def test_defillama_chain_value(http: Path, server: ScriptedServer, make_call: MakeCall) -> None:
    server.routes["/v2/historicalChainTvl/Solana"] = (
        http / "defillama/historicalChainTvl_Solana.json"
    ).read_bytes()
    need = DataNeed(
        source="defillama", kind="series", name="chain_tvl", symbol="SOL/USDT", limit=10
    )
    now = at(2026, 9, 4, 9)  # the last point is of this day and still moves
    found = fetch_defillama(
        need, make_call("defillama", now, series="chain_tvl", source="defillama")
    )
    assert days(found.data) == [("2026-09-02", 5647944308.0), ("2026-09-03", 5753178429.0)]


def test_defillama_protocol_value(
    shared_data: Path, server: ScriptedServer, make_call: MakeCall
) -> None:
    recorded = shared_data / "defi/protocol_jito.json"
    server.routes["/protocol/uniswap-v3"] = recorded.read_bytes()
    need = DataNeed(
        source="defillama", kind="series", name="chain_tvl", symbol="UNI/USDT", limit=5000
    )
    points = json.loads(recorded.read_text())["tvl"]
    now = datetime.fromtimestamp(points[-1]["date"] + 60, UTC)
    call = make_call("defillama", now, series="chain_tvl", source="defillama")
    data = fetch_defillama(need, call).data
    assert isinstance(data, Series)
    assert data.rows[0] == (points[0]["date"] * 1000, points[0]["totalLiquidityUSD"])
    assert len(points) - 2 <= len(data.rows) < len(points)


def test_defillama_totals(http: Path, server: ScriptedServer, make_call: MakeCall) -> None:
    server.routes["/overview/fees/Solana"] = (
        http / "defillama/overview_derivatives_DOC.json"
    ).read_bytes()
    need = DataNeed(source="defillama", kind="measures", name="fees", symbol="SOL/USDT")
    data = fetch_defillama(need, make_call("defillama", at(2026, 1, 1))).data
    assert isinstance(data, Measures)
    assert data.get("total24h_usd") == 23537303133
    assert data.get("total30d_usd") == 383278222548
    assert data.get("change_7d_percent") == 76.33
    assert data.subject == "Solana fees"
    assert server.asked[-1][1]["dataType"] == "dailyFees"


def test_okx_funding(http: Path, server: ScriptedServer, make_call: MakeCall) -> None:
    server.routes["/api/v5/public/funding-rate-history"] = (
        http / "okx/funding_rate_history_SHAPE.json"
    ).read_bytes()
    need = DataNeed(source="derivatives", kind="funding", symbol="BTC/USDT", limit=50)
    data = fetch_okx_perpetual(need, make_call("okx", at(2024, 1, 2))).data
    assert isinstance(data, FundingRates)
    assert data.interval_hours == 8
    assert data.rows == ((1704038400000, -0.0000236017), (1704067200000, 0.0001515032))


@pytest.mark.parametrize(
    ("provider", "path", "name", "now", "count"),
    [
        ("coindesk", "/arc/outboundfeeds/rss", "coindesk_rss.xml", at(2026, 8, 30, 14), 12),
        ("cointelegraph", "/rss", "cointelegraph_rss.xml", at(2026, 8, 29), 2),
    ],
)
def test_news_feeds(
    http: Path,
    server: ScriptedServer,
    make_call: MakeCall,
    provider: str,
    path: str,
    name: str,
    now: datetime,
    count: int,
) -> None:
    server.routes[path] = (http / "news" / name).read_bytes()
    need = DataNeed(source="news", kind="texts", limit=100)
    data = fetch_rss(need, make_call(provider, now)).data
    assert isinstance(data, Texts)
    assert len(data.items) == count
    assert [i.published_at for i in data.items] == sorted(i.published_at for i in data.items)
    for item in data.items:
        assert item.title
        assert item.body
        assert "<" not in item.title + item.body
        assert item.url.startswith("https://")
        assert "utm_" not in item.url
        assert item.published_at <= now


def test_the_same_feed_earlier_and_much_later(
    http: Path, server: ScriptedServer, make_call: MakeCall
) -> None:
    server.routes["/arc/outboundfeeds/rss"] = (http / "news/coindesk_rss.xml").read_bytes()
    need = DataNeed(source="news", kind="texts", limit=100)
    earlier = fetch_rss(need, make_call("coindesk", at(2026, 8, 29, 12))).data
    assert isinstance(earlier, Texts)
    assert 0 < len(earlier.items) < 12
    with pytest.raises(BadPayloadError, match="stale: its newest item is"):
        fetch_rss(need, make_call("coindesk", at(2026, 9, 30)))
    with pytest.raises(BadPayloadError, match="no item up to the run's time"):
        fetch_rss(need, make_call("coindesk", at(2025, 9, 30)))


@pytest.mark.parametrize("series", ["SP500", "DCOILWTICO", "NASDAQCOM", "DJIA"])
def test_fred_json(
    http: Path,
    server: ScriptedServer,
    make_call: MakeCall,
    monkeypatch: pytest.MonkeyPatch,
    series: str,
) -> None:
    recorded = json.loads((http / f"fred/observations_{series}.json").read_text())
    server.routes["/fred/series/observations"] = recorded
    call = make_call("fred_api", at(2026, 8, 31), series="sp500")
    monkeypatch.setattr(call, "key_value", lambda: "k")
    need = DataNeed(source="macro_data", kind="series", name="sp500", limit=100)
    found = fetch_fred_api(need, call)
    expected = sorted(
        (row["date"], float(row["value"]))
        for row in recorded["observations"]
        if row["value"] != "."
    )
    assert days(found.data) == expected


def test_fred_csv_of_every_recorded_series(shared_data: Path, make_call: MakeCall) -> None:
    """The stored columns are ``date,value``; only the header differs from FRED's."""
    call = make_call("fred", at(2026, 1, 1))
    for file in sorted((shared_data / "macro/fred").glob("*.csv")):
        text = file.read_text().replace("date,value", f"observation_date,{file.stem}", 1)
        points = parse_fred_csv(call, text, file.stem)
        lines = [line.split(",") for line in file.read_text().splitlines()[1:]]
        assert len(points) == sum(1 for line in lines if line[1])
        assert len(points) > 50


def test_yahoo_chart_without_the_running_bar(http: Path, make_call: MakeCall) -> None:
    body = json.loads((http / "yahoo/chart_BTC-USD_1d_5m.json").read_text())
    result = ChartAnswer.model_validate(body).chart.result
    assert result is not None
    now = 1791208701
    closes = finished_closes(make_call("yahoo", datetime.fromtimestamp(now, UTC)), result[0], now)
    assert [at for at, _ in closes] == [
        1791158400,
        1791158700,
        1791170400,
        1791182400,
        1791194400,
    ]
    assert closes[0][1] == 86434.7109375


def test_yahoo_chart_with_nulls(http: Path, make_call: MakeCall) -> None:
    body = json.loads((http / "yahoo/chart_nulls_7203.T_1d_5m.json").read_text())
    result = ChartAnswer.model_validate(body).chart.result
    assert result is not None
    now = 1791182200
    closes = finished_closes(make_call("yahoo", datetime.fromtimestamp(now, UTC)), result[0], now)
    raw = result[0].indicators.quote[0].close
    assert None in raw
    assert len(closes) == sum(1 for close in raw if close is not None)


def test_yahoo_refuses_bars_it_did_not_ask_for_and_names_unknown_symbols(
    http: Path, server: ScriptedServer, make_call: MakeCall
) -> None:
    need = DataNeed(source="macro_data", kind="series", name="gold", limit=30)
    path = "/v8/finance/chart/GC=F"
    server.routes[path] = (http / "yahoo/chart_BTC-USD_1d_5m.json").read_bytes()
    with pytest.raises(BadPayloadError, match="asked for daily bars, answered with 5m"):
        fetch_yahoo(need, make_call("yahoo", at(2026, 10, 6), series="gold"))
    body = (http / "yahoo/error_404.json").read_bytes()
    server.routes[path] = lambda asked: asked.send(body, 404)
    with pytest.raises(WrongQuestionError, match="No data found"):
        fetch_yahoo(need, make_call("yahoo", at(2026, 10, 6), series="gold"))
    server.routes[path] = body
    with pytest.raises(WrongQuestionError, match="No data found"):
        fetch_yahoo(need, make_call("yahoo", at(2026, 10, 6), series="gold"))


def test_treasury_yields(http: Path, server: ScriptedServer, make_call: MakeCall) -> None:
    path = "/resource-center/data-chart-center/interest-rates/pages/xml"
    server.routes[path] = (http / "treasury/daily_treasury_yield_curve_2026-08.xml").read_bytes()
    need = DataNeed(source="macro_data", kind="series", name="us10y", limit=5)
    found = fetch_treasury(need, make_call("treasury", at(2026, 8, 29), series="us10y"))
    assert days(found.data)[0] == ("2026-08-03", 4.70)
    curve = need.model_copy(update={"name": "yield_curve_10y2y"})
    call = make_call("treasury", at(2026, 8, 29), series="yield_curve_10y2y")
    assert days(fetch_treasury(curve, call).data)[0] == ("2026-08-03", 0.45)
    assert server.asked[-2][1]["field_tdr_date_value_month"] == "202608"
    assert server.asked[-1][1]["field_tdr_date_value_month"] == "202607"
    assert found.lineage.endpoint.endswith("(+1 more)")
