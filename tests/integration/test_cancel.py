"""Cancelling: what waits never starts, what runs lets go, also in the middle of a request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from sigmax_tasks.client import Client
from sigmax_tasks.cluster_link import connect
from sigmax_tasks.errors import RunCancelledError
from sigmax_tasks.models.events import EventKind
from sigmax_tasks.simulator.server import SimulatorServer
from sigmax_tasks.store import RunStore
from tests.switches import load_settings

from .conftest import Pool
from .test_main_job import request_for

pytestmark = pytest.mark.integration


@pytest.fixture
def hanging() -> Iterator[SimulatorServer]:
    """Providers that take requests and never answer."""
    with SimulatorServer(faults={"providers": {"*": [{"kind": "hang"}]}}) as server:
        yield server


def requests_in_flight(worker: psutil.Process, server: SimulatorServer) -> int:
    port = int(server.url.rpartition(":")[2])
    return sum(
        connection.status == psutil.CONN_ESTABLISHED and connection.raddr.port == port
        for connection in worker.net_connections("tcp")
        if connection.raddr
    )


def test_a_cancelled_run_lets_go_of_hanging_requests_and_of_its_slots(
    make_pool: Callable[[], Pool], simulator: SimulatorServer, hanging: SimulatorServer
) -> None:
    pool = make_pool()
    # Long limits, so that nothing but the cancellation can end the requests in time.
    settings = load_settings(
        overrides=(
            *("planning.timeouts={sentiment: 55, onchain: 55, technical: 55}",),
            *(f"providers.{name}.timeout_seconds=50" for name in ("kraken", "coinmetrics")),
            "breaker.hang_seconds=100",
        ),
        environ={},
    ).settings
    worker = psutil.Process(pool.start_worker("one", concurrency="2").pid)
    client = Client(settings, pool.url)
    stuck = client.submit(request_for("BTC/USDT", hanging, settings)).run_id
    started = set()
    with pytest.raises(RunCancelledError):
        for event in client.follow([stuck]):
            if event is not None and event.kind is EventKind.TASK_STARTED:
                started.add(event.task_id)
            if len(started) == 2 and requests_in_flight(worker, hanging):
                client.cancel(stuck)
    # Both slots were taken by tasks that hang, and still would be.
    other = client.submit(request_for("ETH/USDT", simulator, settings)).run_id
    for _ in client.follow([other]):
        pass
    assert client.record(other).research.completed == 6
    end = time.monotonic() + 30
    while requests_in_flight(worker, hanging) and time.monotonic() < end:
        time.sleep(0.02)
    assert requests_in_flight(worker, hanging) == 0
    redis_client = connect(pool.url, connect_timeout_seconds=5)
    store = RunStore(redis_client, settings.runtime)
    assert store.outcome_ids(stuck) == frozenset(), "neither what ran nor what waited"
    assert client.live_runs() == ()
    state = store.state(stuck)
    assert state is not None
    assert set(state.started) == started, "what was queued never began"
    redis_client.close()
    client.close()
