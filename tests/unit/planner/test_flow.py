"""Critical-path batching: no task waits for one it does not depend on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmax_planner.estimates import critical_path, sequential_seconds
from sigmax_planner.flow import flow_seconds, planned_starts, ready_tasks, waves
from sigmax_planner.models import ResearchPlan, ResearchTask, TaskPriority

CREATED_AT = datetime(2026, 3, 1, tzinfo=UTC)


def task(task_id: str, seconds: float, *dependencies: str, rank: int = 2) -> ResearchTask:
    return ResearchTask(
        task_id=task_id,
        name=task_id,
        priority=list(TaskPriority)[rank],
        dependencies=dependencies,
        timeout_seconds=seconds,
    )


@st.composite
def graphs(draw: st.DrawFn) -> list[ResearchTask]:
    made = []
    for number in range(draw(st.integers(1, 12))):
        needed = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        made.append(
            task(
                f"t{number}",
                draw(st.integers(1, 40)),
                *(f"t{n}" for n in sorted(needed)),
                rank=draw(st.integers(0, 3)),
            )
        )
    return draw(st.permutations(made))


@given(graphs(), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_a_schedule_keeps_dependencies_and_width_and_wastes_no_place(
    tasks: list[ResearchTask], width: int
) -> None:
    starts = {start.task_id: start for start in planned_starts(tasks, width)}
    assert set(starts) == {t.task_id for t in tasks}
    for each in tasks:
        assert all(starts[d].ends_at <= starts[each.task_id].starts_at for d in each.dependencies)
    for start in starts.values():
        at = start.starts_at
        assert sum(o.starts_at <= at < o.ends_at for o in starts.values()) <= width
    # Graham's bound for list scheduling.
    longest, total = critical_path(tasks).seconds, sequential_seconds(tasks)
    seconds = flow_seconds(tasks, width)
    assert max(longest, total / width) - 1e-9 <= seconds
    assert seconds <= longest + (total - longest) / width + 1e-9


@given(graphs(), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_waves_are_batches_of_a_plan(tasks: list[ResearchTask], width: int) -> None:
    batches = waves(tasks, width)
    assert sorted(t for batch in batches for t in batch) == sorted(t.task_id for t in tasks)
    assert max(len(batch) for batch in batches) <= width
    place = {task_id: n for n, batch in enumerate(batches) for task_id in batch}
    for each in tasks:
        assert all(place[d] < place[each.task_id] for d in each.dependencies)
    assert batches == waves(list(reversed(tasks)), width), "the order of the tasks says nothing"


def test_the_longest_way_goes_first_among_equals_and_urgent_ones_before() -> None:
    tasks = [
        task("short", 30),
        task("first_of_chain", 5),
        task("chain", 40, "first_of_chain"),
        task("urgent", 1, rank=0),
    ]
    assert ready_tasks(tasks, set()) == ("urgent", "first_of_chain", "short")
    assert ready_tasks(tasks, {"first_of_chain"}) == ("urgent", "chain", "short")


@pytest.mark.parametrize(
    ("profile", "width"), [("balanced", 3), ("conservative", 4), ("aggressive", 4)]
)
def test_where_the_width_allows_a_plan_lasts_as_long_as_its_critical_path(
    plan: Any, profile: str, width: int
) -> None:
    policy = {"planning": {"batching": "critical_path"}}
    made: ResearchPlan = plan(profile, policy=policy, width=width)
    assert made.estimated_time_parallel <= 1.05 * made.critical_path_seconds
    assert made.estimated_time_by_batching["critical_path"] == made.estimated_time_parallel
    levels: ResearchPlan = plan(profile, width=width)
    assert levels.estimated_time_by_batching == made.estimated_time_by_batching
    assert levels.estimated_time_parallel == made.estimated_time_by_batching["levels"]
    assert [t.task_id for t in made.tasks] == [t.task_id for t in levels.tasks]
