"""Cells of the matrix that need a pool of their own, and what must come of each."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import redis

from sigmax_planner.models import AnalysisRequest, DataMode
from sigmax_tasks.application import ANSWER_TIMEOUT_SECONDS
from sigmax_tasks.client import Client
from sigmax_tasks.errors import ClusterUnreachableError
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.refusals import DEAD_KEY, REFUSED_KEY
from sigmax_tasks.simulator.server import SimulatorServer
from tests.chaos.harness import (
    DEADLINE_SECONDS,
    ChaosPool,
    Tally,
    await_runs,
    chaos_pool,
    request,
    settings,
    submit,
)
from tests.switches import load_settings

Outcome = tuple[Tally, bool]


def duplicate(runs: int) -> Outcome:
    """Every message of every kind is delivered twice."""
    tally = Tally()
    with chaos_pool() as pool:
        pool.set_cell("duplicate", "always")
        await_runs(pool, submit(pool, runs), tally)
    return tally, tally.good and tally.complete == runs


def wipe(runs: int) -> Outcome:
    """Redis comes back without its data: no decision, and each client is told so in time."""
    tally = Tally()
    with chaos_pool(workers=1) as pool:
        run_ids = submit(pool, runs)
        pool.restart_redis(keep_data=False)
        began = time.monotonic()
        await_runs(pool, run_ids, tally)
        seconds = time.monotonic() - began
    said = [text for text in tally.problems if "was lost" in text or "not known" in text]
    return tally, len(said) == tally.lost == runs and seconds < DEADLINE_SECONDS


def disk(runs: int) -> Outcome:
    """The disk under Redis is full for a while: submitters are told, and no worker ends."""
    tally = Tally()
    with chaos_pool(redis_options=("--appendfsync", "everysec")) as pool:
        run_ids = submit(pool, runs)
        workers = pool.pids()
        pool.fill_disk()
        told = _refusal(pool)
        pool.fill_disk(full=False)
        await_runs(pool, run_ids, tally)
        stayed = pool.pids() == workers
    return tally, tally.good and stayed and "cannot write to its disk" in told


def silence(runs: int) -> Outcome:
    """Connections die at one end only, as behind a firewall that forgot them; no worker ends."""
    tally = Tally()
    with chaos_pool() as pool:
        run_ids = submit(pool, runs)
        workers = pool.pids()
        pool.proxy.silence()
        await_runs(pool, run_ids, tally)
        await_runs(pool, submit(pool, runs), tally)
        stayed = pool.pids() == workers
    return tally, tally.good and stayed


def stuck(runs: int) -> Outcome:
    """Redis answers nobody for longer than anybody waits; no worker ends."""
    tally = Tally()
    with chaos_pool() as pool:
        run_ids = submit(pool, runs)
        workers = pool.pids()
        with pool.stuck_redis():
            time.sleep(2 * ANSWER_TIMEOUT_SECONDS)
        await_runs(pool, run_ids, tally)
        stayed = pool.pids() == workers
    return tally, tally.good and stayed


def _refusal(pool: ChaosPool) -> str:
    """What a submitter is told, once Redis knows that it cannot write."""
    end = time.monotonic() + DEADLINE_SECONDS
    with contextlib.closing(Client(settings(), pool.url)) as client:
        while time.monotonic() < end:
            try:
                client.cancel(client.submit(request(0)).run_id)
            except ClusterUnreachableError as error:
                return str(error)
            time.sleep(0.1)
    return ""


def older(runs: int) -> Outcome:
    """One of two workers is of the version before ours: it leaves our messages to the other."""
    tally = Tally()
    with chaos_pool(environ={0: {"CHAOS_PROTOCOL": "1"}}) as pool:
        await_runs(pool, submit(pool, runs), tally)
        with contextlib.closing(redis.Redis.from_url(pool.url, decode_responses=True)) as client:
            refused = client.hgetall(REFUSED_KEY)
    return tally, tally.good and tally.complete == runs and set(refused) == {"newer"}


def poison(runs: int) -> Outcome:
    """A task that kills its worker is set aside after the third; the rest of its run goes on."""
    tally = Tally()
    everywhere = {number: {"CHAOS_POISON": "macro"} for number in range(2)}
    with chaos_pool(environ=everywhere) as pool:
        run_ids = submit(pool, 1)
        await_runs(pool, run_ids, tally)
        reasons = task_reasons(pool.url, run_ids[0])
        with contextlib.closing(redis.Redis.from_url(pool.url, decode_responses=True)) as client:
            letters = client.xlen(DEAD_KEY)
    aside = "set aside: its worker died 3 times"
    return tally, tally.good and reasons.get("macro") == aside and letters == 1


def task_reasons(url: str, run_id: str) -> dict[str, str]:
    """Why tasks of a finished run did not complete."""
    own = load_settings(shipped_folder(), (), {}).settings
    with contextlib.closing(Client(own, url)) as client:
        tasks = client.record(run_id).research.tasks
    return {t.task_id: t.reason for t in tasks if t.status is not TaskStatus.COMPLETED}


def liar(runs: int) -> Outcome:
    """Providers answer 200 with a page, with half an answer, or with a value that cannot be."""
    lies: dict[str, Any] = {
        "seed": 7,
        "providers": {
            "*": [
                {"kind": "html_200", "probability": 0.2},
                {"kind": "malformed", "probability": 0.2},
                {"kind": "oversized", "probability": 0.02},
            ]
        },
    }
    tally = Tally()
    own = load_settings(shipped_folder(), (), {}).settings
    with SimulatorServer(faults=lies) as server, chaos_pool() as pool:
        with contextlib.closing(Client(own, pool.url)) as client:
            run_ids = [
                client.submit(
                    AnalysisRequest(
                        symbol="BTC/USDT",
                        risk_profile="balanced",
                        data_mode=DataMode.SIMULATED,
                        as_of=own.runtime.simulator.as_of,
                        seed=number,
                        source_root=server.url,
                        deadline_seconds=DEADLINE_SECONDS,
                    )
                ).run_id
                for number in range(runs)
            ]
        await_runs(pool, run_ids, tally)
    return tally, tally.good


SPECIAL: dict[str, Callable[[int], Outcome]] = {
    "duplicate": duplicate,
    "wipe": wipe,
    "full disk": disk,
    "silence": silence,
    "stuck": stuck,
    "older worker": older,
    "poison": poison,
    "liar": liar,
}
