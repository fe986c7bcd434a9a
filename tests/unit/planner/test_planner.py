from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from sigmax_planner.catalog import Catalog
from sigmax_planner.errors import InvalidWidthError, UnknownNameError
from sigmax_planner.models import AnalysisRequest, ResearchPlan
from sigmax_planner.planner import check_names, create_plan
from sigmax_planner.policy import PlanningPolicy

Plan = Callable[..., ResearchPlan]

BASE = {"sentiment", "onchain", "technical", "macro"}
OPTIONAL = {"patterns", "keywords"}
CAREFUL = {"liquidity", "correlation"}

# profile, optional, width, tasks, USD, sequential seconds, parallel seconds at most
REFERENCE = [
    ("conservative", True, 4, BASE | CAREFUL | OPTIONAL, "0.23", 155, 55),
    ("conservative", True, 3, BASE | CAREFUL | OPTIONAL, "0.23", 155, 75),
    ("conservative", False, 3, BASE | CAREFUL, "0.17", 115, 50),
    ("balanced", True, 3, BASE | OPTIONAL, "0.19", 125, 55),
    ("balanced", False, 3, BASE, "0.13", 85, 50),
    ("balanced", False, 4, BASE, "0.13", 85, 30),
    ("aggressive", False, 3, BASE | {"momentum"}, "0.15", 95, 50),
    ("aggressive", True, 3, BASE | {"momentum"} | OPTIONAL, "0.21", 135, 70),
]


def task_ids(plan: ResearchPlan) -> set[str]:
    return {task.task_id for task in plan.tasks}


@pytest.mark.parametrize("row", REFERENCE, ids=[f"{r[0]}-{r[1]}-{r[2]}" for r in REFERENCE])
def test_reference_plans(plan: Plan, row: tuple[Any, ...]) -> None:
    profile, optional, width, tasks, usd, sequential, parallel = row
    made = plan(profile, include_optional=optional, width=width)
    assert task_ids(made) == tasks
    assert made.estimated_cost == Decimal(usd)
    assert made.estimated_time_sequential == sequential
    assert made.estimated_time_parallel <= parallel
    assert made.speedup == round(sequential / made.estimated_time_parallel, 2)
    assert made.width == width
    assert not made.over_budget


@pytest.mark.parametrize(
    ("profile", "tasks", "width"),
    [("conservative", 8, 4), ("balanced", 6, 3), ("aggressive", 5, 3)],
)
def test_what_a_profile_does_when_the_request_says_nothing(
    plan: Plan, profile: str, tasks: int, width: int
) -> None:
    made = plan(profile)
    assert (made.task_count, made.width, made.risk_profile) == (tasks, width, profile)
    assert not made.notes


def test_the_summary_line(plan: Plan) -> None:
    assert plan().summary == "Research plan created: 6 tasks, $0.19 cost, 55s est. time"


def test_fundamentals_joins_conservative_and_balanced_when_switched_on(plan: Plan) -> None:
    on = {"features": {"enable_fundamentals": True}}
    assert "fundamentals" in task_ids(plan("conservative", policy=on))
    assert "fundamentals" in task_ids(plan("balanced", policy=on))
    omitted = {o.task_id: o.reason for o in plan("aggressive", policy=on).omitted}
    assert omitted["fundamentals"] == "not_in_profile"


def test_tasks_are_in_order_of_priority(plan: Plan) -> None:
    ranks = [task.priority.rank for task in plan("conservative").tasks]
    assert ranks == sorted(ranks)


def test_the_request_beats_the_profile_and_the_profile_the_planning(plan: Plan) -> None:
    policy = {"planning": {"max_parallel_tasks": 2, "include_optional_tasks": False}}
    assert (plan(policy=policy).width, plan(policy=policy).task_count) == (2, 4)
    assert plan("conservative", policy=policy).width == 4
    asked = plan("conservative", policy=policy, width=5, include_optional=False)
    assert (asked.width, asked.task_count) == (5, 6)


def test_a_limit_of_the_request_beats_that_of_the_policy(plan: Plan) -> None:
    policy = {"performance": {"max_cost_per_decision": 0.15}}
    assert plan(policy=policy).estimated_cost == Decimal("0.13")
    assert plan(policy=policy).max_cost_usd == Decimal("0.15")
    asked = plan(policy=policy, max_cost_usd=Decimal("0.17"))
    assert task_ids(asked) == BASE | {"patterns"}
    assert plan(policy=policy, max_cost_usd=Decimal(0)).over_budget


@pytest.mark.parametrize(
    ("policy", "switch"),
    [
        ({"features": {"enable_parallel": False}}, "features.enable_parallel"),
        ({"planning": {"enable_parallel_tasks": False}}, "planning.enable_parallel_tasks"),
    ],
)
def test_parallel_off_is_width_one_and_says_so(
    plan: Plan, policy: dict[str, Any], switch: str
) -> None:
    made = plan(policy=policy, width=4, deadline_seconds=1000)
    assert made.width == 1
    assert all(len(batch) == 1 for batch in made.execution_order)
    assert made.estimated_time_parallel == made.estimated_time_sequential == 125
    assert made.notes == (f"width 1 instead of 4: {switch} is off",)
    assert not plan(policy=policy, width=1, deadline_seconds=1000).notes


