from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from sigmax_planner.catalog import Catalog
from sigmax_planner.errors import PlanningError, UnknownNameError
from sigmax_planner.models import OmissionReason, RiskProfile, TaskTemplate
from sigmax_planner.policy import Features
from sigmax_planner.selection import Selection, select_tasks

Make = Callable[..., TaskTemplate]
PROFILE = RiskProfile(
    name="plain", max_parallel_tasks=3, include_optional_tasks=True, min_data_sources=1
)


def select(
    *templates: TaskTemplate,
    optional: bool = True,
    limit: str | None = None,
    extra: tuple[str, ...] = (),
    values: dict[str, float] | None = None,
    **features: Any,
) -> Selection:
    return select_tasks(
        Catalog.of(templates),
        Features(**features),
        PROFILE.model_copy(update={"additional_tasks": extra}),
        include_optional=optional,
        max_cost_usd=None if limit is None else Decimal(limit),
        values=values or {},
    )


def ids(selection: Selection) -> list[str]:
    return [task.task_id for task in selection.tasks]


def reasons(selection: Selection) -> dict[str, str]:
    return {omission.task_id: omission.reason.value for omission in selection.omitted}


def detail(selection: Selection, task_id: str) -> str:
    return next(o.detail for o in selection.omitted if o.task_id == task_id)


def test_each_task_left_out_has_its_reason(template: Make) -> None:
    selection = select(
        template("a"),
        template("b", optional=True),
        template("c", in_every_profile=False),
        template("d", feature="enable_fundamentals"),
        optional=False,
    )
    assert ids(selection) == ["a"]
    assert reasons(selection) == {"b": "optional_off", "c": "not_in_profile", "d": "disabled"}
    assert detail(selection, "c") == "profile plain does not list it under additional_tasks"
    assert detail(selection, "d") == "features.enable_fundamentals is off"


def test_profile_and_feature_bring_a_task_in(template: Make) -> None:
    task = template("d", in_every_profile=False, feature="enable_fundamentals")
    assert ids(select(task, extra=("d",), enable_fundamentals=True)) == ["d"]
    assert reasons(select(task, extra=("d",))) == {"d": "disabled"}
    assert reasons(select(task, enable_fundamentals=True)) == {"d": "not_in_profile"}


def test_an_unknown_feature_flag_is_refused(template: Make) -> None:
    with pytest.raises(UnknownNameError, match="enable_fundamental"):
        select(template("a", feature="enable_fundamental"))


def test_a_critical_task_is_never_optional(template: Make) -> None:
    critical = template("a", priority="CRITICAL", optional=True, estimated_cost_usd="5")
    selection = select(critical, optional=False, limit="1")
    assert ids(selection) == ["a"]
    assert selection.tasks[0].optional is False
    assert selection.over_budget


@pytest.mark.parametrize(
    "left_out", [{"optional": True}, {"in_every_profile": False}, {"priority": "LOW"}]
)
def test_a_required_task_pulls_in_what_it_depends_on(
    template: Make, left_out: dict[str, Any]
) -> None:
    selection = select(
        template("feed", **left_out),
        template("middle", "feed", optional=True),
        template("own", "middle"),
        optional=False,
    )
    assert ids(selection) == ["feed", "middle", "own"]
    assert [task.optional for task in selection.tasks] == [False, False, False]
    assert "middle runs because own depends on it" in selection.notes


def test_an_optional_task_goes_with_its_dependency(template: Make) -> None:
    selection = select(
        template("a", in_every_profile=False),
        template("b", "a", optional=True),
        template("c", "b", optional=True),
        template("d"),
    )
    assert ids(selection) == ["d"]
    assert set(reasons(selection).values()) == {"not_in_profile"}
    assert detail(selection, "b").startswith("depends on a, which is left out")
    assert detail(selection, "c").startswith("depends on b, which is left out")


