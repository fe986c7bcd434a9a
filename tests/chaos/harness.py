"""Real processes under faults: a Redis with AOF, supervised workers, and a count of what came out.

Whoever runs workers has a supervisor that restarts them (systemd, compose); so has this pool. The
workers speak to Redis through a proxy that can be slow and can cut connections.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import psutil
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from sigmax_planner.models import AnalysisRequest, DataMode
from sigmax_tasks.client import Client
from sigmax_tasks.errors import NoDecisionError, RunCancelledError, RunLostError, RunNotFoundError
from sigmax_tasks.models.events import EventKind
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.settings import Settings
from tests.chaos.proxy import Proxy
from tests.processes import Processes, await_workers, free_port, redis_url
from tests.switches import load_settings

THAW_SECONDS = 3.0
FULL_SECONDS = 2.0
SLOW_SECONDS = 3.0
SLOW_LATENCY_SECONDS = 0.25
DEADLINE_SECONDS = 45.0
BATCHING = ("levels", "critical_path")
OVERRIDES = (
    "debug.simulate_execution=true",
    "engine.simulated_time_scale=0.01",
    "retention.working_hours=0.2",
)


@lru_cache
def settings(*overrides: str) -> Settings:
    """Settings of a run whose tasks are short no-ops."""
    return load_settings(shipped_folder(), (*OVERRIDES, *overrides), {}).settings


@dataclass
class Tally:
    """What came of the runs of one cell of the matrix."""

    runs: int = 0
    decisions: int = 0
    duplicates: int = 0
    lost: int = 0
    complete: int = 0
    late_work: int = 0
    worst_overrun_seconds: float = -DEADLINE_SECONDS
    problems: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count what another has counted."""
        for name in ("runs", "decisions", "duplicates", "lost", "complete", "late_work"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.worst_overrun_seconds = max(self.worst_overrun_seconds, other.worst_overrun_seconds)
        self.problems += other.problems

    @property
    def good(self) -> bool:
        """One decision a run, in time, and nothing done again that was done."""
        return self.decisions == self.runs and not (
            self.duplicates
            or self.lost
            or self.late_work
            or self.problems
            or self.worst_overrun_seconds > 0
        )


class ChaosPool:
    """Redis and workers, each restarted when it ends, until the pool is stopped."""

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 2,
        options: Sequence[str] = ("-c", "8"),
        environ: Mapping[int, Mapping[str, str]] | None = None,
        redis_options: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.url = redis_url(port := free_port())
        self.proxy = Proxy(port)
        self._port = port
        self._options = options
        self._redis_options = redis_options
        self._each = dict(environ or {})
        self._environ = {
            "CHAOS_REDIS_URL": self.url,
            "XDG_DATA_HOME": str(folder),
            "SIGMAX_ENGINE__LEASE_SECONDS": "1.5",
            "SIGMAX_ENGINE__SWEEP_INTERVAL_SECONDS": "0.5",
        }
        self._started = Processes()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._supervise, daemon=True)
        self._redis: subprocess.Popen[bytes] | None = None
        self._workers: list[subprocess.Popen[bytes] | None] = [None] * workers
        self._frozen: dict[int, float] = {}
        self._until: dict[str, float] = {}

    def start(self) -> None:
        self.proxy.start()
        self._redis = self._start_redis()
        self._workers = [self._start_worker(number) for number in range(len(self._workers))]
        await_workers(self.url, len(self._workers))
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        for process in self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
        self._started.stop_all(at_once=True)
        self.proxy.stop()

    def set_cell(self, fault: str, moment: str) -> None:
        """What happens where, from now on."""
        with contextlib.closing(redis.Redis.from_url(self.url)) as client:
            client.set("chaos:cell", f"{fault} {moment}")

    def restart_redis(self, *, keep_data: bool = True) -> None:
        """Stop Redis the hard way and start it again, with or without what it had stored."""
        if self._redis is not None:
            self._started.stop(self._redis, at_once=True)
        if not keep_data:
            shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)
            (self.folder / "appendonly.aof").unlink(missing_ok=True)
        self._redis = self._start_redis()

    @contextlib.contextmanager
    def stuck_redis(self) -> Iterator[None]:
        """Redis is there for the block and answers nobody."""
        assert self._redis is not None
        os.kill(self._redis.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._redis.pid, signal.SIGCONT)

    def fill_disk(self, *, full: bool = True) -> None:
        """Redis can write no byte more to its append-only file; or can again."""
        if self._redis is not None:
            limit = resource.RLIM_INFINITY
            if full:
                files = (self.folder / "appendonlydir").glob("*.incr.aof")
                limit = max(file.stat().st_size for file in files)
            server = psutil.Process(self._redis.pid)
            server.rlimit(psutil.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    def alive(self) -> list[subprocess.Popen[bytes]]:
        """The workers that run."""
        return [each for each in self._workers if each is not None and each.poll() is None]

    def pids(self) -> list[int]:
        """Of the workers that run, by number."""
        return [process.pid for process in self.alive()]

    def upgrade_worker(self, number: int) -> None:
        """TERM to a worker; the supervisor starts it again, as ours, when it has finished."""
        self._each.pop(number, None)
        process = self._workers[number]
        if process is not None and process.poll() is None:
            os.kill(process.pid, signal.SIGTERM)

    def _start_redis(self) -> subprocess.Popen[bytes]:
        persistent = ("--appendonly", "yes", "--appendfsync", "always")
        return self._started.start_redis(self._port, self.folder, *persistent, *self._redis_options)

    def _start_worker(self, number: int) -> subprocess.Popen[bytes]:
        return self._started.start_worker(
            redis_url(self.proxy.port),
            f"w{number}@chaos",
            self.folder,
            *("-I", "tests.chaos.inject", *self._options),
            environ={**self._environ, **self._each.get(number, {})},
        )

    def _supervise(self) -> None:
        client = redis.Redis.from_url(self.url, decode_responses=True, socket_timeout=2)
        while not self._stop.wait(0.1):
            with contextlib.suppress(redis.RedisError):
                self._serve(client)
            for number, process in enumerate(self._workers):
                if process is None:
                    continue
                if process.poll() is not None:
                    self._started.stop(process, at_once=True)
                    self._workers[number] = self._start_worker(number)
                elif self._is_frozen(process.pid):
                    since = self._frozen.setdefault(process.pid, time.monotonic())
                    if time.monotonic() - since > THAW_SECONDS:
                        del self._frozen[process.pid]
                        os.kill(process.pid, signal.SIGCONT)
        client.close()

    def _serve(self, client: redis.Redis) -> None:
        """Do to Redis and the network what a worker has asked for; undo what has lasted."""
        now = time.monotonic()
        if self._until.get("full", now + 1) < now:
            client.config_set("maxmemory", 0)
            del self._until["full"]
        if self._until.get("slow", now + 1) < now:
            self.proxy.latency_seconds = 0.0
            del self._until["slow"]
        asked = client.mget("chaos:restart", "chaos:full", "chaos:slow", "chaos:cut")
        if not any(asked):
            return
        client.delete("chaos:restart", "chaos:full", "chaos:slow", "chaos:cut")
        restart, full, slow, cut = asked
        if full:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", 1)
            self._until["full"] = now + FULL_SECONDS
        if slow:
            self.proxy.latency_seconds = SLOW_LATENCY_SECONDS
            self._until["slow"] = now + SLOW_SECONDS
        if cut:
            self.proxy.cut()
        if restart:
            self.restart_redis()

    @staticmethod
    def _is_frozen(pid: int) -> bool:
        with contextlib.suppress(psutil.Error):
            return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        return False


@contextmanager
def chaos_pool(
    *,
    workers: int = 2,
    options: Sequence[str] = ("-c", "8"),
    environ: Mapping[int, Mapping[str, str]] | None = None,
    redis_options: Sequence[str] = (),
    folder: Path | None = None,
) -> Iterator[ChaosPool]:
    """``environ`` is by number of the worker; ``folder`` is where Redis keeps its data."""
    own = Path(tempfile.mkdtemp(prefix="sigmax-chaos-")) if folder is None else folder
    pool = ChaosPool(
        own, workers=workers, options=options, environ=environ, redis_options=redis_options
    )
    try:
        pool.start()
        yield pool
    finally:
        pool.stop()
        if folder is None:
            shutil.rmtree(own, ignore_errors=True)


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


def submit(pool: ChaosPool, count: int, attempts: int = 40) -> list[str]:
    """Submit runs, patiently: the faults may hit the submission too.

    Every other run goes by critical path, the others batch by batch.
    """
    run_ids: list[str] = []
    for number in range(count):
        for _ in range(attempts):
            client = Client(settings(f"planning.batching={BATCHING[number % 2]}"), pool.url)
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
        except (RunLostError, RunNotFoundError, NoDecisionError, RunCancelledError) as error:
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
    if overrun > 0:
        tally.problems.append(f"{run_id}: {overrun:.1f} s late, ended by {record.finished_by}")
    # Redis may be away at this very moment.
    patient = Retry(ConstantBackoff(0.25), 60)
    with contextlib.closing(
        redis.Redis.from_url(pool.url, decode_responses=True, retry=patient)
    ) as client:
        events = client.xrange(f"sigmax:ev:{run_id}")
        late = client.hvals(f"chaos:late:{run_id}")
    ends = [event for _, event in events if EventKind.RUN_FINISHED in event["e"]]
    tally.duplicates += max(0, len(ends) - 1)
    tally.late_work += sum(int(n) for n in late)
