"""A calibration beside the confidence: when it is used, what it changes, what it never does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from sigmax_tasks.models.decision import Decision
from sigmax_tasks.models.policy import DecisionPolicy
from sigmax_tasks.stages.chain import run_chain

from .builders import AS_OF, bundle, policy, profile


def with_table(points: list[list[float]], outcomes: int = 400, days_ago: float = 1) -> Any:
    content = policy().model_dump(mode="json")
    content["profiles"][profile().name]["calibration"] = {
        "outcomes": outcomes,
        "fitted_until": (AS_OF - timedelta(days=days_ago)).isoformat(),
        "points": points,
    }
    return DecisionPolicy.model_validate(content)


def decided(rules: DecisionPolicy) -> Decision:
    return run_chain(bundle(), profile(), rules)


def test_without_one_nothing_is_said_and_the_hash_is_what_it_was() -> None:
    plain = decided(policy())
    assert plain.analysis.calibrated_confidence is None
    unused = decided(with_table([[0.1, 0.4], [0.9, 0.6]], outcomes=50))
    assert unused.decision_hash == plain.decision_hash


def test_it_is_shown_with_its_sample_size_and_lowers_the_size() -> None:
    plain = decided(policy())
    assert plain.size_fraction > 0
    told = decided(with_table([[0.0, 0.52], [1.0, 0.56]]))
    assert told.confidence == plain.confidence
    expected = 0.52 + 0.04 * plain.confidence
    assert told.analysis.calibrated_confidence == pytest.approx(expected, abs=1e-9)
    assert told.analysis.calibration_outcomes == 400
    assert "of 400 earlier decisions" in told.analysis.reasoning[-1]
    assert 0 < told.sizing.kelly_fraction < plain.sizing.kelly_fraction
    assert told.decision_hash != plain.decision_hash


def test_where_no_more_than_half_gained_there_is_no_position() -> None:
    told = decided(with_table([[0.0, 0.41], [1.0, 0.5]]))
    assert (told.action.value, told.size_fraction) == ("HOLD", 0.0)
    assert "calibrated" in " ".join(told.sizing.steps)


def test_it_never_makes_a_position_larger() -> None:
    plain = decided(policy())
    told = decided(with_table([[0.0, 0.99], [1.0, 1.0]]))
    assert told.size_fraction == plain.size_fraction


def test_a_moment_before_it_was_fitted_does_not_know_it() -> None:
    told = decided(with_table([[0.0, 0.41], [1.0, 0.5]], days_ago=-1))
    assert told.analysis.calibrated_confidence is None
    assert told.decision_hash == decided(policy()).decision_hash


@pytest.mark.parametrize("points", [[[0.5, 0.4], [0.4, 0.5]], [[0.4, 0.5], [0.5, 0.4]], []])
def test_points_that_fall_are_refused(points: list[list[float]]) -> None:
    with pytest.raises(ValidationError):
        with_table(points)
