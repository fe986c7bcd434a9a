"""What the planner is told of quotas is what the gate would say, without taking any of it."""

from __future__ import annotations

from typing import Any

import fakeredis
import pytest

from sigmax_tasks.clock import Deadline
from sigmax_tasks.errors import RateLimitedError
from sigmax_tasks.settings.sources import SourceSettings
from sigmax_tasks.sources.gate import Gate, Visit
from sigmax_tasks.sources.headroom import source_headroom
from sigmax_tasks.sources.redis_link import RedisLink
from sigmax_tasks.sources.renewals import Renewals


@pytest.fixture
def client() -> Any:
    return fakeredis.FakeRedis(decode_responses=True)


@pytest.fixture
def gate(client: Any, settings: SourceSettings) -> Gate:
    return Gate(RedisLink(client), settings, Renewals(5))


def asked(gate: Gate, provider: str, times: int) -> Visit:
    visit = None
    for _ in range(times):
        base_url = gate.settings.providers[provider].base_url
        visit = gate.visit(gate.lane(provider, base_url, None, live=True), "/")
        assert visit.try_enter(10, Deadline.after(0)) == 0
        visit.answered({}, None)
    assert visit is not None
    return visit


def test_before_anything_was_asked_no_source_is_near_a_limit(
    client: Any, settings: SourceSettings
) -> None:
    assert source_headroom(client, settings, {}, live=True) == {}


def test_a_source_stands_as_its_best_provider(
    client: Any, gate: Gate, settings: SourceSettings
) -> None:
    outlets = settings.data_sources["news"].all_providers
    limited = [name for name in outlets if settings.providers[name].limits == "3/3 minutes"]
    assert limited
    for name in limited[:-1]:
        asked(gate, name, 3)
    assert "news" not in source_headroom(client, settings, {}, live=True)


def test_the_share_that_is_left_and_the_time_to_the_next_place(
    client: Any, gate: Gate, settings: SourceSettings
) -> None:
    only = settings.model_copy(
        update={
            "data_sources": {
                "social": settings.data_sources["social"].model_copy(
                    update={"providers": ("stocktwits",), "fallback": ()}
                )
            }
        }
    )
    asked(gate, "stocktwits", 1)
    room = source_headroom(client, only, {}, live=True)["social"]
    assert (room.share_left, room.wait_seconds) == (0.5, 0)
    assert "1 of 2 requests left at stocktwits" in room.detail
    asked(gate, "stocktwits", 1)
    room = source_headroom(client, only, {}, live=True)["social"]
    assert room.share_left == 0
    assert 50 < room.wait_seconds <= 60
    assert source_headroom(client, only, {}, live=False) == {}


def test_limits_of_less_than_a_minute_do_not_count(
    client: Any, gate: Gate, settings: SourceSettings
) -> None:
    asked(gate, "kraken", 8)
    assert source_headroom(client, settings, {}, live=True) == {}


def test_a_provider_that_asked_to_wait_is_waited_for(
    client: Any, gate: Gate, settings: SourceSettings
) -> None:
    only = settings.model_copy(
        update={
            "data_sources": {
                "coingecko": settings.data_sources["coingecko"].model_copy(
                    update={"providers": ("coingecko",), "fallback": ()}
                )
            }
        }
    )
    lane = gate.lane("coingecko", settings.providers["coingecko"].base_url, None, live=True)
    gate.note(lane, RateLimitedError("coingecko", "too many requests", retry_after_seconds=300))
    room = source_headroom(client, only, {}, live=True)["coingecko"]
    assert room.share_left == 0
    assert 290 < room.wait_seconds <= 300
    assert "coingecko" in room.detail
