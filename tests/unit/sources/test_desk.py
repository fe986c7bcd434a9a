"""The desk: order, rounds, back-off, deadlines, shared requests, and what is said of failures."""

from __future__ import annotations

import copy
import threading
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from sigmax_planner.models import DataMode
from sigmax_tasks.clock import Deadline, RunClock, use_clock
from sigmax_tasks.models.observations import (
    DataNeed,
    FearGreed,
    Measure,
    Measures,
    Observation,
    Series,
    Texts,
)
from sigmax_tasks.sources import Addresses, Call, RetryPolicy
from tests.unit.sources.conftest import Asked, FakeClock, MakeBench, ScriptedServer

INDEX = {"data": [{"value": "40", "value_classification": "Fear", "timestamp": "1768003200"}]}
FNG = DataNeed(source="fear_greed", kind="fear_greed", limit=1)
FNG_PATH = "/alternative_me/fng/"
US10Y = DataNeed(source="macro_data", kind="series", name="us10y", limit=3)
CSV = "/fred/graph/fredgraph.csv"
TREASURY = "/treasury/resource-center/data-chart-center/interest-rates/pages/xml"
GOOD_CSV = "observation_date,DGS10\n2026-01-08,4.1\n"
GOOD_XML = (
    '<feed xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices" '
    'xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"><m:properties>'
    "<d:NEW_DATE>2026-01-08T00:00:00</d:NEW_DATE><d:BC_10YEAR>4.2</d:BC_10YEAR>"
    "</m:properties></feed>"
)


