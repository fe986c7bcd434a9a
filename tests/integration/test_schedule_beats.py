"""Two beats on one cluster: each time of a schedule is submitted once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from sigmax_tasks.simulator.server import SimulatorServer

from .conftest import Pool
from .test_local_cluster import wait_for

pytestmark = pytest.mark.integration
SCHEDULE = """
schedules:
  often:
    cron: "* * * * *"
    symbols: [BTC/USDT]
    data: simulated
    overlap: queue
"""


def start_beat(pool: Pool, home: Path, name: str, **environ: str) -> subprocess.Popen[bytes]:
    return pool.started.start(
        *(sys.executable, "-m", "celery", "-A", "tests.integration.every_two_seconds"),
        *("beat", "--loglevel", "INFO"),
        environ={"XDG_DATA_HOME": str(home), **environ},
        log=pool.folder / f"{name}.log",
    )


def test_several_beats_submit_each_time_once(
    make_pool: Callable[[], Pool], simulator: SimulatorServer, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.mkdir()
    (config / "schedule.yaml").write_text(SCHEDULE)
    environ = {
        "SIGMAX_CONFIG_DIR": str(config),
        "SIGMAX_SIMULATOR_URL": simulator.url,
        # The runs themselves are no matter here.
        "SIGMAX_DEBUG__SIMULATE_EXECUTION": "true",
        "SIGMAX_ENGINE__SIMULATED_TIME_SCALE": "0.001",
    }
    pool = make_pool()
    pool.start_worker("one", **environ)
    pool.start_worker("two", **environ)
    pool.wait_for_workers(2)
    environ["SIGMAX_BROKER_URL"] = pool.url
    homes = [tmp_path / "shared", tmp_path / "shared", tmp_path / "other"]
    beats = [
        start_beat(pool, home, f"beat-{number}", **environ) for number, home in enumerate(homes)
    ]
    client = redis.Redis.from_url(pool.url, decode_responses=True)
    logs = [pool.folder / f"beat-{number}.log" for number in range(3)]

    def all_sent_twice() -> bool:
        return all(log.read_text().count("Sending due task often") >= 2 for log in logs)

    wait_for(all_sent_twice, 60)
    wait_for(lambda: len(client.keys("sigmax:slotruns:often:*")) >= 3, 60)
    for beat in beats:
        beat.terminate()
        assert beat.wait(timeout=60) == 0
    wait_for(lambda: client.zcard("sigmax:live") == 0, 60)
    wait_for(lambda: client.llen("sigmax.control") == 0, 60)
    taken = client.keys("sigmax:slot:often:*")
    submitted = client.keys("sigmax:slotruns:often:*")
    assert all(int(key.rpartition(":")[2]) % 2 == 0 for key in taken), "the nominal times"
    assert client.zcard("sigmax:finished") == len(submitted)
    assert len(submitted) <= len(taken)
    assert not (tmp_path / "celerybeat-schedule").exists()
    assert (tmp_path / "shared" / "sigmax" / "beat.json").is_file()
    client.close()
