"""Limits that hold for all workers together: money, and the number of open runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from sigmax_planner.models import AnalysisRequest
from sigmax_tasks import clock
from sigmax_tasks.client import Client
from sigmax_tasks.cluster_link import connect
from sigmax_tasks.errors import ClusterBusyError
from sigmax_tasks.simulator.server import SimulatorServer
from sigmax_tasks.store import RunStore
from tests.bench.bench_budget import race
from tests.switches import load_settings
from tests.unit.engine.builders import open_run, runtime

from .conftest import Pool
from .test_main_job import request_for, run_cli

pytestmark = pytest.mark.integration


def test_many_workers_never_spend_more_than_the_limit_of_the_day(
    make_pool: Callable[[], Pool],
) -> None:
    limit = Decimal("0.10")
    result = race(make_pool().url, workers=12, runs=24, limit=limit)
    assert result.paid_usd <= limit
    assert result.paid_usd > limit - Decimal("0.01"), "the limit is used"
    assert result.ledger_usd == result.paid_usd
    assert result.held_usd == 0
    assert result.refused > 0
    assert result.died > 0


def test_clients_that_submit_at_once_never_open_more_runs_than_allowed(
    make_pool: Callable[[], Pool],
) -> None:
    url = make_pool().url

    def submit(number: int) -> bool:
        client = connect(url, connect_timeout_seconds=5)
        run = open_run(f"20250314-120000-{number:08d}")
        now = clock.now()
        run = replace(run, created_at=now, deadline_at=now + timedelta(seconds=60))
        try:
            RunStore(client, runtime(max_open_runs=7)).create(run, "{}")
        except ClusterBusyError:
            return False
        finally:
            client.close()
        return True

    with ThreadPoolExecutor(16) as pool:
        taken = list(pool.map(submit, range(48)))
    assert sum(taken) == 7
    client = connect(url, connect_timeout_seconds=5)
    assert client.zcard("sigmax:live") == 7
    assert len(client.keys("sigmax:run:*")) == 7, "nothing of a refused run is written"
    client.close()


def test_a_waiting_submission_gets_the_slot_of_a_run_that_ends(
    make_pool: Callable[[], Pool], simulator: SimulatorServer
) -> None:
    pool = make_pool()
    settings = load_settings(overrides=("engine.max_open_runs=1",), environ={}).settings
    client, other = Client(settings, pool.url), Client(settings, pool.url)
    request: AnalysisRequest = request_for("BTC/USDT", simulator, settings)
    first = client.submit(request)
    with pytest.raises(ClusterBusyError, match=r"1 runs are open.*max_open_runs allows 1"):
        client.submit(request)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(other.submit, request, wait_for_slot_seconds=60)
        client.cancel(first.run_id)
        assert waiting.result().run_id != first.run_id
    client.close()
    other.close()


def test_what_cannot_be_paid_is_skipped_and_the_run_still_decides(tmp_path: Path) -> None:
    done = run_cli(
        *("BTC/USDT", "--data", "simulated", "--json", "--max-cost", "0.12"),
        *("--set", "features.enable_cost_optimization=false"),
        *("--set", "performance.max_cost_per_day=1"),
        *("--set", "providers.alternative_me.price_usd_per_request=0.05"),
        *("--set", "providers.fred.price_usd_per_request=0.05"),
        home=tmp_path,
    )
    (line,) = [json.loads(text) for text in done.stdout.splitlines()]
    cost, tasks = line["cost"], {task["task_id"]: task for task in line["research"]["tasks"]}
    assert cost["limit_usd"] == 0.12
    assert cost["estimated_usd"] == 0.19
    assert tasks["macro"]["status"] == "skipped"
    assert tasks["macro"]["reason"].startswith("over_budget: needs $")
    assert 0 < cost["actual_usd"] <= 0.12
    assert cost["day_spent_usd"] == cost["actual_usd"]
    assert cost["actual_usd"] == pytest.approx(sum(task["cost_usd"] for task in tasks.values()))
    assert line["action"] in {"BUY", "SELL", "HOLD"}
