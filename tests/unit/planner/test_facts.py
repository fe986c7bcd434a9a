"""What is known before a run changes the plan, and the plan says how."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from sigmax_planner.catalog import Catalog
from sigmax_planner.errors import PlanningError, UnknownNameError
from sigmax_planner.explain import explain_plan
from sigmax_planner.facts import PlanningFacts, SourceHeadroom, TaskSample
from sigmax_planner.learned import learn
from sigmax_planner.models import AnalysisRequest, MarketContext, ResearchPlan
from sigmax_planner.planner import create_plan, fired_rules
from sigmax_planner.policy import PlanningPolicy

CREATED_AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RULES_ON: dict[str, Any] = {"features": {"enable_auto_prioritization": True}}


def samples(*seconds: float, cost: str = "0.01") -> tuple[TaskSample, ...]:
    return tuple(TaskSample(f"r{n}", s, Decimal(cost)) for n, s in enumerate(seconds))


def market(**known: Any) -> MarketContext:
    return MarketContext(observed_at=known.pop("at", CREATED_AT), **known)


def make(
    catalog: Catalog,
    facts: PlanningFacts,
    policy: dict[str, Any] | None = None,
    **request: Any,
) -> ResearchPlan:
    return create_plan(
        AnalysisRequest(
            symbol="BTC/USDT", risk_profile=request.pop("profile", "balanced"), **request
        ),
        PlanningPolicy.from_mapping(policy or {}),
        catalog,
        CREATED_AT,
        facts,
    )


def test_percentiles_are_values_that_were_measured() -> None:
    known = learn(samples(*(float(n) for n in range(1, 21))), 5)
    assert known is not None
    assert (known.seconds_p50, known.seconds_p95) == (10.0, 19.0)
    assert known.basis == "learned, n=20"
    assert learn(samples(1, 2, 3, 4), 5) is None
    assert learn((), 0) is None


def test_enough_runs_replace_the_estimates_and_nothing_else(catalog: Catalog) -> None:
    facts = PlanningFacts(
        samples={"sentiment": samples(1, 2, 3, 4, 9), "macro": samples(1, 1, 1, 1)}
    )
    plan = make(catalog, facts)
    sentiment, macro = plan.task("sentiment"), plan.task("macro")
    assert (sentiment.estimated_seconds, sentiment.estimate_basis) == (3, "learned, n=5")
    assert sentiment.estimated_cost_usd == Decimal("0.01")
    assert sentiment.timeout_seconds == 30
    assert (macro.estimated_seconds, macro.estimate_basis) == (20, "static")
    assert plan.estimated_time_sequential == 125 - 30 + 3


def test_learning_can_be_off_and_typed_costs_stay(catalog: Catalog) -> None:
    facts = PlanningFacts(samples={"sentiment": samples(1, 1, 1, 1, 1)})
    off = make(catalog, facts, {"planning": {"learned_estimates": False}})
    assert off == make(catalog, PlanningFacts())
    typed = make(catalog, facts, {"planning": {"cost_estimates": {"sentiment": 0.5}}})
    assert typed.task("sentiment").estimated_cost_usd == Decimal("0.5")
    assert typed.task("sentiment").estimated_seconds == 1


def test_a_cost_limit_goes_by_what_was_learned(catalog: Catalog) -> None:
    static = make(catalog, PlanningFacts(), max_cost_usd=Decimal("0.15"))
    assert any(o.reason == "over_budget" for o in static.omitted)
    free = {t.task_id: samples(1, 1, 1, 1, 1, cost="0") for t in catalog.templates}
    learned = make(catalog, PlanningFacts(samples=free), max_cost_usd=Decimal("0.15"))
    assert learned.task_count == 6
    assert learned.estimated_cost == 0


def test_slow_runs_near_the_time_limit_are_warned_of(catalog: Catalog) -> None:
    facts = PlanningFacts(samples={"technical": samples(5, 5, 5, 5, 14.5)})
    assert any("technical took up to 14.5 s" in note for note in make(catalog, facts).notes)


def test_a_rule_that_holds_changes_priorities_and_the_plan_names_it(catalog: Catalog) -> None:
    facts = PlanningFacts(market=market(volume_ratio=2.6, news_tone=-0.7, origin="run 1"))
    plan = make(catalog, facts, RULES_ON)
    assert plan.task("patterns").priority == "HIGH"
    assert plan.task("patterns").priority_basis == "volume_shock: MEDIUM -> HIGH"
    assert plan.task("keywords").priority == "MEDIUM"
    (fired, changed) = plan.notes
    assert "run 1" in fired
    assert "volume_shock (volume 2.60x its median)" in fired
    assert "news_shock (news tone -0.70)" in fired
    assert "patterns by volume_shock" in changed


def test_two_rules_move_a_task_one_step_each_and_never_to_critical(catalog: Catalog) -> None:
    facts = PlanningFacts(market=market(volatility="high", drawdown_fraction=0.3, volume_ratio=9))
    plan = make(catalog, facts, RULES_ON, profile="conservative")
    assert plan.task("correlation").priority == "HIGH"
    assert plan.critical_tasks == ["sentiment", "onchain", "technical"]


@pytest.mark.parametrize(
    ("known", "word"),
    [
        (None, "nothing is known"),
        (market(volatility="high", at=CREATED_AT - timedelta(hours=25)), "25.0 h old"),
        (market(volatility="high", at=CREATED_AT + timedelta(hours=1)), "later than"),
        (market(volume_ratio=1.0), "no priority rule fired"),
        (market(), "no priority rule fired"),
    ],
)
def test_without_a_market_that_holds_the_plan_is_the_static_one_and_says_why(
    catalog: Catalog, known: MarketContext | None, word: str
) -> None:
    plan = make(catalog, PlanningFacts(market=known), RULES_ON)
    assert plan.tasks == make(catalog, PlanningFacts()).tasks
    assert word in plan.notes[0]


def test_rules_are_not_looked_at_while_off(catalog: Catalog) -> None:
    facts = PlanningFacts(market=market(volatility="high", volume_ratio=9))
    assert make(catalog, facts) == make(catalog, PlanningFacts())
    off = {"features": {"enable_auto_prioritization": True, "enable_planning": False}}
    assert not any("priority" in note for note in make(catalog, facts, off).notes)


def test_the_market_of_the_request_goes_first(catalog: Catalog) -> None:
    plan = make(
        catalog,
        PlanningFacts(market=market(volume_ratio=9)),
        RULES_ON,
        market=market(news_tone=0.9),
    )
    assert plan.task("patterns").priority == "MEDIUM"
    assert plan.task("keywords").priority == "MEDIUM"


@pytest.mark.parametrize(
    ("rule", "error", "word"),
    [
        ({"when": {}, "raise_tasks": ["macro"]}, ValidationError, "no condition"),
        ({"when": {"volatility": "high"}}, ValidationError, "at least one task"),
        (
            {"when": {"volatility": "high"}, "raise_tasks": ["macro"], "lower_tasks": ["macro"]},
            ValidationError,
            "at once",
        ),
        ({"when": {"volatility": "wild"}, "raise_tasks": ["macro"]}, ValidationError, "volatility"),
        ({"when": {"volatility": "low"}, "raise_tasks": ["nosuch"]}, UnknownNameError, "nosuch"),
        ({"when": {"volatility": "low"}, "lower_tasks": ["onchain"]}, PlanningError, "CRITICAL"),
    ],
)
def test_a_rule_that_cannot_be_is_an_error(
    catalog: Catalog, rule: dict[str, Any], error: type[Exception], word: str
) -> None:
    with pytest.raises(error, match=word):
        make(catalog, PlanningFacts(), {**RULES_ON, "priorities": {"rules": {"mine": rule}}})


def test_a_shipped_rule_is_removed_by_null(catalog: Catalog) -> None:
    policy = PlanningPolicy.from_mapping({"priorities": {"rules": {"news_shock": None}}})
    assert policy.priorities.rules == {}


def room(share: float, wait: float = 0.0) -> SourceHeadroom:
    return SourceHeadroom(share, wait, f"{share:.0%} left")


@pytest.mark.parametrize(("share", "width"), [(0.3, 3), (0.17, 2), (0.08, 1), (0.0, 1)])
def test_a_shared_source_near_its_limit_narrows_the_width(
    catalog: Catalog, share: float, width: int
) -> None:
    plan = make(catalog, PlanningFacts(headroom={"fear_greed": room(share)}))
    assert plan.width == width
    assert max(len(batch) for batch in plan.execution_order) == width
    note = f"width {width} instead of 3: fear_greed has"
    assert any(note in line for line in plan.notes) == (width < 3)


def test_a_source_of_one_task_alone_narrows_nothing(catalog: Catalog) -> None:
    assert make(catalog, PlanningFacts(headroom={"onchain": room(0.0)})).width == 3


def test_adaptive_width_can_be_off(catalog: Catalog) -> None:
    facts = PlanningFacts(headroom={"fear_greed": room(0.0, 900), "news": room(0.0, 900)})
    plan = make(catalog, facts, {"planning": {"adaptive_width": False}})
    assert plan == make(catalog, PlanningFacts())


def test_only_optional_tasks_out_of_reach_are_left_out(catalog: Catalog) -> None:
    rooms = {name: room(0.0, 900) for name in ("historical_data", "onchain", "coingecko")}
    plan = make(catalog, PlanningFacts(headroom=rooms))
    left_out = {o.task_id: o for o in plan.omitted if o.reason == "quota"}
    assert set(left_out) == {"patterns"}
    assert "before the deadline" in left_out["patterns"].detail
    assert "onchain" in plan.critical_tasks
    soon = make(catalog, PlanningFacts(headroom={"historical_data": room(0.0, 30)}))
    assert "patterns" in {t.task_id for t in soon.tasks}


def test_every_number_of_a_plan_is_explained(catalog: Catalog) -> None:
    facts = PlanningFacts(
        market=market(volume_ratio=2.6),
        samples={"technical": samples(1, 2, 3, 4, 5), "macro": samples(1)},
        headroom={"news": room(0.1)},
    )
    policy = PlanningPolicy.from_mapping({**RULES_ON, "planning": {"timeouts": {"onchain": 9}}})
    request = AnalysisRequest(symbol="BTC/USDT", risk_profile="balanced")
    plan = create_plan(request, policy, catalog, CREATED_AT, facts)
    fired, _ = fired_rules(request, policy, facts, CREATED_AT)
    told = explain_plan(plan, request, policy, facts, fired)
    by_task = {row.task_id: row for row in told.tasks}
    assert set(by_task) == {task.task_id for task in plan.tasks}
    assert by_task["technical"].seconds.startswith("learned, n=5")
    assert by_task["macro"].seconds == "static: the catalogue; 1 of 5 runs to learn from"
    assert by_task["onchain"].seconds.startswith("static: planning.timeouts")
    assert by_task["patterns"].priority == "volume_shock: MEDIUM -> HIGH"
    assert [rule.rule for rule in told.rules if rule.fired] == ["volume_shock"]
    assert any("does not hold: volatility high" in rule.why for rule in told.rules)
    assert any("news has 10% left" in fact for fact in told.facts)
