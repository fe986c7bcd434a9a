"""Small real processes that print, die, and refuse to stop."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sigmax_tasks import clock
from sigmax_tasks.errors import ClusterUnreachableError
from sigmax_tasks.guardian import alive
from sigmax_tasks.supervisor import Guardian, Service, Supervisor, restart_delay


class Log:
    """What was said, by name."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, name: str, line: str) -> None:
        self.lines.append((name, line))

    def of(self, name: str) -> str:
        return "\n".join(line for said, line in self.lines if said == name)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def supervisor(log: Log) -> Iterator[Supervisor]:
    guardian = Guardian()
    kept = Supervisor(log, guardian)
    yield kept
    kept.stop()
    guardian.dismiss()


def shell(name: str, script: str, **changes: object) -> Service:
    return Service(name, ("/bin/sh", "-c", script), os.environ, **changes)  # type: ignore[arg-type]


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_the_delay_doubles_up_to_a_bound() -> None:
    assert [restart_delay(n) for n in range(1, 8)] == [0.5, 1, 2, 4, 8, 16, 30]
    assert restart_delay(10_000) == 30


def test_what_is_printed_comes_with_the_name_and_input_is_given(
    supervisor: Supervisor, log: Log
) -> None:
    supervisor.start(shell("echo", "cat; echo twice >&2; sleep 60", stdin=b"once\n"))
    until(lambda: log.of("echo") == "once\ntwice")


def test_what_dies_is_started_again_after_a_delay(
    log: Log, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sigmax_tasks.supervisor.FIRST_DELAY_SECONDS", 0.05)
    changes: list[bool] = []
    guardian = Guardian()
    kept = Supervisor(log, guardian, lambda: changes.append(True))
    marker = tmp_path / "second"
    try:
        kept.start(shell("phoenix", f"test -e {marker} && exec sleep 60; touch {marker}; exit 3"))
        first = kept.pids().get("phoenix")
        until(lambda: not kept.pids())
        kept.tick()
        assert "ended (code 3), starting it again in 0.05 s" in log.of("phoenix")
        assert not changes
        clock.sleep(0.06)
        kept.tick()
        assert changes == [True]
        assert kept.pids()["phoenix"] != first
    finally:
        kept.stop()
        guardian.dismiss()


def test_a_death_at_the_start_is_an_error_with_the_last_line(supervisor: Supervisor) -> None:
    supervisor.start(shell("broken", "echo starting; echo no such setting >&2; exit 2"))
    with pytest.raises(
        ClusterUnreachableError, match=r"broken did not start \(code 2\): no such setting"
    ):
        supervisor.wait_until(lambda: False, 5, "nothing")


def test_waiting_is_bounded(supervisor: Supervisor) -> None:
    supervisor.start(shell("idle", "sleep 60"))
    with pytest.raises(ClusterUnreachableError, match="Redis did not answer within 0 s"):
        supervisor.wait_until(lambda: False, 0.1, "Redis")


def test_stopping_asks_first_then_kills_and_takes_children_along(
    supervisor: Supervisor, log: Log, tmp_path: Path
) -> None:
    child = tmp_path / "child"
    polite = f"trap 'echo bye; exit 0' TERM; sleep 60 & echo $! > {child}; wait"
    supervisor.start(shell("polite", polite))
    deaf = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('up', flush=True)\n"
        "time.sleep(60)\n"
    )
    supervisor.start(Service("deaf", (sys.executable, "-c", deaf), os.environ, grace_seconds=0.3))
    until(lambda: child.exists() and child.read_text() != "" and log.of("deaf") == "up")
    pids = [*supervisor.pids().values(), int(child.read_text())]
    supervisor.stop()
    assert supervisor.pids() == {}
    until(lambda: not any(_runs(pid) for pid in pids))
    assert log.of("polite") == "bye"
    assert "does not stop in time and is killed" in log.of("deaf")


def test_a_reader_that_went_away_ends_it_and_blocks_no_process(tmp_path: Path) -> None:
    def say(_name: str, _line: str) -> None:
        raise BrokenPipeError

    guardian = Guardian()
    kept = Supervisor(say, guardian)
    done = tmp_path / "done"
    try:
        # Far more than a pipe holds: it would block if nobody read it any more.
        kept.start(shell("loud", f"seq 1 100000; touch {done}; sleep 60"))
        with pytest.raises(BrokenPipeError):
            kept.run()
        until(done.exists)
    finally:
        kept.stop()
        guardian.dismiss()


def test_the_guardian_stops_what_its_dead_owner_left_but_not_what_was_over(
    tmp_path: Path,
) -> None:
    pids = tmp_path / "pids"
    owner = (
        "import os, pathlib, subprocess, sys\n"
        "from sigmax_tasks.supervisor import Guardian\n"
        "def sleeper(): return subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "guardian, left, over = Guardian(), sleeper(), sleeper()\n"
        "guardian.watch(left.pid); guardian.watch(over.pid); guardian.forget(over.pid)\n"
        f"pathlib.Path({str(pids)!r}).write_text(f'{{left.pid}} {{over.pid}}')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", owner], check=False).returncode == -9
    left, over = map(int, pids.read_text().split())
    try:
        until(lambda: not _runs(left))
        assert _runs(over)
    finally:
        os.kill(over, 9)


def _runs(pid: int) -> bool:
    """Alive and not a zombie that waits for its parent."""
    if not alive(pid):
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
