"""What finished runs leave in Redis: memory per kept run, and nothing past the retention.

Timed no-ops that take no time, on two worker processes of 8. Run it from the root of the
repository: ``python -m tests.bench.bench_leftovers [RUNS [SIMULATED]]``; SIMULATED (10) runs do
their research on the simulated market, to show what real ones take.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter

from sigmax_planner.models import AnalysisRequest, DataMode
from sigmax_tasks.client import Client
from sigmax_tasks.settings import load_settings
from sigmax_tasks.simulator.server import SimulatorServer
from tests.bench.stand import Stand, report, stand, wait_for

NO_OPS = ("debug.simulate_execution=true", "engine.simulated_time_scale=0")
SHORT_SECONDS = 5
IN_FLIGHT = 100


def runs_of(place: Stand, url: str, count: int, *overrides: str) -> float:
    """Submit so many runs, at most ``IN_FLIGHT`` at a time, and see them end; seconds."""
    settings = load_settings(
        overrides=(*overrides, "engine.max_open_runs=100"), environ={}
    ).settings
    client = Client(settings, place.url)
    began = time.monotonic()
    ids = []
    for number in range(count):
        request = AnalysisRequest(
            symbol=("BTC/USDT", "ETH/USDT", "SOL/USDT")[number % 3],
            risk_profile="balanced",
            data_mode=DataMode.SIMULATED,
            as_of=settings.runtime.simulator.as_of,
            seed=number % 3,
            source_root=url,
        )
        ids.append(client.submit(request, wait_for_slot_seconds=120).run_id)
    wait_for(lambda: not client.live_runs(), "the end of the runs", 300)
    seconds = time.monotonic() - began
    client.close()
    return seconds


def start_workers(place: Stand, **environ: str) -> None:
    for number in range(2):
        place.start(
            *(sys.executable, "-m", "celery", "-A", "sigmax_tasks", "--quiet", "worker"),
            *("-c", "8", "-n", f"w{number}@here", "--without-gossip", "--without-mingle"),
            SIGMAX_BROKER_URL=place.url,
            **environ,
        )
    wait_for(lambda: place.client.zcard("sigmax:workers") >= 2, "the workers")


def used(place: Stand) -> int:
    return int(place.client.info("memory")["used_memory"])


def kinds(place: Stand) -> Counter[str]:
    """Number of keys by the first two parts of their names; those of a run by their kind."""
    return Counter(":".join(key.decode().split(":")[:2]) for key in place.client.scan_iter())


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    simulated = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    figures: dict[str, object] = {"runs": count, "simulated_runs": simulated}
    with SimulatorServer() as server, stand() as place:
        start_workers(place, SIGMAX_RETENTION__MAX_KEPT_RUNS="null")
        runs_of(place, server.url, 20, *NO_OPS)  # whatever is there once only
        before = used(place)
        figures["seconds"] = round(runs_of(place, server.url, count, *NO_OPS), 1)
        figures["no_op_run_bytes"] = round((used(place) - before) / count)
        runs_of(place, server.url, 3)
        before, cached = used(place), kinds(place)["sigmax:cache"]
        runs_of(place, server.url, simulated)
        figures["new_cache_entries"] = kinds(place)["sigmax:cache"] - cached
        figures["simulated_run_bytes"] = round((used(place) - before) / simulated)
    with SimulatorServer() as server, stand() as place:
        hours = str(SHORT_SECONDS / 3600)
        os.environ["SIGMAX_RETENTION__RUN_HOURS"] = hours
        start_workers(
            place, SIGMAX_RETENTION__RUN_HOURS=hours, SIGMAX_RETENTION__WORKING_HOURS=hours
        )
        runs_of(
            place,
            server.url,
            count // 5,
            *NO_OPS,
            f"retention.run_hours={hours}",
            f"retention.working_hours={hours}",
        )
        time.sleep(SHORT_SECONDS + 2)
        gone = ("run", "out", "obs", "ev", "cost", "lease", "submission", "finished", "live")
        figures["keys_of_runs_past_their_retention"] = sum(
            kinds(place)[f"sigmax:{kind}"] for kind in gone
        )
        place.stop_workers()
        figures["keys_left"] = dict(sorted(kinds(place).items()))
    report("leftovers", figures)
    if figures["keys_of_runs_past_their_retention"]:
        raise SystemExit("something of a run outlived its retention")


if __name__ == "__main__":
    main()
