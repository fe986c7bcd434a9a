"""The gate before each provider: limits, weights, cool-downs and circuits over all workers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import fakeredis
import limits
import pytest
import redis
from limits.strategies import MovingWindowRateLimiter

from sigmax_tasks.clock import Deadline, use_clock
from sigmax_tasks.errors import ConfigurationError, RateLimitedError, TransientSourceError
from sigmax_tasks.settings.sources import SourceSettings, source_settings
from sigmax_tasks.sources.breaker import CircuitOpenError
from sigmax_tasks.sources.gate import Gate, Lane, Visit
from sigmax_tasks.sources.quota import SharedWindows, left_of, quota_of
from sigmax_tasks.sources.redis_link import RedisLink
from sigmax_tasks.sources.renewals import Renewals
from tests.unit.sources.conftest import FakeClock

LIVE = "https://api.kraken.com"
RENEWALS = Renewals(5)
RENEWALS.close()  # each worker here dies, for all the others know
Change = Callable[..., SourceSettings]


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    fake = FakeClock()
    with use_clock(fake):
        yield fake


@pytest.fixture
def server() -> fakeredis.FakeServer:  # type: ignore[override]  # nothing here speaks HTTP
    return fakeredis.FakeServer()


@pytest.fixture
def change(shipped: dict[str, Any]) -> Change:
    """The shipped settings with other values for kraken, quota and breaker."""

    def make(kraken: dict[str, Any], **sections: dict[str, Any]) -> SourceSettings:
        provider = {**shipped["providers"]["kraken"], "limits": None, **kraken}
        providers = {**shipped["providers"], "kraken": provider}
        parts = {name: {**shipped[name], **values} for name, values in sections.items()}
        parts.setdefault("quota", {**shipped["quota"], "trust_seconds": 0})
        return source_settings({**shipped, "providers": providers, **parts})

    return make


@dataclass
class Worker:
    """One worker process at the gate of kraken."""

    gate: Gate
    lane: Lane
    visits: list[Visit] = field(default_factory=list)

    def arrive(self, endpoint: str = "/0/public/OHLC") -> Visit:
        self.visits.append(self.gate.visit(self.lane, endpoint))
        return self.visits[-1]

    def enter(self, patience: float = 0.0, endpoint: str = "/0/public/OHLC") -> Visit:
        """A request that is let in at once; the gate's error otherwise."""
        visit = self.arrive(endpoint)
        assert visit.try_enter(10, Deadline.after(patience)) == 0
        return visit


@pytest.fixture
def worker(server: fakeredis.FakeServer, clock: FakeClock) -> Callable[..., Worker]:
    def make(settings: SourceSettings, address: str = LIVE, secret: str | None = None) -> Worker:
        client = fakeredis.FakeRedis(server=server, decode_responses=True)
        now_ms = lambda: round(clock.now().timestamp() * 1000)  # noqa: E731
        gate = Gate(RedisLink(client), settings, RENEWALS, now_ms)
        lane = gate.lane("kraken", address, secret, live=address.startswith("https"))
        return Worker(gate, lane)

    return make


def said(visit: Visit, patience: float = 0.0) -> str:
    with pytest.raises(TransientSourceError) as caught:
        visit.try_enter(10, Deadline.after(patience))
    return caught.value.problem


def test_a_limit_holds_over_all_workers(change: Change, worker: Callable[..., Worker]) -> None:
    settings = change({"limits": "3/second"})
    one, two = worker(settings), worker(settings)
    for each in (one, two, one):
        each.enter().answered({}, None)
    for each in (one, two):
        assert said(each.arrive()) == "quota: next slot in 1.0 s"


def test_a_place_is_free_again_a_window_after_the_answer_and_not_after_the_start(
    change: Change, worker: Callable[..., Worker], clock: FakeClock
) -> None:
    gate = worker(change({"limits": "1/second"}))
    visit = gate.enter()
    clock.elapsed += 5
    assert said(gate.arrive()) == "quota: next slot in 1.0 s"
    visit.answered({}, None)
    clock.elapsed += 0.9
    assert said(gate.arrive()) == "quota: next slot in 0.1 s"
    clock.elapsed += 0.11
    gate.enter()


