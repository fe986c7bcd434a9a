"""What changed since the last decision, in short sentences."""

from __future__ import annotations

from sigmax_tasks.models.decision import Action
from sigmax_tasks.stages.compare import compare
from tests.unit.journal.builders import entry


def test_the_same_decision_has_no_changes() -> None:
    told = compare(entry(1), entry(2))
    assert told.changes == ()
    assert (told.run_id, told.as_of, told.action, told.confidence, told.score) == (
        entry(1).run_id,
        entry(1).as_of,
        Action.BUY,
        0.6,
        0.2,
    )


def test_the_verdict_comes_first_with_its_figures() -> None:
    now = entry(2, action=Action.SELL, score=-0.13, confidence=0.4, size=0.02)
    assert compare(entry(1), now).changes[:4] == (
        "action BUY to SELL",
        "score +0.20 to -0.13 (-0.33)",
        "confidence 0.60 to 0.40",
        "size 5.0 % to 2.0 % of equity",
    )


def test_the_tasks_that_moved_most_are_named_and_the_rest_is_counted() -> None:
    before = entry(1, contributions={"technical": 0.1, "macro": -0.02, "old": 0.03, "same": 0.01})
    now = entry(
        2,
        contributions={
            "technical": 0.02, "macro": -0.06, "new": 0.05, "same": 0.012, "small": 0.006
        },
    )  # fmt: skip
    assert compare(before, now).changes == (
        "technical adds +0.020, it added +0.100 (-0.080)",
        "new is new and adds +0.050",
        "macro adds -0.060, it added -0.020 (-0.040)",
        "2 more tasks moved less",
    )


def test_a_task_that_is_gone_is_said() -> None:
    now = entry(2, contributions={"macro": -0.02})
    assert compare(entry(1), now).changes == ("technical is not there any more, it added +0.100",)


def test_new_and_closed_gaps() -> None:
    now = entry(2, gaps=tuple(f"macro: series {n}" for n in range(5)))
    assert compare(entry(1), now).changes == (
        "new gap: macro: series 0",
        "new gap: macro: series 1",
        "new gap: macro: series 2",
        "new gap: 2 more",
        "gap closed: sentiment: social",
    )


def test_price_settings_and_validation_are_part_of_it() -> None:
    now = entry(2, reference=104.0, settings_hash="ee" * 32, validated=False)
    assert compare(entry(1), now).changes == (
        "the research no longer passes validation",
        "the price moved by +4.0 %",
        "the settings are not the same",
    )
    back = compare(entry(1, validated=False, reference=None), entry(2))
    assert back.changes == ("the research passes validation now",)
