"""Plans from Python: the configuration given, the reference plans, the mapping view."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sigmax_planner.errors import InvalidSymbolError, InvalidWidthError, UnknownNameError
from sigmax_planner.models import ResearchPlan
from sigmax_tasks import PlanningAgent, TaskPriority
from sigmax_tasks.compat.agent import MappedPlan
from sigmax_tasks.errors import ConfigurationError, UnknownKeyError

PUBLIC_KEYS = {
    *("symbol", "risk_profile", "tasks", "execution_order", "task_count", "critical_tasks"),
    *("estimated_cost", "estimated_time_sequential", "estimated_time_parallel"),
    *("critical_path", "speedup", "omitted", "summary", "created_at"),
}


def plan_of(
    config: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    profile: str | None = None,
) -> MappedPlan:
    agent = PlanningAgent(llm=None, config=config)
    return asyncio.run(agent.create_plan("BTC/USDT", context, profile))


@pytest.mark.parametrize(
    ("profile", "optional", "width", "count", "cost", "sequential", "parallel"),
    [
        ("conservative", True, 4, 8, 0.23, 155, 55),
        ("conservative", False, 3, 6, 0.17, 115, 50),
        ("balanced", True, 3, 6, 0.19, 125, 55),
        ("balanced", False, 4, 4, 0.13, 85, 30),
        ("aggressive", False, 3, 5, 0.15, 95, 50),
        ("aggressive", True, 3, 7, 0.21, 135, 70),
    ],
)
def test_the_context_gives_the_reference_plans(
    profile: str,
    optional: bool,
    width: int,
    count: int,
    cost: float,
    sequential: float,
    parallel: float,
) -> None:
    plan = plan_of(None, {"include_optional": optional, "width": width}, profile)
    assert plan.task_count == count
    assert float(plan.estimated_cost) == pytest.approx(cost)
    assert plan.estimated_time_sequential == sequential
    assert plan.estimated_time_parallel <= parallel


def test_the_plan_reads_like_a_mapping_and_like_an_object() -> None:
    plan = plan_of()
    assert isinstance(plan, ResearchPlan)
    assert plan["tasks"] is plan.tasks
    assert plan["execution_order"] == plan.execution_order
    assert plan["tasks"][0].priority is TaskPriority.CRITICAL
    assert set(plan.keys()) >= PUBLIC_KEYS
    assert {**plan} == dict(plan.items()) == dict(plan)
    assert "tasks" in plan
    assert "model_dump" not in plan
    assert plan.get("nothing", 3) == 3
    with pytest.raises(KeyError, match="model_dump"):
        plan["model_dump"]


def test_the_json_has_the_same_keys_and_only_json_types() -> None:
    plan = plan_of()
    content = plan.to_json_dict()
    assert set(content) == set(plan.keys())
    assert json.loads(json.dumps(content)) == content


@pytest.mark.parametrize(
    "config", [{"planning": {"max_parallel_tasks": 1}}, {"max_parallel_tasks": 1}]
)
def test_keys_of_the_planning_section_work_nested_and_flat(config: dict[str, Any]) -> None:
    plan = plan_of(config)
    assert plan.width == 1
    assert len(plan.execution_order) == plan.task_count


def test_every_key_of_the_planning_file_works() -> None:
    plan = plan_of(
        {
            "features": {"enable_fundamentals": True},
            "planning": {"timeouts": {"patterns": 40}, "cost_estimates": {"macro": 0.5}},
            "profiles": {"mine": {"additional_tasks": ["fundamentals"], "min_data_sources": 1}},
            "default_profile": "mine",
        }
    )
    assert plan.risk_profile == "mine"
    assert plan.task("fundamentals")
    assert plan.task("patterns").timeout_seconds == 40
    assert float(plan.task("macro").estimated_cost_usd) == 0.5


def test_a_config_changes_no_other_agent() -> None:
    config = {"planning": {"timeouts": {"patterns": 40}}}
    before = PlanningAgent(config=config)
    config["planning"]["timeouts"]["patterns"] = 1
    assert before.settings.planning.planning.timeouts == {"patterns": 40}
    assert PlanningAgent().settings.planning.planning.timeouts == {}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"max_paralel_tasks": 2}, "max_paralel_tasks"),
        ({"planning": {"max_paralel_tasks": 2}}, "planning.max_parallel_tasks"),
        ({"features": {"enable_planing": True}}, "features.enable_planning"),
        ({"planning": {"include_optional_tasks": "perhaps"}}, "planning.include_optional_tasks"),
        ({3: 4}, "3"),
        ("planning", "a mapping of keys"),
    ],
)
def test_a_wrong_config_is_one_clear_line_that_names_the_key(config: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        PlanningAgent(config=config)
    assert "config" in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_width_in_the_config_is_the_planners_error() -> None:
    with pytest.raises(InvalidWidthError):
        PlanningAgent(config={"planning": {"max_parallel_tasks": 0}})


def test_a_language_model_is_refused_and_not_ignored() -> None:
    with pytest.raises(ConfigurationError, match="no language model; leave llm out"):
        PlanningAgent(llm=object())


def test_what_the_context_says_beyond_the_planner_is_noted_on_the_plan() -> None:
    plan = plan_of(None, {"width": 2, "timeframe": "4h", "mood": "calm"})
    assert plan.width == 2
    assert "not used by the planner: decision_context mood, timeframe" in plan.notes
    assert not [note for note in plan_of().notes if "decision_context" in note]


@pytest.mark.parametrize("key", ["max_cost", "include_optionals", "deadline_second"])
def test_a_misspelt_key_of_the_context_is_an_error(key: str) -> None:
    with pytest.raises(UnknownKeyError, match="did you mean"):
        plan_of(None, {key: 1})


def test_a_cost_limit_in_the_context_leaves_tasks_out_with_their_reason() -> None:
    plan = plan_of(None, {"max_cost_usd": 0.15})
    reasons = {omission.task_id: omission.reason.value for omission in plan.omitted}
    assert reasons["patterns"] == "over_budget"
    assert plan.estimated_cost <= plan.max_cost_usd


def test_a_wrong_question_is_the_planners_error() -> None:
    agent = PlanningAgent()
    with pytest.raises(InvalidSymbolError):
        asyncio.run(agent.create_plan("BTC-USDT"))
    with pytest.raises(UnknownNameError, match="balanced"):
        asyncio.run(agent.create_plan("BTC/USDT", {}, "reckless"))


def test_what_is_known_of_the_market_may_be_given_with_the_question() -> None:
    rules_on = {"features": {"enable_auto_prioritization": True}}
    plan = plan_of(rules_on, {"market": {"volume_ratio": 2.6}})
    assert plan.task("patterns").priority is TaskPriority.HIGH
    assert any("volume_shock" in note for note in plan.notes)
    assert plan_of(None, {"market": {"volume_ratio": 2.6}}).notes == ()
    with pytest.raises(ConfigurationError, match="market"):
        plan_of(rules_on, {"market": {"volume_ratio": -1}})
