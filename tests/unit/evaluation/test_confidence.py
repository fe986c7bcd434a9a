"""Calibration: monotone, fitted on the past only, judged on what it has not seen."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from sigmax_tasks.evaluation.calibration import assess_confidence, judged_of, walk_forward
from sigmax_tasks.evaluation.trades import Trade
from sigmax_tasks.models.journal import Hit
from sigmax_tasks.stages.calibrate import Judged
from sigmax_tasks.stages.monotone import fit_monotone

from .builders import DAY_MS, at, ms, step_decision

START = at("2023-01-01")


def trade(day: int, confidence: float, gain: bool, *, hold: int = 2) -> Trade:
    decision = step_decision(START + timedelta(days=day), confidence=confidence)
    opened = ms(decision.as_of)
    net = 0.01 if gain else -0.01
    return Trade(decision, 1, opened, opened + hold * DAY_MS, 100.0, 101.0, net, net, Hit.HORIZON)


def trades(count: int, seed: int = 1) -> list[Trade]:
    """The higher the confidence the more gain, but half as much as it says."""
    generator = np.random.default_rng(seed)
    stated = generator.uniform(0.1, 0.9, count)
    return [
        trade(day, float(c), bool(generator.random() < 0.3 + 0.4 * c))
        for day, c in enumerate(stated)
    ]


def test_pooling_of_six_outcomes_by_hand() -> None:
    gains = [(0.1, True), (0.2, False), (0.3, False), (0.4, True), (0.5, True), (0.6, False)]
    found = fit_monotone([Judged(c, g) for c, g in gains], fewest=1)
    # 1 0 0 pool to 1/3; 1 then 1 0 pool to 2/3
    assert [round(y, 6) for _, y in found.knots] == [0.333333, 0.666667]
    assert [round(x, 6) for x, _ in found.knots] == [0.2, 0.5]
    assert found(0.0) == pytest.approx(1 / 3)
    assert found(0.35) == pytest.approx(0.5)
    assert found(0.9) == pytest.approx(2 / 3)
    assert found.outcomes == 6


def test_a_fit_never_falls_and_is_never_outside_what_was_seen() -> None:
    found = fit_monotone([judged_of(one) for one in trades(300)])
    places = [found(x / 50) for x in range(51)]
    assert places == sorted(places)
    assert 0.0 <= places[0] <= places[-1] <= 1.0
    with pytest.raises(ValueError, match="no outcome"):
        fit_monotone([])


def test_no_map_is_given_before_there_is_enough_and_none_knows_its_future() -> None:
    made = trades(200)
    given = walk_forward(made, at_least=50)
    for one, learned, _ in given:
        past = [t for t in made if t.closed_ms <= ms(one.decision.as_of)]
        assert 50 <= learned.outcomes <= len(past)
    assert len(given) < 150


def test_corrupting_later_outcomes_leaves_earlier_maps_as_they_were() -> None:
    made = trades(200)
    moment = ms(made[120].decision.as_of)
    turned = [
        one if one.closed_ms <= moment else trade(day, one.decision.confidence, one.net_return < 0)
        for day, one in enumerate(made)
    ]
    before = [(t.decision.as_of, m, b) for t, m, b in walk_forward(made, at_least=50)]
    after = [(t.decision.as_of, m, b) for t, m, b in walk_forward(turned, at_least=50)]
    known = [one for one in before if ms(one[0]) <= moment]
    assert known
    assert known == after[: len(known)]
    assert before != after


def test_calibration_helps_where_confidence_says_too_much() -> None:
    found = assess_confidence(trades(900), at_least=100)
    assert found.unseen_brier is not None
    assert found.calibrated_brier is not None
    assert found.calibrated_brier < found.unseen_brier
    assert found.past_base_brier is not None
    assert sum(one.n for one in found.calibrated_bins) == found.unseen
    assert found.base_brier == pytest.approx((found.hit_rate or 0) * (1 - (found.hit_rate or 0)))


def test_too_few_outcomes_calibrate_nothing() -> None:
    found = assess_confidence(trades(30), at_least=100)
    assert (found.unseen, found.calibrated_brier, found.final_map) == (0, None, None)
    assert assess_confidence([], at_least=100).brier is None
