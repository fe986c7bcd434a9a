"""Who is served first on a real worker: urgency across runs, shares that nobody can take away.

And what is left of all that when its time is over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from sigmax_planner.models import (
    AnalysisRequest,
    DataMode,
    ResearchPlan,
    ResearchTask,
    TaskPriority,
)
from sigmax_tasks.client import Client
from sigmax_tasks.cluster_link import connect
from sigmax_tasks.models.events import EventKind
from tests.switches import load_settings

from .conftest import Pool
from .test_local_cluster import wait_for

pytestmark = pytest.mark.integration
OVERRIDES = (
    "debug.simulate_execution=true",
    "engine.simulated_time_scale=0.005",
    "engine.front_runs=2",
)


def one_batch(count: int, priority: TaskPriority) -> ResearchPlan:
    tasks = tuple(
        ResearchTask(
            task_id=f"task{number}",
            name="a timed no-op",
            priority=priority,
            data_sources=("price_data",),
            timeout_seconds=10,
            estimated_seconds=1,
            handler="sigmax_tasks.research.technical:research",
        )
        for number in range(count)
    )
    return ResearchPlan(
        symbol="BTC/USDT",
        risk_profile="balanced",
        tasks=tasks,
        execution_order=(tuple(task.task_id for task in tasks),),
        width=count,
        created_at=datetime.now(UTC),
    )


def submit(client: Client, count: int, priority: TaskPriority = TaskPriority.CRITICAL) -> str:
    request = AnalysisRequest(
        symbol="BTC/USDT",
        risk_profile="balanced",
        data_mode=DataMode.SIMULATED,
        source_root="http://127.0.0.1:1",
    )
    return client.submit_plan(request, one_batch(count, priority)).run_id


def order_of(client: Client, run_ids: Sequence[str]) -> list[str]:
    """The run of each task in the order in which they were started."""
    begun = [
        (event.event_id, event.run_id)
        for event in client.follow(run_ids)
        if event is not None and event.kind is EventKind.TASK_STARTED
    ]
    return [run_id for _, run_id in sorted(begun)]


def test_urgent_work_overtakes_and_leaves_the_others_their_share(
    make_pool: Callable[[], Pool],
) -> None:
    pool = make_pool()
    settings = load_settings(overrides=OVERRIDES, environ={}).settings
    mine, other = Client(settings, pool.url), Client(settings, pool.url)
    low = submit(mine, 20, TaskPriority.LOW)
    urgent = submit(mine, 60)
    # One at a time, and everything waits already: the order is that of the queue.
    pool.start_worker(
        "one",
        concurrency="1",
        SIGMAX_ENGINE__FRONT_RUNS="2",
        SIGMAX_RETENTION__RUN_HOURS="0.002",
        SIGMAX_RETENTION__WORKING_HOURS="0.002",
    )
    order = order_of(mine, (low, urgent))
    assert order[0] == urgent, "it was submitted last"
    assert order[:50].count(low) >= 10, "one in reserved_turn_every: 5"
    assert order[:50].count(urgent) >= 38

    many = [submit(mine, 5) for _ in range(8)]
    single = submit(other, 5)
    order = order_of(mine, [*many, single])
    last = max(place for place, run_id in enumerate(order) if run_id == single)
    first_ones, share = (2 + 1) * 5, 5 / 4
    assert last <= first_ones * share + 5, "ahead of the third to eighth run of the other"
    mine.close()
    other.close()

    left = connect(pool.url, connect_timeout_seconds=5)
    runs = (low, urgent, single, *many)
    assert any(run_id in key for key in left.keys("sigmax:*") for run_id in runs)
    wait_for(lambda: not any(run_id in key for key in left.keys("*") for run_id in runs), 60)
    lists = ("sigmax:live", "sigmax:finished", "unacked", "unacked_index")
    wait_for(lambda: not left.exists(*lists), 60)
    assert not left.keys("sigmax:submission:*")
    left.close()