@pytest.mark.parametrize("profile", ["conservative", "balanced", "aggressive"])
def test_planning_off_is_the_fixed_sequential_research(plan: Plan, profile: str) -> None:
    made = plan(profile, policy={"features": {"enable_planning": False}}, width=4)
    assert made.execution_order == (("sentiment",), ("onchain",), ("technical",), ("macro",))
    assert made.speedup == 1.0
    assert "features.enable_planning is off" in made.notes[0]
    assert task_ids(made) | {o.task_id for o in made.omitted} == {
        *BASE, *OPTIONAL, *CAREFUL, "momentum", "fundamentals",
    }  # fmt: skip


def test_overridden_seconds_and_costs_reach_the_plan(plan: Plan) -> None:
    made = plan(policy={"planning": {"timeouts": {"macro": 40}, "cost_estimates": {"macro": 0.5}}})
    macro = made.task("macro")
    assert (macro.timeout_seconds, macro.estimated_seconds) == (40, 40)
    assert made.estimated_cost == Decimal("0.66")
    assert made.estimated_time_parallel == 70


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"planning": {"timeouts": {"macros": 1}}}, r"planning\.timeouts.*'macros'"),
        ({"planning": {"cost_estimates": {"macros": 1}}}, r"planning\.cost_estimates.*'macros'"),
        (
            {"profiles": {"balanced": {"additional_tasks": ["momentun"]}}},
            r"profiles\.balanced\.additional_tasks.*'momentun'.*'momentum'",
        ),
    ],
)
def test_a_task_that_does_not_exist_is_named_with_its_key(
    plan: Plan, policy: dict[str, Any], message: str
) -> None:
    with pytest.raises(UnknownNameError, match=message):
        plan(policy=policy)


def test_an_unknown_flag_in_the_catalogue_is_found_before_planning(
    template: Callable[..., Any],
) -> None:
    catalog = Catalog.of([template("a", feature="enable_a")])
    policy = PlanningPolicy.from_mapping({"profiles": {"balanced": {}}})
    with pytest.raises(UnknownNameError, match="feature flag 'enable_a'"):
        check_names(policy, catalog)


def test_an_unknown_profile_lists_the_known_ones(plan: Plan) -> None:
    with pytest.raises(UnknownNameError, match="known are aggressive, balanced, conservative"):
        plan("reckless")


def test_a_width_that_slipped_past_the_request_is_refused(catalog: Catalog, plan: Plan) -> None:
    request = AnalysisRequest(symbol="BTC/USDT", risk_profile="balanced")
    forged = request.model_copy(update={"width": 0})
    with pytest.raises(InvalidWidthError):
        create_plan(forged, PlanningPolicy(), catalog, plan().created_at)


def test_a_plan_that_may_outlast_its_deadline_says_so(plan: Plan) -> None:
    assert "longer than performance.total_plan_timeout of 120 s" in plan(width=1).notes[0]
    assert "longer than the deadline of the request of 40 s" in plan(deadline_seconds=40).notes[0]
    assert not plan(width=1, deadline_seconds=125).notes


def test_a_plan_with_tasks_slower_than_a_batch_may_be_says_so(plan: Plan) -> None:
    (note,) = plan(policy={"performance": {"batch_timeout": 22}}).notes
    assert note == (
        "performance.batch_timeout of 22 s is shorter than the time limit of sentiment, patterns"
    )


def test_a_plan_with_too_few_sources_for_its_profile_says_so(plan: Plan) -> None:
    policy = {"profiles": {"balanced": {"min_data_sources": 12}}}
    (note,) = plan(policy=policy).notes
    assert note == "uses 9 data sources, but profile balanced needs 12 to decide"


def test_the_same_question_gives_the_same_plan(plan: Plan) -> None:
    assert plan("conservative").to_json_dict() == plan("conservative").to_json_dict()


def test_a_plan_survives_the_wire(plan: Plan) -> None:
    made = plan("conservative", max_cost_usd=Decimal("0.10"))
    text = made.model_dump_json(round_trip=True)
    assert ResearchPlan.model_validate_json(text) == made


def test_the_json_has_the_keys_users_read(plan: Plan) -> None:
    content = plan().to_json_dict()
    assert {
        "symbol", "risk_profile", "tasks", "execution_order", "task_count", "critical_tasks",
        "estimated_cost", "estimated_time_sequential", "estimated_time_parallel", "critical_path",
        "speedup", "omitted", "summary", "created_at",
    } <= content.keys()  # fmt: skip
    assert content["estimated_cost"] == 0.19
    assert content["critical_path"] == ["sentiment", "keywords"]
    assert content["critical_tasks"] == ["sentiment", "onchain", "technical"]


@pytest.mark.parametrize("verbose", [True, False])
def test_verbose_planning_logs_the_summary(
    plan: Plan, caplog: pytest.LogCaptureFixture, verbose: bool
) -> None:
    caplog.set_level(logging.INFO, logger="sigmax_planner")
    made = plan(policy={"features": {"verbose_planning": verbose}})
    assert caplog.messages == ([made.summary] if verbose else [])
