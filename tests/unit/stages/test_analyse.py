"""Score and confidence by hand."""

from __future__ import annotations

import pytest

from sigmax_tasks.models.decision import Analysis
from sigmax_tasks.models.research import ResearchBundle
from sigmax_tasks.stages.analyse import analyse
from sigmax_tasks.stages.debate import debate
from sigmax_tasks.stages.validate import validate
from tests.unit.stages.builders import bundle, evidence, failed, finding, outcome, policy, profile

TASKS = ("technical", "macro")
CHANGES = {
    "profiles__balanced__task_weights": {"technical": 3.0, "macro": 1.0},
    "analysis__conviction_limits": {},
    "analysis__conviction_limit": 0.5,
    "analysis__full_score": 0.4,
    "analysis__max_confidence": 0.95,
}


def made(*outcomes: object) -> ResearchBundle:
    return bundle(*outcomes, task_ids=TASKS)


def technical(score: float = 0.6, **changes: object) -> object:
    """One argument of weight 0.75 x 0.8 x 0.5 = 0.3 on the side of the score."""
    items = [
        evidence(
            "technical", "one", "price_data", polarity=0.8 if score > 0 else -0.8, reliability=0.5
        )
    ]
    return outcome(finding("technical", score=score, strength=0.5, evidence_items=items, **changes))


def macro(score: float = -0.2) -> object:
    items = [evidence("macro", "one", "macro_data", polarity=-0.4, reliability=0.5)]
    return outcome(finding("macro", score=score, strength=0.5, evidence_items=items))


def view(given: ResearchBundle, **changes: object) -> Analysis:
    rules = policy(**{**CHANGES, **changes})
    report = validate(given, profile(), rules)
    return analyse(given, report, debate(given, report, rules), rules, profile())


def test_worked_example() -> None:
    seen = view(made(technical(), macro()))
    # findings: 0.75 x 0.6 x 0.5 - 0.25 x 0.2 x 0.5 = 0.2
    assert [c.contribution for c in seen.contributions] == pytest.approx([0.225, -0.025])
    assert seen.raw_score == pytest.approx(0.2)
    # support: the one bull argument of 0.3, rebutted with full force: 0.15 / (0.15 + 0.1)
    assert seen.debate_support == pytest.approx(0.6)
    assert seen.score == pytest.approx(0.2 * (0.7 + 0.3 * 0.6))
    assert seen.agreement == pytest.approx(0.75)
    assert seen.confidence_cap == pytest.approx(0.95)
    assert seen.confidence == pytest.approx(0.176 / 0.4 * (0.7 + 0.3 * 0.75))


def test_a_missing_finding_counts_fully_against() -> None:
    seen = view(made(technical(), failed("macro")))
    # 0.225 - 0.25 x 0.5
    assert seen.score == pytest.approx(0.1 * (0.7 + 0.3 * 0.6))
    assert [c.unknown for c in seen.contributions] == pytest.approx([0.0, 0.125])
    assert seen.confidence_cap == pytest.approx(0.95 * 2 / 4)  # 2 of 4 planned sources


def test_stale_sources_count_against_in_part() -> None:
    stale = technical(ages={"price_data": 450})  # fresh to 0.5; volume_data fresh: informed 0.75
    seen = view(made(stale, macro()))
    assert seen.contributions[0].informed == pytest.approx(0.75)
    case = 0.75 * 0.225 - 0.25 * 0.75 * 0.5 - 0.025
    assert seen.score == pytest.approx(case * (0.7 + 0.3 * 0.6))


def test_a_finding_counts_for_no_more_than_its_conviction_limit() -> None:
    seen = view(made(technical(), macro()), analysis__conviction_limits={"technical": 0.1})
    assert seen.contributions[0].contribution == pytest.approx(0.075)


def test_where_the_unknown_outweighs_the_known_there_is_no_view() -> None:
    seen = view(made(failed("technical"), macro()))
    assert (seen.score, seen.confidence, seen.agreement) == (0.0, 0.0, 0.0)
    assert any("take no side" in line for line in seen.reasoning)


def test_tasks_that_the_profile_does_not_name_weigh_by_priority() -> None:
    seen = view(
        made(technical(), macro()),
        profiles__balanced__task_weights={},
        analysis__default_task_weights={"CRITICAL": 4, "HIGH": 1, "MEDIUM": 1, "LOW": 1},
    )
    assert [c.weight for c in seen.contributions] == pytest.approx([0.8, 0.2])


def test_the_regime_is_the_label_of_the_technical_finding() -> None:
    assert view(made(technical(labels={"regime": "trending"}), macro())).regime == "trending"
    assert view(made(failed("technical"), macro())).regime == "unknown"


def test_a_debate_that_leans_the_other_way_is_said() -> None:
    against = [evidence("macro", "one", "macro_data", polarity=-1.0, reliability=1.0)]
    loud = outcome(finding("macro", score=-0.2, strength=0.5, evidence_items=against))
    weak = [evidence("technical", "one", "price_data", polarity=0.1, reliability=0.2)]
    seen = view(
        made(outcome(finding("technical", score=0.6, strength=0.5, evidence_items=weak)), loud)
    )
    assert seen.score > 0
    assert any("leans the other way" in line for line in seen.reasoning)