def test_the_places_of_a_dead_worker_come_back(
    change: Change, worker: Callable[..., Worker], clock: FakeClock
) -> None:
    settings = change({"limits": "1/second"})
    worker(settings).enter()  # dies: nobody settles its request, which lasts 10 s at most
    other = worker(settings)
    clock.elapsed += 10.5
    assert "next slot" in said(other.arrive())
    clock.elapsed += 0.6
    other.enter()


@pytest.mark.parametrize("seed", range(4))
def test_no_second_of_the_providers_log_holds_more_than_the_limit(
    change: Change, worker: Callable[..., Worker], clock: FakeClock, seed: int
) -> None:
    """Requests reach the provider at any moment between their start and their end."""
    chance = random.Random(seed)
    settings = change({"limits": "5/second"})
    workers = [worker(settings) for _ in range(4)]
    log: list[float] = []
    flying: list[tuple[float, float, Visit]] = []
    waiting: dict[int, Visit] = {}
    looks: dict[int, float] = {}
    while clock.elapsed < 1012:
        for _, _, visit in [f for f in flying if f[0] <= clock.elapsed]:
            visit.answered({}, None)
        flying = [f for f in flying if f[0] > clock.elapsed]
        for number, each in enumerate(workers):
            visit = waiting.setdefault(number, each.arrive())
            if looks.get(number, 0) > clock.elapsed:
                continue
            step = visit.try_enter(3, Deadline.after(60))
            looks[number] = clock.elapsed + step
            if step == 0:
                takes = chance.choice((0.01, 0.2, 0.9, 2.5))
                log.append(clock.elapsed + takes * chance.random())
                flying.append((clock.elapsed + takes, 0, visit))
                waiting[number] = each.arrive()
        clock.elapsed += 0.005
    log.sort()
    assert len(log) > 12
    assert all(later - first >= 1 for first, later in zip(log, log[5:], strict=False))


def test_who_waits_gets_its_turn_in_order_and_stands_no_chance_beyond_its_patience(
    change: Change, worker: Callable[..., Worker], clock: FakeClock
) -> None:
    settings = change({"limits": "1/second"})
    gate, other = worker(settings), worker(settings)
    gate.enter().answered({}, None)
    first, second = gate.arrive(), other.arrive()
    assert 0 < first.try_enter(10, Deadline.after(5)) <= 1
    assert second.try_enter(10, Deadline.after(5)) > 0
    assert said(other.arrive(), patience=2) == "quota: next slot in 3.0 s"
    clock.elapsed += 1.01
    assert second.try_enter(10, Deadline.after(5)) > 0, "the first one stands ahead of it"
    assert first.try_enter(10, Deadline.after(5)) == 0


def test_who_stopped_waiting_keeps_nobody_waiting(
    change: Change, worker: Callable[..., Worker], clock: FakeClock
) -> None:
    gate = worker(change({"limits": "1/second"}))
    gate.enter().answered({}, None)
    gone, dead, last = gate.arrive(), gate.arrive(), gate.arrive()
    for visit in (gone, dead, last):
        assert visit.try_enter(10, Deadline.after(9)) > 0
    gone.dropped()
    clock.elapsed += 3.7  # longer than a worker that lives would stay away
    assert last.try_enter(10, Deadline.after(9)) == 0


def test_several_limits_hold_at_once_and_spacing_too(
    change: Change, worker: Callable[..., Worker], clock: FakeClock
) -> None:
    gate = worker(change({"limits": "2/second; 3/minute", "min_interval_seconds": 0.25}))
    for _ in range(3):
        gate.enter().answered({}, None)
        assert "next slot" in said(gate.arrive())
        clock.elapsed += 1.01
    assert said(gate.arrive()) == "quota: next slot in 57 s"


