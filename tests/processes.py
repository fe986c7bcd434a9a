"""Redis, workers and other processes for tests and benchmarks: started here, stopped for sure.

A guardian process (sigmax_tasks/guardian.py) stops them also when whoever started them is killed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import redis

from sigmax_tasks.cluster import find_redis
from sigmax_tasks.supervisor import Guardian
from tests.switches import switch_environ

__all__ = ["PASSWORD", "Processes", "free_port", "processes", "redis_url", "wait_until"]

REPO = Path(__file__).resolve().parents[1]
PASSWORD = "test-password-of-this-run"
_GRACE_SECONDS = 5.0
_PORTS = range(20_000, 32_000)
_offers = itertools.cycle(random.sample(_PORTS, len(_PORTS)))


def redis_url(port: int) -> str:
    return f"redis://:{PASSWORD}@127.0.0.1:{port}/0"


def free_port() -> int:
    """A loopback port that nobody listens on, not the one of a call before.

    From below the range out of which systems take the near ends of connections: what connects
    between this call and the start of a server cannot take it.
    """
    for port in itertools.islice(_offers, len(_PORTS)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no free port in {_PORTS}")


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Return once ``condition`` holds; what is not reachable yet does not hold."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(redis.RedisError, OSError):
            if condition():
                return
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {seconds} s")


class Processes:
    """All that one test has started; each in a process group of its own."""

    def __init__(self) -> None:
        self._guardian = Guardian()
        self._started: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        *command: str,
        environ: Mapping[str, str] | None = None,
        log: Path | None = None,
        cwd: Path = REPO,
    ) -> subprocess.Popen[bytes]:
        """Start a command with ``environ`` on top of ours; its output goes to ``log``, if any."""
        with contextlib.ExitStack() as files:
            out = subprocess.DEVNULL if log is None else files.enter_context(log.open("ab"))
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **switch_environ(), **(environ or {})},
                cwd=cwd,
                start_new_session=True,
            )
        self._guardian.watch(process.pid)
        self._started.append(process)
        return process

    def start_redis(self, port: int, folder: Path, *options: str) -> subprocess.Popen[bytes]:
        """A Redis with :data:`PASSWORD` that answers; without persistence unless told."""
        process = self.start(
            # A limit on the size of its files is then an error to it, like a full disk.
            *("/bin/sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"),
            *(find_redis(), "--port", str(port), "--bind", "127.0.0.1", "--save", ""),
            *("--requirepass", PASSWORD, "--dir", str(folder), *options),
            log=folder / "redis.log",
        )
        with contextlib.closing(redis.Redis.from_url(redis_url(port))) as client:
            wait_until(lambda: client.ping() or process.poll() is not None, 60, "Redis")
        if process.poll() is not None:
            log = (folder / "redis.log").read_text(errors="replace")
            raise AssertionError(f"Redis ended with {process.returncode}:\n{log[-1000:]}")
        return process

    def start_worker(
        self, url: str, name: str, folder: Path, *options: str, environ: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """A worker; ``folder`` gets its log. It may still be starting."""
        return self.start(
            *(sys.executable, "-m", "celery", "-A", "sigmax_tasks", "--quiet", "worker"),
            *("-n", name, "-l", "WARNING", "--without-gossip", "--without-mingle", *options),
            *("--logfile", str(folder / f"{name.partition('@')[0]}.log")),
            environ={"SIGMAX_BROKER_URL": url, **environ},
            log=folder / f"{name.partition('@')[0]}.err",
        )

    @property
    def first(self) -> subprocess.Popen[bytes]:
        return self._started[0]

    @property
    def latest(self) -> subprocess.Popen[bytes]:
        return self._started[-1]

    def adopt(self, process: subprocess.Popen[bytes]) -> None:
        """Stop this one as well; it leads its process group."""
        self._guardian.watch(process.pid)
        self._started.append(process)

    def stop(self, process: subprocess.Popen[bytes], *, at_once: bool = False) -> None:
        """TERM to the group and time to obey it, then KILL; only the latter if ``at_once``."""
        if process.poll() is None and not at_once:
            _signal(process, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_GRACE_SECONDS)
        _signal(process, signal.SIGKILL)
        process.wait()
        self._guardian.forget(process.pid)
        self._started.remove(process)

    def stop_all(self, *, at_once: bool = False) -> None:
        """Stop everything, what was started first (as a rule, Redis) at last."""
        if not at_once:
            for process in self._started[1:]:
                if process.poll() is None:
                    _signal(process, signal.SIGTERM)
        for process in reversed(tuple(self._started)):
            self.stop(process, at_once=at_once)
        self._guardian.dismiss()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


@contextlib.contextmanager
def processes(*, kill: bool = False) -> Iterator[Processes]:
    """Processes for a block; killed at its end without a word if ``kill``."""
    started = Processes()
    try:
        yield started
    finally:
        started.stop_all(at_once=kill)


def await_workers(url: str, count: int, seconds: float = 60) -> None:
    """Return once that many workers have been heard of."""
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        wait_until(lambda: client.zcard("sigmax:workers") >= count, seconds, f"{count} workers")
