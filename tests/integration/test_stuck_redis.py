"""A Redis that is there and answers nobody: a worker can still be stopped."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.processes import await_workers, free_port, processes, redis_url

pytestmark = pytest.mark.integration
HEARTBEATS_SECONDS = 3.0


def test_a_worker_heeds_a_signal_while_redis_hangs(tmp_path: Path) -> None:
    with processes(kill=True) as started:
        url = redis_url(port := free_port())
        server = started.start_redis(port, tmp_path)
        worker = started.start_worker(
            url, "w0@stuck", tmp_path, "-c", "2", environ={"XDG_DATA_HOME": str(tmp_path)}
        )
        await_workers(url, 1)
        os.kill(server.pid, signal.SIGSTOP)
        time.sleep(HEARTBEATS_SECONDS)  # its next heartbeat hangs
        worker.terminate()
        assert worker.wait(timeout=120) == 0