def test_weights_count_and_a_light_request_may_still_go(
    change: Change, worker: Callable[..., Worker]
) -> None:
    rules = [
        {"path": "*/depth", "parameter": "limit", "at_most": 100, "weight": 5},
        {"path": "*/depth", "weight": 25},
        {"path": "*", "weight": 2},
    ]
    gate = worker(change({"weight_limits": "30/minute", "weights": rules}))
    gate.enter(endpoint="/api/v3/depth?symbol=BTCUSDT&limit=500").answered({}, None)
    assert "next slot" in said(gate.arrive("/api/v3/depth?limit=1000"))
    gate.enter(endpoint="/api/v3/klines?limit=1000").answered({}, None)
    assert "next slot" in said(gate.arrive("/api/v3/depth?limit=100"))
    assert list(left_of(gate.gate.link.client, "kraken", gate.lane.name, gate.lane.quota)) == [
        "30 weight per 1 minute"
    ]


@pytest.mark.parametrize(("symbols", "weight"), [(1, 2), (20, 2), (21, 40), (100, 40)])
def test_a_list_weighs_by_its_length(settings: SourceSettings, symbols: int, weight: int) -> None:
    names = ",".join(f'"C{number}USDT"' for number in range(symbols))
    quota = quota_of("binance", settings.providers["binance"], settings.quota, "x", live=True)
    assert quota.weight(f"/api/v3/ticker/24hr?symbols=[{names}]") == weight
    assert quota.weight("/api/v3/ticker/24hr?symbol=BTCUSDT") == 2


def test_a_request_heavier_than_its_limit_is_a_configuration_error(
    change: Change, settings: SourceSettings
) -> None:
    wrong = change({"weight_limits": "20/minute", "weights": [{"path": "*", "weight": 25}]})
    with pytest.raises(ConfigurationError, match="weight 25 never fits"):
        quota_of("kraken", wrong.providers["kraken"], wrong.quota, "x", live=True)


def test_the_weight_that_the_provider_counts_holds_where_it_is_more(
    change: Change, worker: Callable[..., Worker], clock: FakeClock
) -> None:
    settings = change({"weight_limits": "100/minute", "used_weight_header": "X-Used"})
    one, two = worker(settings), worker(settings)
    one.enter().answered({"X-Used": "99"}, None)  # others ask from here, too
    two.enter().answered({"X-Used": "100"}, None)
    assert "next slot" in said(two.arrive())
    clock.elapsed += 30
    assert "next slot" in said(one.arrive())
    clock.elapsed += 30.1
    two.enter().answered({"X-Used": "3"}, None)
    one.enter()


@pytest.mark.parametrize("stated", [3.0, None])
def test_a_refusal_keeps_all_workers_away(
    change: Change, worker: Callable[..., Worker], clock: FakeClock, stated: float | None
) -> None:
    settings = change({})
    one, two = worker(settings), worker(settings)
    error = RateLimitedError("kraken", "HTTP 429", retry_after_seconds=stated)
    one.enter().answered({}, error)
    seconds = stated or settings.quota.cool_down_seconds
    with pytest.raises(RateLimitedError) as caught:
        two.arrive().try_enter(10, Deadline.after(60))
    assert caught.value.retry_after_seconds == pytest.approx(seconds)
    assert caught.value.problem == f"asked all workers to wait {seconds:.0f} s more (HTTP 429)"
    clock.elapsed += seconds - 0.01
    assert "asked all workers" in said(two.arrive())
    clock.elapsed += 0.02
    two.enter()


def test_a_refusal_in_a_good_answer_counts_too_and_is_told_once(
    change: Change, worker: Callable[..., Worker]
) -> None:
    settings = change({})
    one, two = worker(settings), worker(settings)
    one.enter().answered({}, None)
    one.gate.note(one.lane, RateLimitedError("kraken", "EAPI:Rate limit exceeded"))
    assert "Rate limit exceeded" in said(two.arrive())


