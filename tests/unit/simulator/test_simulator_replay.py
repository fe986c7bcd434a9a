from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from sigmax_tasks.simulator import SimulatorServer
from sigmax_tasks.simulator.holidays import holidays, next_business_day
from sigmax_tasks.simulator.publication import RULES, bar_visible_at, published_at
from sigmax_tasks.simulator.recorded import RecordedWorld
from sigmax_tasks.simulator.recorded_files import Recordings
from sigmax_tasks.simulator.world import NotRecorded

from .conftest import AS_OF, Got, Simulator

HOUR = 3_600_000
DAY = 24 * HOUR
LENGTHS = {"15m": HOUR // 4, "1h": HOUR, "2h": 2 * HOUR, "4h": 4 * HOUR, "1d": DAY, "1w": 7 * DAY}


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def klines(replayer: Simulator, interval: str, as_of: int, symbol: str = "BTCUSDT") -> Got:
    path = f"/api/v3/klines?symbol={symbol}&interval={interval}&limit=50"
    return replayer.replay("binance", path, as_of)


def test_hours_are_stale_in_november_but_four_hours_and_days_are_served(
    replayer: Simulator,
) -> None:
    as_of = ms("2024-11-15")
    stale = klines(replayer, "1h", as_of)
    assert stale.status == 404
    assert stale.json["error"] == "not recorded"
    assert stale.json["detail"] == (
        "newest recorded 1h candle of BTC/USDT closes 2024-09-06 03:00 UTC, 69 days before as-of"
    )
    four = klines(replayer, "4h", as_of).json
    assert four[-1][0] == as_of - 4 * HOUR
    assert len(four) == 50
    day = klines(replayer, "1d", as_of).json
    assert day[-1][0] == as_of - DAY
    assert klines(replayer, "2h", as_of).status == 404
    assert klines(replayer, "12h", as_of).json[-1][0] == as_of - 12 * HOUR
    week = klines(replayer, "1w", as_of).json
    assert week[-1][0] == ms("2024-11-04")


def test_candles_are_the_recorded_ones(replayer: Simulator, shared_data: Path) -> None:
    as_of = ms("2024-05-01T12:34:56")
    with (shared_data / "ohlcv" / "hourly" / "ETH_USDT_1h_2024.csv").open() as file:
        stored = {int(row[0]): [float(x) for x in row[1:]] for row in list(csv.reader(file))[1:]}
    rows = klines(replayer, "1h", as_of, "ETHUSDT").json
    assert rows[-1][0] == ms("2024-05-01T11:00")
    for row in rows:
        assert [float(x) for x in row[1:6]] == stored[row[0]]
        assert row[7] is None  # the quote volume was not recorded


def test_coarser_candles_are_made_of_the_nearest_finer_file(
    replayer: Simulator, shared_data: Path
) -> None:
    as_of = ms("2024-05-01")
    with (shared_data / "ohlcv" / "daily" / "BTC_USDT_1d.csv").open() as file:
        stored = {int(row[0]): [float(x) for x in row[1:]] for row in list(csv.reader(file))[1:]}
    weeks = klines(replayer, "1w", as_of).json
    for row in weeks:
        days = [stored[row[0] + n * DAY] for n in range(7)]
        made = [days[0][0], max(d[1] for d in days), min(d[2] for d in days), days[-1][3]]
        assert [float(x) for x in row[1:5]] == made
    two = klines(replayer, "2h", as_of).json
    one = {row[0]: row for row in klines(replayer, "1h", as_of).json}
    for row in two[-20:]:
        assert row[1] == one[row[0]][1]
        assert row[4] == one[row[0] + HOUR][4]


AS_OFS = [
    "2018-03-16T13:00",
    "2019-05-15T11:30",
    "2020-03-13T00:00",
    "2021-01-29T05:05",
    "2022-06-18T21:14:59",
    "2023-12-31T23:59:59",
    "2024-01-01T00:00",
    "2024-02-29T16:01",
    "2024-07-07T12:00",
    "2024-09-06T03:00",
    "2024-09-06T06:00",
    "2024-11-15T00:00",
    "2024-12-31T10:00",
]


@pytest.mark.parametrize("moment", AS_OFS)
def test_no_answer_holds_anything_later_than_as_of(replayer: Simulator, moment: str) -> None:
    as_of = ms(moment)
    served = 0
    for interval, length in LENGTHS.items():
        for symbol in ("BTCUSDT", "SOLUSDT", "AVAXUSDT"):
            got = klines(replayer, interval, as_of, symbol)
            if got.status == 200:
                rows = got.json
                served += len(rows)
                assert all(row[0] + length <= as_of for row in rows)
                assert as_of - (rows[-1][0] + length) <= 3 * length
            else:
                assert got.status in (400, 404)
                assert got.status == 404 or got.json["code"] == -1121
    greed = replayer.replay("alternative_me", "/fng/?limit=0", as_of)
    stamps = [int(row["timestamp"]) for row in greed.json["data"]]
    assert max(stamps) * 1000 <= as_of
    assert stamps == sorted(stamps, reverse=True)
    funding = replayer.replay("binance_futures", "/fapi/v1/fundingRate?symbol=BTCUSDT", as_of)
    if funding.status == 200:
        assert all(row["fundingTime"] <= as_of for row in funding.json)
    for chart in ("hash-rate", "difficulty"):
        values = replayer.replay("blockchain_info", f"/charts/{chart}?timespan=all", as_of).json
        assert max(point["x"] for point in values["values"]) * 1000 + 2 * DAY <= as_of
    for series in ("DGS10", "CPIAUCSL", "WALCL", "GDP", "DTWEXBGS"):
        lines = replayer.replay("fred", f"/graph/fredgraph.csv?id={series}", as_of)
        dates = [line.split(",")[0] for line in lines.body.decode().splitlines()[1:]]
        last = date.fromisoformat(max(dates))
        assert published_at(series, last).timestamp() * 1000 <= as_of
        assert datetime.combine(last, datetime.min.time(), UTC).timestamp() * 1000 < as_of
    for symbol in ("SPY", "%5EVIX", "DX-Y.NYB", "BTC-USD"):
        path = f"/v8/finance/chart/{symbol}?range=1mo&interval=1d"
        chart_bars = replayer.replay("yahoo", path, as_of).json["chart"]["result"][0]["timestamp"]
        last = datetime.fromtimestamp(max(chart_bars), UTC).date()
        crypto = symbol == "BTC-USD"
        assert bar_visible_at(last, around_the_clock=crypto).timestamp() * 1000 <= as_of
    assert served > 0


def test_the_next_value_appears_when_its_moment_comes(replayer: Simulator) -> None:
    def newest(series: str, moment: str) -> str:
        got = replayer.replay("fred", f"/graph/fredgraph.csv?id={series}", ms(moment))
        return got.body.decode().splitlines()[-1].split(",")[0]

    assert newest("DGS10", "2024-11-14T21:59") == "2024-11-12"
    assert newest("DGS10", "2024-11-14T22:00") == "2024-11-13"
    assert newest("DGS10", "2024-11-18T21:59") == "2024-11-14"
    assert newest("DGS10", "2024-11-18T22:00") == "2024-11-15"
    assert newest("CPIAUCSL", "2024-10-16T21:59") == "2024-08-01"
    assert newest("CPIAUCSL", "2024-10-16T22:00") == "2024-09-01"
    assert newest("DTWEXBGS", "2024-11-18T21:59") == "2024-11-08"
    assert newest("DTWEXBGS", "2024-11-18T22:00") == "2024-11-15"
    path = "/v8/finance/chart/SPY?range=5d&interval=1d"

    def bar(moment: str) -> float:
        got = replayer.replay("yahoo", path, ms(moment)).json
        return float(got["chart"]["result"][0]["timestamp"][-1])

    assert datetime.fromtimestamp(bar("2024-11-14T21:14:59"), UTC).day == 13
    assert datetime.fromtimestamp(bar("2024-11-14T21:15"), UTC).day == 14


def test_no_value_is_public_before_its_own_day_has_begun() -> None:
    for series in [*RULES, "SOMETHING_ELSE"]:
        for number in range(400):
            day = date(2024, 1, 1) + timedelta(days=number)
            assert published_at(series, day).date() > day


def test_real_release_days_are_not_preceded() -> None:
    """Release moments as the agencies published them."""
    releases = [
        ("CPIAUCSL", date(2024, 9, 1), "2024-10-10T12:30"),
        ("CPIAUCSL", date(2024, 12, 1), "2025-01-15T13:30"),
        ("UNRATE", date(2019, 12, 1), "2020-01-10T13:30"),
        ("M2SL", date(2024, 1, 1), "2024-02-27T18:00"),
        ("PCEPILFE", date(2021, 8, 1), "2021-10-01T12:30"),
        ("DTWEXBGS", date(2024, 11, 8), "2024-11-12T21:15"),
        ("WALCL", date(2024, 11, 27), "2024-11-29T21:30"),
        ("DGS10", date(2024, 7, 3), "2024-07-05T20:15"),
        ("UNRATE", date(2024, 10, 1), "2024-11-01T12:30"),
        ("PAYEMS", date(2024, 8, 1), "2024-09-06T12:30"),
        ("GDP", date(2024, 7, 1), "2024-10-30T12:30"),
        ("PCEPILFE", date(2024, 9, 1), "2024-10-31T12:30"),
        ("M2SL", date(2024, 9, 1), "2024-10-22T17:00"),
        ("WALCL", date(2024, 11, 6), "2024-11-07T21:30"),
        ("ICSA", date(2024, 11, 2), "2024-11-07T13:30"),
    ]
    for series, day, released in releases:
        assert published_at(series, day) >= datetime.fromisoformat(released).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("provider", "path"),
    [
        ("kraken", "/0/public/OHLC?pair=XBTUSDT&interval=60"),
        ("kraken", "/0/public/Time"),
        ("coinbase", "/api/v3/brokerage/market/products"),
        ("coinbase", "/v2/currencies"),
        ("binance", "/api/v3/depth?symbol=BTCUSDT"),
        ("binance", "/api/v3/ticker/24hr?symbol=BTCUSDT"),
        ("binance", "/api/v3/aggTrades?symbol=BTCUSDT"),
        ("binance_futures", "/fapi/v1/fundingRate?symbol=ETHUSDT"),
        ("okx", "/api/v5/public/funding-rate-history?instId=BTC-USDT-SWAP"),
        ("coingecko", "/api/v3/simple/price?ids=bitcoin&vs_currencies=usd"),
        ("coingecko", "/api/v3/global"),
        ("defillama", "/v2/historicalChainTvl/Solana"),
        ("coinmetrics", "/v4/timeseries/asset-metrics?assets=btc&metrics=CapMVRVCur"),
        ("coinmetrics", "/v4/timeseries/asset-metrics?assets=btc&metrics=AdrActCnt"),
        ("blockchain_info", "/charts/n-transactions"),
        ("mempool", "/api/v1/fees/recommended"),
        ("coindesk", "/arc/outboundfeeds/rss"),
        ("cointelegraph", "/rss"),
        ("decrypt", "/feed"),
        ("reddit", "/r/Bitcoin/hot/.rss"),
        ("fred", "/graph/fredgraph.csv?id=NOPE"),
        (
            "treasury",
            "/resource-center/data-chart-center/interest-rates/pages/xml"
            "?data=daily_treasury_yield_curve",
        ),
        ("yahoo", "/v8/finance/chart/GC=F"),
    ],
)
def test_what_is_not_recorded_says_so(replayer: Simulator, provider: str, path: str) -> None:
    got = replayer.replay(provider, path)
    assert got.status == 404
    assert got.json["error"] == "not recorded"
    assert len(got.json["detail"]) > 20


