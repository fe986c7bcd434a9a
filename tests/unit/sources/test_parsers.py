"""Parsers on small hand-written answers: what is dropped, what is refused, what is asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sigmax_planner.models import DataMode
from sigmax_tasks.errors import (
    BadPayloadError,
    NotOfferedError,
    PermanentSourceError,
    RateLimitedError,
    SourceError,
    TransientSourceError,
    WrongQuestionError,
)
from sigmax_tasks.models.observations import DataNeed, FundingRates, Observation, Series, Texts
from sigmax_tasks.sources.coingecko import fetch_coingecko
from sigmax_tasks.sources.defillama import fetch_defillama
from sigmax_tasks.sources.derivatives import fetch_binance_perpetual, fetch_okx_perpetual
from sigmax_tasks.sources.fear_greed import fetch_fear_greed
from sigmax_tasks.sources.feeds import clean_url, plain_text
from sigmax_tasks.sources.macro import fetch_fred, fetch_treasury, fetch_yahoo
from sigmax_tasks.sources.news import fetch_rss
from sigmax_tasks.sources.onchain import (
    fetch_blockchain_chart,
    fetch_coinmetrics,
    fetch_mempool_fees,
)
from sigmax_tasks.sources.social import fetch_reddit
from tests.unit.sources.conftest import MakeCall, ScriptedServer

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
CSV = "/graph/fredgraph.csv"
US10Y = DataNeed(source="macro_data", kind="series", name="us10y", limit=3)
NEWS = DataNeed(source="news", kind="texts", limit=50)
SOCIAL = DataNeed(source="social", kind="texts", limit=50)
FUNDING = DataNeed(source="derivatives", kind="funding", symbol="BTC/USDT", limit=10)


def rows(found: Observation) -> list[tuple[str, float]]:
    assert isinstance(found.data, Series)
    return [(f"{datetime.fromtimestamp(ms / 1000, UTC):%m-%d}", v) for ms, v in found.data.rows]


# fred


@pytest.mark.parametrize("header", ["observation_date,DGS10", "DATE,DGS10"])
def test_fred_leaves_out_what_is_missing(
    server: ScriptedServer, make_call: MakeCall, header: str
) -> None:
    server.routes[CSV] = (
        f"{header}\n2026-01-06,4.1\n2026-01-07,.\n2026-01-08,\n2026-01-09,4.3\n2026-01-05,4.0\n"
    )
    found = fetch_fred(US10Y, make_call("fred", NOW, series="us10y"))
    assert rows(found) == [("01-05", 4.0), ("01-06", 4.1), ("01-09", 4.3)]
    assert found.data.unit == "percent"  # type: ignore[union-attr]  # checked by rows()
    assert found.lineage.observed_at == datetime(2026, 1, 9, tzinfo=UTC)
    assert server.asked[-1][1]["id"] == "DGS10"
    assert server.asked[-1][1]["cosd"] < "2025-11-12"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("<html>blocked</html>", "HTML in place of CSV"),
        ("a,b\n1,2\n", "not the promised CSV"),
        ("", "not the promised CSV"),
        ("observation_date,DGS2\n2026-01-06,4.1\n", "asked for DGS10"),
        ("observation_date,DGS10\n2026-01-06\n", "cut line"),
        ("observation_date,DGS10\n2026-13-06,1\n", "unreadable date"),
        ("observation_date,DGS10\n2026-01-06,n/a\n", "unreadable number"),
        ("observation_date,DGS10\n2026-01-06,nan\n", "not a finite number"),
        ("observation_date,DGS10\n", "no finished value"),
        ("observation_date,DGS10\n2026-01-11,4\n", "in the future"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_fred_answers_that_are_refused(
    server: ScriptedServer, make_call: MakeCall, body: str | bytes, says: str
) -> None:
    server.routes[CSV] = lambda asked: asked.send(body)
    with pytest.raises(BadPayloadError, match=says):
        fetch_fred(US10Y, make_call("fred", NOW, series="us10y"))


def test_the_guard_allows_for_clocks_that_differ_in_live_mode_only(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    need = DataNeed(source="fear_greed", kind="fear_greed", limit=1)
    for ahead, mode, refused in (
        (60, DataMode.LIVE, False),
        (200, DataMode.LIVE, True),
        (1, DataMode.SIMULATED, True),
        (0, DataMode.REPLAY, False),
    ):
        now = datetime.now(UTC).replace(microsecond=0)
        stamp = int((now + timedelta(seconds=ahead)).timestamp())
        server.routes["/fng/"] = {"data": [{"value": "5", "timestamp": str(stamp)}]}
        call = make_call("alternative_me", None if mode is DataMode.LIVE else now, data_mode=mode)
        if refused:
            with pytest.raises(BadPayloadError, match="in the future"):
                fetch_fear_greed(need, call)
        else:
            lineage = fetch_fear_greed(need, call).lineage
            assert lineage.observed_at <= call.clock.now()
            assert lineage.simulated is (mode is DataMode.SIMULATED)


# yahoo, treasury


def chart(times: list[int], closes: list[float | None], **meta: Any) -> dict[str, Any]:
    return {
        "chart": {
            "result": [
                {
                    "meta": {"dataGranularity": "1d", "gmtoffset": -18000, **meta},
                    "timestamp": times,
                    "indicators": {"quote": [{"close": closes}]},
                }
            ],
            "error": None,
        }
    }


def test_yahoo_days_are_the_exchanges_and_the_open_session_is_left_out(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    opens = [int(datetime(2026, 1, day, 14, 30, tzinfo=UTC).timestamp()) for day in (7, 8, 9)]
    need = DataNeed(source="macro_data", kind="series", name="gold", limit=30)
    period = {"regular": {"start": opens[-1], "end": opens[-1] + 23_400}}
    server.routes["/v8/finance/chart/GC=F"] = chart(
        opens, [1.0, None, 3.0], currentTradingPeriod=period
    )
    during = datetime(2026, 1, 9, 20, tzinfo=UTC)
    after = datetime(2026, 1, 9, 21, tzinfo=UTC)
    assert rows(fetch_yahoo(need, make_call("yahoo", during, series="gold"))) == [("01-07", 1.0)]
    assert rows(fetch_yahoo(need, make_call("yahoo", after, series="gold"))) == [
        ("01-07", 1.0),
        ("01-09", 3.0),
    ]
    server.routes["/v8/finance/chart/GC=F"] = chart(opens, [1.0, 2.0, 3.0])
    assert len(rows(fetch_yahoo(need, make_call("yahoo", after, series="gold")))) == 2
    server.routes["/v8/finance/chart/GC=F"] = chart(opens, [1.0])
    with pytest.raises(BadPayloadError, match="3 times for 1 closes"):
        fetch_yahoo(need, make_call("yahoo", after, series="gold"))


def yields(*entries: tuple[str, str]) -> str:
    spaces = "http://schemas.microsoft.com/ado/2007/08/dataservices"
    body = "".join(
        f"<entry><content><m:properties><d:NEW_DATE>{day}T00:00:00</d:NEW_DATE>"
        f"<d:BC_10YEAR>{value}</d:BC_10YEAR></m:properties></content></entry>"
        for day, value in entries
    )
    return (
        f'<feed xmlns="http://www.w3.org/2005/Atom" xmlns:d="{spaces}" '
        f'xmlns:m="{spaces}/metadata">{body}</feed>'
    )


def test_a_young_month_is_filled_up_from_the_one_before(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    path = "/resource-center/data-chart-center/interest-rates/pages/xml"
    months = {
        "202601": yields(("2026-01-09", "4.2"), ("2026-01-08", "")),
        "202512": yields(("2025-12-30", "4.0"), ("2025-12-31", "4.1")),
    }
    server.routes[path] = lambda asked: asked.send(
        months[asked.query["field_tdr_date_value_month"]]
    )
    found = fetch_treasury(US10Y, make_call("treasury", NOW, series="us10y"))
    assert rows(found) == [("12-30", 4.0), ("12-31", 4.1), ("01-09", 4.2)]
    many = US10Y.model_copy(update={"limit": 100})
    server.routes[path] = lambda asked: asked.send(
        yields((f"{asked.query['field_tdr_date_value']}-01-05", "4"))
    )
    assert len(rows(fetch_treasury(many, make_call("treasury", NOW, series="us10y")))) == 5


@pytest.mark.parametrize(
    "body",
    [
        "<html><body>Page not found</body></html>",
        "<feed><entry>",
        '<!DOCTYPE f [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><feed>&c;</feed>',
        "plain text",
    ],
)
def test_yield_documents_that_are_refused(
    server: ScriptedServer, make_call: MakeCall, body: str
) -> None:
    path = "/resource-center/data-chart-center/interest-rates/pages/xml"
    server.routes[path] = body
    with pytest.raises(BadPayloadError):
        fetch_treasury(US10Y, make_call("treasury", NOW, series="us10y"))


# chains


def test_onchain_running_day_and_unit(server: ScriptedServer, make_call: MakeCall) -> None:
    server.routes["/charts/hash-rate"] = {
        "status": "ok",
        "values": [
            {"x": int(datetime(2026, 1, day, tzinfo=UTC).timestamp()), "y": day}
            for day in (8, 9, 10)
        ],
    }
    need = DataNeed(source="onchain", kind="series", name="hash_rate", symbol="BTC/USDT", limit=30)
    call = make_call("blockchain_info", NOW, series="hash_rate", source="onchain")
    found = fetch_blockchain_chart(need, call)
    assert rows(found) == [("01-08", 8.0), ("01-09", 9.0)]
    assert found.data.unit == "TH/s"  # type: ignore[union-attr]  # checked by rows()
    other = need.model_copy(update={"symbol": "ETH/USDT"})
    with pytest.raises(NotOfferedError, match="bitcoin only"):
        fetch_blockchain_chart(other, call)
    server.routes["/charts/hash-rate"] = {"status": "error", "values": []}
    with pytest.raises(PermanentSourceError, match="status error"):
        fetch_blockchain_chart(need, call)


def test_coinmetrics_answers_that_are_refused(server: ScriptedServer, make_call: MakeCall) -> None:
    need = DataNeed(source="onchain", kind="series", name="mvrv", symbol="ETH/USDT", limit=5)
    path = "/v4/timeseries/asset-metrics"
    good = {"asset": "eth", "time": "2026-01-08T00:00:00.000000000Z", "CapMVRVCur": "1.5"}

    def ask() -> Observation:
        return fetch_coinmetrics(
            need, make_call("coinmetrics", NOW, series="mvrv", source="onchain")
        )

    server.routes[path] = {"data": [good, {**good, "CapMVRVCur": None}]}
    assert rows(ask()) == [("01-08", 1.5)]
    for change, says in (
        ({"asset": "btc"}, "answered about btc"),
        ({"time": "yesterday"}, "unreadable time"),
        ({"CapMVRVCur": "many"}, "unreadable number"),
        ({"CapMVRVCur": 1.5}, "not the promised form"),
    ):
        server.routes[path] = {"data": [{**good, **change}]}
        with pytest.raises(BadPayloadError, match=says):
            ask()
    refused = {"error": {"type": "forbidden", "message": "not with these credentials"}}
    server.routes[path] = lambda asked: asked.send(refused, 403)
    with pytest.raises(PermanentSourceError, match="not with these credentials"):
        ask()


def test_what_is_known_not_to_be_offered_is_not_asked(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    cases: list[tuple[Any, str, dict[str, Any], DataNeed]] = [
        (
            fetch_mempool_fees,
            "mempool",
            {},
            DataNeed(source="onchain", kind="measures", name="fee_rates", symbol="ETH/USDT"),
        ),
        (
            fetch_coingecko,
            "coingecko",
            {},
            DataNeed(source="coingecko", kind="measures", name="coin_profile", symbol="ZZZ/USDT"),
        ),
        (
            fetch_coingecko,
            "coingecko",
            {},
            DataNeed(source="coingecko", kind="measures", name="weather"),
        ),
        (
            fetch_defillama,
            "defillama",
            {},
            DataNeed(source="defillama", kind="measures", name="fees", symbol="PEPE/USDT"),
        ),
        (
            fetch_defillama,
            "defillama",
            {"series": "chain_tvl", "source": "defillama"},
            DataNeed(source="defillama", kind="series", name="chain_tvl", symbol="PEPE/USDT"),
        ),
        (fetch_okx_perpetual, "okx", {}, FUNDING.model_copy(update={"symbol": "ETH/BTC"})),
    ]
    for fetch, provider, given, need in cases:
        with pytest.raises(NotOfferedError, match="not offered"):
            fetch(need, make_call(provider, NOW, **given))
    assert server.asked == []


def test_defillama_revenue_asks_for_revenue(server: ScriptedServer, make_call: MakeCall) -> None:
    server.routes["/summary/fees/uniswap-v3"] = {"total24h": None, "total30d": 5.0}
    need = DataNeed(source="defillama", kind="measures", name="revenue", symbol="UNI/USDT")
    found = fetch_defillama(need, make_call("defillama", NOW))
    assert "dataType=dailyRevenue" in found.lineage.endpoint
    server.routes["/summary/fees/uniswap-v3"] = {"total24h": None}
    with pytest.raises(BadPayloadError, match="no numbers about uniswap-v3 revenue"):
        fetch_defillama(need, make_call("defillama", NOW))


def test_fear_and_greed_out_of_its_range_is_refused(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    need = DataNeed(source="fear_greed", kind="fear_greed", limit=2)
    server.routes["/fng/"] = {"data": [{"value": "101", "timestamp": "1767916800"}]}
    with pytest.raises(BadPayloadError, match="not the promised form"):
        fetch_fear_greed(need, make_call("alternative_me", NOW))
    server.routes["/fng/"] = {"data": [], "metadata": {"error": "limit reached"}}
    with pytest.raises(PermanentSourceError, match="limit reached"):
        fetch_fear_greed(need, make_call("alternative_me", NOW))


# funding


def test_binance_funding(server: ScriptedServer, make_call: MakeCall) -> None:
    start = int(datetime(2026, 1, 9, tzinfo=UTC).timestamp()) * 1000
    body = [
        {"symbol": "BTCUSDT", "fundingTime": start + n * 14_400_000, "fundingRate": "-0.0001"}
        for n in range(5)
    ]
    server.routes["/fapi/v1/fundingRate"] = body
    data = fetch_binance_perpetual(FUNDING, make_call("binance_futures", NOW)).data
    assert isinstance(data, FundingRates)
    assert data.interval_hours == 4
    assert data.rows[0] == (start, -0.0001)
    server.routes["/fapi/v1/fundingRate"] = body[:1]
    with pytest.raises(BadPayloadError, match="fewer than two"):
        fetch_binance_perpetual(FUNDING, make_call("binance_futures", NOW))
    server.routes["/fapi/v1/fundingRate"] = [{**row, "symbol": "ETHUSDT"} for row in body]
    with pytest.raises(BadPayloadError, match="another contract"):
        fetch_binance_perpetual(FUNDING, make_call("binance_futures", NOW))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("50011", RateLimitedError),
        ("51001", WrongQuestionError),
        ("50001", TransientSourceError),
        ("1", PermanentSourceError),
    ],
)
def test_okx_errors_inside_a_good_answer(
    server: ScriptedServer, make_call: MakeCall, code: str, expected: type[SourceError]
) -> None:
    body = {"code": code, "msg": "no", "data": []}
    server.routes["/api/v5/public/funding-rate-history"] = body
    with pytest.raises(expected) as caught:
        fetch_okx_perpetual(FUNDING, make_call("okx", NOW))
    assert type(caught.value) is expected


# feeds


def rss(*items: str) -> str:
    return f'<rss version="2.0"><channel><title>t</title>{"".join(items)}</channel></rss>'


def item(
    title: str, hours_ago: float = 1, extra: str = "", link: str = "https://x.example/a"
) -> str:
    moment = NOW - timedelta(hours=hours_ago)
    return (
        f"<item><title>{title}</title><link>{link}</link>"
        f"<pubDate>{moment:%a, %d %b %Y %H:%M:%S} +0000</pubDate>{extra}</item>"
    )


def texts(server: ScriptedServer, make_call: MakeCall, body: str | bytes) -> Texts:
    server.routes["/rss"] = lambda asked: asked.send(body)
    data = fetch_rss(NEWS, make_call("cointelegraph", NOW)).data
    assert isinstance(data, Texts)
    return data


def test_feed_fields_are_text_of_bounded_length(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    body = "<description><![CDATA[<p>One&nbsp;<b>two</b></p><script>x()</script>]]></description>"
    found = texts(
        server,
        make_call,
        rss(
            item(
                "A &amp; B" + "x" * 400,
                extra=body,
                link="https://x.example/1?utm_source=r&amp;id=7",
            ),
            item("script link", link="javascript:alert(1)"),
            item("long", 2, f"<description>{'y' * 9000}</description>", "https://x.example/3"),
        ),
    )
    by_title = {entry.title[:5]: entry for entry in found.items}
    assert len(by_title["A & B"].title) == 300
    assert by_title["A & B"].body == "One two"
    assert by_title["A & B"].url == "https://x.example/1?id=7"
    assert by_title["scrip"].url == ""
    assert len(by_title["long"].body) == 2000


def test_feed_items_without_title_or_date_or_from_the_future_are_left_out(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    undated = "<item><title>undated</title><pubDate>soon</pubDate></item>"
    found = texts(
        server,
        make_call,
        rss(
            item("old", 5, link="https://x.example/1"),
            item("tomorrow", -24, link="https://x.example/2"),
            item("", 1),
            undated,
            item("old", 3, link="https://x.example/3"),
            item("same link", 2, link="https://x.example/1"),
            item("new", 1, link="https://x.example/4"),
        ),
    )
    assert [entry.title for entry in found.items] == ["old", "new"]
    assert found.channel == "news"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("<html><body>challenge</body></html>", "not an RSS or Atom feed"),
        ("<rss><channel>", "not well-formed"),
        ("no xml at all", "not well-formed"),
        ("  ", "empty body"),
        (rss(), "no item up to"),
        (rss(item("old", 80)), "stale: its newest item is 80 hours old"),
        (
            '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>' + rss(item("&b;")),
            "document type or entities",
        ),
        (
            '<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + rss(item("&x;")),
            "document type or entities",
        ),
    ],
)
def test_feeds_that_are_refused(
    server: ScriptedServer, make_call: MakeCall, body: str, says: str
) -> None:
    with pytest.raises(BadPayloadError, match=says):
        texts(server, make_call, body)


def atom(*entries: tuple[str, str]) -> str:
    body = "".join(
        f"<entry><author><name>{author}</name></author>"
        '<category term="Bitcoin" label="r/Bitcoin"/>'
        '<content type="html">&lt;!-- SC_OFF --&gt;&lt;p&gt;Hello &amp;amp; bye&lt;/p&gt; '
        "submitted by /u/x [link]</content>"
        f'<id>t3_{n}</id><link href="https://www.reddit.com/{n}"/>'
        f"<published>2026-01-10T0{n}:00:00+00:00</published><title>{title}</title></entry>"
        for n, (author, title) in enumerate(entries)
    )
    return f'<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title>{body}</feed>'


def test_posts_without_bots_and_standing_threads(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    server.routes["/r/CryptoCurrency+CryptoMarkets+Bitcoin+ethereum/hot/.rss"] = atom(
        ("/u/AutoModerator", "Rules"),
        ("/u/x", "Daily Crypto Discussion - January 10"),
        ("/u/x", "ETH is moving daily"),
        ("/u/y", "BTC at 100k"),
    )
    data = fetch_reddit(SOCIAL, make_call("reddit", NOW)).data
    assert isinstance(data, Texts)
    assert [entry.title for entry in data.items] == ["ETH is moving daily", "BTC at 100k"]
    assert data.channel == "social"
    assert data.items[0].outlet == "r/Bitcoin"
    assert data.items[0].body == "Hello & bye"
    assert server.asked[-1][1] == {"limit": "50"}


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("a<br>b", "a b"),
        ("<style>p{}</style>x", "x"),
        ("5 < 6 &amp; 7", "5 < 6 & 7"),
        ("a\u0000\u200b\nb\x1b[31m", "a b [31m"),
        ("", ""),
    ],
)
def test_markup_becomes_one_line(markup: str, text: str) -> None:
    assert plain_text(markup) == text


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://x.example/a?utm_source=1&b=2&UTM_x=3#top", "https://x.example/a?b=2"),
        ("ftp://x.example/a", ""),
        ("/relative", ""),
        ("https://x.example/" + "a" * 600, ""),
        ("https://[broken", ""),
    ],
)
def test_links_are_cleaned(url: str, clean: str) -> None:
    assert clean_url(url) == clean
