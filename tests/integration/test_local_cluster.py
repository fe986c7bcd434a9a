"""``sigmax up``: found by other commands, restarts what dies, leaves nothing behind."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from sigmax_tasks.simulator.server import SimulatorServer
from tests.switches import clean_environ

from .test_main_job import SIGMAX, children_of_ours, run_cli

pytestmark = pytest.mark.integration


def start_up(home: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    """A cluster whose output goes to a file, ready to be used."""
    environ = clean_environ()
    log = home / "up.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [
                *(str(SIGMAX), "up", "--concurrency", "4"),
                *("--flower-port", "0", "--metrics-port", "0", *arguments),
            ],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            env={**environ, "XDG_DATA_HOME": str(home), "NO_COLOR": "1", **env},
            cwd=home,
        )
    # The last line of what it says when it is ready: the login of Flower stands above it.
    ready = "use it from another terminal"
    wait_for(lambda: ready in log.read_text() or process.poll() is not None, 90)
    if process.poll() is not None:
        raise AssertionError(f"it ended with {process.returncode}:\n{log.read_text()}")
    return process


def wait_for(condition: Callable[[], Any], seconds: float) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"it did not happen within {seconds} s")


def ask_flower(url: str, path: str, login: str | None) -> Any:
    request = Request(f"{url}{path}")  # noqa: S310  # an address of this machine
    if login is not None:
        coded = base64.b64encode(login.encode()).decode()
        request.add_header("Authorization", f"Basic {coded}")
    with build_opener(ProxyHandler({})).open(request, timeout=10) as answer:
        return json.load(answer)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **env: str) -> subprocess.Popen[str]:
        started.append(start_up(tmp_path, *arguments, **env))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_a_local_cluster_is_found_used_kept_alive_and_stopped(
    up: Callable[..., subprocess.Popen[str]], simulator: SimulatorServer, tmp_path: Path
) -> None:
    process = up("--workers", "2")
    text = (tmp_path / "up.log").read_text()
    status = json.loads(run_cli("status", "--json", home=tmp_path, program=SIGMAX).stdout)
    local = status["local"]
    assert local["pid"] == process.pid
    assert set(local["services"]) == {
        *("redis", "worker-1", "worker-2", "beat", "flower", "metrics", "standby")
    }
    password = (tmp_path / "sigmax" / "cluster" / "password").read_text().strip()
    assert password not in json.dumps(status)
    assert password not in text

    # Used by a command that was told nothing.
    symbols = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
    submitted = ("--data", "simulated", "--json")
    done = run_cli(*symbols, *submitted, home=tmp_path, SIGMAX_SIMULATOR_URL=simulator.url)
    assert "running on the local cluster" in done.stderr
    decisions = [json.loads(line) for line in done.stdout.splitlines()]
    assert [decision["symbol"] for decision in decisions] == list(symbols), done.stderr
    ran_on = {task["worker"] for d in decisions for task in d["research"]["tasks"]}
    pids = {local["services"][name] for name in ("worker-1", "worker-2")}
    assert {int(worker.rpartition(":")[2]) for worker in ran_on} == pids

    # What they did is counted.
    with build_opener(ProxyHandler({})).open(local["metrics_url"], timeout=10) as answer:
        figures = answer.read().decode()
    assert 'sigmax_tasks_total{status="completed"} 18.0' in figures
    assert 'sigmax_runs_total{end="decided"} 3.0' in figures
    assert "sigmax_workers 2.0" in figures

    # Flower asks for the login that was shown once.
    (login,) = re.findall(r"login (\S+)", text)
    with pytest.raises(HTTPError, match="401"):
        ask_flower(local["flower_url"], "/api/workers", None)
    workers = wait_for(lambda: ask_flower(local["flower_url"], "/api/workers?refresh=1", login), 60)
    assert {name.partition("@")[0] for name in workers} <= {"worker-1", "worker-2"}

    # No second one; a worker that dies is replaced.
    second = run_cli("up", home=tmp_path, program=SIGMAX)
    assert second.returncode == 2
    assert f"runs already (process {process.pid})" in second.stderr
    os.kill(local["services"]["worker-1"], signal.SIGKILL)

    def replaced() -> bool:
        state = json.loads((tmp_path / "sigmax" / "cluster.json").read_text())
        return state["services"].get("worker-1", 0) not in {0, local["services"]["worker-1"]}

    wait_for(replaced, 60)
    assert "worker-1 | ended (by SIGKILL), starting it again" in (tmp_path / "up.log").read_text()

    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    assert children_of_ours(tmp_path) == []
    assert not (tmp_path / "sigmax" / "cluster.json").exists()
    assert not (tmp_path / "sigmax" / "cluster" / "standby.sock").exists()
    assert "Traceback" not in (tmp_path / "up.log").read_text()

    # Its runs are still there, and a run that was made before it is beside them.
    shown = run_cli("show", decisions[1]["run_id"], "--json", home=tmp_path, program=SIGMAX)
    assert json.loads(shown.stdout)["decision"]["decision_hash"] == decisions[1]["decision_hash"]
    again = up("--workers", "1", "--no-flower", "--no-beat", "--no-metrics")
    kept = run_cli("history", "--json", home=tmp_path, program=SIGMAX).stdout.splitlines()
    assert {json.loads(line)["run_id"] for line in kept} == {d["run_id"] for d in decisions}
    again.send_signal(signal.SIGTERM)
    assert again.wait(timeout=60) == 0


def test_a_killed_local_cluster_leaves_no_process_and_is_not_found(
    up: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = up("--workers", "1", "--no-flower", "--no-beat", "--no-metrics")
    process.kill()
    process.wait()
    wait_for(lambda: children_of_ours(tmp_path) == [], 60)
    state = tmp_path / "sigmax" / "cluster.json"
    assert state.exists()
    done = run_cli("status", home=tmp_path, program=SIGMAX)
    assert done.returncode == 4
    assert "the cluster it names is gone" in done.stderr
    assert not state.exists()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=1)
