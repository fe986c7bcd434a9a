"""The desks of several worker processes on one Redis: one fetch for all, one limit for all."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from sigmax_planner.models import AnalysisRequest, DataMode
from sigmax_tasks.client import Client
from sigmax_tasks.clock import Deadline, RunClock
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.models.observations import DataNeed
from sigmax_tasks.portfolio import compared_with
from sigmax_tasks.research import macro
from sigmax_tasks.runner import shared_desk
from sigmax_tasks.settings import Settings
from sigmax_tasks.simulator.server import SimulatorServer
from sigmax_tasks.sources import Addresses, FetchContext, RetryPolicy, SourceDesk
from sigmax_tasks.sources.desk_status import ProviderStatus, desk_status
from tests.processes import wait_until
from tests.switches import load_settings

from .conftest import Pool
from .test_main_job import SIGMAX, request_for, run_cli

pytestmark = pytest.mark.integration
MakePool = Callable[[], Pool]
SYMBOLS = tuple(f"{coin}/USDT" for coin in ("BTC", "ETH", "SOL", "XRP", "DOGE", "LINK"))


def settings_with(*overrides: str) -> Settings:
    return load_settings(overrides=overrides, environ={}).settings


def workers_of(make_pool: MakePool, count: int) -> Pool:
    pool = make_pool()
    for number in range(count):
        pool.start_worker(f"w{number}")
    pool.wait_for_workers(count)
    return pool


def decide(
    pool: Pool, server: SimulatorServer, settings: Settings, symbols: Sequence[str]
) -> list[RunRecord]:
    """Submit all at once, as one watchlist, and wait for their decisions."""
    client = Client(settings, pool.url)
    try:
        runs = [
            client.submit(
                request_for(symbol, server, settings).model_copy(
                    update={"watchlist": compared_with(symbol, symbols, None)}
                )
            ).run_id
            for symbol in symbols
        ]
        for _ in client.follow(runs):
            pass
        return [client.record(run_id) for run_id in runs]
    finally:
        client.close()


def statuses(pool: Pool, settings: Settings) -> dict[str, ProviderStatus]:
    client = redis.Redis.from_url(pool.url, decode_responses=True)
    try:
        found = desk_status(client, settings.sources, environ={})
    finally:
        client.close()
    return {status.provider: status for status in found if status.simulated}


def lasting_keys(pool: Pool) -> list[str]:
    """What the desks left in Redis for good."""
    client = redis.Redis.from_url(pool.url, decode_responses=True)
    rooms = ("cache", "flight", "quota", "cool", "breaker", "desk")
    names = [name for room in rooms for name in client.keys(f"sigmax:{room}:*")]
    found = [name for name in names if client.ttl(name) == -1]
    client.close()
    assert names
    return found


def requests_of(server: SimulatorServer, provider: str) -> list[dict[str, Any]]:
    """The provider's own log: when each request came, how long it took, and what it got."""
    found: list[dict[str, Any]] = server.stats.snapshot()["providers"][provider]["times"]
    return found


def test_a_watchlist_asks_once_for_what_is_market_wide_and_keeps_to_the_limits(
    make_pool: MakePool,
) -> None:
    quota = {"kraken": [{"kind": "quota", "per_second": 5}]}
    settings = settings_with("quota.simulated_limits.kraken=5/second")
    with SimulatorServer(faults={"providers": quota}) as server:
        pool = workers_of(make_pool, 3)
        records = decide(pool, server, settings, SYMBOLS)
        stats = server.stats.snapshot()["providers"]
        times = sorted(entry["at"] for entry in requests_of(server, "kraken"))
        again = decide(pool, server, settings, SYMBOLS[:1])
        seen = statuses(pool, settings)
        lasting = lasting_keys(pool)

    assert lasting == []
    assert [record.research.failed for record in records] == [0] * len(SYMBOLS)
    assert len({t.worker for r in records for t in r.research.tasks}) == 3
    for provider in ("alternative_me", "coindesk", "cointelegraph", "decrypt", "reddit"):
        assert stats[provider]["requests"] == 1, provider
    wanted = [need.name for need in macro.needs("BTC/USDT", ()) if need.kind == "series"]
    table = settings.sources.series["macro_data"]
    from_fred = [name for name in wanted if table[name][0].provider == "fred"]
    assert stats["fred"]["requests"] == len(from_fred)
    for provider, path in (
        ("coinmetrics", "/v4/timeseries/asset-metrics"),
        ("coingecko", "/api/v3/coins/markets"),
        ("kraken", "/0/public/AssetPairs"),
        ("binance", "/api/v3/exchangeInfo"),
    ):
        assert stats[provider]["paths"][path]["requests"] == 1, path
    assert len(times) > 10
    assert all(later - first >= 1 for first, later in zip(times, times[5:], strict=False))
    assert "429" not in stats["kraken"]["statuses"]
    # The second run on BTC was fed from what was kept, and decided the same.
    assert again[0].decision.decision_hash == records[0].decision.decision_hash
    assert again[0].run_id != records[0].run_id
    assert seen["alternative_me"].hits > 0
    assert seen["alternative_me"].requests == 1
    assert seen["kraken"].waits > 0
    assert seen["kraken"].reachable
    assert seen["kraken"].p50_ms is not None


