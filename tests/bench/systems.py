"""The systems that are compared: each on a Redis and worker processes of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import queue
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.bench import peers, shape
from tests.bench.stand import Stand, free_port, stand, wait_for

PYTHON = sys.executable
BIN = Path(PYTHON).parent
DONE = "bench:done"
LOST_SECONDS = 180.0
OURS = ("sigmax", "sigmax-celery-chords")
PEERS = {
    "celery": "celery",
    "celery-join": "celery",
    "dramatiq": "dramatiq",
    "taskiq": "taskiq_redis",
    "saq": "saq",
    "huey": "huey",
    "dask": "distributed",
}
"""The systems that ours is compared with, and a module of each."""


class System(Protocol):
    """One of them, running. ``submit`` starts a plan; ``wait`` gives the ids of those done."""

    name: str
    stand: Stand

    def submit(self) -> str: ...

    def wait(self) -> list[str]: ...


@dataclass
class Sigmax:
    """Ours. ``chords`` is ``lean`` or ``celery``, see engine.lean_chords."""

    name: str
    stand: Stand
    client: Any
    _positions: dict[str, str] = field(default_factory=dict)

    def submit(self) -> str:
        run_id = str(self.client.submit_plan(shape.request(), shape.plan()).run_id)
        self._positions[run_id] = "0-0"
        return run_id

    def wait(self) -> list[str]:
        ended = []
        for event in self.client._store.read_events(self._positions, 1.0):
            if event.kind.value == "run_finished":
                self._positions.pop(event.run_id, None)
                ended.append(event.run_id)
            elif event.run_id in self._positions:
                self._positions[event.run_id] = event.event_id
        return ended


@dataclass
class Peer:
    """Another task queue; its last task pushes the plan's number onto a list."""

    name: str
    stand: Stand
    submitter: Any
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def submit(self) -> str:
        plan = f"{self.name}-{next(self._numbers)}"
        self.submitter.submit(plan)
        return plan

    def wait(self) -> list[str]:
        if self.name == "dask":
            with contextlib.suppress(queue.Empty):
                return [self.submitter.done.get(timeout=1.0)]
            return []
        found = self.stand.client.blpop([DONE], 1)
        return [found[1].decode()] if found else []


def check_names(names: Sequence[str]) -> None:
    """End the benchmark, with what to do, where a system is unknown or not installed."""
    for name in names:
        if name not in (*OURS, *PEERS):
            raise SystemExit(f"no system {name!r}; there are {', '.join((*OURS, *PEERS))}")
        if name in PEERS and importlib.util.find_spec(PEERS[name]) is None:
            raise SystemExit(f"{name} is not installed: pip install -e '.[dev,bench]'")


