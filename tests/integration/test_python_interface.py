"""SIGMAX and TaskExecutor on real processes, and every Python example of the documentation."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sigmax_planner.models import ResearchTask, TaskPriority
from sigmax_tasks import SIGMAX, PlanningAgent, TaskExecutor
from sigmax_tasks.archive import RunArchive, default_folder
from sigmax_tasks.client import Client
from sigmax_tasks.errors import EngineError, RunCancelledError
from sigmax_tasks.simulator.server import SimulatorServer
from tests.switches import clean_environ, load_settings, switch_environ

from .conftest import Pool
from .test_main_job import children_of_ours, nothing_left

pytestmark = pytest.mark.integration
REPO = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/PYTHON.md")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SLOW = ["debug.simulate_execution=true", "engine.simulated_time_scale=1"]


def examples() -> list[Any]:
    return [
        pytest.param(code, id=f"{page}-{number}")
        for page in PAGES
        for number, code in enumerate(BLOCK.findall((REPO / page).read_text()), start=1)
    ]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data and temporary folder of what is started; the tests stay outside of it."""
    for name in list(os.environ):
        if name.startswith(("SIGMAX_", "CELERY_")) and name != "SIGMAX_SHARED_DATA":
            monkeypatch.delenv(name)
    for name, value in switch_environ().items():
        monkeypatch.setenv(name, value)
    folder, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.chdir(elsewhere)
    return folder


def run_python(code: str, home: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", code],
        capture_output=True,
        check=False,
        text=True,
        timeout=90,
        cwd=home,
        stdin=subprocess.DEVNULL,
        env={
            **clean_environ(),
            **environ,
        },
    )


def task(task_id: str, *dependencies: str, **fields: Any) -> ResearchTask:
    return ResearchTask(
        task_id=task_id,
        name=task_id,
        priority=TaskPriority.HIGH,
        dependencies=dependencies,
        timeout_seconds=20,
        **fields,
    )


def simulated_on(pool: Pool, simulator: SimulatorServer, **options: Any) -> SIGMAX:
    os.environ["SIGMAX_SIMULATOR_URL"] = simulator.url
    try:
        return SIGMAX(data="simulated", broker_url=pool.url, **options)
    finally:
        del os.environ["SIGMAX_SIMULATOR_URL"]


async def one_run_is_open(bot: SIGMAX) -> None:
    place = bot.place
    assert place is not None
    assert place.opened is not None
    client = Client(bot.settings, place.opened.cluster.broker_url)
    async with asyncio.timeout(60):
        while not client.live_runs():
            await asyncio.sleep(0.02)
    client.close()


def test_the_documentation_has_examples() -> None:
    assert len(examples()) >= 5


@pytest.fixture(scope="module")
def runs_of_examples(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Future[tuple[subprocess.CompletedProcess[str], bool]]]]:
    """Every example with a home of its own, two at a time: what it said, and whether it left it."""

    def run(code: str, home: Path) -> tuple[subprocess.CompletedProcess[str], bool]:
        done = run_python(code, home, XDG_DATA_HOME=str(home), TMPDIR=str(home))
        return done, nothing_left(home)

    with ThreadPoolExecutor(2) as threads:
        yield {
            code: threads.submit(run, code, tmp_path_factory.mktemp("example"))
            for (code,) in (example.values for example in examples())
        }


@pytest.mark.parametrize("code", examples())
def test_every_example_of_the_documentation_runs(
    code: str,
    home: Path,
    runs_of_examples: dict[str, Future[tuple[subprocess.CompletedProcess[str], bool]]],
) -> None:
    done, left_nothing = runs_of_examples[code].result()
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert done.stderr == ""
    assert left_nothing


