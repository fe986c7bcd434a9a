"""Both cases, the rebuttals and the judge's arithmetic."""

from __future__ import annotations

import re

import pytest

from sigmax_tasks.models.decision import DebateRecord
from sigmax_tasks.models.research import ResearchBundle
from sigmax_tasks.stages.debate import debate
from sigmax_tasks.stages.validate import validate
from tests.unit.stages.builders import bundle, evidence, finding, outcome, policy, profile

TASKS = ("technical", "macro")
EQUAL = {"technical": 1.0, "macro": 1.0}


def held(made: ResearchBundle, **changes: object) -> DebateRecord:
    rules = policy(**{"profiles__balanced__task_weights": EQUAL, **changes})
    return debate(made, validate(made, profile(), rules), rules)


def two_sided(**technical: object) -> ResearchBundle:
    """Technical: bull 0.8 x 0.5, bear 0.4 x 0.5; macro: bear 0.6 x 1.0; each task weighs 0.5."""
    items = [
        evidence("technical", "up", "price_data", polarity=0.8, reliability=0.5),
        evidence("technical", "down", "price_data", polarity=-0.4, reliability=0.5),
    ]
    macro = [evidence("macro", "rates", "macro_data", polarity=-0.6, reliability=1.0)]
    return bundle(
        outcome(finding("technical", evidence_items=items, **technical)),
        outcome(finding("macro", evidence_items=macro)),
        task_ids=TASKS,
    )


def test_without_rounds_the_net_is_that_of_the_plain_weights() -> None:
    record = held(two_sided(), debate__rounds=0)
    assert [(a.evidence_id, a.weight) for a in record.bull.arguments] == [("technical.up", 0.2)]
    assert [(a.evidence_id, a.weight) for a in record.bear.arguments] == [
        ("macro.rates", 0.3),
        ("technical.down", 0.1),
    ]
    # (0.2 - 0.4) / (0.2 + 0.4 + 0.1)
    assert record.net == pytest.approx(-0.2 / 0.7)
    assert record.arithmetic == (
        "(0.2000 bull - 0.4000 bear) / (0.2000 + 0.4000 + 0.1 prior) = -0.2857"
    )
    assert record.rounds == 0


def test_rebuttals_by_hand() -> None:
    record = held(two_sided())
    # up: own task's contrary 0.1 / 0.3 = 1/3, other task's 0.5 x 0.3 / 0.5 = 0.3: x (1 - 0.5 / 3)
    # rates: no contrary in macro, 0.5 x 0.2 / 0.5 = 0.2: x 0.9
    # down: 0.2 / 0.3 in the same task: x (1 - 0.5 x 2/3)
    weights = {a.evidence_id: a.weight for a in (*record.bull.arguments, *record.bear.arguments)}
    assert weights["technical.up"] == pytest.approx(0.2 * (1 - 0.5 / 3))
    assert weights["macro.rates"] == pytest.approx(0.3 * 0.9)
    assert weights["technical.down"] == pytest.approx(0.1 * (1 - 0.5 * 2 / 3))
    (text,) = record.bull.arguments[0].rebuttals
    assert text.startswith("round 1: technical.down says: down of technical reads -0.40")
    assert text.endswith("counts x 0.83")
    assert record.rounds == 2


def test_the_arithmetic_shows_the_real_numbers() -> None:
    record = held(two_sided())
    bull, bear, *_ = (float(n) for n in re.findall(r"\d+\.\d+", record.arithmetic))
    assert bull == pytest.approx(record.bull.total, abs=1e-4)
    assert bear == pytest.approx(record.bear.total, abs=1e-4)
    assert record.net == pytest.approx((bull - bear) / (bull + bear + 0.1), abs=1e-3)


def test_the_trend_is_a_ground_against_the_other_side() -> None:
    record = held(two_sided(labels={"trend": "up"}), debate__trend_force=0.9)
    assert "the trend is up" in record.bear.arguments[0].rebuttals[0]
    assert "the trend" not in record.bull.arguments[0].rebuttals[0]


def test_old_data_are_a_ground() -> None:
    record = held(two_sided(ages={"price_data": 540}))  # limit 300: fresh to 0.2
    assert "its data are old, fresh to 0.20" in record.bull.arguments[0].rebuttals[0]


def test_thin_coverage_is_a_ground_and_names_the_gap() -> None:
    items = [evidence("macro", "rates", "macro_data", polarity=0.5)]
    made = bundle(
        outcome(finding("macro", evidence_items=items, without=["fear_greed"])),
        task_ids=("macro",),
    )
    (argument,) = held(made).bull.arguments
    assert "macro rests on 0.50 of its data (fear_greed: no observation" in argument.rebuttals[0]


def test_an_argument_with_nothing_against_it_stands() -> None:
    items = [evidence("macro", "rates", "macro_data", polarity=0.5)]
    made = bundle(outcome(finding("macro", evidence_items=items)), task_ids=("macro",))
    (argument,) = held(made).bull.arguments
    assert argument.rebuttals == ()
    assert argument.weight == argument.base_weight


def test_no_arguments_at_all_is_a_tie() -> None:
    made = bundle(outcome(finding("macro", evidence_items=[])), task_ids=("macro",))
    record = held(made)
    assert (record.net, record.rounds) == (0.0, 0)


def test_every_argument_cites_evidence_of_the_bundle_and_is_heard_once() -> None:
    made = two_sided()
    record = held(made, debate__rounds=9)
    known = {item.evidence_id for found in made.findings for item in found.evidence}
    said = [a.evidence_id for a in (*record.bull.arguments, *record.bear.arguments)]
    assert sorted(said) == sorted(known)
    assert all(len(a.rebuttals) <= 1 for a in record.bear.arguments)


def test_ties_are_ordered_by_evidence_id() -> None:
    items = [evidence("macro", name, "macro_data") for name in ("b", "a", "c")]
    made = bundle(outcome(finding("macro", evidence_items=items)), task_ids=("macro",))
    record = held(made)
    assert [a.evidence_id for a in record.bull.arguments] == ["macro.a", "macro.b", "macro.c"]


def test_arguments_on_unusable_observations_are_not_heard() -> None:
    items = [evidence("macro", "invented", "orderbook", polarity=1.0, reliability=1.0)]
    made = bundle(outcome(finding("macro", evidence_items=items)), task_ids=("macro",))
    assert held(made).bull.arguments == ()