def test_a_used_up_limit_that_the_headers_tell_of(
    change: Change, worker: Callable[..., Worker], clock: FakeClock
) -> None:
    gate = worker(change({"remaining_header": "x-left", "reset_header": "x-reset"}))
    gate.enter().answered({"x-left": "1.0", "x-reset": "30"}, None)
    gate.enter().answered({"x-left": "0.0", "x-reset": "7"}, None)
    assert "wait 7 s more (its limit is used up)" in said(gate.arrive())
    clock.elapsed += 7.1
    gate.enter()


def test_lanes_of_other_addresses_and_keys_have_limits_of_their_own(
    change: Change, worker: Callable[..., Worker]
) -> None:
    settings = change({"limits": "1/second"})
    worker(settings).enter()
    worker(settings, secret="mine").enter()
    simulated = worker(settings, "http://127.0.0.1:1234/sim/7/1/kraken")
    for _ in range(3):
        simulated.enter()
    same = worker(settings, "https://api.kraken.com/elsewhere")
    assert "next slot" in said(same.arrive())


def test_simulated_limits_hold_on_simulators_only(
    change: Change, worker: Callable[..., Worker], shipped: dict[str, Any]
) -> None:
    quota = {"simulated_limits": {"kraken": "1/minute"}, "trust_seconds": 0}
    settings = change({}, quota=quota)
    worker(settings, "http://127.0.0.1:1234/sim/7/1/kraken").enter()
    assert "next slot" in said(worker(settings, "http://127.0.0.1:1234/sim/8/2/kraken").arrive())
    live = worker(settings)
    live.enter()
    live.enter()


def fail(visit: Visit) -> None:
    visit.failed(TransientSourceError("kraken", "connection lost"), timed_out=False)


def test_failures_in_a_row_open_the_circuit_for_all(
    change: Change, worker: Callable[..., Worker], clock: FakeClock
) -> None:
    settings = change({}, breaker={"failures": 3, "open_seconds": 30})
    one, two = worker(settings), worker(settings)
    for each in (one, two):
        fail(each.enter())
    one.enter().answered({}, None)
    for each in (one, two, one):
        fail(each.enter())
    with pytest.raises(CircuitOpenError, match="circuit open until 22:30:30 UTC") as caught:
        two.arrive().try_enter(10, Deadline.after(60))
    assert caught.value.retry_after_seconds == pytest.approx(30)


def test_failures_far_apart_do_not_open_it(
    change: Change, worker: Callable[..., Worker], clock: FakeClock
) -> None:
    gate = worker(change({}, breaker={"failures": 2, "window_seconds": 10}))
    for _ in range(4):
        fail(gate.enter())
        clock.elapsed += 11


def test_one_request_that_hung_opens_it_and_a_short_one_does_not(
    change: Change, worker: Callable[..., Worker], clock: FakeClock
) -> None:
    gate = worker(change({}, breaker={"hang_seconds": 4}))
    slow = TransientSourceError("kraken", "no complete answer")
    short = gate.enter()
    clock.elapsed += 1
    short.failed(slow, timed_out=True)
    hung = gate.enter()
    clock.elapsed += 5
    hung.failed(slow, timed_out=True)
    assert "circuit open until" in said(gate.arrive())


def test_one_worker_tries_again_and_its_answer_closes_the_circuit(
    change: Change, worker: Callable[..., Worker], clock: FakeClock
) -> None:
    settings = change({}, breaker={"failures": 1, "open_seconds": 5})
    one, two = worker(settings), worker(settings)
    fail(one.enter())
    clock.elapsed += 5.1
    trial = two.enter()
    assert said(one.arrive()) == "circuit open: one request is trying it again"
    fail(trial)
    assert "circuit open until" in said(one.arrive())
    clock.elapsed += 5.1
    dead = one.enter()  # its worker dies with it
    clock.elapsed += 5.1
    again = two.enter()
    assert "trying it again" in said(one.arrive())
    again.answered({}, None)
    one.enter()
    two.enter()
    assert dead.counted


