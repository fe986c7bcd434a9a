from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from sigmax_planner.batches import parse_width
from sigmax_planner.errors import InvalidWidthError, PlanningError, UnknownNameError
from sigmax_planner.models import AnalysisRequest
from sigmax_planner.policy import PlanningPolicy


def leaves(content: dict[str, Any], path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for key, value in content.items():
        here = (*path, key)
        found |= leaves(value, here) if isinstance(value, dict) and value else {here}
    return found


def test_the_shipped_file_says_exactly_the_defaults(planning_yaml: dict[str, Any]) -> None:
    assert PlanningPolicy.from_mapping(planning_yaml) == PlanningPolicy()


def test_the_shipped_file_shows_every_key(planning_yaml: dict[str, Any]) -> None:
    every = leaves(PlanningPolicy().model_dump(exclude={"profiles": True, "priorities": {"rules"}}))
    assert every <= leaves(planning_yaml)


def test_defaults_are_those_users_expect() -> None:
    policy = PlanningPolicy()
    assert policy.default_profile == "balanced"
    assert policy.performance.max_cost_per_decision is None
    assert policy.performance.total_plan_timeout == 120
    assert policy.monitoring.alerts.high_cost_per_decision == Decimal("0.30")


SHIPPED = [
    {
        "name": "conservative",
        "max_parallel_tasks": 4,
        "include_optional_tasks": True,
        "additional_tasks": ("liquidity", "correlation", "fundamentals"),
        "require_all_critical": True,
        "min_data_sources": 5,
    },
    {
        "name": "balanced",
        "max_parallel_tasks": 3,
        "include_optional_tasks": True,
        "additional_tasks": ("fundamentals",),
        "require_all_critical": True,
        "min_data_sources": 4,
    },
    {
        "name": "aggressive",
        "max_parallel_tasks": 3,
        "include_optional_tasks": False,
        "additional_tasks": ("momentum",),
        "require_all_critical": False,
        "min_data_sources": 3,
    },
]


@pytest.mark.parametrize("expected", SHIPPED, ids=lambda expected: str(expected["name"]))
def test_shipped_profiles(expected: dict[str, Any]) -> None:
    assert PlanningPolicy().profile(expected["name"]).model_dump() == expected


def test_an_unknown_profile_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="aggressive, balanced, conservative") as caught:
        PlanningPolicy().profile("agressive")
    assert "did you mean 'aggressive'" in str(caught.value)


def test_an_unknown_default_profile_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="known are aggressive, balanced, conservative"):
        PlanningPolicy.from_mapping({"default_profile": "bold"})


def test_a_profile_inherits_what_it_does_not_say() -> None:
    policy = PlanningPolicy.from_mapping(
        {
            "planning": {"max_parallel_tasks": 7, "include_optional_tasks": False},
            "profiles": {"balanced": {"additional_tasks": ["momentum"]}},
        }
    )
    profile = policy.profile("balanced")
    assert (profile.max_parallel_tasks, profile.include_optional_tasks) == (7, False)


@pytest.mark.parametrize("width", [0, -1, 2.5, 2.0, "2", True, [3]])
def test_a_width_that_is_not_a_whole_number_from_one_on_is_refused(width: object) -> None:
    for give in (
        lambda: PlanningPolicy.from_mapping({"planning": {"max_parallel_tasks": width}}),
        lambda: PlanningPolicy.from_mapping(
            {"profiles": {"balanced": {"planning": {"max_parallel_tasks": width}}}}
        ),
        lambda: AnalysisRequest(symbol="BTC/USDT", risk_profile="balanced", width=width),
        lambda: parse_width(width),
    ):
        with pytest.raises(InvalidWidthError, match="whole number of at least 1") as caught:
            give()
        assert isinstance(caught.value, PlanningError)
        assert repr(width) in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("planing", {}),
        ("features.enable_paralel", True),
        ("profiles", {}),
        ("profiles.balanced.width", 3),
        ("profiles.balanced.min_data_sources", -1),
        ("planning.timeouts.macro", 0),
        ("planning.timeouts.macro", True),
        ("planning.cost_estimates.macro", -1),
        ("task_execution.max_retries", 2.5),
        ("task_execution.retry_delay", -1),
        ("performance.max_cost_per_decision", -0.1),
        ("performance.max_cost_per_decision", True),
        ("performance.total_plan_timeout", float("nan")),
        ("performance.batch_timeout", "60"),
        ("performance.max_memory_per_task_mb", 0),
        ("monitoring.alerts.high_failure_rate", 1.5),
        ("debug.dry_run", "perhaps"),
    ],
)
def test_a_wrong_key_or_value_is_refused_at_its_place(path: str, value: object) -> None:
    keys = path.split(".")
    content: Any = value
    for key in reversed(keys):
        content = {key: content}
    with pytest.raises(ValidationError) as caught:
        PlanningPolicy.from_mapping(content)
    assert [error["loc"] for error in caught.value.errors()] == [tuple(keys)]


def test_a_key_without_a_value_is_a_key_left_out() -> None:
    policy = PlanningPolicy.from_mapping(
        {
            "planning": None,
            "features": {"enable_parallel": None},
            "monitoring": {"alerts": None},
            "profiles": {"balanced": {"planning": None, "additional_tasks": None}},
        }
    )
    assert policy.planning.max_parallel_tasks == 3
    assert policy.features.enable_parallel is True
    assert policy.profile("balanced").additional_tasks == ()


def test_an_unknown_key_without_a_value_is_still_unknown() -> None:
    with pytest.raises(ValidationError, match="planing"):
        PlanningPolicy.from_mapping({"planing": None})


def test_the_policy_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        PlanningPolicy().planning.max_parallel_tasks = 9  # type: ignore[misc]


def test_an_unknown_feature_flag_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="enable_fundamentals"):
        PlanningPolicy().features.is_on("enable_fundamental")
