"""A cluster's Redis with nothing in it."""

from __future__ import annotations

from collections.abc import Iterator

import fakeredis
import pytest
import redis

from sigmax_tasks.settings import Settings, load_settings
from sigmax_tasks.store import RunStore
from tests.unit.engine.builders import runtime


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    client = fakeredis.FakeRedis(decode_responses=True)
    yield client
    client.close()


@pytest.fixture
def store(client: redis.Redis) -> RunStore:
    return RunStore(client, runtime())


@pytest.fixture(scope="session")
def settings() -> Settings:
    return load_settings(environ={}).settings
