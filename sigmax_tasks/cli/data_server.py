"""The server of simulated or recorded data that a command runs on: a running one, or its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from urllib.request import ProxyHandler, build_opener

from sigmax_planner.models import DataMode
from sigmax_tasks.cli.submission import SIMULATOR_URL, Submission
from sigmax_tasks.errors import ClusterUnreachableError, ConfigurationError
from sigmax_tasks.redact import redact_url

_HEALTH_SECONDS = 3.0
_MOST_HEALTH_BYTES = 10_000


@contextmanager
def data_server(submission: Submission) -> Iterator[Submission]:
    """The submission with the address of its data server; live data need none.

    Raises :class:`ClusterUnreachableError` when the server named in the environment does not
    answer. A server that was started is stopped after the block.
    """
    if submission.data_mode is DataMode.LIVE:
        yield submission
        return
    if submission.simulator_url is not None:
        check_health(submission.simulator_url)
        yield submission
        return
    from sigmax_tasks.simulator.server import SimulatorServer  # not needed for live data

    try:
        server = SimulatorServer(replay_dir=submission.replay_dir)
        server.start()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the data server cannot be started: {error}") from error
    try:
        yield submission.served_from(server.url)
    finally:
        server.stop()


def check_health(url: str) -> None:
    """Raise :class:`ClusterUnreachableError` unless a data server of ours answers there."""
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(f"{url}/_health", timeout=_HEALTH_SECONDS) as answer:
            health = json.loads(answer.read(_MOST_HEALTH_BYTES))
    except (OSError, ValueError, HTTPException) as error:
        raise ClusterUnreachableError(
            f"the data server {redact_url(url)} of {SIMULATOR_URL} does not answer "
            f"({type(error).__name__})",
            advice=f"start it with: sigmax simulate, or unset {SIMULATOR_URL}",
        ) from error
    if not isinstance(health, dict) or health.get("status") != "ok":
        raise ClusterUnreachableError(
            f"{redact_url(url)} of {SIMULATOR_URL} is not a data server of SIGMAX Tasks",
            advice="give it the address that sigmax simulate prints",
        )
