"""The verdict: action, prices, reasons, what would change it, and its hash."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from sigmax_planner.errors import UnknownNameError
from sigmax_planner.models import DataMode
from sigmax_tasks.models.decision import Action, Decision
from sigmax_tasks.models.research import ResearchBundle
from sigmax_tasks.stages.analyse import analyse
from sigmax_tasks.stages.chain import conclude, run_chain
from sigmax_tasks.stages.debate import debate
from sigmax_tasks.stages.decide import canonical_json, decision_hash
from sigmax_tasks.stages.risk import assess_risk
from sigmax_tasks.stages.validate import validate
from tests.unit.stages.builders import (
    AS_OF,
    BALANCED,
    bundle,
    evidence,
    failed,
    finding,
    outcome,
    plan,
    policy,
    profile,
    shipped_policy,
)


def decided(given: ResearchBundle, **changes: object) -> Decision:
    return run_chain(given, profile(), policy(**changes))


def leaning(score: float) -> ResearchBundle:
    """All findings with that score and strength 1, and two arguments each on its side."""
    polarity = 0.5 if score > 0 else -0.5
    return bundle(
        *(
            outcome(
                finding(
                    task_id,
                    score=score,
                    strength=1.0,
                    evidence_items=[
                        evidence(task_id, "one", item.source, polarity=polarity)
                        for item in finding(task_id).lineage[:1]
                    ],
                )
            )
            for task_id in BALANCED
        )
    )


def test_a_bullish_market_is_a_buy_with_its_levels() -> None:
    made = decided(leaning(0.3))
    assert made.action is Action.BUY
    assert made.reference_price == 50_000.0
    assert made.stop_price == pytest.approx(48_000.0)
    assert made.take_profit_price == pytest.approx(54_000.0)
    assert made.horizon_hours == 48
    assert 0 < made.size_fraction <= 0.15
    assert made.size_fraction == made.sizing.size_fraction
    assert made.confidence == made.analysis.confidence > 0
    assert made.validation.passed


def test_a_bearish_market_is_a_sell_with_its_levels_the_other_way() -> None:
    made = decided(leaning(-0.3))
    assert made.action is Action.SELL
    assert made.stop_price == pytest.approx(52_000.0)
    assert made.take_profit_price == pytest.approx(46_000.0)


def test_an_undecided_market_is_a_hold_without_levels_or_size() -> None:
    made = decided(leaning(0.05))
    assert made.action is Action.HOLD
    assert (made.stop_price, made.take_profit_price, made.size_fraction) == (None, None, 0.0)
    assert made.reference_price == 50_000.0
    assert "is between -0.07 and +0.07" in made.reasons[0]


def test_the_threshold_itself_is_enough() -> None:
    score = decided(leaning(0.3)).score
    assert decided(leaning(0.3), profiles__balanced__buy_threshold=score).action is Action.BUY
    above = decided(leaning(0.3), profiles__balanced__buy_threshold=score * 1.0001)
    assert above.action is Action.HOLD


def test_failed_validation_holds_with_the_gaps_and_no_confidence() -> None:
    lost = [failed(t, "connection refused") for t in ("sentiment", "onchain", "technical")]
    made = decided(bundle(*lost))
    assert made.action is Action.HOLD
    assert made.validation.passed is False
    assert made.confidence == 0.0
    assert made.size_fraction == 0.0
    text = " ".join(made.reasons)
    for task_id in ("sentiment", "onchain", "technical"):
        assert f"gap in {task_id}" in text
        assert f"critical task {task_id} gave no finding (failed: connection refused)" in text
    assert any("validation at 0.7 or more" in line for line in made.would_change)
    assert any("critical task technical" in line for line in made.would_change)


def test_every_task_failed_still_ends_in_a_decision() -> None:
    made = decided(bundle(*(failed(task_id) for task_id in BALANCED)))
    assert (made.action, made.score, made.validation.score) == (Action.HOLD, 0.0, 0.0)


def test_a_veto_holds_and_says_which_action_it_stopped() -> None:
    made = decided(leaning(0.3), risk__blacklist=["BTC/USDT"])
    assert made.action is Action.HOLD
    assert made.vetoes == ("BTC/USDT is on the blacklist",)
    assert made.reasons[0].startswith("HOLD: BUY at score")
    assert "this veto must fall for a BUY: BTC/USDT is on the blacklist" in made.would_change
    assert made.confidence > 0


def test_no_reference_price_holds() -> None:
    blind = outcome(finding("technical", metrics={"last_close": None}))
    made = decided(bundle(blind))
    assert made.action is Action.HOLD
    assert made.reference_price is None
    assert any("no reference price" in veto for veto in made.vetoes)


def test_a_position_too_small_to_take_is_a_hold() -> None:
    made = decided(leaning(0.3), sizing__min_size_fraction=0.5)
    assert made.action is Action.HOLD
    assert "has no size left" in made.reasons[0]
    assert any("a size of 50.00% or more is needed for a BUY" in t for t in made.would_change)


def test_would_change_of_a_buy_names_the_distance_and_the_finding_it_hangs_on() -> None:
    made = decided(leaning(0.2))
    score = made.score
    assert made.would_change[0] == (
        f"a score below +0.07 (now {score:+.4f}, {score - 0.07:.4f} lower) makes it HOLD"
    )
    (fragile,) = [line for line in made.would_change if line.startswith("without")]
    assert fragile.startswith("without the finding of technical the score would be at most")
    promised = float(fragile.partition("at most ")[2].partition(":")[0])
    lost = [o for o in leaning(0.2).outcomes if o.task_id != "technical"]
    real = decided(bundle(failed("technical"), *lost))
    assert real.action is Action.HOLD
    assert real.score <= promised + 1e-4


def test_would_change_of_a_hold_names_the_nearer_side_first() -> None:
    down = decided(leaning(-0.04))
    assert down.would_change[0].startswith("a score of -0.07 or less")
    assert down.would_change[1].startswith("a score of +0.07 or more")


def test_reasons_show_the_best_of_both_sides() -> None:
    mixed = outcome(
        finding(
            "macro",
            evidence_items=[
                evidence("macro", "yields", "macro_data", polarity=-0.9, reliability=0.9)
            ],
        )
    )
    reasons = decided(bundle(mixed)).reasons
    assert any(text.startswith("bull ") for text in reasons)
    assert any(text.startswith("bear ") and "[macro.yields]" in text for text in reasons)


def test_an_unknown_profile_is_an_error_that_lists_the_known_ones() -> None:
    stranger = profile().model_copy(update={"name": "reckless"})
    with pytest.raises(UnknownNameError, match="aggressive, balanced, conservative"):
        run_chain(bundle(), stranger, shipped_policy())


def test_simulated_data_are_said_to_be() -> None:
    found = finding("macro")
    fake = tuple(item.model_copy(update={"simulated": True}) for item in found.lineage)
    made = bundle(outcome(found.model_copy(update={"lineage": fake})), data_mode=DataMode.SIMULATED)
    assert decided(made).simulated is True
    assert decided(bundle()).simulated is False


def test_the_hash_is_that_of_the_canonical_json() -> None:
    made = decided(bundle())
    text = canonical_json(made)
    assert text.isascii()
    assert "decision_hash" not in text
    assert ": " not in text.replace('": ', "") or json.loads(text)
    assert decision_hash(made) == made.decision_hash
    again = Decision.model_validate_json(made.model_dump_json())
    assert again == made
    assert decision_hash(again) == made.decision_hash


def test_the_hash_stands_still_when_only_the_circumstances_change() -> None:
    plain = bundle()
    changed = []
    for item in plain.outcomes:
        found = item.finding
        assert found is not None
        moved = tuple(
            one.model_copy(
                update={
                    "fetched_at": AS_OF + timedelta(seconds=77),
                    "cache_hit": True,
                    "cache_age_seconds": 12.5,
                    "payload_bytes": 7,
                }
            )
            for one in found.lineage
        )
        changed.append(
            item.model_copy(
                update={
                    "finding": found.model_copy(update={"lineage": moved}),
                    "duration_seconds": 9.75,
                    "started_at": AS_OF + timedelta(seconds=5),
                    "finished_at": AS_OF + timedelta(seconds=50),
                    "worker": "another@machine",
                    "attempts": 3,
                    "requests": 9,
                    "cost_usd": Decimal("0.5"),
                }
            )
        )
    other_plan = plan().model_copy(update={"created_at": AS_OF + timedelta(seconds=9)})
    elsewhere = plain.model_copy(update={"outcomes": tuple(changed), "plan": other_plan})
    assert decided(elsewhere) == decided(plain)


def test_the_hash_moves_with_evidence_configuration_and_time() -> None:
    base = decided(bundle()).decision_hash
    assert decided(bundle(failed("keywords"))).decision_hash != base
    assert decided(bundle(), debate__prior=0.2).decision_hash != base
    assert decided(bundle(as_of=AS_OF + timedelta(minutes=1))).decision_hash != base
    sold = outcome(finding("macro", score=0.59))
    assert decided(bundle(sold)).decision_hash != base


def test_a_stage_that_is_not_told_how_the_tasks_stand_finds_out() -> None:
    given, rules = leaning(0.8), policy()
    report = validate(given, profile(), rules)
    record = debate(given, report, rules)
    assert conclude(given, report, record, profile(), rules) == decided(given)
    analysis = analyse(given, report, record, rules, profile())
    assert analysis == decided(given).analysis
    assert assess_risk(given, analysis, rules).checks == decided(given).risk.checks
