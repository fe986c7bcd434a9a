"""Cleans up behind a private or local cluster whose owner died without stopping it.

Run as a script with the standard library only. Reads lines ``pid N``, ``gone N`` (that process is
over) and ``folder PATH`` from its standard input; when the input ends, the owner is gone: every
process still alive is stopped and the folders are removed. ``done`` ends it without.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time

GRACE_SECONDS = 1.5


def alive(pid: int) -> bool:
    """Whether that process exists (a zombie of another parent counts as gone on Linux)."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def stop_groups(pids: list[int], grace_seconds: float) -> None:
    """TERM to each process group, KILL to what is left after the grace."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGTERM)
    end = time.monotonic() + grace_seconds
    while time.monotonic() < end and any(alive(pid) for pid in pids):
        time.sleep(0.02)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def main() -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    pids: list[int] = []
    folders: list[str] = []
    for line in sys.stdin:
        word, _, value = line.strip().partition(" ")
        if word == "pid":
            pids.append(int(value))
        elif word == "gone":
            pids = [pid for pid in pids if pid != int(value)]
        elif word == "folder":
            folders.append(value)
        elif word == "done":
            return
    stop_groups([pid for pid in pids if alive(pid)], GRACE_SECONDS)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
