"""What critical-path batching gains over levels: planned, and measured on a private cluster.

Run it from the root of the repository: ``python tests/bench/bench_batching.py``, or ``make bench``;
with ``--planned`` nothing is started. Measured tasks are timed no-ops at a hundredth of their
estimates, so that a second of a plan is 10 ms and what the engine itself takes shows.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime

from sigmax_planner.batches import make_batches
from sigmax_planner.estimates import critical_path, parallel_seconds
from sigmax_planner.flow import flow_seconds
from sigmax_planner.models import (
    AnalysisRequest,
    Batching,
    DataMode,
    ResearchPlan,
    ResearchTask,
    TaskPriority,
)
from sigmax_planner.planner import create_plan
from sigmax_tasks.client import Client
from sigmax_tasks.cluster import embedded_cluster
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.settings import Settings, load_settings

CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)
SCALE = 0.01
RUNS = 5
REFERENCE = (
    ("conservative", True, 4),
    ("conservative", True, 3),
    ("conservative", False, 3),
    ("balanced", True, 3),
    ("balanced", False, 3),
    ("balanced", False, 4),
    ("aggressive", False, 3),
    ("aggressive", True, 3),
)
GRAPHS = 300


def settings_of(batching: Batching) -> Settings:
    own = (
        f"planning.batching={batching.value}",
        "planning.learned_estimates=false",
        "debug.simulate_execution=true",
        f"engine.simulated_time_scale={SCALE}",
    )
    return load_settings(shipped_folder(), own, {}).settings


def request_of(profile: str, optional: bool, width: int) -> AnalysisRequest:
    return AnalysisRequest(
        symbol="BTC/USDT",
        risk_profile=profile,
        width=width,
        include_optional=optional,
        data_mode=DataMode.SIMULATED,
        as_of=CREATED_AT,
        seed=1,
        source_root="http://127.0.0.1:9",
    )


def planned(settings: Settings, case: tuple[str, bool, int]) -> ResearchPlan:
    return create_plan(request_of(*case), settings.planning, settings.catalog, CREATED_AT)


def random_tasks(dice: random.Random, count: int, equal: bool) -> list[ResearchTask]:
    """Up to three dependencies a task, 5 to 60 seconds; of one priority or of all."""
    priorities = [TaskPriority.MEDIUM] if equal else list(TaskPriority)
    return [
        ResearchTask(
            task_id=f"t{number}",
            name=f"t{number}",
            priority=dice.choice(priorities),
            dependencies=tuple(
                f"t{n}" for n in dice.sample(range(number), min(number, dice.randint(0, 3)))
            ),
            timeout_seconds=dice.randint(5, 60),
        )
        for number in range(count)
    ]


def gains(count: int, width: int, *, equal: bool) -> tuple[list[float], list[float]]:
    """Share of the time by levels that is saved, and time over the lower bound, per graph."""
    dice = random.Random(f"{count} {width} {equal}")
    saved, over = [], []
    for _ in range(GRAPHS):
        tasks = random_tasks(dice, count, equal)
        levels = parallel_seconds(tasks, make_batches(tasks, width))
        flow = flow_seconds(tasks, width)
        bound = max(critical_path(tasks).seconds, sum(t.estimated_seconds for t in tasks) / width)
        saved.append(1 - flow / levels)
        over.append(flow / bound)
    return saved, over


def measure(url: str, batching: Batching) -> Iterator[float]:
    """Median seconds from the first start to the last end of each reference plan, at full scale."""
    settings = settings_of(batching)
    with closing(Client(settings, url)) as client:
        for case in REFERENCE:
            spans: list[float] = []
            for _ in range(RUNS):
                run = client.submit(request_of(*case))
                for _ in client.follow([run.run_id]):
                    pass
                outcomes = client.dossier(run.run_id).outcomes
                begun = min(outcome.started_at for outcome in outcomes)
                ended = max(outcome.finished_at for outcome in outcomes)
                spans.append((ended - begun).total_seconds() / SCALE)
            yield statistics.median(spans)


def print_reference(measured: Sequence[tuple[float, float]] | None) -> None:
    print("reference plans, seconds; critical: the longest chain, which no width can beat")
    head = f"  {'profile':<14}{'optional':<10}{'width':>5}{'critical':>10}{'levels':>8}"
    print(f"{head}{'flow':>7}{'saved':>8}   measured: levels    flow   saved")
    settings = settings_of(Batching.LEVELS)
    for number, case in enumerate(REFERENCE):
        plan = planned(settings, case)
        levels, flow = plan.estimated_time_by_batching.values()
        line = (
            f"  {case[0]:<14}{'on' if case[1] else 'off':<10}{case[2]:>5}"
            f"{plan.critical_path_seconds:>10g}{levels:>8g}{flow:>7g}{1 - flow / levels:>8.0%}"
        )
        if measured is not None:
            by_levels, by_flow = measured[number]
            line += f"{by_levels:>19.1f}{by_flow:>8.1f}{1 - by_flow / by_levels:>8.0%}"
        print(line)


def print_random() -> None:
    print(f"random graphs, {GRAPHS} each; over: time by flow over the lower bound")
    head = f"  {'tasks':>5}{'width':>7}  {'priorities':<11}{'saved: median':>14}"
    print(f"{head}{'worst':>8}{'over':>7}")
    for count in (6, 12, 30):
        for width in (3, 4, 8):
            for equal in (True, False):
                saved, over = gains(count, width, equal=equal)
                print(
                    f"  {count:>5}{width:>7}  {'one' if equal else 'all':<11}"
                    f"{statistics.median(saved):>14.0%}{min(saved):>8.0%}"
                    f"{statistics.median(over):>7.2f}"
                )


def main(arguments: Sequence[str]) -> None:
    measured = None
    if "--planned" not in arguments:
        with tempfile.TemporaryDirectory(prefix="sigmax-bench-") as home:
            os.environ["XDG_DATA_HOME"] = home
            with embedded_cluster(settings_of(Batching.LEVELS)) as cluster:
                url = cluster.broker_url
                both = [list(measure(url, batching)) for batching in Batching]
        measured = list(zip(*both, strict=True))
    print_reference(measured)
    print_random()


if __name__ == "__main__":
    main(sys.argv[1:])
