"""Who is served when there is more work than workers: urgency, reserved turns, fair shares.

Timed no-ops of 0.2 s on two worker processes of 8. Run it from the root of the repository:
``python -m tests.bench.bench_priority``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from sigmax_planner.models import AnalysisRequest, DataMode, ResearchPlan, TaskPriority
from sigmax_planner.planner import create_plan
from sigmax_tasks import clock
from sigmax_tasks.client import Client
from sigmax_tasks.models.events import EventKind
from sigmax_tasks.settings import Settings, load_settings
from tests.bench.stand import Stand, report, spread, stand, table, wait_for
from tests.integration.test_turns import one_batch

TASK_SECONDS = 0.2
LOW_TASKS = 300
STEADY_TASKS = 600
WATCHLIST = 30
USERS = 3
SCALE = "engine.simulated_time_scale"


def settings(scale: float) -> Settings:
    overrides = ("debug.simulate_execution=true", f"{SCALE}={scale}")
    return load_settings(overrides=overrides, environ={}).settings


def ask(symbol: str = "BTC/USDT") -> AnalysisRequest:
    return AnalysisRequest(
        symbol=symbol,
        risk_profile="balanced",
        data_mode=DataMode.SIMULATED,
        source_root="http://127.0.0.1:1",
        deadline_seconds=300,
    )


def seconds_of(client: Client, run_ids: Sequence[str]) -> dict[str, float]:
    """From the submission to the decision of each run."""
    for _ in client.follow(run_ids):
        pass
    return {run_id: client.record(run_id).research.duration_seconds for run_id in run_ids}


def urgent_run(client: Client) -> float:
    """A run of three urgent tasks."""
    plan: ResearchPlan = one_batch(3, TaskPriority.CRITICAL)
    run_id = client.submit_plan(ask(), plan).run_id
    return seconds_of(client, [run_id])[run_id]


def urgency(place: Stand) -> dict[str, object]:
    client, other = (Client(settings(TASK_SECONDS), place.url) for _ in range(2))
    idle = [urgent_run(other) for _ in range(5)]
    low = [
        client.submit_plan(ask(), one_batch(LOW_TASKS // 10, TaskPriority.LOW)).run_id
        for _ in range(10)
    ]
    time.sleep(1)
    loaded = [urgent_run(other) for _ in range(5)]
    waiting = sum(len(client._store.outcome_ids(run_id)) for run_id in low)
    if waiting >= LOW_TASKS:
        raise SystemExit("the low tasks were done before the urgent runs")
    seconds_of(client, low)
    client.close()
    other.close()
    return {"idle_s": idle, "loaded_s": loaded, "ratio": max(loaded) / max(idle)}


def share(place: Stand) -> dict[str, object]:
    """Of the tasks begun while urgent ones wait all the time, how many are LOW."""
    client = Client(settings(TASK_SECONDS), place.url)
    low = client.submit_plan(ask(), one_batch(LOW_TASKS, TaskPriority.LOW)).run_id
    urgent = client.submit_plan(ask(), one_batch(STEADY_TASKS, TaskPriority.CRITICAL)).run_id
    begun = sorted(
        (event.event_id, event.run_id)
        for event in client.follow([low, urgent])
        if event is not None and event.kind is EventKind.TASK_STARTED
    )
    order = [run_id for _, run_id in begun]
    last = max(place for place, run_id in enumerate(order) if run_id == urgent)
    client.close()
    return {"begun": last, "low": order[:last].count(low), "share": order[:last].count(low) / last}


def fairness(place: Stand) -> dict[str, object]:
    """Watchlists of several users at once, and one who asks for a single market in the middle."""
    own = settings(TASK_SECONDS / 20)
    plan = create_plan(ask(), own.planning, own.catalog, clock.now())
    users = [Client(own, place.url) for _ in range(USERS)]
    single = Client(own, place.url)
    run_id = single.submit_plan(ask(), plan).run_id
    idle = seconds_of(single, [run_id])[run_id]
    runs = [[user.submit_plan(ask(), plan).run_id for _ in range(WATCHLIST)] for user in users]
    time.sleep(1)
    run_id = Client(own, place.url).submit_plan(ask(), plan).run_id
    alone = seconds_of(single, [run_id])[run_id]
    took = [list(seconds_of(users[n], ids).values()) for n, ids in enumerate(runs)]
    for client in (*users, single):
        client.close()
    return {
        "idle_s": idle,
        "single_s": alone,
        "users_s": [max(each) for each in took],
        "first_of_users_s": [min(each) for each in took],
    }


def main() -> None:
    worker = (sys.executable, "-m", "celery", "-A", "sigmax_tasks", "--quiet", "worker")
    rows = []
    with stand() as place:
        for number in range(2):
            place.start(
                *worker,
                *("-c", "8", "-n", f"w{number}@here", "--without-gossip", "--without-mingle"),
                SIGMAX_BROKER_URL=place.url,
            )
        wait_for(lambda: place.client.zcard("sigmax:workers") >= 2, "the workers")
        urgent, steady, fair = urgency(place), share(place), fairness(place)
    rows.append(["urgent run, idle pool, s", spread(urgent["idle_s"], 2)])
    rows.append([f"urgent run, {LOW_TASKS} LOW tasks queued, s", spread(urgent["loaded_s"], 2)])
    rows.append(["ratio of the slowest", f"{urgent['ratio']:.2f}"])
    rows.append(["LOW among tasks begun while urgent ones wait", f"{steady['share']:.0%}"])
    rows.append(["one market, idle pool, s", f"{fair['idle_s']:.2f}"])
    rows.append(
        [f"one market beside {USERS} watchlists of {WATCHLIST}, s", f"{fair['single_s']:.2f}"]
    )
    rows.append(["last run of each watchlist, s", spread(fair["users_s"], 1)])
    print(table(["", "figure"], rows))
    report("priority", {"urgency": urgent, "share": steady, "fairness": fair})
    if urgent["ratio"] > 2 or steady["share"] < 0.19:
        raise SystemExit("urgent work waited too long, or the other too long for its share")


if __name__ == "__main__":
    main()
