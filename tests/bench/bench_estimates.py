"""How far estimates are off, before and after a cluster has learned from its own runs.

Run it from the root of the repository: ``python tests/bench/bench_estimates.py`` (``make bench``).
Full research of simulated markets on a private cluster: each run is planned with what the runs
before it have taught, then what it took is held against its plan.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from sigmax_planner.models import AnalysisRequest, DataMode
from sigmax_tasks.client import Client
from sigmax_tasks.cluster import embedded_cluster
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.settings import load_settings
from sigmax_tasks.simulator.server import SimulatorServer

RUNS = 25
STAGES = (("run 1 to 5, static", 0, 5), ("run 6 to 20", 5, 20), ("run 21 to 25", 20, 25))
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")


@dataclass(frozen=True)
class Compared:
    """One run: what was planned and what it took, in seconds and USD."""

    planned: float
    took: float
    tasks: tuple[tuple[float, float], ...]
    planned_usd: float
    cost_usd: float
    learned: int


def one_run(client: Client, number: int, server: SimulatorServer) -> Compared:
    settings = load_settings(shipped_folder(), (), {}).settings
    request = AnalysisRequest(
        symbol=SYMBOLS[number % len(SYMBOLS)],
        risk_profile="balanced",
        data_mode=DataMode.SIMULATED,
        as_of=settings.runtime.simulator.as_of,
        seed=number,
        source_root=server.url,
    )
    run = client.submit(request)
    for _ in client.follow([run.run_id]):
        pass
    outcomes = client.dossier(run.run_id).outcomes
    worked = [o for o in outcomes if o.status is TaskStatus.COMPLETED]
    begun, ended = min(o.started_at for o in worked), max(o.finished_at for o in worked)
    return Compared(
        planned=run.plan.estimated_time_parallel,
        took=(ended - begun).total_seconds(),
        tasks=tuple(
            (run.plan.task(o.task_id).estimated_seconds, o.duration_seconds) for o in worked
        ),
        planned_usd=float(run.plan.estimated_cost),
        cost_usd=float(sum(o.cost_usd for o in outcomes)),
        learned=sum(task.estimate_basis != "static" for task in run.plan.tasks),
    )


def print_stage(name: str, runs: Sequence[Compared]) -> None:
    """Medians; off: how far the estimate lies from what was measured, as a share of that."""
    tasks = [pair for run in runs for pair in run.tasks]
    off_tasks = statistics.median(abs(planned - took) / took for planned, took in tasks)
    off_runs = statistics.median(abs(run.planned - run.took) / run.took for run in runs)
    off_usd = statistics.median(abs(run.planned_usd - run.cost_usd) for run in runs)
    print(
        f"  {name:<20}{statistics.median(r.learned for r in runs):>8g}"
        f"{statistics.median(r.planned for r in runs):>10.2f}"
        f"{statistics.median(r.took for r in runs):>8.2f}"
        f"{off_runs:>10.0%}{off_tasks:>11.0%}{off_usd:>11.3f}"
    )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="sigmax-bench-") as home:
        os.environ["XDG_DATA_HOME"] = home
        # Every run asks for itself: answers kept from the run before would flatter the estimates.
        settings = load_settings(shipped_folder(), ("cache.enabled=false",), {}).settings
        with (
            SimulatorServer() as server,
            embedded_cluster(settings) as cluster,
            closing(Client(settings, cluster.broker_url)) as client,
        ):
            runs = [one_run(client, number, server) for number in range(RUNS)]
    print("simulated research, balanced: seconds of a run from its first start to its last end")
    head = f"  {'':<20}{'learned':>8}{'planned':>10}{'took':>8}{'run off':>10}{'tasks off':>11}"
    print(f"{head}{'USD off':>11}")
    for name, first, last in STAGES:
        print_stage(name, runs[first:last])


if __name__ == "__main__":
    main()
