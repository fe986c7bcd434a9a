"""Keeps processes running: reads what they print, starts again what dies, stops all at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess  # starts what the caller names, with fixed arguments
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

from sigmax_tasks import clock
from sigmax_tasks.clock import Deadline
from sigmax_tasks.errors import ClusterUnreachableError
from sigmax_tasks.waiting_start import let_go, start_waiting

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
STEADY_SECONDS = 30.0
"""A process that lived this long before it died is started again as if for the first time."""
TICK_SECONDS = 0.2
_LONGEST_LINE_BYTES = 8_192
_KEPT_LINES = 3


def restart_delay(deaths: int) -> float:
    """Seconds before the next start after so many deaths in a row: doubled, up to a bound."""
    doublings = min(max(deaths - 1, 0), 20)
    return min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * float(2**doublings))


class Guardian:
    """A small process that stops ours when this one dies without doing it (guardian.py).

    ``folder``, which need not be there yet, is removed then as well. ``keep_open`` are descriptors
    it holds, such as a lock.
    """

    def __init__(self, folder: Path | None = None, *, keep_open: tuple[int, ...] = ()) -> None:
        script = Path(__file__).with_name("guardian.py")
        self._process = subprocess.Popen(  # noqa: S603  # our own arguments
            [sys.executable, "-I", "-S", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=keep_open,
        )
        if folder is not None:
            self._tell(f"folder {folder}")

    def watch(self, pid: int) -> None:
        """Stop the process group of ``pid`` as well."""
        self._tell(f"pid {pid}")

    def forget(self, pid: int) -> None:
        """That process is over; its number may soon be another's."""
        self._tell(f"gone {pid}")

    def dismiss(self) -> None:
        """All is stopped and removed already."""
        self._tell("done")
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(f"{line}\n".encode())
                self._process.stdin.flush()


@dataclass(frozen=True)
class Service:
    """One process to keep. ``stdin`` is written to it at each start; ``grace_seconds`` is the time
    it has between the polite signal and the other one."""

    name: str
    arguments: tuple[str, ...]
    environ: Mapping[str, str]
    stdin: bytes = b""
    cwd: Path | None = None
    grace_seconds: float = 5.0


@dataclass
class _Kept:
    service: Service
    process: subprocess.Popen[bytes]
    began: float
    deaths: int = 0
    again_at: float | None = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))


class Supervisor:
    """Processes by name. Use it from one thread; ``say`` is called from several.

    ``say(name, line)`` gets each line a process prints, and what happens to it. ``changed`` is
    called after a process was started again.
    """

    def __init__(
        self,
        say: Callable[[str, str], None],
        guardian: Guardian,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._say = say
        self._guardian = guardian
        self._changed = changed
        self._kept: dict[str, _Kept] = {}
        self._output_gone = threading.Event()

    def start(self, service: Service) -> None:
        """Start a process and keep it running from now on."""
        kept = _Kept(service, _waiting(service), clock.monotonic())
        self._kept[service.name] = kept
        self._let_go(kept)

    def pids(self) -> dict[str, int]:
        """Name -> process id of those that run."""
        return {n: k.process.pid for n, k in self._kept.items() if k.process.poll() is None}

    def check(self) -> None:
        """Raise :class:`ClusterUnreachableError` when a process has died, with its last line."""
        for name, kept in self._kept.items():
            code = kept.process.poll()
            if code is not None:
                # The reader may still be at the last lines of a process that has just died.
                patience = Deadline.after(0.5)
                while not kept.lines and not patience.passed:
                    clock.sleep(0.02)
                last = f": {kept.lines[-1][:300]}" if kept.lines else ""
                raise ClusterUnreachableError(f"{name} did not start (code {code}){last}")

    def wait_until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Return when ``condition`` holds; :class:`ClusterUnreachableError` after ``seconds``."""
        patience = Deadline.after(seconds)
        while not condition():
            self.check()
            if patience.passed:
                raise ClusterUnreachableError(f"{what} did not answer within {seconds:.0f} s")
            clock.sleep(0.05)

    def run(self) -> None:
        """Restart what dies, until an exception (such as a signal's) ends it.

        Raises ``BrokenPipeError`` when nobody reads the output any more.
        """
        while not self._output_gone.wait(TICK_SECONDS):
            self.tick()
        raise BrokenPipeError

    def tick(self) -> None:
        """One look at all processes."""
        for name, kept in self._kept.items():
            now = clock.monotonic()
            if kept.again_at is None:
                code = kept.process.poll()
                if code is None:
                    continue
                _end_group(kept.process.pid)  # its own children, if it left some
                self._guardian.forget(kept.process.pid)
                steady = now - kept.began >= STEADY_SECONDS
                kept.deaths = 1 if steady else kept.deaths + 1
                delay = restart_delay(kept.deaths)
                kept.again_at = now + delay
                self._tell(name, f"ended ({_ending(code)}), starting it again in {delay:g} s")
            elif now >= kept.again_at:
                kept.process = _waiting(kept.service)
                kept.began, kept.again_at = clock.monotonic(), None
                self._let_go(kept)
                self._changed()

    def stop(self, names: Iterable[str] | None = None) -> None:
        """TERM to these processes (all, if None) at once, KILL to what outlives its grace."""
        chosen = [
            self._kept[n] for n in (self._kept if names is None else names) if n in self._kept
        ]
        begun = clock.monotonic()
        for kept in chosen:
            if kept.process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(kept.process.pid, signal.SIGTERM)
        for kept in chosen:
            left = kept.service.grace_seconds - (clock.monotonic() - begun)
            try:
                kept.process.wait(timeout=max(left, 0.05))
            except subprocess.TimeoutExpired:
                self._tell(kept.service.name, "does not stop in time and is killed")
            _end_group(kept.process.pid)
            kept.process.wait()
            self._guardian.forget(kept.process.pid)
            del self._kept[kept.service.name]

    def _let_go(self, kept: _Kept) -> None:
        """Only a process that all who stop it know of may begin."""
        self._guardian.watch(kept.process.pid)
        self._read(kept)
        let_go(kept.process, kept.service.stdin)

    def _read(self, kept: _Kept) -> None:
        stream = kept.process.stdout
        if stream is not None:
            name = f"reader of {kept.service.name}"
            threading.Thread(target=self._pump, args=(kept, stream), name=name, daemon=True).start()

    def _pump(self, kept: _Kept, stream: IO[bytes]) -> None:
        with stream:
            for raw in iter(partial(stream.readline, _LONGEST_LINE_BYTES), b""):
                line = raw.decode(errors="replace").rstrip()
                if line:
                    kept.lines.append(line)
                    self._tell(kept.service.name, line)

    def _tell(self, name: str, line: str) -> None:
        """A reader that went away must not keep the processes from printing, or from stopping."""
        if self._output_gone.is_set():
            return
        try:
            self._say(name, line)
        except (OSError, ValueError):
            self._output_gone.set()


def _waiting(service: Service) -> subprocess.Popen[bytes]:
    return start_waiting(
        service.arguments, stdout=subprocess.PIPE, cwd=service.cwd, environ=service.environ
    )


def _end_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _ending(code: int) -> str:
    if code >= 0:
        return f"code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"
