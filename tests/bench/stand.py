"""A Redis and worker processes of a benchmark, what they use, and how its figures are shown."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import redis

from sigmax_tasks.cluster import find_redis

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(done: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait until ``done`` gives something true; ends the benchmark when it does not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError, redis.RedisError):
            if done():
                return
        time.sleep(0.02)
    raise SystemExit(f"{what} did not come up in {seconds:g} s")


@dataclass(frozen=True)
class Reading:
    """Counters at one moment. CPU in seconds, memory in MB."""

    at: float
    worker_cpu: float
    own_cpu: float
    redis_cpu: float
    commands: int
    bytes_in: int
    bytes_out: int

    def since(self, before: Reading) -> Reading:
        return Reading(*(a - b for a, b in zip(self.values(), before.values(), strict=True)))

    def values(self) -> tuple[float, ...]:
        return (
            self.at,
            self.worker_cpu,
            self.own_cpu,
            self.redis_cpu,
            self.commands,
            self.bytes_in,
            self.bytes_out,
        )


@dataclass
class Stand:
    """A private Redis (``url``) and the worker processes started on it."""

    url: str
    folder: Path
    server: psutil.Process
    client: redis.Redis
    workers: list[psutil.Process] = field(default_factory=list)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *command: str, **environ: str) -> psutil.Process:
        """Start a worker process; its output goes to ``worker-N.log`` of the folder."""
        log = self.folder / f"worker-{len(self._processes)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "BENCH_REDIS": self.url, **environ},
                start_new_session=True,
            )
        self._processes.append(process)
        self.workers.append(psutil.Process(process.pid))
        return self.workers[-1]

    def read(self) -> Reading:
        info = self.client.info()
        own = os.times()
        return Reading(
            time.perf_counter(),
            sum(_cpu_seconds(worker) for worker in self.workers),
            own.user + own.system,
            _cpu_seconds(self.server),
            int(info["total_commands_processed"]),
            int(info["total_net_input_bytes"]),
            int(info["total_net_output_bytes"]),
        )

    def memory_mb(self) -> float:
        """Resident memory of the worker processes with their children."""
        return (
            sum(
                process.memory_info().rss
                for worker in self.workers
                for process in (worker, *worker.children(recursive=True))
            )
            / 1e6
        )

    def subscriptions(self) -> int:
        return sum(int(client["sub"]) for client in self.client.client_list())

    def keys(self) -> int:
        return int(self.client.dbsize())

    def log(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in self.folder.glob("*.log"))

    def pause(self) -> None:
        """Stop the worker processes where they are, until :meth:`resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)

    def stop_workers(self) -> None:
        self.resume()
        self._signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._processes.clear()
        self.workers.clear()


def _end(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)


@contextlib.contextmanager
def stand() -> Iterator[Stand]:
    """A private Redis for the block; everything started on it is stopped behind it.

    Also when the benchmark is told to end by SIGTERM.
    """
    signal.signal(signal.SIGTERM, _end)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="sigmax-bench-") as name:
        server = subprocess.Popen(
            [find_redis(), "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=name,
            start_new_session=True,
        )
        url = f"redis://127.0.0.1:{port}/0"
        client = redis.Redis.from_url(url)
        made = Stand(url, Path(name), psutil.Process(server.pid), client)
        try:
            wait_for(client.ping, "Redis")
            yield made
        finally:
            made.stop_workers()
            client.close()
            server.terminate()
            server.wait()


def _cpu_seconds(process: psutil.Process) -> float:
    """User and system time of a process, its children and those it has waited for."""
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            total += times.user + times.system
    times = process.cpu_times()
    return total + times.children_user + times.children_system


def spread(values: Sequence[float], digits: int = 1) -> str:
    """``median (least to most)``."""
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, the first one left-aligned."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    )


def commit() -> str:
    """Short hash of the commit that is measured, with ``+`` where files differ from it."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run(
        [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    dirty = subprocess.run(
        [*git, "status", "--porcelain"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return (head or "unknown") + ("+" if dirty else "")


def report(name: str, figures: Mapping[str, object]) -> None:
    """One JSON line with the figures, also written to the folder in ``BENCH_OUT`` if it is set."""
    facts = {
        "bench": name,
        "commit": commit(),
        "python": sys.version.split()[0],
        "cores": os.cpu_count(),
        **figures,
    }
    text = json.dumps(facts)
    print(f"JSON {text}")
    folder = os.environ.get("BENCH_OUT")
    if folder:
        (Path(folder) / f"{name}.json").write_text(text + "\n")
