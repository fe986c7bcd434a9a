"""A password in the environment stays out of process lists, files of others and output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from sigmax_tasks.simulator.server import SimulatorServer

from .conftest import PASSWORD, Pool
from .test_local_cluster import start_up, wait_for
from .test_main_job import SUBMIT

pytestmark = pytest.mark.integration


def command_lines(process: psutil.Process) -> str:
    """Of that process and all below it."""
    found = []
    for one in (process, *process.children(recursive=True)):
        try:
            found.append(" ".join(one.cmdline()))
        except psutil.Error:
            continue
    return "\n".join(found)


def test_a_submission_with_a_password_in_the_environment(
    shared_pool: Pool, simulator: SimulatorServer, tmp_path: Path
) -> None:
    worker = shared_pool.started.latest
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(
            [str(SUBMIT), "BTC/USDT", "--data", "simulated"],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "XDG_DATA_HOME": str(tmp_path),
                "SIGMAX_BROKER_URL": shared_pool.url,
                "SIGMAX_SIMULATOR_URL": simulator.url,
            },
        )
        seen = [command_lines(psutil.Process(worker.pid))]
        while process.poll() is None:
            seen.append(command_lines(psutil.Process(process.pid)))
            try:
                process.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                continue
    assert process.returncode == 0, (tmp_path / "out").read_text()
    assert any("sigmax-submit" in lines for lines in seen)
    said = (tmp_path / "out").read_text() + (shared_pool.folder / "shared.log").read_text()
    assert PASSWORD not in "\n".join(seen) + said


def test_a_local_cluster_shows_no_password(tmp_path: Path) -> None:
    login = "trader:flower-login-of-this-test"
    process = start_up(tmp_path, "--workers", "1", SIGMAX_FLOWER_LOGIN=login)
    try:
        password = (tmp_path / "sigmax" / "cluster" / "password").read_text().strip()
        lines = wait_for(lambda: command_lines(psutil.Process(process.pid)), 20)
        assert lines.count("celery") >= 3, "worker, beat and Flower were looked at"
        assert password not in lines
        assert login.partition(":")[2] not in lines
        assert password not in (tmp_path / "up.log").read_text()
        state = tmp_path / "sigmax" / "cluster.json"
        assert password in json.loads(state.read_text())["url"]
        assert state.stat().st_mode & 0o077 == 0, "for its user only"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
