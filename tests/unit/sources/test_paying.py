"""Each request that has a price is paid for before it is made, or not made."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

from sigmax_planner.models import DataMode
from sigmax_tasks.clock import Deadline
from sigmax_tasks.errors import SpendRefusedError
from sigmax_tasks.sources.http import Meter
from tests.unit.sources.conftest import MakeBench, ScriptedServer
from tests.unit.sources.test_desk import (
    CSV,
    FNG,
    FNG_PATH,
    GOOD_XML,
    INDEX,
    TREASURY,
    US10Y,
    fails,
)
from tests.unit.sources.test_sharing import MakeDesk, make_desk, redis_server, slow

__all__ = ["make_desk", "redis_server"]
CENT = Decimal("0.01")


class Wallet:
    """A purse with so much in it; ``on_spend`` sees what is asked for before it is given."""

    def __init__(self, usd: Decimal, on_spend: Any = None) -> None:
        self.left = usd
        self.refused = 0
        self._on_spend = on_spend
        self._lock = threading.Lock()

    def spend(self, usd: Decimal) -> None:
        with self._lock:
            if self._on_spend is not None:
                self._on_spend()
            if usd > self.left:
                self.refused += 1
                raise SpendRefusedError(f"${self.left} is left")
            self.left -= usd

    def give_back(self, usd: Decimal) -> None:
        with self._lock:
            self.left += usd


def priced(shipped: dict[str, Any], *names: str) -> dict[str, Any]:
    known = shipped["providers"]
    return {
        "providers": {
            **known,
            **{name: {**known[name], "price_usd_per_request": str(CENT)} for name in names},
        }
    }


def test_a_request_is_paid_for_before_it_is_made(
    shipped: dict[str, Any], server: ScriptedServer, make_bench: MakeBench
) -> None:
    server.routes[FNG_PATH] = INDEX
    asked_before: list[int] = []
    wallet = Wallet(CENT, lambda: asked_before.append(server.count(FNG_PATH)))
    bench = make_bench(priced(shipped, "alternative_me"))
    gathered = bench.desk.gather([FNG], bench.context(purse=wallet))
    assert asked_before == [0]
    assert (wallet.left, gathered.cost_usd, gathered.requests) == (0, CENT, 1)


def test_a_retry_that_is_not_paid_for_is_not_made(
    shipped: dict[str, Any], server: ScriptedServer, make_bench: MakeBench
) -> None:
    server.routes[FNG_PATH] = fails(503)
    bench = make_bench(priced(shipped, "alternative_me"))
    wallet = Wallet(2 * CENT)
    gathered = bench.desk.gather([FNG], bench.context(purse=wallet))
    assert server.count(FNG_PATH) == 2
    assert (gathered.cost_usd, wallet.left, wallet.refused) == (2 * CENT, 0, 1)
    assert "not asked" in gathered.missing[0].reason


def test_the_next_provider_is_asked_where_one_cannot_be_paid(
    shipped: dict[str, Any], server: ScriptedServer, make_bench: MakeBench
) -> None:
    server.routes[TREASURY] = GOOD_XML
    bench = make_bench(priced(shipped, "fred"))
    gathered = bench.desk.gather([US10Y], bench.context(purse=Wallet(Decimal(0))))
    assert gathered.providers == ("treasury",)
    assert server.count(CSV) == 0
    assert gathered.cost_usd == 0


def test_what_a_task_is_expected_to_cost_is_one_request_of_each_first_provider(
    shipped: dict[str, Any], make_bench: MakeBench
) -> None:
    def expected(*names: str) -> Decimal:
        desk = make_bench(priced(shipped, *names)).desk
        return desk.expected_cost_usd([FNG, US10Y, FNG], "BTC/USDT", DataMode.SIMULATED)

    assert expected() == 0
    assert expected("treasury") == 0, "asked only where fred gives nothing"
    assert expected("fred") == CENT
    assert expected("fred", "alternative_me") == 2 * CENT


def test_only_who_asks_pays_for_what_many_want(
    shipped: dict[str, Any], server: ScriptedServer, make_desk: MakeDesk
) -> None:
    server.routes[FNG_PATH] = slow(INDEX)
    benches = [make_desk(provider={"price_usd_per_request": str(CENT)}) for _ in range(2)]
    wallets = [Wallet(CENT) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        futures = [
            pool.submit(b.desk.gather, [FNG], b.context(purse=wallet))
            for b, wallet in zip([*benches] * 3, wallets, strict=True)
        ]
        gathered = [future.result() for future in futures]
    assert all(g.observations for g in gathered)
    assert sorted(wallet.left for wallet in wallets) == [0, *[CENT] * 5]
    assert sum(g.cost_usd for g in gathered) == CENT


def test_who_cannot_pay_fails_nobody_who_can(
    shipped: dict[str, Any], server: ScriptedServer, make_desk: MakeDesk
) -> None:
    server.routes[FNG_PATH] = INDEX
    waiting = threading.Event()
    bench = make_desk(provider={"price_usd_per_request": str(CENT)})
    poor = Wallet(Decimal(0), lambda: waiting.wait(0.3))
    rich = Wallet(CENT)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(bench.desk.gather, [FNG], bench.context(purse=poor))
        second = pool.submit(bench.desk.gather, [FNG], bench.context(purse=rich))
        assert second.result().observations
        assert first.result().cost_usd == 0
    assert rich.left == 0


def test_what_was_paid_for_and_not_asked_is_given_back(
    server: ScriptedServer, make_desk: MakeDesk
) -> None:
    """The second request's turn would come too late."""
    server.routes[FNG_PATH] = INDEX
    bench = make_desk(
        provider={"price_usd_per_request": str(CENT)},
        cache={"enabled": False},
        quota={"simulated_limits": {"alternative_me": "1/hour"}},
    )
    wallet = Wallet(3 * CENT)
    context = bench.context(purse=wallet, deadline=Deadline.after(5))
    assert bench.desk.gather([FNG], context).cost_usd == CENT
    late = bench.desk.gather([FNG], context)
    assert late.missing
    assert late.cost_usd == 0
    assert wallet.left == 2 * CENT


def test_a_meter_without_a_purse_only_counts() -> None:
    meter = Meter({"one": CENT})
    meter.pay("one")
    meter.pay("another")
    assert meter.cost_usd == CENT
    meter.take_back("one")
    assert meter.cost_usd == 0