def test_no_worker_asks_one_that_refuses_and_one_that_hangs_costs_one_request(
    make_pool: MakePool,
) -> None:
    faults = {
        "kraken": [{"kind": "rate429", "retry_after": 3}],
        "coinbase": [{"kind": "hang"}],
    }
    settings = settings_with("providers.coinbase.timeout_seconds=1.5", "breaker.hang_seconds=1")
    with SimulatorServer(faults={"providers": faults}) as server:
        pool = workers_of(make_pool, 2)
        records = decide(pool, server, settings, SYMBOLS[:4])
        log, hung = requests_of(server, "kraken"), requests_of(server, "coinbase")
        seen = statuses(pool, settings)
        doctor = ("doctor", "--providers", "--broker", pool.url)
        with ThreadPoolExecutor(2) as threads:
            shown, page = threads.map(
                lambda options: run_cli(*doctor, *options, home=pool.folder, program=SIGMAX),
                (("--json",), ()),
            )
    assert [record.research.failed for record in records] == [0] * 4, "binance has it, too"
    assert {entry["status"] for entry in log} == {"429"}
    ended = [entry["at"] + entry["seconds"] for entry in log]
    starts = [entry["at"] for entry in log]
    assert all(start - end >= 3 for end, start in zip(ended, starts[1:], strict=False))
    assert seen["kraken"].last_error.startswith("HTTP 429")
    assert seen["kraken"].reachable

    assert len(hung) == 1
    coinbase = seen["coinbase"]
    assert (coinbase.breaker, coinbase.reachable, coinbase.failed) == ("open", False, 1)
    assert shown.returncode == page.returncode == 0, shown.stderr + page.stderr
    facts = json.loads(shown.stdout)
    assert len(facts["workers"]) == 2
    told = [p for p in facts["providers"] if p["provider"] == "coinbase" and p["simulated"]]
    assert [(p["breaker"], p["requests"]) for p in told] == [("open", 1)]
    assert "Last errors" in page.stdout
    rows = [line for line in page.stdout.splitlines() if line.strip().startswith("coinbase")]
    assert rows and "open" in rows[0]


@contextmanager
def own_desk(pool: Pool, settings: Settings) -> Iterator[SourceDesk]:
    """A desk of this process, on the Redis of the workers."""
    client = redis.Redis.from_url(pool.url, decode_responses=True)
    desk = SourceDesk(
        settings.sources,
        max_concurrent_calls=4,
        max_response_bytes=10_000_000,
        shared=shared_desk(settings, client),
    )
    try:
        yield desk
    finally:
        desk.close()
        client.close()


def context_of(request: AnalysisRequest, settings: Settings, seconds: float) -> FetchContext:
    return FetchContext(
        symbol=request.symbol,
        clock=RunClock(request.as_of),
        deadline=Deadline.after(seconds),
        data_mode=DataMode.SIMULATED,
        addresses=Addresses.of_request(request, settings.sources, {}),
        retry=RetryPolicy(0, 0.1),
        should_stop=lambda: False,
        on_attempt=lambda _number, _provider: None,
    )


def test_a_killed_worker_keeps_the_others_waiting_for_its_lease_at_most(
    make_pool: MakePool,
) -> None:
    first_hangs = {"alternative_me": [{"kind": "hang", "first": 1}]}
    settings = settings_with("cache.lease_seconds=1.5")
    need = DataNeed(source="fear_greed", kind="fear_greed", limit=90)
    with SimulatorServer(faults={"providers": first_hangs}) as server:
        pool = workers_of(make_pool, 1)
        request = request_for("BTC/USDT", server, settings)
        submitter, client = Client(settings, pool.url), redis.Redis.from_url(pool.url)
        try:
            submitter.submit(request)
            flights = "sigmax:flight:alternative_me:*"
            wait_until(lambda: client.keys(flights), 60, "a fetch")
            wait_until(lambda: server.faults._asked.get("alternative_me"), 60, "a request")
            assert client.keys(flights)
            os.killpg(pool.started.latest.pid, signal.SIGKILL)
        finally:
            submitter.close()
            client.close()
        with own_desk(pool, settings) as desk:
            lease = settings.sources.cache.lease_seconds
            gathered = desk.gather([need], context_of(request, settings, lease + 6))
    assert [o.lineage.provider for o in gathered.observations] == ["alternative_me"], (
        gathered.missing
    )
