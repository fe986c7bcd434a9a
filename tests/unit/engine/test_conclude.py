"""The end of a run when its decision chain cannot be relied on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import fakeredis
import pytest

from sigmax_tasks import clock, finalizer
from sigmax_tasks.budget import DaySpend
from sigmax_tasks.errors import SpendRefusedError
from sigmax_tasks.finalizer import MOST_TRIES, conclude
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.run_state import OpenRun
from sigmax_tasks.settings import Settings, load_settings
from sigmax_tasks.store import RunStore
from sigmax_tasks.store_ends import TOGETHER_SECONDS
from sigmax_tasks.sweeper import FINALIZE_AGAIN_SECONDS

from .builders import START, open_run, outcome, runtime


class Still:
    """A clock that stands a moment after the start of the run, until somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 5.0

    def now(self):
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def store() -> Iterator[RunStore]:
    with clock.use_clock(Still()):
        yield RunStore(fakeredis.FakeRedis(decode_responses=True), runtime())


@pytest.fixture
def settings() -> Settings:
    return load_settings(shipped_folder(), environ={}).settings


def begun(store: RunStore) -> OpenRun:
    run = open_run()
    store.create(run, "{}")
    store.record_outcome(run, outcome("technical", TaskStatus.COMPLETED, ""))
    return run


def test_a_run_is_concluded_once(store: RunStore, settings: Settings) -> None:
    run = begun(store)
    assert conclude(store, settings, run, "out of time")
    assert not conclude(store, settings, run, "again")
    record = store.record(run.run_id)
    research = record.research
    assert (research.completed, research.skipped, research.total_tasks) == (1, 1, 2)


def test_findings_that_break_the_decision_chain_are_left_out_in_the_end(
    store: RunStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(store)
    chain = finalizer.decide_on

    def breaks(bundle, *rest):
        if any(o.status is TaskStatus.COMPLETED for o in bundle.outcomes):
            raise MemoryError("as when its worker is killed")
        return chain(bundle, *rest)

    monkeypatch.setattr(finalizer, "decide_on", breaks)
    for _ in range(MOST_TRIES):
        with pytest.raises(MemoryError):
            conclude(store, settings, run, "out of time")
        clock.sleep(FINALIZE_AGAIN_SECONDS)
    assert conclude(store, settings, run, "out of time")
    record = store.record(run.run_id)
    assert record.decision.action.value == "HOLD"
    assert not record.decision.validation.passed
    assert any("failed on them 3 times" in alert for alert in record.research.alerts)
    assert record.research.completed == 1, "what was done counts as done"
    assert tuple(store.journal.entries(finalizer.JournalQuery())) == ()


def test_workers_that_conclude_at_the_same_time_leave_no_finding_out(
    store: RunStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each begins while those before it are still deciding: none of them has failed."""
    run = begun(store)
    chain, won = finalizer.decide_on, []

    def among_others(bundle, *rest):
        assert any(o.status is TaskStatus.COMPLETED for o in bundle.outcomes)
        if len(won) <= MOST_TRIES:
            won.append(None)
            won[won.index(None)] = conclude(store, settings, run, "out of time")
        return chain(bundle, *rest)

    monkeypatch.setattr(finalizer, "decide_on", among_others)
    won.append(conclude(store, settings, run, "out of time"))
    assert len(won) == MOST_TRIES + 2
    assert sum(won) == 1
    assert TOGETHER_SECONDS < FINALIZE_AGAIN_SECONDS, "one that was sent again is a try of its own"


def test_what_a_run_is_concluded_on_is_read_while_its_spending_ends(store: RunStore) -> None:
    run = open_run()
    account = store.account(run)
    assert store.begin_conclusion(account) is None, "it does not exist"
    store.create(run, "{}")
    allowance = store.ledger.allowance(account, "technical")
    allowance.reserve(Decimal("0.05"))
    allowance.spend(Decimal("0.02"))
    store.record_outcome(run, outcome("technical"))
    conclusion = store.begin_conclusion(account)
    assert conclusion is not None
    assert (conclusion.tries, conclusion.spent_usd) == (1, Decimal("0.02"))
    assert conclusion.day_spent_usd == Decimal("0.02")
    assert conclusion.outcomes == store.outcomes(run.run_id)
    day = store.ledger.day(account.world, account.day)
    assert day == DaySpend(Decimal("0.02"), Decimal(0)), "what it held is free"
    with pytest.raises(SpendRefusedError):
        allowance.spend(Decimal("0.01"))
