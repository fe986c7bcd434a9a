"""Answers shared between desks: single flight, age, look-ahead, failures, and dead holders."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import fakeredis
import pytest

from sigmax_planner.models import DataMode
from sigmax_tasks.clock import Deadline, RunClock, use_clock
from sigmax_tasks.errors import NotOfferedError, RateLimitedError
from sigmax_tasks.models.observations import (
    Candles,
    DataNeed,
    FearGreed,
    Lineage,
    Observation,
    TextItem,
    Texts,
)
from sigmax_tasks.settings.sources import SourceSettings, source_settings
from sigmax_tasks.sources import RetryPolicy, SourceDesk
from sigmax_tasks.sources.cache import Entry, Wish, Wishes, as_known_at
from sigmax_tasks.sources.flights import Landed, Leases, pack_failure, unpack_failure
from sigmax_tasks.sources.redis_link import RedisLink
from sigmax_tasks.sources.renewals import Renewals
from sigmax_tasks.sources.shared import SharedDesk
from tests.unit.sources.conftest import (
    Asked,
    Bench,
    FakeClock,
    MakeCall,
    ScriptedServer,
    sharing_bench,
)
from tests.unit.sources.test_desk import (
    CSV,
    FNG,
    FNG_PATH,
    GOOD_CSV,
    GOOD_XML,
    INDEX,
    TREASURY,
    US10Y,
    fails,
)

MakeDesk = Callable[..., Bench]
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)


@pytest.fixture
def redis_server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
def make_desk(
    shipped: dict[str, Any], server: ScriptedServer, redis_server: fakeredis.FakeServer
) -> Iterator[MakeDesk]:
    """Desks of several workers on one Redis."""
    made: list[Bench] = []

    def make(
        *,
        sources: dict[str, dict[str, Any]] | None = None,
        provider: dict[str, Any] | None = None,
        **sections: dict[str, Any],
    ) -> Bench:
        parts = {name: {**shipped[name], **values} for name, values in sections.items()}
        table = {
            name: {**source, **(sources or {}).get(name, {})}
            for name, source in shipped["data_sources"].items()
        }
        known = shipped["providers"]
        changed = {name: {**known[name], **(provider or {})} for name in ("alternative_me", "fred")}
        settings = source_settings(
            {**shipped, "data_sources": table, "providers": {**known, **changed}, **parts}
        )
        made.append(sharing_bench(settings, server, redis_server))
        return made[-1]

    yield make
    for bench in made:
        bench.desk.close()


def slow(body: Any, seconds: float = 0.2) -> Callable[[Asked], None]:
    def answer(asked: Asked) -> None:
        time.sleep(seconds)
        asked.send(body)

    return answer


def test_what_many_want_at_once_is_asked_once(server: ScriptedServer, make_desk: MakeDesk) -> None:
    server.routes[FNG_PATH] = slow(INDEX)
    benches = [make_desk() for _ in range(3)]
    with ThreadPoolExecutor(12) as pool:
        futures = [
            pool.submit(bench.desk.gather, [FNG], bench.context())
            for bench in benches
            for _ in range(4)
        ]
        gathered = [future.result() for future in futures]
    assert server.count(FNG_PATH) == 1
    assert all(len(g.observations) == 1 and not g.missing for g in gathered)
    assert sorted(g.requests for g in gathered) == [0] * 11 + [1]
    hits = [g.observations[0].lineage for g in gathered if not g.requests]
    assert all(lineage.cache_hit for lineage in hits)
    assert len({lineage.fetched_at for lineage in hits}) == 1, "the time of the real fetch"
    assert len({g.observations[0].data.model_dump_json() for g in gathered}) == 1


def test_a_fresh_answer_is_used_and_says_how_old_it_is(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    server.routes[FNG_PATH] = INDEX
    one, two = make_desk(), make_desk()
    clock = FakeClock()
    with use_clock(clock):
        first = one.desk.gather([FNG], one.context(deadline=Deadline.after(10)))
        clock.elapsed += 60
        again = two.desk.gather([FNG], two.context(deadline=Deadline.after(10)))
    fetched, hit = first.observations[0].lineage, again.observations[0].lineage
    assert (fetched.cache_hit, hit.cache_hit) == (False, True)
    assert hit.cache_age_seconds == pytest.approx(60)
    assert hit.fetched_at == fetched.fetched_at
    assert again.requests == 0
    assert two.attempts == [], "nothing was asked"
    assert server.count(FNG_PATH) == 1


def test_an_answer_past_its_time_is_asked_for_again(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    server.routes[FNG_PATH] = INDEX
    bench = make_desk(sources={"fear_greed": {"ttl_seconds": 30, "stale_if_error_seconds": 3600}})
    clock = FakeClock()
    with use_clock(clock):
        for _ in range(2):
            bench.desk.gather([FNG], bench.context(deadline=Deadline.after(10)))
            clock.elapsed += 31
    assert server.count(FNG_PATH) == 2


def test_a_stale_answer_stands_in_for_a_failed_one_and_says_so(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    server.routes[FNG_PATH] = [lambda asked: asked.send(INDEX), fails(404)]
    bench = make_desk(sources={"fear_greed": {"ttl_seconds": 30, "stale_if_error_seconds": 600}})
    clock = FakeClock()
    with use_clock(clock):
        bench.desk.gather([FNG], bench.context(deadline=Deadline.after(10)))
        clock.elapsed += 500
        old = bench.desk.gather([FNG], bench.context(deadline=Deadline.after(10)))
        clock.elapsed += 101
        none = bench.desk.gather([FNG], bench.context(deadline=Deadline.after(10)))
    assert old.missing == ()
    assert old.observations[0].lineage.cache_hit
    assert old.observations[0].lineage.cache_age_seconds == pytest.approx(500)
    assert none.observations == ()
    assert "HTTP 404" in none.missing[0].reason


def test_a_newer_answer_of_another_provider_goes_before_a_stale_one(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    server.routes[CSV] = [lambda asked: asked.send(GOOD_CSV), fails(404)]
    server.routes[TREASURY] = GOOD_XML
    bench = make_desk(sources={"macro_data": {"ttl_seconds": 0, "stale_if_error_seconds": 600}})
    assert bench.desk.gather([US10Y], bench.context()).providers == ("fred",)
    assert bench.desk.gather([US10Y], bench.context()).providers == ("treasury",)


def test_times_and_worlds_do_not_leak(server: ScriptedServer, make_desk: MakeDesk) -> None:
    server.routes[FNG_PATH] = INDEX
    server.routes["/later/alternative_me/fng/"] = INDEX
    bench = make_desk()
    bench.desk.gather([FNG], bench.context())
    later = {name: f"{server.url}/later/{name}" for name in bench.settings.providers}
    moved = replace(bench.context().addresses, base_urls=later)
    bench.desk.gather([FNG], bench.context(addresses=moved))
    assert server.count("/later/alternative_me/fng/") == 1
    bench.desk.gather([FNG], bench.context(world="run-1"))
    bench.desk.gather([FNG], bench.context(data_mode=DataMode.REPLAY))
    assert server.count(FNG_PATH) == 3


def test_a_longer_answer_serves_a_shorter_need_and_not_the_other_way(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    days = [{"value": str(n), "timestamp": str(1767916800 - n * 86_400)} for n in range(5)]
    server.routes[FNG_PATH] = {"data": days}
    bench = make_desk()
    for limit, requests in ((3, 1), (2, 1), (5, 2), (3, 2)):
        need = FNG.model_copy(update={"limit": limit})
        found = bench.desk.gather([need], bench.context()).observations[0].data
        assert isinstance(found, FearGreed)
        assert len(found.rows) == limit
        assert found.rows[-1][1] == 0
        assert server.count(FNG_PATH) == requests


def test_those_who_waited_share_the_failure(server: ScriptedServer, make_desk: MakeDesk) -> None:
    def gone(asked: Asked) -> None:
        time.sleep(0.3)
        asked.send("", 404)

    server.routes[FNG_PATH] = gone
    benches = [make_desk() for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        futures = [
            pool.submit(bench.desk.gather, [FNG], bench.context())
            for bench in benches
            for _ in range(2)
        ]
        reasons = {future.result().missing[0].reason for future in futures}
    assert reasons == {"alternative_me: HTTP 404"}
    assert server.count(FNG_PATH) == 1


def test_a_task_that_was_stopped_while_it_fetched_fails_nobody_else(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    stop = threading.Event()
    server.routes[FNG_PATH] = [slow({"data": []}, 0.3), lambda asked: asked.send(INDEX)]
    one, two = make_desk(), make_desk()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(one.desk.gather, [FNG], one.context(should_stop=stop.is_set))
        time.sleep(0.1)
        second = pool.submit(two.desk.gather, [FNG], two.context())
        stop.set()
        assert first.result().observations == ()
        assert len(second.result().observations) == 1


def test_a_dead_holder_keeps_others_waiting_for_its_lease_only(
    server: ScriptedServer,
    make_desk: MakeDesk,
    make_call: MakeCall,
    redis_server: fakeredis.FakeServer,
) -> None:
    server.routes[FNG_PATH] = INDEX
    quick = {"timeout_seconds": 0.4}  # which counts from when it begins to ask
    bench = make_desk(cache={"lease_seconds": 0.5}, provider=quick)
    call = make_call("alternative_me", NOON, data_mode=DataMode.SIMULATED)
    call.base_url = f"{server.url}/alternative_me"
    wish = Wishes(bench.settings).wish(FNG, call, "")
    client = fakeredis.FakeRedis(server=redis_server, decode_responses=True)
    renewals = Renewals(0.5)
    renewals.close()
    dead = Leases(RedisLink(client), renewals)
    _, mine = dead.take(wish.flight)
    assert mine
    started = time.monotonic()
    assert len(bench.desk.gather([FNG], bench.context()).observations) == 1
    assert time.monotonic() - started >= 0.3, "it waited for the holder"


def test_a_living_holder_keeps_its_lease(
    make_desk: MakeDesk, make_call: MakeCall, redis_server: fakeredis.FakeServer
) -> None:
    flight = Wishes(make_desk().settings).wish(FNG, make_call("alternative_me"), "").flight
    client = fakeredis.FakeRedis(server=redis_server, decode_responses=True)
    renewals = Renewals(0.5)
    leases = Leases(RedisLink(client), renewals)
    token, mine = leases.take(flight)
    assert mine
    time.sleep(1.2)
    assert leases.holder(flight) == token
    assert leases.take(flight) == (token, False)
    leases.land(flight, token, [Landed("sigmax:cache:here", "something", 1000)])
    assert leases.holder(flight) is None
    assert client.get("sigmax:cache:here") == "something"
    renewals.close()


def test_without_redis_each_fetches_for_itself(
    shipped: dict[str, Any], server: ScriptedServer
) -> None:
    server.routes[FNG_PATH] = INDEX
    settings = source_settings(shipped)
    down = fakeredis.FakeServer()
    down.connected = False
    client = fakeredis.FakeRedis(server=down, decode_responses=True)
    shared = SharedDesk(client, settings)
    desk = SourceDesk(settings, max_concurrent_calls=4, max_response_bytes=1_000_000, shared=shared)
    bench = Bench(desk, settings, server)
    try:
        for number in (1, 2):
            assert len(desk.gather([FNG], bench.context()).observations) == 1
            assert server.count(FNG_PATH) == number
    finally:
        desk.close()


def test_a_provider_that_is_told_off_is_left_alone_by_all_desks(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    server.routes[CSV] = fails(429, Retry_After="60")
    server.routes[TREASURY] = GOOD_XML
    for bench in (make_desk(), make_desk()):
        assert bench.desk.gather([US10Y], bench.context()).providers == ("treasury",)
    need = US10Y.model_copy(update={"name": "us2y"})
    third = make_desk()
    gathered = third.desk.gather([need], third.context(retry=RetryPolicy(0, 0.01)))
    assert "asked all workers to wait" in gathered.missing[0].reason
    assert server.count(CSV) == 1


def test_a_turn_that_comes_too_late_is_said_at_once(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    server.routes[FNG_PATH] = INDEX
    bench = make_desk(
        sources={"fear_greed": {"ttl_seconds": 0, "stale_if_error_seconds": 0}},
        quota={"simulated_limits": {"alternative_me": "1/minute"}},
    )
    bench.desk.gather([FNG], bench.context())
    gathered = bench.desk.gather([FNG], bench.context(deadline=Deadline.after(10)))
    assert gathered.missing[0].reason.startswith("alternative_me: quota: next slot in 60 s")
    assert gathered.requests == 0


def test_a_short_wait_for_a_turn_is_waited(server: ScriptedServer, make_desk: MakeDesk) -> None:
    server.routes[FNG_PATH] = INDEX
    bench = make_desk(
        sources={"fear_greed": {"ttl_seconds": 0, "stale_if_error_seconds": 0}},
        quota={"simulated_limits": {"alternative_me": "2/second"}},
        cache={"enabled": False},
    )
    started = time.monotonic()
    for _ in range(3):
        assert len(bench.desk.gather([FNG], bench.context()).observations) == 1
    assert time.monotonic() - started >= 1


def test_live_a_long_wait_for_a_turn_gives_way_to_the_next_provider(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    server.routes[CSV], server.routes[TREASURY] = GOOD_CSV, GOOD_XML
    bench = make_desk(
        sources={"macro_data": {"ttl_seconds": 0, "stale_if_error_seconds": 0}},
        provider={"limits": "1/10 seconds"},
    )
    live = {"data_mode": DataMode.LIVE, "retry": RetryPolicy(0, 0.01)}
    for provider in ("fred", "treasury"):
        context = bench.context(**live, deadline=Deadline.after(60))
        assert bench.desk.gather([US10Y], context).providers == (provider,)
    server.routes[TREASURY] = fails(404)
    gathered = bench.desk.gather([US10Y], bench.context(**live, deadline=Deadline.after(2)))
    assert "fred: quota: next slot in" in gathered.missing[0].reason
    assert server.count(CSV) == 1


# What a kept answer still proves


def kept(data: Any, *, fetched_at: datetime = NOON, observed_at: datetime = NOON) -> Observation:
    lineage = Lineage(
        observation_id="x",
        source="price_data",
        kind=data.kind,
        provider="kraken",
        endpoint="/",
        observed_at=observed_at,
        fetched_at=fetched_at,
        payload_sha256="0",
        payload_bytes=1,
        data_mode=DataMode.LIVE,
        simulated=False,
    )
    return Observation(lineage=lineage, data=data)


def candles(count: int, last_close: datetime) -> Candles:
    last_open = int(last_close.timestamp() * 1000) - 3_600_000
    rows = [(last_open - n * 3_600_000, 1.0, 1.0, 1.0, 1.0, 1.0) for n in range(count)]
    return Candles(symbol="BTC/USDT", timeframe="1h", rows=tuple(reversed(rows)))


def wish_at(make_call: MakeCall, settings: SourceSettings, now: datetime) -> Wish:
    call = make_call("kraken", None, data_mode=DataMode.LIVE)
    call.clock = RunClock(None)
    need = DataNeed(source="price_data", kind="candles", name="1h", symbol="BTC/USDT", limit=5)
    return Wishes(settings).wish(need, call, "")


@pytest.mark.parametrize(("seconds_before", "kept_rows"), [(0, 5), (1, 4), (3599, 4), (3600, 4)])
def test_a_candle_that_is_open_by_the_readers_clock_is_not_seen(
    seconds_before: int, kept_rows: int
) -> None:
    clock = RunClock(NOON - timedelta(seconds=seconds_before))
    found = as_known_at(kept(candles(5, NOON)), clock, 120_000)
    assert found is not None
    assert isinstance(found.data, Candles)
    assert len(found.data.rows) == kept_rows


def test_an_answer_from_the_readers_future_is_not_seen() -> None:
    items = (TextItem(outlet="o", title="t", published_at=NOON),)
    news = kept(Texts(channel="news", items=items))
    assert as_known_at(news, RunClock(NOON - timedelta(seconds=100)), 120_000) is not None
    assert as_known_at(news, RunClock(NOON - timedelta(seconds=100)), 0) is None


@pytest.mark.parametrize(("minutes", "fresh"), [(1, True), (4, True), (6, False)])
def test_candles_are_old_once_one_more_has_closed(
    make_call: MakeCall, settings: SourceSettings, minutes: int, fresh: bool
) -> None:
    clock = FakeClock()
    clock.elapsed = NOON.timestamp() - 1_700_000_000 + 55 * 60 + minutes * 60
    fetched_at = NOON + timedelta(minutes=55)
    with use_clock(clock):
        wish = replace(wish_at(make_call, settings, NOON), ttl_seconds=3600)
        entry = Entry(by="a", limit=5, observation=kept(candles(5, NOON), fetched_at=fetched_at))
        assert (wish.fresh(entry) is not None) is fresh


def test_an_entry_survives_its_packing_and_rubbish_is_none() -> None:
    entry = Entry(by="a", limit=5, observation=kept(candles(300, NOON)))
    packed = entry.packed(1_000_000)
    assert packed is not None
    assert Entry.unpacked(packed) == entry
    assert entry.packed(100) is None
    for rubbish in ("", "no", "bm8=", packed[:-20]):
        assert Entry.unpacked(rubbish) is None


def test_a_failure_is_read_by_those_who_waited_for_it() -> None:
    text = pack_failure(RateLimitedError("a", "HTTP 429", retry_after_seconds=3), "t")
    error = unpack_failure("a", text, "t")
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_seconds == 3
    assert unpack_failure("a", text, "other") is None
    secret = pack_failure(NotOfferedError("a", "see redis://:hunter2@h/0"), "t")
    assert "hunter2" not in secret
    assert isinstance(unpack_failure("a", secret, "t"), NotOfferedError)