def test_symbols_at_once_share_nothing_and_leave_the_event_loop_free(home: Path) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.01)

    async def main() -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
        async with SIGMAX(mode="paper", risk_profile="conservative", data="simulated") as bot:
            ticking = asyncio.create_task(tick())
            alone = await bot.analyze_symbol("BTC/USDT")
            together = await asyncio.gather(
                bot.analyze_symbol("BTC/USDT"),
                bot.analyze_symbol("ETH/USDT", risk_profile="aggressive"),
            )
            status = await bot.get_status()
            ticking.cancel()
            await bot.initialize()  # open already
        return alone, together, status

    alone, (bitcoin, ether), status = asyncio.run(main())
    assert ticks > 20, "the loop was blocked"
    assert alone["decision_hash"] == bitcoin["decision_hash"]
    assert alone["run_id"] != bitcoin["run_id"]
    assert (bitcoin["symbol"], ether["symbol"]) == ("BTC/USDT", "ETH/USDT")
    assert (bitcoin["risk_profile"], ether["risk_profile"]) == ("conservative", "aggressive")
    for decision in (bitcoin, ether):
        assert decision["simulated"] is True
        assert decision["research"]["completed"] == decision["plan"]["task_count"]
    assert status["planning"]["max_parallel_tasks"] == 4
    assert status["agents"] == {"planner": "active", "researcher": "active"}
    assert (status["cluster"]["state"], status["cluster"]["kind"]) == ("up", "embedded")
    assert len(status["cluster"]["workers"]) == 1
    assert "***" in status["cluster"]["broker"]
    assert nothing_left(home)
    assert set(RunArchive(default_folder()).ids()) >= {bitcoin["run_id"], ether["run_id"]}


def test_a_forgotten_bot_leaves_nothing_behind(home: Path) -> None:
    code = """
import asyncio
from sigmax_tasks import SIGMAX
bot = SIGMAX(data="simulated")
asyncio.run(bot.initialize())
decision = asyncio.run(bot.analyze_symbol("BTC/USDT"))
print(decision["run_id"])
"""
    done = run_python(code, home)
    assert (done.returncode, done.stderr) == (0, "")
    assert nothing_left(home)
    assert RunArchive(default_folder()).ids() == (done.stdout.strip(),)


