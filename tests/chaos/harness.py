"""Real processes under faults: a Redis with AOF, supervised workers, and a count of what came out.

Whoever runs workers has a supervisor that restarts them (systemd, compose); so has this pool.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import redis

from sigmax_planner.models import AnalysisRequest, DataMode
from sigmax_tasks.client import Client
from sigmax_tasks.cluster import find_redis
from sigmax_tasks.errors import NoDecisionError, RunLostError, RunNotFoundError
from sigmax_tasks.models.events import EventKind
from sigmax_tasks.settings import Settings, load_settings
from sigmax_tasks.settings.layers import shipped_folder
from tests.integration.conftest import free_port

REPO = Path(__file__).resolve().parents[2]
PASSWORD = "chaos-password"
THAW_SECONDS = 3.0
DEADLINE_SECONDS = 45.0
OVERRIDES = (
    "debug.simulate_execution=true",
    "engine.simulated_time_scale=0.01",
    "retention.working_hours=0.2",
)


def settings(batching: str = "levels") -> Settings:
    """Settings of a run whose tasks are short no-ops."""
    own = (*OVERRIDES, f"planning.batching={batching}")
    return load_settings(shipped_folder(), own, {}).settings


@dataclass
class Tally:
    """What came of the runs of one cell of the matrix."""

    runs: int = 0
    decisions: int = 0
    duplicates: int = 0
    lost: int = 0
    complete: int = 0
    late_work: int = 0
    worst_overrun_seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return self.decisions == self.runs and not (
            self.duplicates or self.lost or self.late_work or self.problems
        )


class ChaosPool:
    """Redis and workers, each restarted when it ends, until the pool is stopped."""

    def __init__(
        self, folder: Path, *, workers: int = 2, moment: str = "", fault: str = ""
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        self._workers = workers
        self._environ = {
            **os.environ,
            "SIGMAX_BROKER_URL": self.url,
            "CHAOS_MOMENT": moment,
            "CHAOS_FAULT": fault,
            "SIGMAX_ENGINE__LEASE_SECONDS": "1.5",
            "SIGMAX_ENGINE__SWEEP_INTERVAL_SECONDS": "0.5",
        }
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._supervise, daemon=True)
        self._redis: subprocess.Popen[bytes] | None = None
        self._processes: list[subprocess.Popen[bytes]] = []
        self._frozen: dict[int, float] = {}

    def start(self) -> None:
        self._redis = self._start_redis()
        self._processes = [self._start_worker(number) for number in range(self._workers)]
        self._thread.start()
        client = redis.Redis.from_url(self.url, decode_responses=True)
        end = time.monotonic() + 30
        while time.monotonic() < end and client.zcard("sigmax:workers") < self._workers:
            time.sleep(0.05)
        client.close()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        for process in [*self._processes, self._redis]:
            if process is not None and process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGCONT)
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def restart_redis(self, *, keep_data: bool = True) -> None:
        """Stop Redis the hard way and start it again, with or without what it had stored."""
        assert self._redis is not None
        self._redis.kill()
        self._redis.wait()
        if not keep_data:
            shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)
            (self.folder / "appendonly.aof").unlink(missing_ok=True)
        self._redis = self._start_redis()

    def any_worker(self) -> subprocess.Popen[bytes]:
        return next(process for process in self._processes if process.poll() is None)

    def _start_redis(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [
                *(find_redis(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""),
                *("--appendonly", "yes", "--appendfsync", "always", "--dir", str(self.folder)),
                *("--requirepass", PASSWORD),
            ],
            stdout=(self.folder / "redis.log").open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        client = redis.Redis.from_url(self.url)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with contextlib.suppress(redis.RedisError):
                if client.ping():
                    break
            time.sleep(0.02)
        client.close()
        return process

    def _start_worker(self, number: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "sigmax_tasks", "--quiet", "worker"),
                *("-I", "tests.chaos.inject", "-n", f"w{number}@chaos", "-c", "8"),
                *("-l", "WARNING", "--without-gossip", "--without-mingle"),
                *("--logfile", str(self.folder / f"w{number}.log")),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / f"w{number}.err").open("ab"),
            env=self._environ,
            cwd=REPO,
            start_new_session=True,
        )

    def _supervise(self) -> None:
        client = redis.Redis.from_url(self.url, decode_responses=True, socket_timeout=2)
        while not self._stop.wait(0.1):
            with contextlib.suppress(redis.RedisError):
                if client.getdel("chaos:restart"):
                    self.restart_redis()
            for number, process in enumerate(self._processes):
                if process.poll() is not None:
                    self._processes[number] = self._start_worker(number)
                elif self._is_frozen(process.pid):
                    since = self._frozen.setdefault(process.pid, time.monotonic())
                    if time.monotonic() - since > THAW_SECONDS:
                        del self._frozen[process.pid]
                        os.kill(process.pid, signal.SIGCONT)
        client.close()

    @staticmethod
    def _is_frozen(pid: int) -> bool:
        with contextlib.suppress(psutil.Error):
            return psutil.Process(pid).status() == psutil.STATUS_STOPPED
        return False


@contextmanager
def chaos_pool(*, workers: int = 2, moment: str = "", fault: str = "") -> Iterator[ChaosPool]:
    folder = Path(tempfile.mkdtemp(prefix="sigmax-chaos-"))
    pool = ChaosPool(folder, workers=workers, moment=moment, fault=fault)
    try:
        pool.start()
        yield pool
    finally:
        pool.stop()
        shutil.rmtree(folder, ignore_errors=True)


def request(number: int) -> AnalysisRequest:
    own = settings()
    return AnalysisRequest(
        symbol=("BTC/USDT", "ETH/USDT", "SOL/USDT")[number % 3],
        risk_profile=("balanced", "conservative")[number % 2],
        data_mode=DataMode.SIMULATED,
        as_of=own.runtime.simulator.as_of,
        seed=number,
        source_root="http://127.0.0.1:9",
        deadline_seconds=DEADLINE_SECONDS,
    )


def submit(pool: ChaosPool, count: int, attempts: int = 40, batching: str = "levels") -> list[str]:
    """Submit runs, patiently: the faults may hit the submission too."""
    run_ids: list[str] = []
    for number in range(count):
        for _ in range(attempts):
            client = Client(settings(batching), pool.url)
            try:
                run_ids.append(client.submit(request(number)).run_id)
                break
            except Exception:  # noqa: BLE001  # whatever the fault does to a submission
                time.sleep(0.25)
            finally:
                client.close()
    return run_ids


def await_runs(pool: ChaosPool, run_ids: Sequence[str], tally: Tally) -> None:
    """Follow each run to its end and count."""
    for run_id in run_ids:
        tally.runs += 1
        _await_run(pool, run_id, tally)


def _await_run(pool: ChaosPool, run_id: str, tally: Tally) -> None:
    end = time.monotonic() + DEADLINE_SECONDS + 30
    finished = False
    while time.monotonic() < end and not finished:
        client = Client(settings(), pool.url)
        try:
            for _ in client.follow([run_id]):
                if time.monotonic() > end:
                    break
            record = client.record(run_id)
            finished = True
        except (RunLostError, RunNotFoundError, NoDecisionError) as error:
            tally.lost += 1
            tally.problems.append(f"{run_id}: {error}")
            return
        except Exception:  # noqa: BLE001  # Redis may be away: try again until the time is up
            time.sleep(0.25)
        finally:
            client.close()
    if not finished:
        tally.lost += 1
        tally.problems.append(f"{run_id}: no decision")
        return
    tally.decisions += 1
    research = record.research
    if research.completed + research.failed + research.skipped != research.total_tasks:
        tally.problems.append(f"{run_id}: the counts do not add up")
    tally.complete += research.completed == research.total_tasks
    overrun = research.duration_seconds - DEADLINE_SECONDS
    tally.worst_overrun_seconds = max(tally.worst_overrun_seconds, overrun)
    client = redis.Redis.from_url(pool.url, decode_responses=True)
    ends = [e for _, e in client.xrange(f"sigmax:ev:{run_id}") if EventKind.RUN_FINISHED in e["e"]]
    tally.duplicates += max(0, len(ends) - 1)
    tally.late_work += sum(int(n) for n in client.hvals(f"chaos:late:{run_id}"))
    client.close()
