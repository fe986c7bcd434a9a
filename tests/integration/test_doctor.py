"""``sigmax doctor`` on real processes: well, ill and away."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from .conftest import Pool
from .test_main_job import SIGMAX, run_cli

pytestmark = pytest.mark.integration


def test_the_doctor_looks_at_a_cluster(make_pool: Callable[[], Pool], tmp_path: Path) -> None:
    pool = make_pool()
    client = redis.Redis.from_url(pool.url)
    client.config_set("appendonly", "yes")

    def doctor(*arguments: str, broker: str = pool.url):
        return run_cli(
            "doctor", *arguments, home=tmp_path, program=SIGMAX, SIGMAX_BROKER_URL=broker
        )

    with ThreadPoolExecutor(2) as threads:
        lonely, away = threads.map(
            lambda broker: doctor("--json", broker=broker),
            (pool.url, "redis://:hunter2@127.0.0.1:1/0"),
        )
    assert lonely.returncode == 4
    assert "none is heard of" in lonely.stdout

    pool.start_worker("one")
    pool.wait_for_workers(1)
    # A machine that is busy with other tests may answer the ping late.
    well = next((d for d in (doctor("--json") for _ in range(3)) if d.returncode == 0), None)
    assert well is not None
    seen = json.loads(well.stdout)
    assert {c["name"]: c["said"] for c in seen["checks"] if c["state"] != "ok"} == {}
    assert (well.returncode, seen["state"]) == (0, "ok")
    said = {check["name"]: check["said"] for check in seen["checks"]}
    assert said["alive"] == "1 with 8 places for tasks"
    assert said["ping"] == "1 answer"
    assert said["pool"] == "threads"
    assert said["clocks of workers"] == "all as that of Redis"
    assert said["password"] == "needed"

    client.config_set("maxmemory-policy", "allkeys-lru")
    ill = doctor()
    assert ill.returncode == 2
    assert "set maxmemory-policy noeviction" in ill.stdout
    client.close()

    assert away.returncode == 4
    assert "does not answer" in away.stdout
    assert "hunter2" not in away.stdout + away.stderr
    assert "Traceback" not in away.stderr
