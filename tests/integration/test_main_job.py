"""The main job on real processes: a Redis, worker processes, real HTTP, one decision per run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from sigmax_planner.models import AnalysisRequest, DataMode
from sigmax_tasks.client import Client
from sigmax_tasks.models.events import EventKind
from sigmax_tasks.settings import Settings
from sigmax_tasks.simulator.server import SimulatorServer
from tests.processes import wait_until
from tests.switches import clean_environ, load_settings

from .conftest import Pool

pytestmark = pytest.mark.integration
SUBMIT = Path(sys.executable).with_name("sigmax-submit")
SIGMAX = Path(sys.executable).with_name("sigmax")


def run_cli(*arguments: str, home: Path, timeout: float = 90, program: Path = SUBMIT, **env: str):
    environ = clean_environ()
    return subprocess.run(
        [str(program), *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        env={**environ, "XDG_DATA_HOME": str(home), "TMPDIR": str(home), "NO_COLOR": "1", **env},
        cwd=home,
    )


def request_for(symbol: str, server: SimulatorServer, settings: Settings) -> AnalysisRequest:
    return AnalysisRequest(
        symbol=symbol,
        risk_profile="balanced",
        data_mode=DataMode.SIMULATED,
        as_of=settings.runtime.simulator.as_of,
        seed=11,
        source_root=server.url,
    )


def children_of_ours(folder: Path) -> list[str]:
    """Live processes started for a test: its folder is in their environment or their work folder.

    Redis overwrites its environment with its title, but works in a temporary folder of the run.
    """
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.environ().get("XDG_DATA_HOME") == str(folder)
            if ours or Path(process.cwd()).is_relative_to(folder):
                found.append(" ".join(process.cmdline()))
        except (psutil.Error, OSError):
            continue
    return found


def start_slow_run(home: Path) -> subprocess.Popen[bytes]:
    """A submission whose tasks take their estimated time, with its cluster up."""
    process = subprocess.Popen(
        [
            *(str(SUBMIT), "BTC/USDT", "--data", "simulated"),
            *("--set", "debug.simulate_execution=true"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "XDG_DATA_HOME": str(home), "TMPDIR": str(home)},
        start_new_session=True,
    )
    # Redis, worker, guardian and the command itself.
    wait_until(lambda: len(children_of_ours(home)) >= 4, 60, "a cluster")
    return process


def nothing_left(home: Path, seconds: float = 10) -> bool:
    """Whether all that was started is gone; a killed process may take a moment to be."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not children_of_ours(home) and not list(home.glob("sigmax-*")):
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def settings() -> Settings:
    return load_settings(environ={}).settings


def test_embedded_run_gives_one_decision_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = run_cli("BTC/USDT", "--data", "simulated", "--json", home=tmp_path)
    assert done.returncode in {0, 3}, done.stderr
    (line,) = done.stdout.splitlines()
    decision = json.loads(line)
    assert decision["symbol"] == "BTC/USDT"
    assert decision["simulated"] is True
    research = decision["research"]
    assert research["total_tasks"] == 6
    assert research["completed"] == 6, research
    assert research["completed"] + research["failed"] + research["skipped"] == 6
    assert "Traceback" not in done.stderr
    assert nothing_left(tmp_path)
    shown = run_cli("show", decision["run_id"], "--json", home=tmp_path, program=SIGMAX)
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["decision"]["decision_hash"] == decision["decision_hash"]


def test_the_same_seed_gives_the_same_decision(tmp_path: Path) -> None:
    given = ("ETH/USDT", "--data", "simulated", "--seed", "5", "--json")
    homes = [tmp_path / name for name in ("one", "two")]
    for home in homes:
        home.mkdir()
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(lambda home: run_cli(*given, home=home), homes))
    lines = [json.loads(done.stdout) for done in both]
    assert lines[0]["decision_hash"] == lines[1]["decision_hash"]
    assert lines[0]["run_id"] != lines[1]["run_id"]


def test_tasks_spread_over_two_workers(
    make_pool: Callable[[], Pool], simulator: SimulatorServer, tmp_path: Path
) -> None:
    pool = make_pool()
    pool.start_worker("one")
    pool.start_worker("two")
    pool.wait_for_workers(2)
    symbols = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
    done = run_cli(
        *symbols,
        *("--broker", pool.url, "--data", "simulated", "--json"),
        home=tmp_path,
        SIGMAX_SIMULATOR_URL=simulator.url,
    )
    decisions = [json.loads(line) for line in done.stdout.splitlines()]
    assert [decision["symbol"] for decision in decisions] == list(symbols), done.stderr
    workers = {task["worker"] for d in decisions for task in d["research"]["tasks"]}
    assert len(workers) == 2
    shown = run_cli(
        "show", decisions[0]["run_id"], "--broker", pool.url, home=tmp_path, program=SIGMAX
    )
    assert shown.returncode == 0
    assert any(worker.rpartition(":")[2] in shown.stdout for worker in workers)


