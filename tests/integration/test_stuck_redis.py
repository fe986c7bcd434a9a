"""A Redis that is there and answers nobody: who waits for it, and a worker can still be stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from sigmax_tasks.cluster_link import connect, reachable
from sigmax_tasks.errors import ClusterUnreachableError
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


def test_a_redis_that_does_not_greet_counts_as_not_connected() -> None:
    """It is waited for as for a connection, not as for an answer, and tried for twice."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        port = server.getsockname()[1]
        client = connect(
            redis_url(port), connect_timeout_seconds=0.05, answer_timeout_seconds=1_000
        )
        with (
            pytest.raises(ClusterUnreachableError, match="does not answer"),
            reachable(redis_url(port)),
        ):
            client.ping()
        server.setblocking(False)
        taken = []
        with contextlib.suppress(BlockingIOError):
            while True:
                taken.append(server.accept()[0])
        for connection in taken:
            connection.close()
        client.close()
    assert len(taken) == 2


def test_an_answer_may_take_longer_than_a_connection(tmp_path: Path) -> None:
    with processes() as started:
        url = redis_url(port := free_port())
        started.start_redis(port, tmp_path)
        client = connect(url, connect_timeout_seconds=0.3, answer_timeout_seconds=30)
        client.ping()
        client.execute_command("CLIENT", "PAUSE", 600)
        assert client.get("nothing") is None
        client.close()
