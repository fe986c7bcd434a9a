"""What the reader makes of the counts of all desks, and how it is shown."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import fakeredis
import pytest
from rich.console import Console

from sigmax_tasks import clock
from sigmax_tasks.checkup.finding import Finding
from sigmax_tasks.clock import Deadline
from sigmax_tasks.errors import RateLimitedError, TransientSourceError, WrongQuestionError
from sigmax_tasks.report.doctor_view import doctor_view
from sigmax_tasks.settings.sources import SourceSettings
from sigmax_tasks.sources.desk_counts import count
from sigmax_tasks.sources.desk_status import ProviderStatus, desk_status, percentile
from sigmax_tasks.sources.gate import Gate, Visit
from sigmax_tasks.sources.redis_link import RedisLink
from sigmax_tasks.sources.renewals import Renewals


@pytest.fixture
def client() -> Any:
    return fakeredis.FakeRedis(decode_responses=True)


@pytest.fixture
def gate(client: Any, settings: SourceSettings) -> Gate:
    return Gate(RedisLink(client), settings, Renewals(5))


def entered(gate: Gate, provider: str, address: str | None = None, *, live: bool = True) -> Visit:
    base_url = address or gate.settings.providers[provider].base_url
    visit = gate.visit(gate.lane(provider, base_url, None, live=live), "/")
    assert visit.try_enter(10, Deadline.after(0)) == 0
    return visit


def by_name(client: Any, settings: SourceSettings) -> dict[tuple[str, bool], ProviderStatus]:
    found = desk_status(client, settings, environ={})
    return {(status.provider, status.simulated): status for status in found}


def test_every_provider_is_listed_before_anything_was_asked(
    client: Any, settings: SourceSettings
) -> None:
    found = desk_status(client, settings, environ={})
    assert [status.provider for status in found] == list(settings.providers)
    kraken = found[0]
    assert (kraken.reachable, kraken.breaker, kraken.requests) == (None, "closed", 0)
    assert kraken.limits_left == {"10 per 10 second": 10}


def test_answers_limits_hits_and_latencies(
    client: Any, gate: Gate, settings: SourceSettings
) -> None:
    for _ in range(3):
        entered(gate, "kraken").answered({}, None)
    entered(gate, "kraken").answered({}, WrongQuestionError("kraken", "HTTP 404"))
    for what in ("hits", "hits", "misses", "stale", "late"):
        count(gate.link, "kraken", what, live=True)  # type: ignore[arg-type]  # of these names
    kraken = by_name(client, settings)["kraken", False]
    assert (kraken.reachable, kraken.requests, kraken.failed) == (True, 4, 0)
    assert kraken.limits_left == {"10 per 10 second": 6}
    assert (kraken.hits, kraken.misses, kraken.stale, kraken.late) == (2, 1, 1, 1)
    assert kraken.p50_ms is not None
    assert kraken.last_error == "", "a wrong question is not the provider's error"


def test_an_open_circuit_and_a_cool_down_are_seen(
    client: Any, gate: Gate, settings: SourceSettings
) -> None:
    for _ in range(settings.breaker.failures):
        entered(gate, "fred").failed(TransientSourceError("fred", "cut off"), timed_out=False)
    refused = RateLimitedError("treasury", "HTTP 429", retry_after_seconds=60)
    entered(gate, "treasury").answered({}, refused)
    found = by_name(client, settings)
    fred, treasury = found["fred", False], found["treasury", False]
    assert (fred.breaker, fred.reachable, fred.last_error) == ("open", False, "cut off")
    assert 0 < fred.breaker_seconds <= settings.breaker.open_seconds
    assert (treasury.breaker, treasury.reachable) == ("closed", True)
    assert 59 <= treasury.cool_down_seconds <= 60
    assert treasury.cool_down_reason == "HTTP 429"
    assert treasury.last_error_at is not None


def test_simulated_providers_are_kept_apart(
    client: Any, gate: Gate, settings: SourceSettings
) -> None:
    entered(gate, "kraken", "http://127.0.0.1:1/sim/1/2/kraken", live=False).answered({}, None)
    found = by_name(client, settings)
    assert found["kraken", True].host == "127.0.0.1:1"
    assert found["kraken", True].requests == 1
    assert found["kraken", False].requests == 0
    assert len(found) == len(settings.providers) + 1


def test_no_secret_of_an_error_is_kept(client: Any, gate: Gate, settings: SourceSettings) -> None:
    error = TransientSourceError("fred", "proxy http://user:hunter2@host/ refused")
    entered(gate, "fred").failed(error, timed_out=False)
    assert "hunter2" not in by_name(client, settings)["fred", False].last_error


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, None), ([7], 0.95, 7), ([1, 2, 3, 4], 0.5, 2), (list(range(1, 101)), 0.95, 95)],
)
def test_percentiles(values: list[int], share: float, expected: int | None) -> None:
    assert percentile(values, share) == expected


def test_the_view_shows_states_errors_and_those_not_asked(
    client: Any, gate: Gate, settings: SourceSettings
) -> None:
    entered(gate, "kraken").answered({}, None)
    for _ in range(settings.breaker.failures):
        entered(gate, "fred").failed(TransientSourceError("fred", "cut [red]off"), timed_out=False)
    checks = [Finding("workers", "alive", "problem", "none is heard of", "start [one]")]
    out = StringIO()
    console = Console(file=out, width=100)
    now = clock.now() + timedelta(minutes=3)
    console.print(
        doctor_view("redis://host/0", checks, desk_status(client, settings, environ={}), now)
    )
    text = out.getvalue()
    assert "start [one]" in text
    assert "1 problem" in text
    lines = {line.split()[0]: line for line in text.splitlines() if line.split()}
    assert "answers" in lines["kraken"]
    assert "9 of 10 per 10 second" in lines["kraken"]
    assert "3 min ago" in text
    assert "cut [red]off" in text
    assert "Not asked lately: coinbase" in text