def worker_command(number: int, threads: int) -> tuple[str, ...]:
    """A worker process of ours."""
    return (
        *(PYTHON, "-W", "ignore", "-m", "celery", "-A", "sigmax_tasks", "--quiet", "worker"),
        *("-n", f"bench{number}@here", "-P", "threads", "-c", str(threads), "-l", "WARNING"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    )


@contextlib.contextmanager
def sigmax(
    scale: float, processes: int, threads: int, *overrides: str, name: str = "sigmax"
) -> Iterator[Sigmax]:
    """Ours, with tasks that wait ``scale`` times their estimates."""
    from sigmax_tasks.client import Client
    from sigmax_tasks.settings import load_settings

    with stand() as own:
        home = str(own.folder)
        for number in range(processes):
            own.start(
                *worker_command(number, threads), SIGMAX_BROKER_URL=own.url, XDG_DATA_HOME=home
            )
        wait_for(lambda: own.client.zcard("sigmax:workers") >= processes, "our workers")
        settings = load_settings(
            overrides=(
                "debug.simulate_execution=true",
                f"engine.simulated_time_scale={scale}",
                *overrides,
            ),
            environ={},
        ).settings
        client = Client(settings, own.url)
        try:
            system = Sigmax(name, own, client)
            _warm_up(system)
            yield system
        finally:
            client.close()


@contextlib.contextmanager
def peer(name: str, scale: float, processes: int, threads: int) -> Iterator[Peer]:
    """A peer with as many processes and slots."""
    module = f"tests.bench.peers.{name.replace('-', '_')}_peer"
    environ = {"BENCH_SCALE": str(scale), "BENCH_SLOTS": str(threads)}
    with stand() as own:
        port = free_port()
        for command in _commands(name, module, processes, threads, port):
            own.start(*command, **environ)
        submitter = _submitter(name, module, own.url, scale, port)
        system = Peer(name, own, submitter)
        try:
            _warm_up(system)
            yield system
        finally:
            if name == "dask":
                submitter.close()


def _commands(
    name: str, module: str, processes: int, threads: int, port: int
) -> list[tuple[str, ...]]:
    each = range(processes)
    if name in ("celery", "celery-join"):
        return [
            (
                *(PYTHON, "-W", "ignore", "-m", "celery", "-A", module, "--quiet", "worker"),
                *("-n", f"peer{number}@here", "-P", "threads", "-c", str(threads)),
                *("-l", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"),
            )
            for number in each
        ]
    if name == "dramatiq":
        command = (str(BIN / "dramatiq"), module, "--processes", str(processes))
        return [(*command, "--threads", str(threads))]
    if name == "taskiq":
        command = (str(BIN / "taskiq"), "worker", f"{module}:broker", "--workers", str(processes))
        return [(*command, "--max-async-tasks", str(threads), "--log-level", "WARNING")]
    if name == "saq":
        return [(str(BIN / "saq"), f"{module}.settings", "--workers", str(processes), "--quiet")]
    if name == "huey":
        command = (str(BIN / "huey_consumer"), f"{module}.huey", "-k", "thread", "-q", "-n")
        return [(*command, "-w", str(threads)) for _ in each]
    address = f"tcp://127.0.0.1:{port}"
    quiet = ("--no-dashboard",)
    return [
        (PYTHON, "-m", "dask", "scheduler", "--host", address, *quiet),
        (
            *(PYTHON, "-m", "dask", "worker", address, "--nworkers", str(processes)),
            *("--nthreads", str(threads), "--host", "127.0.0.1", *quiet),
        ),
    ]


def _submitter(name: str, module: str, url: str, scale: float, port: int) -> Any:
    """A fresh import of the peer for this Redis: what it connects to is fixed on import."""
    os.environ["BENCH_REDIS"], os.environ["BENCH_SCALE"] = url, str(scale)
    for known in ("tests.bench.peers.common", module):
        sys.modules.pop(known, None)
        vars(peers).pop(known.rpartition(".")[2], None)
    loaded = importlib.import_module(module)
    if name == "dask":
        return loaded.Submitter(f"tcp://127.0.0.1:{port}")
    return loaded.Submitter() if hasattr(loaded, "Submitter") else loaded


def _warm_up(system: System) -> None:
    """Until the first plans are through: code is imported, connections stand."""
    left = {system.submit() for _ in range(4)}

    def through() -> bool:
        left.difference_update(system.wait())
        return not left

    wait_for(through, system.name)


def drive(system: System, plans: int, flight: int) -> list[float]:
    """Submit so many plans, so many in flight; the seconds each took, by order of their end.

    Ends the benchmark when none has ended for a long time.
    """
    from time import perf_counter

    began: dict[str, float] = {}
    took: list[float] = []
    left = plans
    patience = perf_counter() + LOST_SECONDS
    while len(took) < plans:
        if perf_counter() > patience:
            raise SystemExit(f"{system.name}: no plan has ended for {LOST_SECONDS:g} s")
        while left and len(began) < flight:
            start = perf_counter()
            began[system.submit()] = start
            left -= 1
        ended = [plan for plan in system.wait() if plan in began]
        if ended:
            patience = perf_counter() + LOST_SECONDS
        took.extend(perf_counter() - began.pop(plan) for plan in ended)
    return took