def test_symbols_are_those_recorded_by_then(replayer: Simulator) -> None:
    def names(moment: str) -> set[str]:
        got = replayer.replay("binance", "/api/v3/exchangeInfo", ms(moment)).json
        return {symbol["symbol"] for symbol in got["symbols"]}

    assert "SOLUSDT" not in names("2020-08-11T00:00")
    assert "SOLUSDT" in names("2020-08-12T04:00")
    assert klines(replayer, "1d", ms("2020-08-11"), "SOLUSDT").json["code"] == -1121
    assert klines(replayer, "1d", AS_OF, "NOPEUSDT").json["code"] == -1121


def test_fear_and_greed_has_no_invented_class(replayer: Simulator) -> None:
    row = replayer.replay("alternative_me", "/fng/?limit=1", ms("2021-12-20T10:00")).json["data"][0]
    assert (row["value"], row["timestamp"]) == ("25", "1639958400")
    assert "value_classification" not in row


@pytest.mark.parametrize(
    "path",
    [
        "/api/v3/klines?symbol=../../README&interval=1d",
        "/api/v3/klines?symbol=..%2F..%2Fetc%2Fpasswd&interval=1d",
        "/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_no_path_leads_out_of_the_folder(replayer: Simulator, path: str) -> None:
    got = replayer.replay("binance", path)
    assert got.status in (400, 404)
    assert b"root:" not in got.body
    traversal = "/graph/fredgraph.csv?id=..%2F..%2FREADME"
    assert replayer.replay("fred", traversal).status == 404


HEADER = "timestamp_ms,open,high,low,close,volume\n"
GOOD = f"{ms('2024-01-01')},1,2,0.5,1.5,10\n{ms('2024-01-02')},1.5,2,1,1.2,11\n"


def folder(tmp_path: Path, text: str) -> Path:
    (tmp_path / "ohlcv" / "daily").mkdir(parents=True)
    (tmp_path / "ohlcv" / "daily" / "ABC_USDT_1d.csv").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1704240000000,1,2,0.5,nope,3", "not six numbers"),
        ("1704240000000,1,2,0.5", "not six numbers"),
        ("1704240000000,1,2,0.5,1,3,4", "not six numbers"),
        ("1704240000000,1,0.9,0.5,1,3", "out of order"),
        ("1704240000000,1,2,-1,1,3", "out of order"),
        ("1704240000000,1,inf,0.5,1,3", "out of order"),
        ("1704240000000,1,2,0.5,nan,3", "out of order"),
        ("1704240000000,1,2,0.5,1,-3", "out of order"),
        ("1704240000001,1,2,0.5,1,3", "not the start of a candle"),
        ("-86400000,1,2,0.5,1,3", "not the start of a candle"),
        ("1e400,1,2,0.5,1,3", "not six numbers"),
        (f"{ms('2024-01-01')},1,2,0.5,1,3", "comes twice"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, row: str, reason: str) -> None:
    recordings = Recordings(folder(tmp_path, HEADER + GOOD + row + "\n"))
    world = RecordedWorld(recordings, ms("2024-01-04"))
    market = world.markets("binance")[0]
    for _ in range(2):
        with pytest.raises(NotRecorded, match=reason) as caught:
            world.candles("binance", market, 86_400, limit=5)
        assert str(caught.value).startswith("ohlcv/daily/ABC_USDT_1d.csv line 4: ")
    assert recordings.refused_rows == 1


def test_a_bad_file_is_a_404_and_not_a_crash(tmp_path: Path) -> None:
    text = (HEADER + GOOD).encode() + b"\xff\xfe\x00bad\n"
    place = folder(tmp_path, "")
    (place / "ohlcv" / "daily" / "ABC_USDT_1d.csv").write_bytes(text)
    (place / "ohlcv" / "daily" / "EMPTY_USDT_1d.csv").write_text("")
    (place / "macro" / "fred").mkdir(parents=True)
    (place / "macro" / "fred" / "DGS10.csv").write_text("date,value\n2024-01-02,4.1\nx,y\n")
    with SimulatorServer(replay_dir=place) as server:
        asked = Simulator(server)
        as_of = ms("2024-01-05")
        got = asked.replay("binance", "/api/v3/klines?symbol=ABCUSDT&interval=1d", as_of)
        assert (got.status, got.json["error"]) == (404, "not recorded")
        assert "cannot be read" in got.json["detail"]
        fred = asked.replay("fred", "/graph/fredgraph.csv?id=DGS10", as_of)
        assert "macro/fred/DGS10.csv line 3" in fred.json["detail"]
        greed = asked.replay("alternative_me", "/fng/", as_of)
        assert "there is no file fear_greed/fear_greed_daily.csv" in greed.json["detail"]


def test_good_rows_in_several_files_are_joined(tmp_path: Path) -> None:
    place = folder(tmp_path, HEADER + GOOD)
    more = f"{ms('2024-01-02')},9,9,9,9,9\n{ms('2024-01-03')},1.2,3,1,2,12\n"
    (place / "ohlcv" / "daily" / "ABC_USDT_1d_more.csv").write_text(HEADER + more)
    world = RecordedWorld(Recordings(place), ms("2024-01-04"))
    rows = world.candles("binance", world.markets("binance")[0], 86_400, limit=5)
    assert [row.close for row in rows] == [1.5, 1.2, 2.0]
    earlier = RecordedWorld(Recordings(place), ms("2024-01-03") + 1)
    assert len(earlier.candles("binance", earlier.markets("binance")[0], 86_400, limit=5)) == 2


def test_rows_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    first, second = GOOD.splitlines()
    place = folder(tmp_path, f"{HEADER}{second}\n{first}\n")
    world = RecordedWorld(Recordings(place), ms("2024-01-04"))
    rows = world.candles("binance", world.markets("binance")[0], 86_400, limit=5)
    assert [row.close for row in rows] == [1.5, 1.2]


def test_american_holidays_of_2024() -> None:
    expected = "01-01 01-15 02-19 03-29 05-27 06-19 07-04 09-02 11-28 12-25"
    assert sorted(f"{day:%m-%d}" for day in holidays(2024)) == expected.split()
    assert date(2021, 7, 5) in holidays(2021)
    assert date(2021, 12, 31) not in holidays(2021) | holidays(2022)
    assert next_business_day(date(2024, 10, 11)) == date(2024, 10, 15)
    assert next_business_day(date(2021, 12, 23)) == date(2021, 12, 27)
