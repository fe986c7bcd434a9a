"""What a decision rests on besides research is read once, kept with the run, and decides again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import fakeredis
import pytest

from sigmax_planner.models import AnalysisRequest, Holding, Portfolio
from sigmax_tasks import clock
from sigmax_tasks.errors import JournalError
from sigmax_tasks.finalizer import conclude
from sigmax_tasks.journal import RedisJournal
from sigmax_tasks.models.decision import Action
from sigmax_tasks.models.journal import JournalEntry
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.replay import replay
from sigmax_tasks.run_state import OpenRun
from sigmax_tasks.settings import load_settings
from sigmax_tasks.store import RunStore
from tests.unit.journal.builders import entry
from tests.unit.journal.builders import outcome as ended
from tests.unit.stages.builders import AS_OF, BALANCED, bundle

SETTINGS = load_settings(shipped_folder(), (), environ={}).settings


@pytest.fixture
def store() -> Iterator[RunStore]:
    client = fakeredis.FakeRedis(decode_responses=True)
    yield RunStore(client, SETTINGS.runtime)
    client.close()


def decided(store: RunStore, portfolio: Portfolio | None = None) -> str:
    """The id of a finished run whose research is whole, fresh and bullish."""
    made = bundle(task_ids=BALANCED)
    now = clock.now()
    run = OpenRun(
        run_id="20261008-120000-4f9c2a7b",
        request=AnalysisRequest(
            symbol=made.symbol, risk_profile="balanced", as_of=made.as_of, portfolio=portfolio
        ),
        plan=made.plan,
        settings_hash=SETTINGS.snapshot_hash,
        created_at=now,
        deadline_at=now + timedelta(seconds=60),
    )
    store.create(run, SETTINGS.snapshot)
    for outcome in made.outcomes:
        store.record_outcome(run, outcome)
    assert conclude(store, SETTINGS, run, "late")
    return run.run_id


def lost(number: int) -> JournalEntry:
    return entry(number, as_of=AS_OF - timedelta(hours=5 + number))


def test_losses_in_the_journal_stop_the_next_decision_and_its_replay(store: RunStore) -> None:
    for number in range(5):
        losing = lost(number)
        store.journal.add(losing)
        store.journal.settle({losing.run_id: ended(False)})
    run_id = decided(store)
    record = store.record(run_id)
    assert record.decision.action is Action.HOLD
    assert "kill switch: 5 losses in a row" in record.decision.vetoes[0]
    assert record.circumstances.streak is not None
    assert record.circumstances.streak.losses == 5
    assert replay(store.dossier(run_id)).identical


def test_without_losses_it_decides(store: RunStore) -> None:
    assert store.record(decided(store)).decision.action is Action.BUY


def test_what_is_held_is_kept_and_decides_again(store: RunStore) -> None:
    held = Portfolio(holdings=(Holding(symbol="ETH/USDT", fraction=0.2),))
    run_id = decided(store, held)
    record = store.record(run_id)
    assert record.circumstances.portfolio == held
    check = next(c for c in record.decision.risk.checks if c.name == "held and moving along")
    assert check.value == pytest.approx(0.2)  # the plan has no correlation task: in full
    assert replay(store.dossier(run_id)).identical


def test_a_journal_that_cannot_be_read_is_said(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise JournalError("the journal is damaged")

    monkeypatch.setattr(RedisJournal, "entries", broken)
    record = store.record(decided(store))
    assert record.circumstances.streak is None
    assert any("losses in a row are unknown" in w for w in record.decision.risk.warnings)
    assert record.decision.action is Action.BUY
