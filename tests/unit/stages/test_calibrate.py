"""Brier score, hit rate and reliability, by hand; who counts and who does not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmax_planner.models import DataMode
from sigmax_tasks.models.decision import Action
from sigmax_tasks.models.journal import JournalEntry
from sigmax_tasks.stages.calibrate import (
    Judged,
    bin_of,
    brier,
    calibrate,
    hit_rate,
    reliability,
    track_records,
)
from tests.unit.journal.builders import AS_OF, entry, outcome

LATER = entry(999, as_of=AS_OF + timedelta(days=100), confidence=0.62)


def resolved(number: int, correct: bool | None, **changes: object) -> JournalEntry:
    return entry(number, outcome=outcome(correct), **changes)


def test_the_brier_score_by_hand() -> None:
    # (0.8 - 1)^2 = 0.04, (0.6 - 0)^2 = 0.36, (0.3 - 1)^2 = 0.49: mean 0.89 / 3
    judged = [Judged(0.8, True), Judged(0.6, False), Judged(0.3, True)]
    assert brier(judged) == pytest.approx(0.89 / 3)
    assert hit_rate(judged) == pytest.approx(2 / 3)


def test_certainty_scores_nothing_when_right_and_one_when_wrong() -> None:
    assert brier([Judged(1.0, True), Judged(0.0, False)]) == 0.0
    assert brier([Judged(1.0, False)]) == 1.0
    assert brier([Judged(0.5, True), Judged(0.5, False)]) == 0.25


def test_no_outcomes_have_no_score() -> None:
    with pytest.raises(ValueError, match="no outcome"):
        brier([])
    with pytest.raises(ValueError, match="no outcome"):
        hit_rate([])


@pytest.mark.parametrize(
    ("confidence", "number"),
    [(0.0, 0), (0.0999, 0), (0.1, 1), (0.3, 3), (0.6, 6), (0.7, 7), (0.29, 2), (0.9, 9), (1.0, 9)],
)
def test_bins_are_tenths_closed_below(confidence: float, number: int) -> None:
    assert bin_of(confidence) == number


def test_the_reliability_table_by_hand() -> None:
    judged = [Judged(0.62, True), Judged(0.68, True), Judged(0.65, False), Judged(0.31, False)]
    low, high = reliability(judged)
    assert (low.low, low.high, low.n, low.mean_confidence, low.hit_rate) == (0.3, 0.4, 1, 0.31, 0.0)
    assert (high.low, high.high, high.n) == (0.6, 0.7, 3)
    assert high.mean_confidence == pytest.approx(0.65)
    assert high.hit_rate == pytest.approx(2 / 3)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
def test_scores_stay_in_their_range_and_no_decision_is_lost(
    pairs: list[tuple[float, bool]],
) -> None:
    judged = [Judged(*pair) for pair in pairs]
    assert 0.0 <= brier(judged) <= 1.0
    assert sum(part.n for part in reliability(judged)) == len(judged)
    for part in reliability(judged):
        assert part.low - 1e-9 <= part.mean_confidence <= part.high + 1e-9


def test_calibration_is_shown_from_twenty_outcomes_on_and_never_before() -> None:
    history = [resolved(n, n % 2 == 0, confidence=0.65 if n < 6 else 0.45) for n in range(20)]
    assert calibrate(history[:19], LATER) is None
    told = calibrate(history, LATER)
    assert told is not None
    # 10 of 20 gained; 3 of the 6 with a confidence in [0.6, 0.7).
    assert (told.n, told.hit_rate) == (20, 0.5)
    assert (told.n_at_this_confidence, told.hit_rate_at_this_confidence) == (6, 0.5)
    # 6 x (3 of 0.35^2, 3 of 0.65^2), 14 x (7 of 0.55^2, 7 of 0.45^2)
    by_hand = (3 * 0.35**2 + 3 * 0.65**2 + 7 * 0.55**2 + 7 * 0.45**2) / 20
    assert told.brier == pytest.approx(by_hand, abs=5e-5)


def test_a_confidence_without_its_like_has_no_rate_of_its_own() -> None:
    history = [resolved(n, True, confidence=0.45) for n in range(20)]
    told = calibrate(history, LATER)
    assert told is not None
    assert (told.n_at_this_confidence, told.hit_rate_at_this_confidence) == (0, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"profile": "aggressive"},
        {"horizon_hours": 24.0},
        {"data_mode": DataMode.SIMULATED, "simulated": True},
        {"data_mode": DataMode.REPLAY},
        {"decision_hash": "a" * 64},
        {"outcome": None},
        {"as_of": LATER.as_of - timedelta(hours=3)},
        {"action": Action.HOLD, "outcome": outcome(None)},
    ],
    ids=["profile", "horizon", "simulated", "replay", "repeated", "open", "future", "hold"],
)
def test_what_does_not_count(changes: dict[str, object]) -> None:
    others = [resolved(n, True).model_copy(update=changes) for n in range(30)]
    kept = 1 if "decision_hash" in changes else 0
    assert calibrate(others, LATER, at_least=kept + 1) is None


def test_live_replayed_and_simulated_decisions_never_mix() -> None:
    history = [
        resolved(1, True),
        resolved(2, False, data_mode=DataMode.REPLAY),
        resolved(3, False, data_mode=DataMode.SIMULATED, simulated=True, seed=1),
        resolved(4, True, data_mode=DataMode.SIMULATED, simulated=True, seed=2),
    ]
    assert [(r.data_mode, r.n, r.hit_rate) for r in track_records(history)] == [
        (DataMode.LIVE, 1, 1.0),
        (DataMode.REPLAY, 1, 0.0),
        (DataMode.SIMULATED, 2, 0.5),
    ]


def test_a_track_record_counts_everybody_once() -> None:
    history = [
        resolved(1, True, confidence=0.8),
        resolved(2, False, confidence=0.4),
        entry(3),
        resolved(4, None, action=Action.HOLD),
        entry(5, decision_hash=entry(1).decision_hash, confidence=0.8),
    ]
    (record,) = track_records(history)
    assert (record.n, record.held, record.open, record.repeated) == (2, 1, 1, 1)
    assert record.brier == pytest.approx((0.04 + 0.16) / 2)
    assert record.base_brier == pytest.approx(0.25)
    assert record.mean_return == pytest.approx((0.1 - 0.05) / 2)
    assert [part.n for part in record.bins] == [1, 1]


def test_without_outcomes_there_are_no_rates() -> None:
    (record,) = track_records([entry(1), entry(2)])
    assert (record.n, record.open) == (0, 2)
    assert record.brier is record.hit_rate is record.base_brier is record.mean_return is None
    assert record.bins == ()