def test_what_depends_on_a_switched_off_task_is_off_too(template: Make) -> None:
    tasks = [
        template("a", feature="enable_fundamentals"),
        template("b", "a"),
        template("c", "b", priority="HIGH"),
        template("d"),
    ]
    selection = select(*tasks)
    assert ids(selection) == ["d"]
    assert set(reasons(selection).values()) == {"disabled"}
    assert detail(selection, "c") == "depends on a (features.enable_fundamentals is off)"
    assert ids(select(*tasks, enable_fundamentals=True)) == ["a", "b", "c", "d"]


def test_a_critical_task_on_a_switched_off_one_is_an_error(template: Make) -> None:
    with pytest.raises(PlanningError, match=r"CRITICAL task 'b' depends on a .*is off"):
        select(
            template("a", feature="enable_fundamentals"), template("b", "a", priority="CRITICAL")
        )


def test_without_planning_only_the_fixed_research_runs(template: Make) -> None:
    selection = select(
        template("a", priority="CRITICAL"),
        template("b", priority="HIGH"),
        template("c", priority="MEDIUM"),
        template("d", priority="HIGH", optional=True),
        template("e", priority="HIGH", in_every_profile=False),
        enable_planning=False,
        extra=("e",),
    )
    assert ids(selection) == ["a", "b"]
    assert set(reasons(selection).values()) == {"disabled"}


def budget_tasks(template: Make) -> list[TaskTemplate]:
    return [
        template("critical", priority="CRITICAL", estimated_cost_usd="0.10"),
        template("high", priority="HIGH", estimated_cost_usd="0.10"),
        template("medium", priority="MEDIUM", estimated_cost_usd="0.10"),
        template("low", priority="LOW", estimated_cost_usd="0.10"),
        template("opt_high", priority="HIGH", estimated_cost_usd="0.01", optional=True),
        template("opt_low_cheap", priority="LOW", estimated_cost_usd="0.02", optional=True),
        template("opt_low_dear", priority="LOW", estimated_cost_usd="0.03", optional=True),
        template("opt_free", priority="LOW", estimated_cost_usd="0", optional=True),
    ]


@pytest.mark.parametrize(
    ("limit", "dropped"),
    [
        ("0.46", []),
        ("0.45", ["opt_low_dear"]),
        ("0.43", ["opt_low_dear"]),
        ("0.42", ["opt_low_dear", "opt_low_cheap"]),
        ("0.40", ["opt_low_dear", "opt_low_cheap", "opt_high"]),
        ("0.39", ["opt_low_dear", "opt_low_cheap", "opt_high", "low"]),
        ("0.20", ["opt_low_dear", "opt_low_cheap", "opt_high", "low", "medium"]),
    ],
)
def test_the_least_valuable_goes_first_until_the_estimate_fits(
    template: Make, limit: str, dropped: list[str]
) -> None:
    selection = select(*budget_tasks(template), limit=limit)
    assert reasons(selection) == dict.fromkeys(dropped, "over_budget")
    assert not selection.over_budget
    assert not selection.notes


def test_of_equally_urgent_tasks_the_least_value_per_usd_goes_first(template: Make) -> None:
    tasks = (
        template("dear", estimated_cost_usd="0.05", optional=True),
        template("cheap", estimated_cost_usd="0.02", optional=True),
        template("harmful", estimated_cost_usd="0.01", optional=True),
    )
    assert reasons(select(*tasks, limit="0.03")) == {"dear": "over_budget"}
    values = {"dear": 0.2, "cheap": 0.01, "harmful": -0.1}
    selection = select(*tasks, limit="0.05", values=values)
    assert reasons(selection) == {"cheap": "over_budget", "harmful": "over_budget"}
    assert detail(selection, "harmful").endswith("; worth -10 per USD")
    assert detail(selection, "cheap").endswith("; worth 0.5 per USD")
    unlisted = select(*tasks, limit="0.07", values={"harmful": -0.1})
    assert reasons(unlisted) == {"harmful": "over_budget"}


