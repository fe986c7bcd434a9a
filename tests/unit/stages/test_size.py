"""Position sizes by hand: fractional Kelly, volatility target, caps."""

from __future__ import annotations

import pytest

from sigmax_tasks.models.decision import (
    Analysis,
    RiskAssessment,
    Sizing,
    ValidationReport,
)
from sigmax_tasks.stages.size import size
from tests.unit.stages.builders import policy, profile


def report(*, passed: bool = True) -> ValidationReport:
    return ValidationReport(
        score=0.9,
        threshold=0.7,
        passed=passed,
        completeness=1,
        quality=1,
        freshness=1,
        coverage=1,
        sources_seen=(),
    )


def sized(
    *,
    confidence: float = 0.5,
    score: float = 0.2,
    volatility: float | None = 0.5,
    stop: float | None = 0.04,
    cap: float = 0.15,
    vetoes: tuple[str, ...] = (),
    passed: bool = True,
    **changes: object,
) -> Sizing:
    analysis = Analysis(
        score=score, confidence=confidence, confidence_cap=1.0, regime="", contributions=()
    )
    risk = RiskAssessment(
        reference_price=100.0,
        realised_volatility_annual=volatility,
        stop_distance_fraction=stop,
        take_profit_distance_fraction=None if stop is None else 2 * stop,
        size_cap_fraction=cap,
        vetoes=vetoes,
    )
    return size(analysis, risk, report(passed=passed), policy(**changes), profile())


@pytest.mark.parametrize(
    ("case", "inputs", "expected"),
    [
        # balanced: edge 0.06 x 0.5 = 0.03, Kelly 0.03 x 3 / 2 = 0.045, x 0.15 = 0.00675 at risk
        ("Kelly binds", {"stop": 0.05}, 0.00675 / 0.05),
        ("the cap binds", {"stop": 0.02}, 0.15),
        ("the volatility target binds", {"stop": 0.02, "volatility": 1.0}, 0.10),
        ("a lower cap", {"cap": 0.03}, 0.03),
        ("half the confidence, half the risk", {"stop": 0.05, "confidence": 0.25}, 0.0675),
        ("short as long", {"stop": 0.05, "score": -0.2}, 0.135),
    ],
)
def test_worked_examples(case: str, inputs: dict[str, float], expected: float) -> None:
    assert sized(**inputs).size_fraction == pytest.approx(expected), case


def test_the_steps_show_the_numbers() -> None:
    made = sized(stop=0.05)
    assert made.win_probability == pytest.approx(1 / 3 + 0.03)
    assert made.kelly_fraction == pytest.approx(0.00675)
    assert made.volatility_target_fraction == pytest.approx(0.2)
    assert made.steps == (
        "win probability: 1 / (1 + 2) + 0.06 x 0.5000 confidence = 0.3633",
        "Kelly: 0.3633 - (1 - 0.3633) / 2 = 0.0450; x 0.15 = 0.6750% of equity at risk",
        "position: 0.6750% / 5.00% stop = 13.50%",
        "volatility target: 0.1 / 0.5 = 20.00%",
        "cap: 15.00%",
        "size: the smallest, 13.50%",
    )


@pytest.mark.parametrize(
    "inputs",
    [
        {"score": 0.06},
        {"score": -0.06},
        {"passed": False},
        {"vetoes": ("kill switch: test",)},
        {"volatility": None},
        {"stop": None},
        {"confidence": 0.0},
        {"confidence": 0.001, "stop": 0.15},  # comes to 0.009 %: below the minimum
        {"cap": 0.0},
    ],
)
def test_no_position(inputs: dict[str, object]) -> None:
    assert sized(**inputs).size_fraction == 0.0


def test_no_edge_no_position() -> None:
    assert sized(sizing__max_edge=0.0).size_fraction == 0.0


def test_a_sure_win_risks_no_more_than_everything() -> None:
    made = sized(confidence=1.0, sizing__max_edge=0.5, profiles__balanced__reward_risk=0.5, cap=1.0)
    assert made.win_probability == 1.0
    assert made.kelly_fraction == pytest.approx(0.15)
