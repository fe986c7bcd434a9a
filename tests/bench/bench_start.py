"""From the shell to the decision, cold and warm, import times, and memory of client and worker.

Cold: no cluster runs, ``sigmax-submit`` starts and stops a private one. Warm: the cluster of
``sigmax up`` runs already, with its standby. Both on simulated data; what is shown is the time
beyond the longest path of its tasks, batch by batch. Run it from the root of the repository:
``python -m tests.bench.bench_start [--quick]``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.bench.stand import report, spread, table, wait_for
from tests.bench.systems import sigmax

BIN = Path(sys.executable).parent
IMPORTS = {
    "sigmax-submit --help": [str(BIN / "sigmax-submit"), "--help"],
    "sigmax plan BTC/USDT": [str(BIN / "sigmax"), "plan", "BTC/USDT"],
    "import sigmax_tasks.client": [sys.executable, "-c", "import sigmax_tasks.client"],
    "import sigmax_tasks.tasks": [sys.executable, "-c", "import sigmax_tasks.tasks"],
    "python alone": [sys.executable, "-c", ""],
}


def seconds_of(command: list[str], environ: Mapping[str, str]) -> tuple[float, str]:
    start = time.perf_counter()
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    return time.perf_counter() - start, ended.stdout


def path_seconds(decision: Mapping[str, Any]) -> float:
    """The longest task of each batch, as measured, one batch behind the other."""
    took = {task["task_id"]: task["duration_seconds"] for task in decision["research"]["tasks"]}
    return sum(
        max(took[task_id] for task_id in batch) for batch in decision["plan"]["execution_order"]
    )


def decisions(environ: Mapping[str, str], rounds: int) -> dict[str, list[float]]:
    command = [str(BIN / "sigmax-submit"), "BTC/USDT", "--data", "simulated", "--json"]
    found: dict[str, list[float]] = {"total": [], "beyond": []}
    for _ in range(rounds):
        took, out = seconds_of(command, environ)
        decision = json.loads(out.splitlines()[-1])
        found["total"].append(took)
        found["beyond"].append(took - path_seconds(decision))
    return found


@contextlib.contextmanager
def up(environ: Mapping[str, str]) -> Iterator[None]:
    """``sigmax up`` for the block."""
    process = subprocess.Popen(
        [str(BIN / "sigmax"), "up", "--workers", "1", "--no-flower", "--no-beat", "--no-metrics"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environ,
        start_new_session=True,
    )
    try:
        status = [str(BIN / "sigmax"), "status"]
        wait_for(
            lambda: (
                "worker"
                in subprocess.run(
                    status, env=environ, capture_output=True, text=True, check=False
                ).stdout
            ),
            "sigmax up",
        )
        time.sleep(3)  # until its workers have imported what they do in the background
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def standby_memory_mb(home: Path) -> float:
    """Resident memory of the process that spares ``sigmax-submit`` its imports."""
    state = json.loads((home / "sigmax" / "cluster.json").read_text())
    return float(psutil.Process(state["services"]["standby"]).memory_info().rss / 1e6)


def memory_mb(environ: Mapping[str, str]) -> dict[str, float]:
    """Resident memory of a client that has made a plan, and of a worker behind its first runs."""
    client = subprocess.Popen(
        [sys.executable, "-c", "import sigmax_tasks.client, time; time.sleep(60)"], env=environ
    )
    time.sleep(4)
    found = {"client": psutil.Process(client.pid).memory_info().rss / 1e6}
    client.kill()
    client.wait()
    with sigmax(0.0, 1, 16) as system:
        found["worker, no-op plans"] = system.stand.memory_mb()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = 3 if parser.parse_args().quick else 9
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="sigmax-bench-") as home:
        environ = {**os.environ, "XDG_DATA_HOME": home}
        environ.pop("SIGMAX_BROKER_URL", None)
        figures["cold"] = decisions(environ, rounds)
        with up(environ):
            figures["warm"] = decisions(environ, rounds)
            standby = standby_memory_mb(Path(home))
        for name, command in IMPORTS.items():
            figures[name] = [seconds_of(command, environ)[0] for _ in range(rounds)]
        figures["memory_mb"] = {**memory_mb(environ), "standby": standby}
    print(f"seconds, median (least to most) of {rounds}")
    rows = [
        (f"{name}: {text}", spread(figures[name][key], 2))
        for name in ("cold", "warm")
        for key, text in (
            ("total", "shell to decision"),
            ("beyond", "beyond the longest path of its tasks"),
        )
    ]
    rows += [(name, spread(figures[name], 2)) for name in IMPORTS]
    print(table(("", "seconds"), rows))
    for name, value in figures["memory_mb"].items():
        print(f"memory of {name}: {value:.0f} MB")

    report("start", figures)


if __name__ == "__main__":
    main()