def test_critical_and_high_stay_and_the_plan_says_it_is_over_budget(template: Make) -> None:
    selection = select(*budget_tasks(template), limit="0.15")
    assert ids(selection) == ["critical", "high", "opt_free"]
    assert selection.over_budget
    assert selection.notes == (
        "the estimate of $0.20 exceeds the limit of $0.15: no task that is left may be dropped",
    )


def test_without_cost_optimisation_nothing_is_dropped(template: Make) -> None:
    selection = select(*budget_tasks(template), limit="0.15", enable_cost_optimization=False)
    assert not selection.omitted
    assert selection.over_budget
    assert "features.enable_cost_optimization is off" in selection.notes[0]


def test_a_dropped_task_takes_its_dependents_along(template: Make) -> None:
    selection = select(
        template("a", priority="CRITICAL"),
        template("b", estimated_cost_usd="0.50", optional=True),
        template("c", "b", estimated_cost_usd="0.01", optional=True),
        template("d", "c", estimated_cost_usd="0", optional=True),
        limit="0.10",
    )
    assert ids(selection) == ["a"]
    assert detail(selection, "b") == "saves $0.50 to keep the limit of $0.10"
    assert detail(selection, "d") == (
        "depends on b, which is left out: saves $0.50 to keep the limit of $0.10"
    )


def test_what_an_urgent_task_depends_on_is_not_dropped(template: Make) -> None:
    selection = select(
        template("feed", priority="LOW", optional=True, estimated_cost_usd="0.50"),
        template("core", "feed", priority="CRITICAL"),
        template("other", priority="MEDIUM", optional=True),
        limit="0.10",
    )
    assert ids(selection) == ["feed", "core"]
    assert reasons(selection) == {"other": OmissionReason.OVER_BUDGET}


def test_a_task_is_worth_what_depends_on_it(template: Make) -> None:
    selection = select(
        template("feed", priority="LOW", optional=True, estimated_cost_usd="0.02"),
        template("good", "feed", priority="HIGH", optional=True, estimated_cost_usd="0.02"),
        template("plain", priority="MEDIUM", optional=True, estimated_cost_usd="0.02"),
        limit="0.04",
    )
    assert ids(selection) == ["feed", "good"]


def test_an_optional_high_task_outlives_a_medium_one_but_not_the_limit(template: Make) -> None:
    tasks = [
        template("core", priority="CRITICAL"),
        template("feed", priority="HIGH", optional=True, estimated_cost_usd="0.10"),
        template("own", "feed", estimated_cost_usd="0.10"),
    ]
    some = select(*tasks, limit="0.15")
    assert ids(some) == ["core", "feed"]
    assert [task.optional for task in some.tasks] == [False, True]
    assert ids(select(*tasks, limit="0.05")) == ["core"]


def test_what_was_pulled_in_leaves_with_the_task_it_was_pulled_in_for(template: Make) -> None:
    tasks = [
        template("source", in_every_profile=False),
        template("feed", "source", optional=True),
        template("own", "feed", estimated_cost_usd="0.10"),
        template("spare", priority="MEDIUM", estimated_cost_usd="0.05"),
        template("free", "source", optional=True, estimated_cost_usd="0"),
    ]
    assert ids(select(*tasks)) == ["source", "feed", "own", "spare", "free"]
    tight = select(*tasks, limit="0.06")
    assert ids(tight) == ["spare"]
    assert reasons(tight) == {
        "source": "not_in_profile",
        "feed": "not_in_profile",
        "own": "over_budget",
        "free": "not_in_profile",
    }
    assert not tight.notes


def test_what_another_required_task_needs_stays_pulled_in(template: Make) -> None:
    selection = select(
        template("feed", in_every_profile=False),
        template("own", "feed", estimated_cost_usd="0.10"),
        template("core", "feed", priority="CRITICAL"),
        limit="0.05",
    )
    assert ids(selection) == ["feed", "core"]
    assert selection.notes == ("feed runs because core depends on it",)