def test_a_killed_worker_costs_no_run(
    make_pool: Callable[[], Pool], simulator: SimulatorServer, settings: Settings
) -> None:
    pool = make_pool()
    victim = pool.start_worker("victim", SIGMAX_ENGINE__LEASE_SECONDS="1.5")
    pool.wait_for_workers(1)
    own = load_settings(
        overrides=("debug.simulate_execution=true", "engine.simulated_time_scale=0.04"), environ={}
    ).settings
    client = Client(own, pool.url)
    try:
        run = client.submit(request_for("BTC/USDT", simulator, settings))
        events = client.follow([run.run_id])
        for event in events:
            if event is not None and event.kind is EventKind.TASK_STARTED:
                break
        os.killpg(victim.pid, signal.SIGKILL)
        pool.start_worker("heir", SIGMAX_ENGINE__LEASE_SECONDS="1.5")
        kinds = [event.kind for event in events if event is not None]
        assert EventKind.TASK_REDISPATCHED in kinds
        assert kinds.count(EventKind.RUN_FINISHED) == 1
        research = client.record(run.run_id).research
        assert research.completed == research.total_tasks == 6
    finally:
        client.close()


def test_a_run_past_its_deadline_ends_with_what_there_is(
    shared_pool: Pool, simulator: SimulatorServer, settings: Settings
) -> None:
    own = load_settings(
        overrides=("debug.simulate_execution=true", "engine.simulated_time_scale=1"), environ={}
    ).settings
    request = request_for("BTC/USDT", simulator, settings)
    client = Client(own, shared_pool.url)
    try:
        run = client.submit(request.model_copy(update={"deadline_seconds": 3.0}))
        for _ in client.follow([run.run_id]):
            pass
        record = client.record(run.run_id)
        assert record.partial or record.research.failed
        assert record.decision.action.value == "HOLD"
        assert record.research.completed < 6
        total = record.research.completed + record.research.failed + record.research.skipped
        assert total == 6
    finally:
        client.close()


def test_a_failed_dependency_skips_its_dependents(shared_pool: Pool, settings: Settings) -> None:
    exchanges = ("kraken", "coinbase", "binance", "okx", "bybit")
    down = {name: [{"kind": "down"}] for name in exchanges}
    with SimulatorServer(faults={"providers": down}) as server:
        own = load_settings(overrides=("task_execution.max_retries=0",), environ={}).settings
        client = Client(own, shared_pool.url)
        try:
            run = client.submit(request_for("BTC/USDT", server, settings))
            for _ in client.follow([run.run_id]):
                pass
            record = client.record(run.run_id)
        finally:
            client.close()
    states = {task.task_id: (task.status.value, task.reason) for task in record.research.tasks}
    assert states["technical"][0] == "failed"
    assert states["patterns"] == ("skipped", "dependency technical failed")
    assert states["sentiment"][0] == "completed"
    assert record.decision.action.value == "HOLD"
    assert any(gap.task_id == "technical" for gap in record.decision.validation.gaps)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_an_interrupted_run_leaves_nothing(tmp_path: Path, name: str, code: int) -> None:
    process = start_slow_run(tmp_path)
    process.send_signal(getattr(signal, name))
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    assert b"Traceback" not in stderr
    assert nothing_left(tmp_path)


def test_a_killed_submitter_leaves_no_orphan(tmp_path: Path) -> None:
    process = start_slow_run(tmp_path)
    process.kill()
    process.communicate()
    assert nothing_left(tmp_path)


def test_one_failing_source_leaves_a_decision_with_that_gap(
    shared_pool: Pool, tmp_path: Path
) -> None:
    broken = [{"kind": "error", "status": 503}]
    faults = {"providers": {"reddit": broken, "stocktwits": broken}}
    with SimulatorServer(faults=faults) as server:
        done = run_cli(
            *(
                "BTC/USDT",
                "--data",
                "simulated",
                "--json",
                "--set",
                "task_execution.retry_delay=0.1",
                "--broker",
                shared_pool.url,
            ),
            home=tmp_path,
            SIGMAX_SIMULATOR_URL=server.url,
        )
    assert done.returncode == 0, done.stderr
    decision = json.loads(done.stdout)
    gaps = [gap for gap in decision["validation"]["gaps"] if gap["source"] == "social"]
    assert gaps
    assert "reddit" in gaps[0]["reason"]
    assert "503" in gaps[0]["reason"]
    (sentiment,) = [t for t in decision["research"]["tasks"] if t["task_id"] == "sentiment"]
    assert sentiment["status"] == "completed"
    assert sentiment["attempts"] == 3, "a server error is tried again, twice"


def test_no_source_at_all_is_a_hold_that_is_not_validated(
    shared_pool: Pool, tmp_path: Path
) -> None:
    with SimulatorServer(faults={"providers": {"*": [{"kind": "down"}]}}) as server:
        done = run_cli(
            *(
                "BTC/USDT",
                "--data",
                "simulated",
                "--json",
                "--set",
                "task_execution.retry_delay=0.1",
                "--broker",
                shared_pool.url,
            ),
            home=tmp_path,
            SIGMAX_SIMULATOR_URL=server.url,
        )
    assert done.returncode == 3, done.stderr
    decision = json.loads(done.stdout)
    assert decision["action"] == "HOLD"
    assert decision["validation"]["passed"] is False
    named = {gap["task_id"] for gap in decision["validation"]["gaps"]}
    assert {"sentiment", "onchain", "technical"} <= named
    assert decision["reference_price"] is None, "no value is made up"


def test_a_task_without_a_handler_is_an_error_before_anything_runs(tmp_path: Path) -> None:
    done = run_cli(
        *("BTC/USDT", "--data", "simulated", "--set", "tasks.macro.handler=no_such.module:run"),
        home=tmp_path,
    )
    assert done.returncode == 2
    assert "'macro'" in done.stderr
    assert "Traceback" not in done.stderr
    assert nothing_left(tmp_path)
