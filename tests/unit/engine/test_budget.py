"""Money is taken before it is spent, counted once, and free again when nobody needs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import fakeredis
import pytest
import redis

from sigmax_planner.models import DataMode
from sigmax_tasks import clock, cluster
from sigmax_tasks.archive import RunArchive
from sigmax_tasks.budget import Account, Ledger, day_of, lower, spend_key
from sigmax_tasks.cluster_link import connect
from sigmax_tasks.errors import OverBudgetError, SpendRefusedError
from sigmax_tasks.ids import new_run_id
from sigmax_tasks.run_state import OpenRun
from sigmax_tasks.store import RunStore
from tests.unit.report.builders import make_dossier, make_record

from .builders import open_run, runtime

CENT = Decimal("0.01")


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    client = fakeredis.FakeRedis(decode_responses=True)
    yield client
    client.close()


@pytest.fixture
def store(client: redis.Redis) -> RunStore:
    return RunStore(client, runtime())


def started(
    store: RunStore, number: int = 1, *, limit: Decimal | None = None, seconds: float = 60
) -> OpenRun:
    now = clock.now()
    run = open_run(f"20250314-120000-0000{number:04d}")
    run = replace(
        run,
        plan=run.plan.model_copy(update={"max_cost_usd": limit}),
        created_at=now,
        deadline_at=now + timedelta(seconds=seconds),
    )
    store.create(run, "{}")
    return run


def day(store: RunStore, account: Account) -> tuple[Decimal, Decimal]:
    found = store.ledger.day(account.world, account.day)
    return found.spent_usd, found.held_usd


def test_what_is_reserved_counts_until_it_is_settled(store: RunStore) -> None:
    account = store.account(started(store), 10 * CENT)
    allowance = store.ledger.allowance(account, "technical")
    allowance.reserve(6 * CENT)
    assert day(store, account) == (0, 6 * CENT)
    allowance.spend(2 * CENT)
    assert day(store, account) == (2 * CENT, 4 * CENT)
    assert allowance.settle() == 2 * CENT
    assert day(store, account) == (2 * CENT, 0)
    with pytest.raises(SpendRefusedError, match="the work is over"):
        allowance.spend(CENT)


def test_the_limit_of_a_run_is_kept_over_its_tasks(store: RunStore) -> None:
    account = store.account(started(store, limit=5 * CENT))
    first, second = (store.ledger.allowance(account, name) for name in ("a", "b"))
    first.reserve(3 * CENT)
    with pytest.raises(OverBudgetError, match="of the run") as caught:
        second.reserve(3 * CENT)
    assert (caught.value.needed_usd, caught.value.left_usd) == (3 * CENT, 2 * CENT)
    assert str(caught.value).startswith("over_budget")
    second.reserve(2 * CENT)


def test_the_limit_of_a_day_is_kept_over_runs(store: RunStore) -> None:
    accounts = [store.account(started(store, n), 5 * CENT) for n in (1, 2)]
    store.ledger.allowance(accounts[0], "a").spend(3 * CENT)
    other = store.ledger.allowance(accounts[1], "a")
    with pytest.raises(OverBudgetError, match="of the day"):
        other.spend(3 * CENT)
    other.spend(2 * CENT)
    assert day(store, accounts[0]) == (5 * CENT, 0)


def test_what_exceeds_the_reservation_is_taken_from_what_is_left_or_refused(
    store: RunStore,
) -> None:
    account = store.account(started(store, limit=3 * CENT))
    allowance = store.ledger.allowance(account, "a")
    allowance.reserve(CENT)
    for _ in range(3):
        allowance.spend(CENT)
    with pytest.raises(OverBudgetError):
        allowance.spend(CENT)
    assert allowance.spent_usd == 3 * CENT


def test_money_that_was_not_needed_is_held_again_and_then_free(store: RunStore) -> None:
    account = store.account(started(store, limit=3 * CENT))
    allowance = store.ledger.allowance(account, "debate")
    allowance.spend(3 * CENT)
    allowance.give_back(2 * CENT)
    assert allowance.spent_usd == CENT
    with pytest.raises(OverBudgetError):
        store.ledger.allowance(account, "a").spend(2 * CENT)
    allowance.spend(CENT)
    assert allowance.settle() == 2 * CENT
    store.ledger.allowance(account, "a").spend(CENT)
    assert store.ledger.close(account.run_id) == 3 * CENT


def test_a_task_that_is_begun_again_holds_its_money_once_and_counts_what_was_spent(
    store: RunStore,
) -> None:
    account = store.account(started(store, limit=4 * CENT))
    dead = store.ledger.allowance(account, "a")
    dead.reserve(2 * CENT)
    dead.spend(CENT)
    again = store.ledger.allowance(account, "a")
    again.reserve(2 * CENT)
    assert day(store, account) == (CENT, 2 * CENT)
    again.spend(2 * CENT)
    assert again.settle() == 3 * CENT


@pytest.mark.parametrize("end", ["closed", "cancelled"])
def test_a_run_that_ends_frees_once_what_dead_workers_held(store: RunStore, end: str) -> None:
    run, other = started(store, 1), started(store, 2)
    account = store.account(run)
    dead = store.ledger.allowance(account, "a")
    dead.reserve(5 * CENT)
    dead.spend(2 * CENT)
    store.ledger.allowance(store.account(other), "a").reserve(CENT)
    if end == "cancelled":
        store.cancel(run.run_id)
    for _ in range(2):
        assert store.ledger.close(run.run_id) == 2 * CENT
        assert day(store, account) == (2 * CENT, CENT)
    for late in (dead, store.ledger.allowance(account, "b")):
        with pytest.raises(SpendRefusedError, match="the run is over"):
            late.spend(CENT)
    assert dead.settle() == 2 * CENT
    assert day(store, account) == (2 * CENT, CENT)


def test_a_run_that_nobody_closes_holds_nothing_for_ever(store: RunStore) -> None:
    lost = store.account(started(store, 1), 5 * CENT)
    store.ledger.allowance(lost, "a").reserve(5 * CENT)
    late = replace(lost, expires_at=clock.now().timestamp() - 1)
    with pytest.raises(SpendRefusedError, match="the run is over"):
        store.ledger.allowance(late, "b").spend(CENT)
    key = f"sigmax:spend:{lost.world}:{lost.day}:holds"
    store._redis.zadd(key, {lost.run_id: late.expires_at})
    account = store.account(started(store, 2), 5 * CENT)
    store.ledger.allowance(account, "a").spend(5 * CENT)
    assert day(store, account) == (5 * CENT, 0)
    store.ledger.close(lost.run_id)
    assert day(store, account) == (5 * CENT, 0)


def test_what_is_free_leaves_nothing_in_redis(store: RunStore, client: redis.Redis) -> None:
    run = started(store)
    before = set(client.keys("*"))
    allowance = store.ledger.allowance(store.account(run, CENT), "a")
    allowance.reserve(Decimal(0))
    allowance.spend(Decimal(0))
    assert allowance.settle() == 0
    assert store.ledger.close(run.run_id) == 0
    assert set(client.keys("*")) == before


def test_all_keys_of_the_money_have_a_time_to_live(store: RunStore, client: redis.Redis) -> None:
    account = store.account(started(store))
    store.ledger.allowance(account, "a").reserve(CENT)
    keys = [key for key in client.keys("*") if "cost" in key or "spend" in key]
    assert len(keys) == 3
    assert all(client.ttl(key) > 0 for key in keys)


def test_a_fraction_of_a_micro_dollar_is_counted_as_one(store: RunStore) -> None:
    account = store.account(started(store, limit=Decimal("0.000001")))
    allowance = store.ledger.allowance(account, "a")
    allowance.spend(Decimal("0.0000001"))
    assert allowance.spent_usd == Decimal("0.000001")
    with pytest.raises(OverBudgetError):
        allowance.spend(Decimal("0.0000001"))


def test_without_its_ledger_nothing_is_paid_for() -> None:
    store = RunStore(connect("redis://127.0.0.1:1/0", connect_timeout_seconds=0.2), runtime())
    allowance = store.ledger.allowance(store.account(open_run()), "a")
    with pytest.raises(SpendRefusedError, match="no ledger"):
        allowance.spend(CENT)
    assert allowance.settle() == 0


def test_live_runs_and_played_ones_have_days_of_their_own(store: RunStore) -> None:
    played = started(store)
    live = replace(
        played, request=played.request.model_copy(update={"data_mode": DataMode.LIVE, "seed": None})
    )
    assert store.account(played).world != store.account(live).world


def test_the_lower_limit_holds_and_a_day_is_one_of_utc() -> None:
    assert lower(None, None) is None
    assert lower(CENT, None) == lower(None, CENT) == lower(2 * CENT, CENT) == CENT
    assert day_of(datetime(2025, 3, 14, 23, 59, tzinfo=UTC)) == "2025-03-14"


def test_a_private_cluster_begins_with_what_its_user_has_spent_today(
    client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = RunArchive(tmp_path / "runs")
    archive.prepare()
    now = clock.now()
    for created_at in (now, now, now - timedelta(days=1)):
        record = make_record(run_id=new_run_id(created_at))
        cost = record.cost.model_copy(update={"actual_usd": 2 * CENT})
        archive.save(make_dossier(record.model_copy(update={"cost": cost})))
    monkeypatch.setattr(cluster, "connect", lambda *_, **__: client)
    cluster.carry_spending("redis://private", archive)
    found = Ledger(client).day("play", day_of(now))
    assert (found.spent_usd, found.held_usd) == (4 * CENT, 0)
    assert client.ttl(spend_key("play", day_of(now))) > 0
