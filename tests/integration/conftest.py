"""A real Redis, real worker processes and a local data server, started and stopped by the tests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sigmax_tasks.simulator.server import SimulatorServer
from tests.processes import PASSWORD, Processes, await_workers, free_port, processes, redis_url

__all__ = ["PASSWORD", "Pool", "free_port"]


@dataclass
class Pool:
    """A Redis of its own and the workers started on it."""

    url: str
    folder: Path
    started: Processes

    def start_worker(
        self, name: str, *, concurrency: str = "8", **environ: str
    ) -> subprocess.Popen[bytes]:
        return self.started.start_worker(
            self.url, f"{name}@test", self.folder, "-c", concurrency, environ=environ
        )

    def wait_for_workers(self, count: int, seconds: float = 60) -> None:
        try:
            await_workers(self.url, count, seconds)
        except AssertionError as error:
            logs = "\n".join(path.read_text() for path in self.folder.glob("*.log"))
            raise AssertionError(f"{error}:\n{logs[-3000:]}") from error


@pytest.fixture
def make_pool(tmp_path: Path) -> Iterator[Callable[[], Pool]]:
    """Start a Redis; everything started through it is killed after the test."""
    with processes(kill=True) as started:

        def make() -> Pool:
            port = free_port()
            folder = tmp_path / f"redis-{port}"
            folder.mkdir()
            started.start_redis(port, folder)
            return Pool(redis_url(port), folder, started)

        yield make


@pytest.fixture(scope="session")
def shared_pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """A Redis and one worker as shipped, for all tests that only bring runs of their own."""
    folder = tmp_path_factory.mktemp("shared-pool")
    with processes(kill=True) as started:
        port = free_port()
        started.start_redis(port, folder)
        pool = Pool(redis_url(port), folder, started)
        pool.start_worker("shared")
        pool.wait_for_workers(1)
        yield pool


@pytest.fixture(scope="session")
def simulator() -> Iterator[SimulatorServer]:
    """A simulated data server for the whole session."""
    with SimulatorServer() as server:
        yield server