def test_ctrl_c_in_a_program_leaves_nothing_behind(home: Path) -> None:
    code = f"""
import asyncio
from sigmax_tasks import SIGMAX
async def main():
    bot = SIGMAX(data="simulated", overrides={SLOW!r})
    await bot.initialize()
    print("open", flush=True)
    await bot.analyze_symbol("BTC/USDT")
asyncio.run(main())
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode != 0
    assert stderr.strip().endswith("KeyboardInterrupt")
    assert "ignored" not in stderr
    assert nothing_left(home)


def test_a_bot_that_is_garbage_is_closed(home: Path) -> None:
    bot = SIGMAX(data="simulated")
    asyncio.run(bot.initialize())
    assert len(children_of_ours(home)) >= 2
    del bot
    assert nothing_left(home)


def test_closing_cancels_what_is_in_work(home: Path) -> None:
    async def main() -> BaseException | None:
        bot = SIGMAX(data="simulated", overrides=SLOW)
        await bot.initialize()
        analysis = asyncio.create_task(bot.analyze_symbol("BTC/USDT"))
        await one_run_is_open(bot)
        await bot.close()
        await asyncio.wait([analysis])
        with pytest.raises(EngineError, match="no cluster is open"):
            await bot.analyze_symbol("BTC/USDT")
        return analysis.exception()

    error = asyncio.run(main())
    assert isinstance(error, EngineError)
    assert "its cluster was closed" in str(error)
    assert nothing_left(home)


def test_cancelling_an_analysis_cancels_its_run_and_no_other(
    shared_pool: Pool, simulator: SimulatorServer, home: Path
) -> None:
    pool = shared_pool
    quick = [SLOW[0], "engine.simulated_time_scale=0.02"]

    async def main() -> tuple[str, dict[str, Any]]:
        client = Client(load_settings(environ={}).settings, pool.url)
        bot = simulated_on(pool, simulator, overrides=SLOW)
        other = simulated_on(pool, simulator, overrides=quick)
        async with bot, other:
            analysis = asyncio.create_task(bot.analyze_symbol("BTC/USDT"))
            while not client.live_runs():
                await asyncio.sleep(0.02)
            ((run_id, _),) = client.live_runs()
            second = asyncio.create_task(other.analyze_symbol("ETH/USDT"))
            analysis.cancel()
            with pytest.raises(asyncio.CancelledError):
                await analysis
            assert run_id not in [live for live, _ in client.live_runs()]
            status = await bot.get_status()
            assert (status["cluster"]["kind"], status["cluster"]["state"]) == ("configured", "up")
            decision = await second
        with pytest.raises(RunCancelledError):
            list(client.follow([run_id]))
        client.close()
        return run_id, decision

    run_id, decision = asyncio.run(main())
    assert decision["run_id"] != run_id
    assert decision["research"]["completed"] == 6
    assert pool.started.latest.poll() is None, "a configured cluster is not stopped"


def test_a_plan_runs_here_and_on_the_workers(
    shared_pool: Pool, simulator: SimulatorServer, home: Path
) -> None:
    pool, worker = shared_pool, shared_pool.started.latest

    async def main() -> dict[str, Any]:
        plan = await PlanningAgent().create_plan("BTC/USDT", {}, "aggressive")
        executor = TaskExecutor(
            max_parallel=2, max_retries=1, retry_delay=0, bot=simulated_on(pool, simulator)
        )
        for name, handler in {
            "mine": lambda task, context: context["upstream"]["technical"]["score"],
            "bad": lambda task, context: 1 / 0,
            "after": lambda task, context: 1,
        }.items():
            executor.register_handler(name, handler)
        return await executor.execute_plan(
            [*plan["tasks"], task("mine", "technical"), task("bad"), task("after", "bad")],
            [*plan["execution_order"], ["mine", "bad"], ["after"]],
            {"symbol": "BTC/USDT", "risk_profile": "aggressive"},
        )

    summary = asyncio.run(main())
    details, results = summary["task_details"], summary["results"]
    assert (summary["total_tasks"], summary["completed"]) == (8, 6), details
    assert (summary["failed"], summary["skipped"]) == (1, 1)
    assert results["mine"] == results["technical"]["score"]
    assert details["bad"]["reason"] == "ZeroDivisionError: division by zero"
    assert details["bad"]["attempts"] == 2
    assert details["after"]["reason"] == "dependency bad failed"
    assert details["technical"]["worker"].endswith(f":{worker.pid}")
    assert details["mine"]["worker"].endswith(f":{os.getpid()}")
    assert details["technical"]["providers"]


def test_the_workers_keep_to_the_width_and_skip_behind_a_failure(
    shared_pool: Pool, home: Path
) -> None:
    pool = shared_pool
    exchanges = ("kraken", "coinbase", "binance", "okx", "bybit")
    down = {name: [{"kind": "down"}] for name in exchanges}
    with SimulatorServer(faults={"providers": down}) as server:
        executor = TaskExecutor(max_parallel=1, max_retries=0, bot=simulated_on(pool, server))
        tasks = [task("technical"), task("macro"), task("momentum", "technical")]
        order = [["technical", "macro"], ["momentum"]]
        summary = asyncio.run(executor.execute_plan(tasks, order, {"symbol": "BTC/USDT"}))
    details = summary["task_details"]
    assert details["technical"]["status"] == "failed"
    assert details["technical"]["attempts"] == 1
    assert details["momentum"]["reason"] == "dependency technical failed"
    assert details["macro"]["status"] == "completed"
    assert set(summary["results"]) == {"macro"}
    client = Client(load_settings(environ={}).settings, pool.url)
    (record,) = client.history(1)
    client.close()
    assert record.plan.execution_order == (("technical",), ("macro",), ("momentum",))