def fails(status: int, body: str = "", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda asked: asked.send(body, status, named)


def test_an_answer_becomes_an_observation(server: ScriptedServer, make_bench: MakeBench) -> None:
    server.routes[FNG_PATH] = INDEX
    bench = make_bench()
    gathered = bench.desk.gather([FNG], bench.context())
    (found,) = gathered.observations
    assert isinstance(found.data, FearGreed)
    assert found.lineage.simulated
    assert found.lineage.data_mode is DataMode.SIMULATED
    assert (gathered.attempts, gathered.requests, gathered.missing) == (1, 1, ())
    assert gathered.providers == ("alternative_me",)
    assert gathered.cost_usd == Decimal(0)
    assert bench.attempts == [(1, "alternative_me")]


def test_the_next_provider_is_asked_in_order(server: ScriptedServer, make_bench: MakeBench) -> None:
    server.routes[CSV] = fails(404, "<html/>")
    server.routes[TREASURY] = GOOD_XML
    bench = make_bench()
    gathered = bench.desk.gather([US10Y], bench.context())
    assert gathered.providers == ("treasury",)
    assert gathered.attempts == 1
    assert bench.attempts == [(1, "fred"), (1, "treasury")]
    assert gathered.missing == ()


def test_passing_faults_are_tried_again_and_permanent_ones_are_not(
    server: ScriptedServer, make_bench: MakeBench
) -> None:
    server.routes[CSV] = fails(404)
    server.routes[TREASURY] = [fails(503), fails(503), lambda asked: asked.send(GOOD_XML)]
    bench = make_bench()
    gathered = bench.desk.gather([US10Y], bench.context())
    assert gathered.providers == ("treasury",)
    assert gathered.attempts == 3
    assert server.count(CSV) == 1
    assert bench.attempts == [(1, "fred"), (1, "treasury"), (2, "treasury"), (3, "treasury")]


def test_a_gap_names_each_provider_and_why(server: ScriptedServer, make_bench: MakeBench) -> None:
    server.routes[CSV] = fails(404, '{"message":"gone"}')
    server.routes[TREASURY] = fails(503)
    bench = make_bench()
    context = bench.context(retry=RetryPolicy(1, 0.01))
    gathered = bench.desk.gather([US10Y, FNG], context)
    assert gathered.observations == ()
    assert gathered.attempts == 2
    first, second = gathered.missing
    assert (first.source, first.need) == ("macro_data", "series us10y")
    assert first.reason == "fred: HTTP 404: gone; treasury: HTTP 503"
    assert second.reason.startswith("alternative_me: HTTP 404: unknown path")


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_the_number_of_rounds_is_bounded(
    server: ScriptedServer, make_bench: MakeBench, retries: int
) -> None:
    server.routes[FNG_PATH] = fails(500)
    bench = make_bench()
    gathered = bench.desk.gather([FNG], bench.context(retry=RetryPolicy(retries, 0.01)))
    assert gathered.attempts == retries + 1
    assert server.count(FNG_PATH) == retries + 1
    assert gathered.requests == retries + 1


def test_back_off_doubles_and_is_jittered(server: ScriptedServer, make_bench: MakeBench) -> None:
    server.routes[FNG_PATH] = fails(500)
    clock = FakeClock()
    with use_clock(clock):
        bench = make_bench(jitter=0.5)
        context = bench.context(retry=RetryPolicy(2, 0.3), deadline=Deadline.after(100))
        bench.desk.gather([FNG], context)
    assert sum(clock.slept) == pytest.approx(0.5 * 0.3 + 0.5 * 0.6)
    assert max(clock.slept) <= 0.2


def test_retry_after_is_obeyed(server: ScriptedServer, make_bench: MakeBench) -> None:
    server.routes[FNG_PATH] = [fails(429, Retry_After="7"), lambda asked: asked.send(INDEX)]
    clock = FakeClock()
    with use_clock(clock):
        bench = make_bench()
        gathered = bench.desk.gather([FNG], bench.context(deadline=Deadline.after(100)))
    assert gathered.attempts == 2
    assert len(gathered.observations) == 1
    assert sum(clock.slept) == pytest.approx(7)


def test_a_stated_wait_keeps_other_needs_away_too(
    server: ScriptedServer, make_bench: MakeBench
) -> None:
    server.routes[FNG_PATH] = fails(429, Retry_After="60")
    bench = make_bench()
    bench.desk.gather([FNG], bench.context())
    again = bench.desk.gather([FNG], bench.context())
    assert server.count(FNG_PATH) == 1
    assert "asked to wait" in again.missing[0].reason
    assert again.requests == 0


def test_a_wait_beyond_the_deadline_is_not_begun(
    server: ScriptedServer, make_bench: MakeBench
) -> None:
    server.routes[FNG_PATH] = fails(503, Retry_After="3600")
    clock = FakeClock()
    with use_clock(clock):
        bench = make_bench()
        gathered = bench.desk.gather([FNG], bench.context(deadline=Deadline.after(100)))
    assert clock.slept == []
    assert gathered.missing[0].reason == "alternative_me: HTTP 503"


def test_a_geo_block_bars_the_provider_for_a_while(
    server: ScriptedServer, make_bench: MakeBench
) -> None:
    server.routes[CSV] = fails(451)
    server.routes[TREASURY] = GOOD_XML
    bench = make_bench()
    for _ in range(2):
        assert bench.desk.gather([US10Y], bench.context()).providers == ("treasury",)
    assert server.count(CSV) == 1
    moved = Addresses(
        {p: f"{server.url}/{p}" for p in bench.settings.providers} | {"fred": server.url}
    )
    server.routes["/graph/fredgraph.csv"] = GOOD_CSV
    assert bench.desk.gather([US10Y], bench.context(addresses=moved)).providers == ("fred",)


def test_the_deadline_ends_the_gather(server: ScriptedServer, make_bench: MakeBench) -> None:
    def hang(asked: Asked) -> None:
        server.stopping.wait(20)

    server.routes[FNG_PATH] = hang
    bench = make_bench()
    gathered = bench.desk.gather([FNG], bench.context(deadline=Deadline.after(0.5)))
    assert gathered.observations == ()
    (missing,) = gathered.missing
    assert missing.reason.startswith("timed out after ") or "in the time left" in missing.reason


def test_a_hanging_provider_leaves_time_for_the_next(
    server: ScriptedServer, make_bench: MakeBench
) -> None:
    def hang(asked: Asked) -> None:
        server.stopping.wait(20)

    server.routes[CSV] = hang
    server.routes[TREASURY] = GOOD_XML
    bench = make_bench()
    gathered = bench.desk.gather([US10Y], bench.context(deadline=Deadline.after(2)))
    assert gathered.providers == ("treasury",)


def test_a_deadline_that_has_passed_asks_nobody(
    server: ScriptedServer, make_bench: MakeBench
) -> None:
    bench = make_bench()
    gathered = bench.desk.gather([FNG, US10Y], bench.context(deadline=Deadline.after(0)))
    assert server.asked == []
    assert all(m.reason.startswith("timed out after 0.0 s; not asked:") for m in gathered.missing)


def test_a_cancelled_run_stops_between_attempts(
    server: ScriptedServer, make_bench: MakeBench
) -> None:
    stop = threading.Event()

    def fail_and_stop(asked: Asked) -> None:
        stop.set()
        asked.send("", 503)

    server.routes[CSV] = fail_and_stop
    bench = make_bench()
    gathered = bench.desk.gather([US10Y], bench.context(should_stop=stop.is_set))
    assert server.paths() == [CSV]
    assert gathered.missing[0].reason == (
        "stopped, nobody waits for it any more; fred: HTTP 503; not asked: treasury"
    )


def test_a_cancelled_run_stops_while_waiting(server: ScriptedServer, make_bench: MakeBench) -> None:
    server.routes[FNG_PATH] = fails(503)
    clock = FakeClock()
    with use_clock(clock):
        bench = make_bench(jitter=1.0)
        context = bench.context(
            retry=RetryPolicy(2, 50),
            deadline=Deadline.after(1000),
            should_stop=lambda: len(clock.slept) >= 2,
        )
        gathered = bench.desk.gather([FNG], context)
    assert len(clock.slept) == 2
    assert gathered.missing[0].reason.startswith("stopped")


FEED = (
    "<rss><channel><item><title>T</title><link>https://x.example/</link>"
    "<pubDate>Sat, 10 Jan 2026 08:00:00 +0000</pubDate></item></channel></rss>"
)
NEWS = DataNeed(source="news", kind="texts", limit=5)


def test_combined_sources_ask_everyone_and_state_each_failure(
    server: ScriptedServer, make_bench: MakeBench
) -> None:
    server.routes["/coindesk/arc/outboundfeeds/rss"] = FEED
    server.routes["/cointelegraph/rss"] = fails(403)
    server.routes["/decrypt/feed"] = FEED
    server.routes["/the_block/rss.xml"] = FEED
    server.routes["/bitcoin_magazine/feed"] = fails(404)
    bench = make_bench()
    gathered = bench.desk.gather([NEWS], bench.context())
    assert [o.lineage.observation_id for o in gathered.observations] == [
        "texts:coindesk:market:",
        "texts:decrypt:market:",
        "texts:the_block:market:",
    ]
    assert [m.reason for m in gathered.missing] == [
        "cointelegraph: HTTP 403",
        "bitcoin_magazine: HTTP 404",
    ]
    assert "/gdelt/api/v2/doc/doc" not in server.paths()


def test_the_fallback_of_a_combined_source_stands_in_for_its_first_provider(
    server: ScriptedServer, make_bench: MakeBench
) -> None:
    for path in ("/cointelegraph/rss", "/decrypt/feed"):
        server.routes[path] = FEED
    server.routes["/coindesk/arc/outboundfeeds/rss"] = fails(403)
    article = {
        "url": "https://news.example.org:443/a",
        "title": "Bitcoin holds , traders wait",
        "seendate": "20260110T110000Z",
        "domain": "news.example.org",
    }
    server.routes["/gdelt/api/v2/doc/doc"] = {"articles": [article]}
    bench = make_bench()
    gathered = bench.desk.gather([NEWS], bench.context())
    first = gathered.observations[0]
    assert first.lineage.provider == "gdelt"
    assert isinstance(first.data, Texts)
    assert first.data.items[0].title == "Bitcoin holds, traders wait"
    assert first.data.items[0].url == "https://news.example.org/a"
    assert {m.reason.partition(":")[0] for m in gathered.missing} == {
        "the_block",
        "bitcoin_magazine",
    }
    assert server.count("/gdelt/api/v2/doc/doc") == 1


def test_a_cross_check_asks_all_its_venues_and_is_told_apart(
    server: ScriptedServer, make_bench: MakeBench
) -> None:
    """It neither replaces the plain need of the same kind nor is replaced by it."""
    price = {"price": 90000.0, "symbol": "BTC", "timestamp": 1768046300, "confidence": 0.99}
    server.routes["/defillama_coins/prices/current/coingecko:bitcoin"] = {
        "coins": {"coingecko:bitcoin": price}
    }
    check = DataNeed(source="price_data", kind="ticker", symbol="BTC/USDT", cross_check=True)
    bench = make_bench()
    gathered = bench.desk.gather([check], bench.context(retry=RetryPolicy(0, 0.01)))
    (found,) = gathered.observations
    assert found.lineage.provider == "defillama_coins"
    assert found.lineage.cross_check
    assert {m.reason.partition(":")[0] for m in gathered.missing} == {
        "kraken",
        "coinbase",
        "binance",
    }
    both = bench.desk.gather(
        [check, check.model_copy(update={"cross_check": False})],
        bench.context(retry=RetryPolicy(0, 0.01)),
    )
    assert [o.lineage.cross_check for o in both.observations] == [True]
    assert len(both.missing) == 4


def test_the_same_request_is_made_once_for_two_sources(
    server: ScriptedServer, make_bench: MakeBench, shipped: dict[str, Any]
) -> None:
    changed = copy.deepcopy(shipped["data_sources"])
    changed["mood"] = {"providers": ["alternative_me"]}
    days = [{"value": str(n), "timestamp": str(1768003200 - n * 86400)} for n in range(30)]
    server.routes[FNG_PATH] = {"data": days}
    bench = make_bench({"data_sources": changed})
    long = DataNeed(source="mood", kind="fear_greed", limit=20)
    gathered = bench.desk.gather([FNG, long, FNG], bench.context())
    assert server.count(FNG_PATH) == 1
    assert server.asked[-1][1]["limit"] == "20"
    first, second = gathered.observations
    assert (first.lineage.source, second.lineage.source) == ("fear_greed", "mood")
    assert first.lineage.observation_id == "fear_greed:alternative_me:market:"
    assert second.lineage.observation_id == "fear_greed:alternative_me:market:@mood"
    assert first.lineage.payload_sha256 == second.lineage.payload_sha256
    assert isinstance(first.data, FearGreed)
    assert isinstance(second.data, FearGreed)
    assert (len(first.data.rows), len(second.data.rows)) == (1, 20)
    assert second.data.rows[-1:] == first.data.rows


def test_observation_ids_are_repeatable(server: ScriptedServer, make_bench: MakeBench) -> None:
    server.routes[FNG_PATH] = INDEX
    server.routes[CSV] = GOOD_CSV
    needs = [US10Y, FNG, US10Y.model_copy(update={"limit": 1})]
    bench = make_bench()
    ids = [
        [o.lineage.observation_id for o in bench.desk.gather(needs, bench.context()).observations]
        for _ in range(3)
    ]
    assert ids[0] == ids[1] == ids[2]
    assert len(set(ids[0])) == 3
    assert "series:fred:market:us10y" in ids[0]


def test_a_series_may_have_several_ids_at_one_provider(
    server: ScriptedServer, make_bench: MakeBench
) -> None:
    moment = int(datetime(2026, 1, 8, 14, 30, tzinfo=UTC).timestamp())
    server.routes["/yahoo/v8/finance/chart/GLD"] = {
        "chart": {
            "result": [
                {
                    "meta": {"dataGranularity": "1d"},
                    "timestamp": [moment],
                    "indicators": {"quote": [{"close": [250.0]}]},
                }
            ]
        }
    }
    bench = make_bench()
    gold = DataNeed(source="macro_data", kind="series", name="gold", limit=5)
    gathered = bench.desk.gather([gold], bench.context())
    (found,) = gathered.observations
    assert isinstance(found.data, Series)
    assert found.data.unit == "USD"
    del server.routes["/yahoo/v8/finance/chart/GLD"]
    (missing,) = bench.desk.gather([gold], bench.context()).missing
    assert missing.reason.startswith("yahoo GC=F: HTTP 404")
    assert "; yahoo GLD: HTTP 404" in missing.reason


def test_unknown_needs_are_stated_not_raised(make_bench: MakeBench) -> None:
    bench = make_bench()
    needs = [
        DataNeed(source="weather", kind="series", name="rain"),
        DataNeed(source="macro_data", kind="series", name="rain"),
        DataNeed(source="fear_greed", kind="candles", name="1d", symbol="BTC/USDT"),
    ]
    gathered = bench.desk.gather(needs, bench.context())
    assert [m.source for m in gathered.missing] == ["weather", "macro_data", "fear_greed"]
    assert all("no provider in sources.yaml offers" in m.reason for m in gathered.missing)
    assert bench.desk.gather([], bench.context()).attempts == 0


def test_a_price_per_request_adds_up(
    server: ScriptedServer, make_bench: MakeBench, shipped: dict[str, Any]
) -> None:
    providers = copy.deepcopy(shipped["providers"])
    providers["alternative_me"]["price_usd_per_request"] = "0.002"
    server.routes[FNG_PATH] = [fails(500), lambda asked: asked.send(INDEX)]
    bench = make_bench({"providers": providers})
    gathered = bench.desk.gather([FNG], bench.context())
    assert (gathered.requests, gathered.cost_usd) == (2, Decimal("0.004"))


def my_adapter(need: DataNeed, call: Call) -> Observation:
    """A custom adapter, named in the settings below."""
    data = call.get_json("/mine", {"limit": need.limit})
    values = (Measure(name="answer", value=data["answer"], unit="count"),)
    return call.observe(need, Measures(subject="mine", values=values))


def test_a_custom_provider_needs_no_change_of_the_package(
    server: ScriptedServer, make_bench: MakeBench, shipped: dict[str, Any]
) -> None:
    mine = {
        **shipped["providers"]["alternative_me"],
        "adapter": "tests.unit.sources.test_desk:my_adapter",
        "options": {"colour": "blue"},
    }
    changes = {
        "providers": {**shipped["providers"], "mine": mine},
        "data_sources": {**shipped["data_sources"], "own": {"providers": ["mine"]}},
    }
    bench = make_bench(changes)
    server.routes["/mine/mine"] = {"answer": 42}
    need = DataNeed(source="own", kind="measures", name="x")
    (found,) = bench.desk.gather([need], bench.context()).observations
    assert isinstance(found.data, Measures)
    assert found.data.get("answer") == 42
    server.routes["/mine/mine"] = {"question": 42}
    (missing,) = bench.desk.gather([need], bench.context()).missing
    assert missing.reason == "mine: its adapter failed: KeyError: 'answer'"


def test_no_more_requests_at_once_than_allowed(
    server: ScriptedServer, make_bench: MakeBench
) -> None:
    lock = threading.Lock()
    now, most = 0, 0
    both = threading.Barrier(2, timeout=10)

    def slow(asked: Asked) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        both.wait()
        server.stopping.wait(0.05)
        with lock:
            now -= 1
        asked.send(GOOD_CSV.replace("DGS10", asked.query["id"]))

    server.routes[CSV] = slow
    bench = make_bench(calls=2)
    names = ("us10y", "us2y", "vix", "sp500", "oil", "dollar_index")
    needs = [DataNeed(source="macro_data", kind="series", name=n, limit=2) for n in names]
    gathered = bench.desk.gather(needs, bench.context())
    assert len(gathered.observations) == 6
    assert most == 2


def test_without_network_the_desk_gives_up_soon_and_says_so(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[str] = []

    def refuse(host: str, *given: object, **named: object) -> None:
        looked_up.append(host)
        raise OSError("no name service")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    bench = make_bench()
    clock = FakeClock()
    with use_clock(clock):
        context = bench.context(
            addresses=Addresses.live(bench.settings, {}),
            data_mode=DataMode.LIVE,
            clock=RunClock(),
            deadline=Deadline.after(30),
            retry=RetryPolicy(2, 5),
        )
        needs = [FNG, NEWS, US10Y, DataNeed(source="price_data", kind="ticker", symbol="BTC/USDT")]
        first = bench.desk.gather(needs, context)
        before = len(looked_up)
        second = bench.desk.gather([US10Y, NEWS], context)
    assert first.offline
    assert second.offline
    assert len(looked_up) == before
    assert second.requests == 0
    assert clock.slept == []
    assert all("no network" in m.reason for m in (*first.missing, *second.missing))
