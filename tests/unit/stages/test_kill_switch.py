"""What stops all new positions: losses in a row, failing data, a shock, somebody's hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sigmax_tasks.models.decision import Action
from sigmax_tasks.models.journal import JournalEntry
from sigmax_tasks.models.research import Circumstances, LossStreak, ResearchBundle
from sigmax_tasks.stages.chain import run_chain
from sigmax_tasks.stages.kill_switch import loss_streak
from tests.unit.journal.builders import AS_OF as START
from tests.unit.journal.builders import entry
from tests.unit.journal.builders import outcome as ended
from tests.unit.stages.builders import AS_OF, BALANCED, bundle, failed, finding, outcome, policy
from tests.unit.stages.builders import profile as make_profile

LATER = START + timedelta(days=30)


def past(number: int, correct: bool | None, **changes: Any) -> JournalEntry:
    """A decision whose four hours ended ``number`` days after the first one's."""
    as_of = START + timedelta(days=number)
    return entry(number + 1, as_of=as_of, outcome=ended(correct), **changes)


def test_losses_are_counted_back_to_the_last_gain() -> None:
    history = [past(0, False), past(1, True), past(2, False), past(3, None), past(4, False)]
    streak = loss_streak(reversed(history), LATER, None)
    assert streak == LossStreak(losses=2, last_at=START + timedelta(days=4, hours=4))


def test_a_gain_ends_the_streak_and_no_history_has_none() -> None:
    assert loss_streak([past(0, False), past(1, True)], LATER, None) == LossStreak()
    assert loss_streak([], LATER, None) == LossStreak()


def test_what_has_not_ended_yet_is_not_known() -> None:
    history = [past(0, False), past(1, False)]
    at = START + timedelta(days=1, hours=3)
    assert loss_streak(history, at, None).losses == 1
    assert loss_streak([entry(1), past(1, False)], LATER, None).losses == 1


def test_the_same_decision_made_again_and_another_market_of_a_seed() -> None:
    again = past(1, False, decision_hash="ab" * 32)
    twin = again.model_copy(update={"run_id": "20250314-120000-00000077"})
    assert loss_streak([again, twin], LATER, None).losses == 1
    assert loss_streak([past(0, False, seed=7), past(1, False, seed=8)], LATER, 7).losses == 1


def after(losses: int, hours: float, **changes: Any) -> ResearchBundle:
    streak = LossStreak(losses=losses, last_at=AS_OF - timedelta(hours=hours))
    return bundle(**changes).model_copy(update={"circumstances": Circumstances(streak=streak)})


@pytest.mark.parametrize(
    ("losses", "hours", "stopped"),
    [(5, 1, True), (9, 23.9, True), (4, 1, False), (5, 24, False), (5, 100, False)],
)
def test_losses_in_a_row_stop_it_for_a_while(losses: int, hours: float, stopped: bool) -> None:
    decision = run_chain(after(losses, hours), make_profile(), policy())
    assert any("losses in a row" in veto for veto in decision.vetoes) is stopped
    assert (decision.action is Action.HOLD) is stopped
    if stopped:
        assert decision.size_fraction == 0
        assert "limit 5; pause until" in decision.vetoes[0]


def test_each_rule_can_be_switched_off() -> None:
    off = policy(risk__kill_switch__losses_in_a_row=None, risk__kill_switch__failed_task_share=None)
    assert run_chain(after(99, 1), make_profile(), off).vetoes == ()


def test_losses_that_cannot_be_known_are_said_and_stop_nothing() -> None:
    unknown = bundle().model_copy(update={"circumstances": Circumstances(streak=None)})
    decision = run_chain(unknown, make_profile(), policy())
    assert decision.action is not Action.HOLD
    assert "losses in a row are unknown: the journal could not be read" in decision.risk.warnings


@pytest.mark.parametrize(("gone", "stopped"), [(2, False), (3, True), (6, True)])
def test_failing_data_stop_the_decision_at_hand(gone: int, stopped: bool) -> None:
    lost = [failed(task_id) for task_id in BALANCED[-gone:]]
    decision = run_chain(bundle(*lost), make_profile(), policy())
    said = f"kill switch: {gone} of 6 tasks gave nothing, limit 50%"
    assert (said in decision.vetoes) is stopped


def test_a_volatility_shock_stops_it_too() -> None:
    shock = bundle(outcome(finding("technical", metrics={"realised_volatility_annual": 2.5})))
    decision = run_chain(shock, make_profile(), policy())
    assert decision.action is Action.HOLD
    assert any("volatility shock: 2.50 a year" in veto for veto in decision.vetoes)
