"""The simulator's answers have the keys of the real, recorded ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import AS_OF, Simulator, parse_xml

SECONDS = AS_OF // 1000

EXACT = [
    ("kraken/ohlc_XBTUSDT_1m.json", "kraken", "/0/public/OHLC?pair=XBTUSDT&interval=1"),
    ("kraken/ticker_XBTUSDT.json", "kraken", "/0/public/Ticker?pair=XBTUSDT"),
    ("kraken/depth_XBTUSDT_5.json", "kraken", "/0/public/Depth?pair=XBTUSDT&count=5"),
    ("kraken/trades_XBTUSDT.json", "kraken", "/0/public/Trades?pair=XBTUSDT"),
    ("kraken/asset_pairs_XBTUSDT.json", "kraken", "/0/public/AssetPairs?pair=XBTUSDT"),
    ("kraken/system_status.json", "kraken", "/0/public/SystemStatus"),
    (
        "coinbase/candles_BTC-USD_1h.json",
        "coinbase",
        "/api/v3/brokerage/market/products/BTC-USD/candles?granularity=ONE_HOUR"
        f"&start={SECONDS - 7200}&end={SECONDS}",
    ),
    (
        "coinbase/ticker_BTC-USD.json",
        "coinbase",
        "/api/v3/brokerage/market/products/BTC-USD/ticker?limit=3",
    ),
    (
        "coinbase/product_book_BTC-USD.json",
        "coinbase",
        "/api/v3/brokerage/market/product_book?product_id=BTC-USD&limit=5",
    ),
    (
        "coinbase/product_BTC-USD.json",
        "coinbase",
        "/api/v3/brokerage/market/products/BTC-USD",
    ),
    ("binance/depth1000_NKNUSDT.json", "binance", "/api/v3/depth?symbol=LINKUSDT&limit=1000"),
    (
        "okx/funding_rate_history_SHAPE.json",
        "okx",
        "/api/v5/public/funding-rate-history?instId=BTC-USDT-SWAP&limit=2",
    ),
    ("fear_greed/fng_limit1.json", "alternative_me", "/fng/?limit=1"),
    (
        "coinmetrics/asset_metrics_btc.json",
        "coinmetrics",
        "/v4/timeseries/asset-metrics?assets=btc&metrics=AdrActCnt,BlkCnt,TxCnt&frequency=1d"
        "&start_time=2024-11-14",
    ),
    (
        "blockchain_info/n-transactions.json",
        "blockchain_info",
        "/charts/n-transactions?timespan=30days&format=json",
    ),
    ("mempool/difficulty_adjustment.json", "mempool", "/api/v1/difficulty-adjustment"),
    ("mempool/fees_recommended.json", "mempool", "/api/v1/fees/recommended"),
    ("defillama/historicalChainTvl_Solana.json", "defillama", "/v2/historicalChainTvl/Solana"),
    (
        "coingecko/simple_price_2026.json",
        "coingecko",
        "/api/v3/simple/price/?ids=bitcoin&vs_currencies=usd",
    ),
    (
        "coingecko/simple_price_24h_2026-08.json",
        "coingecko",
        "/api/v3/simple/price?ids=bitcoin,ethereum,pax-gold&vs_currencies=usd"
        "&include_24hr_change=true&include_last_updated_at=true",
    ),
    (
        "coingecko/coins_markets_bitcoin_2021.json",
        "coingecko",
        "/api/v3/coins/markets?ids=bitcoin&vs_currency=usd",
    ),
    (
        "coingecko/market_chart_90d_daily_2021.json",
        "coingecko",
        "/api/v3/coins/bitcoin/market_chart?days=90&interval=daily&vs_currency=usd",
    ),
    (
        "coingecko/market_chart_1d_5min_2021.json",
        "coingecko",
        "/api/v3/coins/bitcoin/market_chart?days=1&vs_currency=usd",
    ),
    ("coingecko/error_422_markets.json", "coingecko", "/api/v3/coins/markets"),
    ("coingecko/error_422_price.json", "coingecko", "/api/v3/simple/price"),
    ("yahoo/error_404.json", "yahoo", "/v8/finance/chart/NOSUCH"),
    ("yahoo/error_422.json", "yahoo", "/v8/finance/chart/SPY?interval=5m"),
]


def recorded(folder: Path, name: str) -> Any:
    return json.loads((folder / "http" / name).read_text())


def shape(value: Any) -> Any:
    """Keys and types; a list is the shape of its first member, numbers are one type."""
    if isinstance(value, dict):
        return {key: shape(member) for key, member in value.items()}
    if isinstance(value, list):
        if value and not isinstance(value[0], dict | list):
            return [shape(member) for member in value]
        return [shape(value[0])] if value else []
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return type(value).__name__


@pytest.mark.parametrize(("file", "provider", "path"), EXACT, ids=[case[0] for case in EXACT])
def test_same_shape_as_recorded(
    simulator: Simulator, shared_data: Path, file: str, provider: str, path: str
) -> None:
    real = shape(recorded(shared_data, file))
    ours = shape(simulator.get(provider, path).json)
    if file.endswith("asset_pairs_XBTUSDT.json"):
        for side in (real, ours):
            pair = side["result"]["XBTUSDT"]
            pair["leverage_buy"] = pair["leverage_sell"] = "list"
    if file.endswith("product_BTC-USD.json"):
        real["alias_to"] = ours["alias_to"] = "list"
    assert ours == real


@pytest.mark.parametrize(
    ("file", "provider", "path", "at"),
    [
        (
            "yahoo/chart_BTC-USD_1d_5m.json",
            "yahoo",
            "/v8/finance/chart/BTC-USD?range=5d&interval=1d",
            ("chart", "result", 0, "meta"),
        ),
        ("coingecko/coins_bitcoin_full_2021.json", "coingecko", "/api/v3/coins/bitcoin", ()),
        (
            "coingecko/coins_bitcoin_full_2021.json",
            "coingecko",
            "/api/v3/coins/bitcoin",
            ("market_data",),
        ),
        (
            "coingecko/coins_bitcoin_full_2021.json",
            "coingecko",
            "/api/v3/coins/bitcoin",
            ("developer_data",),
        ),
        ("coingecko/global_2025-01-17.json", "coingecko", "/api/v3/global", ("data",)),
        (
            "defillama/overview_derivatives_DOC.json",
            "defillama",
            "/overview/fees/Ethereum?dataType=dailyFees",
            (),
        ),
        (
            "defillama/overview_derivatives_DOC.json",
            "defillama",
            "/overview/fees",
            ("protocols", 0),
        ),
        ("binance/exchangeInfo_15symbols.json", "binance", "/api/v3/exchangeInfo", ()),
        ("binance/exchangeInfo_15symbols.json", "binance", "/api/v3/exchangeInfo", ("symbols", 0)),
    ],
)
def test_no_key_that_the_real_answer_lacks(
    simulator: Simulator,
    shared_data: Path,
    file: str,
    provider: str,
    path: str,
    at: tuple[str | int, ...],
) -> None:
    real, ours = recorded(shared_data, file), simulator.get(provider, path).json
    for step in at:
        real, ours = real[step], ours[step]
    newer = set(recorded(shared_data, "coingecko/coins_bitcoin_nomarket_2024.json"))
    allowed = set(real) | (newer if provider == "coingecko" and not at else set())
    assert set(ours) <= allowed
    assert len(ours) >= 5


def test_binance_klines_have_the_recorded_members(simulator: Simulator, shared_data: Path) -> None:
    real = recorded(shared_data, "binance/fapi_klines_BTCUSDT_1h.json")
    ours = simulator.get("binance", "/api/v3/klines?symbol=BTCUSDT&interval=1h&limit=3").json
    assert shape(ours) == shape(real)
    assert [row[6] - row[0] for row in ours] == [3_599_999] * 3


def test_ticker_has_all_that_the_futures_ticker_has(
    simulator: Simulator, shared_data: Path
) -> None:
    real = recorded(shared_data, "binance/fapi_ticker24hr_BTCUSDT.json")
    ours = simulator.get("binance", "/api/v3/ticker/24hr?symbol=BTCUSDT").json
    assert set(real) <= set(ours)


def test_every_kraken_pair_answers_in_one_ticker(simulator: Simulator, shared_data: Path) -> None:
    real = recorded(shared_data, "kraken/ticker_all_2026-06-24.json")["result"]
    ours = simulator.get("kraken", "/0/public/Ticker").json["result"]
    assert len(ours) > 100
    assert shape(next(iter(ours.values()))) == shape(next(iter(real.values())))


def test_kraken_pair_names_are_the_real_ones(simulator: Simulator, shared_data: Path) -> None:
    real = recorded(shared_data, "kraken/asset_pairs_all_2021.json")["result"]
    ours = simulator.get("kraken", "/0/public/AssetPairs").json["result"]
    common = set(ours) & set(real)
    assert len(common) >= 39
    for name in common:
        for key in ("altname", "wsname", "base", "quote"):
            assert ours[name][key] == real[name][key]
    known = {pair["wsname"] for pair in real.values() if "wsname" in pair}
    assert all(name in real for name, pair in ours.items() if pair["wsname"] in known)


def test_treasury_document_has_the_recorded_fields(simulator: Simulator, shared_data: Path) -> None:
    file = shared_data / "http" / "treasury" / "daily_treasury_yield_curve_2026-08.xml"
    path = (
        "/resource-center/data-chart-center/interest-rates/pages/xml"
        "?data=daily_treasury_yield_curve&field_tdr_date_value_month=202410"
    )
    tag = "{http://schemas.microsoft.com/ado/2007/08/dataservices/metadata}properties"
    real = next(parse_xml(file.read_bytes()).iter(tag))
    ours = list(parse_xml(simulator.get("treasury", path).body).iter(tag))
    assert [child.tag for child in ours[0]] == [child.tag for child in real]
    assert len(ours) == 22


@pytest.mark.parametrize(
    ("file", "provider", "path"),
    [
        ("coindesk_rss.xml", "coindesk", "/arc/outboundfeeds/rss"),
        ("cointelegraph_rss.xml", "cointelegraph", "/rss"),
    ],
)
def test_feed_items_use_the_recorded_tags(
    simulator: Simulator, shared_data: Path, file: str, provider: str, path: str
) -> None:
    real = parse_xml((shared_data / "http" / "news" / file).read_bytes())
    ours = parse_xml(simulator.get(provider, path).body)
    real_tags = {child.tag for item in real.iter("item") for child in item}
    our_tags = {child.tag for item in ours.iter("item") for child in item}
    assert {"title", "link", "guid", "pubDate", "description"} <= our_tags <= real_tags


def test_reddit_is_atom(simulator: Simulator) -> None:
    root = parse_xml(simulator.get("reddit", "/r/CryptoCurrency+Bitcoin/hot/.rss").body)
    atom = "{http://www.w3.org/2005/Atom}"
    entries = root.findall(f"{atom}entry")
    assert len(entries) == 25
    for name in ("title", "updated", "published", "id", "content", "link", "author"):
        assert entries[0].find(atom + name) is not None
    labels = {entry.find(f"{atom}category").get("label") for entry in entries}  # type: ignore[union-attr]
    assert labels == {"r/cryptocurrency", "r/bitcoin"}


def test_fred_csv(simulator: Simulator) -> None:
    got = simulator.get("fred", "/graph/fredgraph.csv?id=DGS10&cosd=2024-07-01&coed=2024-07-10")
    lines = got.body.decode().splitlines()
    assert lines[0] == "observation_date,DGS10"
    assert [line.split(",")[0] for line in lines[1:]] == [
        f"2024-07-{day:02d}" for day in (1, 2, 3, 4, 5, 8, 9, 10)
    ]
    assert lines[4] == "2024-07-04,"
    assert simulator.get("fred", "/graph/fredgraph.csv?id=NOPE").status == 404


def test_coinmetrics_pages_from_the_end_like_the_real_one(simulator: Simulator) -> None:
    path = "/v4/timeseries/asset-metrics?assets=btc&metrics=TxCnt&page_size=2"
    first = simulator.get("coinmetrics", path).json
    assert [row["time"][:10] for row in first["data"]] == ["2024-11-13", "2024-11-14"]
    more = simulator.get("coinmetrics", f"{path}&next_page_token={first['next_page_token']}").json
    assert [row["time"][:10] for row in more["data"]] == ["2024-11-11", "2024-11-12"]
    refused = simulator.get("coinmetrics", path.replace("TxCnt", "NVTAdj"))
    assert (refused.status, refused.json["error"]["type"]) == (403, "forbidden")