def test_failures_while_it_is_open_do_not_keep_it_open(
    change: Change, worker: Callable[..., Worker], clock: FakeClock
) -> None:
    gate = worker(change({}, breaker={"failures": 1, "open_seconds": 5}))
    first, late = gate.enter(), gate.enter()
    fail(first)
    clock.elapsed += 4
    fail(late)
    clock.elapsed += 1.1
    gate.enter()


def test_a_refusal_does_not_open_the_circuit(
    change: Change, worker: Callable[..., Worker], clock: FakeClock
) -> None:
    gate = worker(change({}, breaker={"failures": 1}))
    refused = RateLimitedError("kraken", "HTTP 429", retry_after_seconds=1)
    gate.enter().answered({}, refused)
    clock.elapsed += 1.1
    gate.enter()


def test_an_unknown_provider_gets_one_request_until_it_has_answered(
    change: Change, worker: Callable[..., Worker], clock: FakeClock, shipped: dict[str, Any]
) -> None:
    settings = change({}, quota={"trust_seconds": 60})
    one, two = worker(settings), worker(settings)
    first = one.enter()
    second = two.arrive()
    assert 0 < second.try_enter(10, Deadline.after(5)) <= 0.2
    assert said(two.arrive()) == "quota: its first answer is still awaited"
    first.answered({}, None)
    assert second.try_enter(10, Deadline.after(5)) == 0
    one.enter()
    clock.elapsed += 59
    two.enter()


class _Dead:
    """A Redis that refuses every command."""

    def __init__(self) -> None:
        self.asked = 0

    def register_script(self, _text: str) -> Callable[..., Any]:
        def run(**_given: Any) -> None:
            self.asked += 1
            raise redis.ConnectionError("refused")

        return run

    def pipeline(self, **_given: Any) -> None:
        raise redis.ConnectionError("refused")


def test_without_redis_limited_providers_are_waited_for_and_others_are_asked(
    change: Change, clock: FakeClock
) -> None:
    dead = _Dead()
    for kraken, limited in (({"limits": "5/second"}, True), ({}, False)):
        gate = Gate(RedisLink(dead), change(kraken), RENEWALS)  # type: ignore[arg-type]
        visit = gate.visit(gate.lane("kraken", LIVE, None, live=True), "/")
        if limited:
            assert visit.try_enter(10, Deadline.after(1)) == pytest.approx(0.2)
            assert said(visit) == "quota: the limiter that all workers share does not answer"
        else:
            assert visit.try_enter(10, Deadline.after(1)) == 0
            visit.answered({}, None)
    assert dead.asked == 2, "after an error Redis is left alone for a second"


def test_the_windows_are_a_storage_of_the_limits_library(
    change: Change, worker: Callable[..., Worker], server: fakeredis.FakeServer
) -> None:
    client = fakeredis.FakeRedis(server=server, decode_responses=True)
    limiter = MovingWindowRateLimiter(SharedWindows(client))
    item = limits.parse("3/minute")
    assert [limiter.hit(item, "a", cost=2), limiter.hit(item, "a", cost=2)] == [True, False]
    assert limiter.get_window_stats(item, "a").remaining == 1
    assert limiter.test(item, "a", cost=1)
    assert limiter.hit(item, "a")
    assert not limiter.test(item, "a")


def test_everything_in_redis_has_a_time_to_live(
    change: Change, worker: Callable[..., Worker], server: fakeredis.FakeServer
) -> None:
    settings = change({"limits": "2/second"}, breaker={"failures": 1})
    gate = worker(settings)
    gate.enter().answered({}, None)
    waiting = gate.enter()
    assert gate.arrive().try_enter(10, Deadline.after(30)) > 0
    waiting.answered({}, RateLimitedError("kraken", "HTTP 429", retry_after_seconds=9))
    fail_gate = worker(settings, "https://other.example")
    fail(fail_gate.enter())
    client = fakeredis.FakeRedis(server=server, decode_responses=True)
    names = client.keys()
    assert {name.split(":")[1] for name in names} == {"quota", "cool", "breaker", "desk"}
    assert all(client.ttl(name) > 0 for name in names)
