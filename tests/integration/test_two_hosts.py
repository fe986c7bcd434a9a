"""Workers on two hosts, Redis on a third: network namespaces with a bridge between them.

All addresses are private to the namespaces, which have no way out. It needs root.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sigmax_tasks.cluster import find_redis
from tests.processes import PASSWORD, Processes, processes

from .test_main_job import SIGMAX, SUBMIT

pytestmark = pytest.mark.integration
TAG = f"sx{os.getpid() % 10_000}"
HOSTS = {"hub": "10.231.7.1", "left": "10.231.7.2", "right": "10.231.7.3"}
PORT = 6379
SIMULATOR_PORT = 8900
URL = f"redis://:{PASSWORD}@{HOSTS['hub']}:{PORT}/0"
SIMULATOR = f"http://{HOSTS['hub']}:{SIMULATOR_PORT}"
CUT_SECONDS = 10


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=10)


def inside(host: str, *command: str) -> tuple[str, ...]:
    return ("ip", "netns", "exec", f"{TAG}-{host}", *command)


@pytest.fixture
def hosts() -> Iterator[None]:
    """Three namespaces on a bridge that lives in a fourth."""
    reason = ""
    if not os.environ.get("SIGMAX_LONG_TESTS"):
        reason = "it takes about 40 s: make chaos, or SIGMAX_LONG_TESTS=1"
    elif shutil.which("ip") is None or os.geteuid() != 0:
        reason = "network namespaces need root and the ip program"
    with ExitStack() as made:
        try:
            if not reason:
                _build(made)
        except subprocess.CalledProcessError as error:
            reason = f"network namespaces are not permitted here: {error.stderr.decode()[:200]}"
        if reason:
            pytest.skip(reason)
        yield


def _build(made: ExitStack) -> None:
    def space(name: str) -> None:
        ip("netns", "add", f"{TAG}-{name}")
        made.callback(ip, "netns", "del", f"{TAG}-{name}")
        ip("-n", f"{TAG}-{name}", "link", "set", "lo", "up")

    space("net")
    net = ("-n", f"{TAG}-net")
    ip(*net, "link", "add", "bridge", "type", "bridge")
    ip(*net, "link", "set", "bridge", "up")
    for host, address in HOSTS.items():
        space(host)
        own = ("-n", f"{TAG}-{host}")
        end = {"name": host, "netns": f"{TAG}-net"}
        ip(*own, "link", "add", "eth0", "type", "veth", "peer", "name", *_pairs(end))
        ip(*net, "link", "set", host, "master", "bridge", "up")
        ip(*own, "addr", "add", f"{address}/24", "dev", "eth0")
        ip(*own, "link", "set", "eth0", "up")


def _pairs(end: dict[str, str]) -> tuple[str, ...]:
    return (end["name"], "netns", end["netns"])


def start_all(started: Processes, folder: Path) -> dict[str, str]:
    """Redis and data server on the hub, a worker on either side; the environment of all."""
    own = folder / "own"
    own.mkdir()
    # The data server of simulated runs is not on the loopback interface of the workers here.
    (own / "sources.yaml").write_text(f"allowed_source_roots: ['{SIMULATOR}']\n")
    environ = {
        "SIGMAX_BROKER_URL": URL,
        "SIGMAX_CONFIG_DIR": str(own),
        "SIGMAX_SIMULATOR_URL": SIMULATOR,
        "XDG_DATA_HOME": str(folder),
        "NO_COLOR": "1",
    }
    started.start(
        *inside("hub", find_redis(), "--port", str(PORT), "--bind", HOSTS["hub"]),
        *("--requirepass", PASSWORD, "--dir", str(folder), "--save", ""),
        log=folder / "redis.log",
    )
    serve = "from sigmax_tasks.simulator.server import SimulatorServer; import time\n"
    place = f"'{HOSTS['hub']}', {SIMULATOR_PORT}, allow_other_hosts=True"
    serve += f"with SimulatorServer({place}): time.sleep(600)"
    started.start(*inside("hub", sys.executable, "-c", serve), log=folder / "simulator.log")
    for side in ("left", "right"):
        started.start(
            *inside(side, sys.executable, "-m", "celery", "-A", "sigmax_tasks", "--quiet"),
            *("worker", "-n", f"{side}@{side}", "-c", "4", "-l", "WARNING"),
            *("--without-gossip", "--without-mingle"),
            environ=environ,
            log=folder / f"{side}.log",
        )
    return environ


def ask(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        inside("hub", *arguments),
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def await_two_workers(environ: dict[str, str]) -> None:
    end = time.monotonic() + 40
    while time.monotonic() < end:
        done = ask(environ, str(SIGMAX), "status", "--json")
        if done.returncode == 0 and len(json.loads(done.stdout)["workers"]) == 2:
            return
        time.sleep(0.3)
    raise AssertionError(f"no two workers: {done.stdout}{done.stderr}")


def test_a_host_that_is_cut_off_for_a_while_costs_no_decision(hosts: None, tmp_path: Path) -> None:
    with processes() as started:
        environ = start_all(started, tmp_path)
        await_two_workers(environ)
        # Each task takes a fifth of its estimate: the run lasts longer than the cut.
        command = (
            *(str(SUBMIT), "BTC/USDT", "ETH/USDT", "SOL/USDT", "--data", "simulated", "--json"),
            *("--set", "debug.simulate_execution=true"),
            *("--set", "engine.simulated_time_scale=0.2"),
        )
        submitted = started.start(
            *inside("hub", *command), environ=environ, log=tmp_path / "decisions"
        )
        end = time.monotonic() + 30
        while "batch 1 of" not in (tmp_path / "decisions").read_text() and time.monotonic() < end:
            time.sleep(0.05)
        ip("-n", f"{TAG}-net", "link", "set", "left", "down")
        time.sleep(CUT_SECONDS)
        ip("-n", f"{TAG}-net", "link", "set", "left", "up")
        # Decisions, or a HOLD where simulated execution leaves nothing to validate.
        assert submitted.wait(timeout=100) in {0, 3}, (tmp_path / "decisions").read_text()
        lines = (tmp_path / "decisions").read_text().splitlines()
        decisions = [json.loads(line) for line in lines if line.startswith("{")]
        assert sorted(d["symbol"] for d in decisions) == ["BTC/USDT", "ETH/USDT", "SOL/USDT"]
        for decision in decisions:
            research = decision["research"]
            assert research["completed"] == research["total_tasks"], "sent again, none lost"
        kept = ask(environ, str(SIGMAX), "history", "--json").stdout.splitlines()
        assert sorted(json.loads(line)["run_id"] for line in kept) == sorted(
            d["run_id"] for d in decisions
        ), "one decision for each run"

        # Healed: both hosts work again, on real (simulated) data from the third.
        await_two_workers(environ)
        done = ask(
            environ,
            *(str(SUBMIT), "BTC/USDT", "ETH/USDT", "SOL/USDT", "--data", "simulated", "--json"),
        )
        assert done.returncode == 0, done.stderr
        after = [json.loads(line) for line in done.stdout.splitlines()]
        assert {d["research"]["completed"] for d in after} == {6}
        assert len({t["worker"] for d in after for t in d["research"]["tasks"]}) == 2
