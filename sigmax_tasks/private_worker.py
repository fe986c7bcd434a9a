"""The process of a private worker: started first, told later where and how to work.

Its imports take longer than those of whoever starts it, so a command starts it before its own. Told
nothing, it ends by itself when its standard input does, whatever became of the command.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess  # starts the worker, with fixed arguments
import sys
from pathlib import Path


class PrivateWorker:
    """Starts the process of :mod:`sigmax_tasks.embedded_worker`. Imports nothing heavy."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-m", "sigmax_tasks.embedded_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def begin(
        self, *, broker_url: str, pool: str, concurrency: int, loglevel: str, log_file: Path
    ) -> None:
        """Tell it to work. Through a pipe, so the password of the broker is in no process list."""
        orders = {
            "broker_url": broker_url,
            "pool": pool,
            "concurrency": concurrency,
            "loglevel": loglevel,
            "logfile": str(log_file),
        }
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it has died, which its keeper notices
                self.process.stdin.write(json.dumps(orders).encode() + b"\n")
                self.process.stdin.close()

    def discard(self) -> None:
        """End it, where it has not ended yet."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
