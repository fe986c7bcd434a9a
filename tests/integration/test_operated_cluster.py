"""What an operator sees of a real run: counted once, told once, logged with run and task."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from sigmax_tasks.simulator.server import SimulatorServer
from sigmax_tasks.telemetry.reading import read_cluster
from tests.switches import load_settings
from tests.unit.notifications.conftest import Listener

from .conftest import Pool
from .test_local_cluster import wait_for
from .test_main_job import run_cli

pytestmark = pytest.mark.integration
EVERYTHING = "{url_env: %s, simulated: true, actions: [BUY, SELL, HOLD]}"


def test_a_run_is_counted_told_and_logged(
    make_pool: Callable[[], Pool], simulator: SimulatorServer, tmp_path: Path
) -> None:
    pool, good, hanging = make_pool(), Listener(), Listener("hang")
    receivers = f"{{good: {EVERYTHING % 'GOOD_HOOK'}, hanging: {EVERYTHING % 'HANGING_HOOK'}}}"
    environ = {
        "SIGMAX_LOGGING__FORMAT": "json",
        "SIGMAX_LOGGING__LEVELS": "{sigmax_tasks: INFO}",
        "SIGMAX_NOTIFICATIONS__RECEIVERS": receivers,
        "SIGMAX_NOTIFICATIONS__TIMEOUT_SECONDS": "3",
        "GOOD_HOOK": good.address,
        "HANGING_HOOK": hanging.address,
        "XDG_DATA_HOME": str(tmp_path),
    }
    try:
        for name in ("one", "two"):
            pool.start_worker(name, **environ)
        pool.wait_for_workers(2)
        began = time.monotonic()
        done = run_cli(
            *("BTC/USDT", "ETH/USDT", "--data", "simulated", "--json", "--broker", pool.url),
            *("--set", "debug.log_task_results=true"),
            home=tmp_path,
            SIGMAX_SIMULATOR_URL=simulator.url,
        )
        took = time.monotonic() - began
        decisions = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(decisions) == 2, done.stderr
        assert all(d["research"]["duration_seconds"] <= took for d in decisions)

        # Told once each, while another receiver hangs.
        wait_for(lambda: len(good.got) >= 2, 60)
        titles = sorted(got["title"].split()[1] for got in good.got)
        assert titles == ["BTC/USDT", "ETH/USDT"]
        for decision in decisions:
            about = [got for got in good.got if decision["run_id"] in got["message"]]
            assert len(about) == 1

        # Counted once each.
        client = redis.Redis.from_url(pool.url, decode_responses=True)
        settings = load_settings(environ={}).settings

        def sent() -> int:
            return int(read_cluster(client, settings).tally.get("notices|sent", 0))

        wait_for(lambda: sent() >= 2, 60)  # counted behind the receiver's answer
        reading = read_cluster(client, settings)
        client.close()
        assert reading.tally["tasks|completed"] == "12"
        assert reading.tally["run_seconds|sum"] != "0"
        assert sum(int(n) for f, n in reading.tally.items() if f.startswith("decisions|")) == 2
        assert int(reading.tally["notices|sent"]) == 2

        # Logged with run and task, in every line that is about one.
        lines = [
            json.loads(line)
            for name in ("one", "two")
            for line in (pool.folder / f"{name}.log").read_text().splitlines()
        ]
        results = [line for line in lines if line["logger"] == "sigmax_tasks.runner"]
        assert {(line["run_id"], line["task_id"]) for line in results} == {
            (d["run_id"], task["task_id"]) for d in decisions for task in d["research"]["tasks"]
        }
        everything = json.dumps(lines)
        assert "test-password" not in everything
        assert "/hook" not in everything
    finally:
        good.close()
        hanging.close()
