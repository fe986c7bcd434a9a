"""A real Redis, real worker processes and a local data server, started and stopped by the tests."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from sigmax_tasks.cluster import find_redis
from sigmax_tasks.simulator.server import SimulatorServer

PASSWORD = "test-password-of-this-run"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Pool:
    """A Redis of its own and the workers started on it."""

    url: str
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_worker(
        self, name: str, *, concurrency: str = "8", **environ: str
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "sigmax_tasks", "--quiet", "worker"),
                *("-n", f"{name}@test", "-c", concurrency, "-l", "WARNING"),
                *("--without-gossip", "--without-mingle"),
                *("--logfile", str(self.folder / f"{name}.log")),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "SIGMAX_BROKER_URL": self.url, **environ},
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def wait_for_workers(self, count: int, seconds: float = 20) -> None:
        client = redis.Redis.from_url(self.url, decode_responses=True)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if client.zcard("sigmax:workers") >= count:
                client.close()
                return
            time.sleep(0.05)
        client.close()
        logs = "\n".join(path.read_text() for path in self.folder.glob("*.log"))
        raise AssertionError(f"{count} workers did not come up in {seconds} s:\n{logs[-3000:]}")

    def stop(self) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(timeout=5)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()


@pytest.fixture
def make_pool(tmp_path: Path) -> Iterator[Callable[[], Pool]]:
    """Start a Redis; everything started through it is stopped after the test."""
    pools: list[Pool] = []

    def make() -> Pool:
        port = free_port()
        folder = tmp_path / f"redis-{port}"
        folder.mkdir()
        process = subprocess.Popen(
            [
                *(find_redis(), "--port", str(port), "--bind", "127.0.0.1", "--save", ""),
                *("--requirepass", PASSWORD, "--dir", str(folder)),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        pool = Pool(f"redis://:{PASSWORD}@127.0.0.1:{port}/0", folder, [process])
        pools.append(pool)
        client = redis.Redis.from_url(pool.url)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with contextlib.suppress(redis.RedisError):
                if client.ping():
                    break
            time.sleep(0.02)
        client.close()
        return pool

    yield make
    for pool in pools:
        pool.stop()


@pytest.fixture(scope="session")
def simulator() -> Iterator[SimulatorServer]:
    """A simulated data server for the whole session."""
    with SimulatorServer() as server:
        yield server
