"""A running simulator for the whole folder, and a plain client for it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from sigmax_tasks.simulator import SimulatorServer, world_base_url

AS_OF = 1_731_629_834_567
"""2024-11-15 00:17:14.567 UTC, in the middle of a minute and an hour."""
SEED = 42


class Got(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def fetch(url: str, method: str = "GET", body: bytes | None = None, timeout: float = 10.0) -> Got:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Got(answer.status, answer.read(), headers)
    finally:
        connection.close()


def parse_xml(body: bytes) -> ET.Element:
    return ET.fromstring(body)  # noqa: S314 - our own server's or a stored document


class Simulator:
    """The server with short cuts for asking it."""

    def __init__(self, server: SimulatorServer) -> None:
        self.server = server

    def base(
        self, provider: str, as_of: int | None = AS_OF, seed: int = SEED, mode: str = "simulated"
    ) -> str:
        return world_base_url(self.server.url, mode, seed, as_of, provider)

    def get(self, provider: str, path: str, as_of: int | None = AS_OF, seed: int = SEED) -> Got:
        return fetch(self.base(provider, as_of, seed) + path)

    def replay(self, provider: str, path: str, as_of: int = AS_OF) -> Got:
        return fetch(self.base(provider, as_of, mode="replay") + path)


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    with SimulatorServer() as server:
        yield Simulator(server)


@pytest.fixture(scope="session")
def replayer(shared_data: Path) -> Iterator[Simulator]:
    with SimulatorServer(replay_dir=shared_data) as server:
        yield Simulator(server)
