"""The remedies of RUNBOOK.md that are marked *: each symptom is caused, then cured.

Counts, batches and reasons are compared, never seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sigmax_tasks.client import Client
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.models.research import TaskOutcome
from sigmax_tasks.simulator.server import SimulatorServer
from tests.processes import free_port, processes, redis_url

from .conftest import Pool
from .test_main_job import request_for
from .test_shared_desk import decide, requests_of, settings_with, statuses

pytestmark = pytest.mark.integration
REPO = Path(__file__).resolve().parents[2]
ON_PAPER = ("debug.simulate_execution=true", "engine.simulated_time_scale=0.01")
"""Tasks that wait for a hundredth of their estimate instead of asking anybody."""
SOON = "task_execution.retry_delay=0.1"
"""Retries as shipped, but for the seconds before each."""


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """One worker with a single place; tests that need more start it."""
    folder = tmp_path_factory.mktemp("runbook")
    with processes(kill=True) as started:
        port = free_port()
        started.start_redis(port, folder)
        pool = Pool(redis_url(port), folder, started)
        pool.start_worker("narrow", concurrency="1")
        pool.wait_for_workers(1)
        yield pool


def run(
    pool: Pool, server: SimulatorServer, *overrides: str
) -> tuple[RunRecord, list[TaskOutcome]]:
    settings = settings_with(SOON, *overrides)
    (record,) = decide(pool, server, settings, ["BTC/USDT"])
    client = Client(settings, pool.url)
    try:
        return record, list(client.dossier(record.run_id).outcomes)
    finally:
        client.close()


def most_at_once(outcomes: list[TaskOutcome]) -> int:
    """The largest number of tasks at work at one moment."""
    edges = [(o.started_at, 1) for o in outcomes if o.started_at]
    edges += [(o.finished_at, -1) for o in outcomes if o.started_at]
    most = now = 0
    for _, step in sorted(edges):
        now += step
        most = max(most, now)
    return most


def failures(record: RunRecord) -> dict[str, str]:
    return {t.task_id: t.reason for t in record.research.tasks if t.status.value == "failed"}


def test_missing_speed_up_too_few_places(pool: Pool) -> None:
    with SimulatorServer() as server:
        _, narrow = run(pool, server, *ON_PAPER)
        assert most_at_once(narrow) == 1, "the symptom: a batch of three, one after another"
        pool.start_worker("wide")
        pool.wait_for_workers(2)
        _, wide = run(pool, server, *ON_PAPER)
    assert most_at_once(wide) >= 2


def test_slow_plan_width_one(pool: Pool) -> None:
    with SimulatorServer() as server:
        slow, one_by_one = run(pool, server, *ON_PAPER, "planning.enable_parallel_tasks=false")
        cured, together = run(pool, server, *ON_PAPER, "planning.enable_parallel_tasks=true")
    assert most_at_once(one_by_one) == 1
    assert most_at_once(together) >= 2
    assert slow.research.total_tasks == cured.research.total_tasks
    settings = {
        flag: settings_with(f"planning.enable_parallel_tasks={flag}", "planning.batching=levels")
        for flag in ("false", "true")
    }
    plans = {}
    for flag, own in settings.items():
        client = Client(own, pool.url)
        with SimulatorServer() as server:
            submitted = client.submit(request_for("BTC/USDT", server, own))
            plans[flag] = submitted.plan
            client.cancel(submitted.run_id)
        client.close()
    assert len(plans["false"].execution_order) == slow.research.total_tasks
    assert len(plans["true"].execution_order) == 2
    assert plans["true"].estimated_time_parallel < plans["false"].estimated_time_parallel


def test_slow_plan_one_slow_provider(pool: Pool) -> None:
    faults = {"providers": {"kraken": [{"kind": "latency", "seconds": 0.25}]}}
    with SimulatorServer(faults=faults) as server:
        slow, _ = run(pool, server)
        seen = statuses(pool, settings_with())
    assert seen["kraken"].p50_ms is not None
    assert seen["kraken"].p50_ms >= 250, "the check: sigmax doctor --providers"
    technical = {t.task_id: t.providers for t in slow.research.tasks}["technical"]
    assert "kraken" in technical
    with SimulatorServer(faults=faults) as server:
        cured, _ = run(pool, server, "providers.kraken.timeout_seconds=0.1")
    technical = {t.task_id: t.providers for t in cured.research.tasks}["technical"]
    assert "kraken" not in technical
    assert "coinbase" in technical
    assert failures(cured) == {}


def test_high_failure_rate_without_retries(pool: Pool) -> None:
    faults = {"providers": {"*": [{"kind": "error", "first": 1}]}}
    with SimulatorServer(faults=faults) as server:
        ill, _ = run(pool, server, "task_execution.retry_failed_tasks=false")
    with SimulatorServer(faults=faults) as server:
        cured, _ = run(pool, server)
    assert len(failures(ill)) >= 1, "the symptom"
    assert failures(cured) == {}
    assert cured.research.completed > ill.research.completed


def test_high_failure_rate_time_limits_too_short(pool: Pool) -> None:
    slow = {"kind": "latency", "seconds": 0.3}
    faults = {"providers": {name: [slow] for name in ("kraken", "coinbase", "binance")}}
    with SimulatorServer(faults=faults) as server:
        ill, _ = run(pool, server, "planning.timeouts={technical: 0.15}")
    assert "technical" in failures(ill)
    with SimulatorServer(faults=faults) as server:
        cured, _ = run(pool, server)
    assert failures(cured) == {}


def test_high_failure_rate_a_provider_that_stands_alone(pool: Pool) -> None:
    faults = {"providers": {"kraken": [{"kind": "down"}]}}
    alone = (
        "data_sources.price_data.providers=[kraken]",
        "data_sources.volume_data.providers=[kraken]",
    )
    with SimulatorServer(faults=faults) as server:
        ill, _ = run(pool, server, *alone)
    assert "technical" in failures(ill)
    with SimulatorServer(faults=faults) as server:
        cured, _ = run(pool, server)
        assert requests_of(server, "coinbase")
    assert failures(cured) == {}


def test_every_marked_remedy_has_its_test() -> None:
    marked = [line for line in (REPO / "RUNBOOK.md").read_text().splitlines() if "| * " in line]
    tests = [
        name for name in globals() if name.startswith(("test_slow", "test_high", "test_missing"))
    ]
    assert len(marked) == len(tests)
