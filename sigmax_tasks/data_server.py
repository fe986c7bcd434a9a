"""The server of simulated or recorded data that runs are fed from: a running one, or its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from sigmax_planner.models import DataMode
from sigmax_tasks.errors import ClusterUnreachableError, ConfigurationError
from sigmax_tasks.redact import redact_url

_HEALTH_SECONDS = 3.0
_MOST_HEALTH_BYTES = 10_000


@contextmanager
def serve_data(
    mode: DataMode, server_url: str | None, replay_dir: Path | None
) -> Iterator[str | None]:
    """The address to fetch from, None for live data, which need no server.

    ``server_url`` is a server that runs already: :class:`ClusterUnreachableError` when it does not
    answer. Without it one is started on loopback and stopped after the block.
    """
    if mode is DataMode.LIVE:
        yield None
        return
    if server_url is not None:
        check_health(server_url)
        yield server_url
        return
    from sigmax_tasks.simulator.server import SimulatorServer  # not needed for live data

    try:
        server = SimulatorServer(replay_dir=replay_dir)
        server.start()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the data server cannot be started: {error}") from error
    try:
        yield server.url
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
            f"the data server {redact_url(url)} does not answer ({type(error).__name__})",
            advice="start it with: sigmax simulate, or unset SIGMAX_SIMULATOR_URL",
        ) from error
    if not isinstance(health, dict) or health.get("status") != "ok":
        raise ClusterUnreachableError(
            f"{redact_url(url)} is not a data server of SIGMAX Tasks",
            advice="give SIGMAX_SIMULATOR_URL the address that sigmax simulate prints",
        )
