"""A watchlist of 50 symbols on 4 worker processes: requests and time, with and without sharing.

The providers are simulated and answer after 100 to 150 ms, kraken 5 requests a second. Run it from
the root of the repository: ``python -m tests.bench.bench_watchlist [SYMBOLS [WORKERS]]``.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

from sigmax_planner.models import AnalysisRequest, DataMode
from sigmax_tasks.client import Client
from sigmax_tasks.portfolio import compared_with
from sigmax_tasks.settings import load_settings
from sigmax_tasks.simulator.assets import ASSETS
from tests.processes import await_workers, free_port, processes, redis_url, wait_until

LATENCY = {"kind": "latency", "seconds": 0.1, "jitter": 0.05}
LIMIT = 5
MARKET_WIDE = ("alternative_me", "coindesk", "cointelegraph", "decrypt", "reddit", "fred", "yahoo")


def ask(url: str | Request) -> dict[str, Any]:
    with build_opener(ProxyHandler({})).open(url, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def most_in_a_second(times: list[float]) -> int:
    """The most requests in any second, wherever it begins."""
    ordered = sorted(times)
    return max(sum(at <= other < at + 1 for other in ordered) for at in ordered)


def measure(count: int, workers: int, *overrides: str) -> dict[str, Any]:
    """One submission of ``count`` symbols at once, on processes of its own."""
    port, data_port = free_port(), free_port()
    url, data_url = redis_url(port), f"http://127.0.0.1:{data_port}"
    quota = {"kind": "quota", "per_second": LIMIT, "retry_after": 1}
    faults = {"providers": {"*": [LATENCY], "kraken": [quota]}}
    sigmax = str(Path(sys.executable).with_name("sigmax"))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sigmax-bench-")))
        started = stack.enter_context(processes())
        started.start_redis(port, folder)
        started.start(sigmax, "simulate", "--port", str(data_port))
        wait_until(lambda: ask(f"{data_url}/_health"), 30, "the data server")
        body = json.dumps(faults).encode()
        ask(Request(f"{data_url}/_faults", data=body, method="PUT"))  # noqa: S310  # our own
        for number in range(workers):
            started.start_worker(url, f"bench{number}@here", folder, "-c", "8", environ={})
        await_workers(url, workers)
        settings = load_settings(
            overrides=(f"quota.simulated_limits.kraken={LIMIT}/second", *overrides), environ={}
        ).settings
        submitter = Client(settings, url)
        stack.callback(submitter.close)
        symbols = [f"{a.base}/USDT" for a in ASSETS if len(a.venues) > 1][:count]
        began = time.monotonic()
        runs = [
            submitter.submit(
                AnalysisRequest(
                    symbol=symbol,
                    watchlist=compared_with(symbol, symbols, None),  # as sigmax-submit sends it
                    risk_profile="balanced",
                    data_mode=DataMode.SIMULATED,
                    as_of=settings.runtime.simulator.as_of,
                    seed=7,
                    source_root=data_url,
                    deadline_seconds=300,
                )
            ).run_id
            for symbol in symbols
        ]
        for _ in submitter.follow(runs):
            pass
        seconds = time.monotonic() - began
        records = [submitter.record(run_id) for run_id in runs]
        stats = ask(f"{data_url}/_stats")
    providers = stats["providers"]
    kraken = [entry["at"] for entry in providers["kraken"]["times"]]
    return {
        "seconds": seconds,
        "requests": stats["requests"],
        "market_wide": sum(providers.get(name, {}).get("requests", 0) for name in MARKET_WIDE),
        "fear_greed": providers["alternative_me"]["requests"],
        "kraken_per_second": most_in_a_second(kraken),
        "refused": sum(p["statuses"].get("429", 0) for p in providers.values()),
        "failed": sum(record.research.failed for record in records),
        "reasons": sorted(
            f"{record.decision.symbol} {task.task_id}: {task.reason}"
            for record in records
            for task in record.research.tasks
            if task.status.value == "failed"
        ),
        "completed": sum(record.research.completed for record in records),
    }


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    print(f"{count} symbols at once on {workers} workers, kraken {LIMIT} requests a second")
    shared = measure(count, workers)
    alone = measure(count, workers, "cache.enabled=false")
    print(f"  {'':<34}{'shared':>10}{'not shared':>12}")
    for name, text in (
        ("requests", "requests"),
        ("market_wide", "of them market-wide"),
        ("fear_greed", "of them fear and greed"),
        ("kraken_per_second", "most in any second at kraken"),
        ("refused", "answers with 429"),
        ("completed", "tasks completed"),
        ("failed", "tasks failed"),
    ):
        print(f"  {text:<34}{shared[name]:>10}{alone[name]:>12}")
    for reason in shared["reasons"]:
        print(f"  failed with sharing: {reason}")
    label = "seconds until the last decision"
    print(f"  {label:<34}{shared['seconds']:>10.1f}{alone['seconds']:>12.1f}")
    print(f"  requests {alone['requests'] / shared['requests']:.1f} times fewer, ", end="")
    print(f"time {alone['seconds'] / shared['seconds']:.2f} times shorter")


if __name__ == "__main__":
    main()
