"""What holds for every catalogue, not only for ours."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmax_planner.batches import make_batches
from sigmax_planner.catalog import Catalog
from sigmax_planner.errors import DependencyCycleError
from sigmax_planner.models import AnalysisRequest, ResearchPlan, TaskPriority, TaskTemplate
from sigmax_planner.planner import create_plan
from sigmax_planner.policy import PlanningPolicy

CREATED_AT = datetime(2026, 3, 1, tzinfo=UTC)


@st.composite
def templates(draw: st.DrawFn, smallest: int = 1, features: bool = False) -> list[TaskTemplate]:
    """Tasks without cycles, in any order."""
    made: list[TaskTemplate] = []
    switchable: set[int] = set()
    for number in range(draw(st.integers(smallest, 14))):
        priority = draw(st.sampled_from(TaskPriority))
        needed = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        switched = features and draw(st.booleans())
        if priority is TaskPriority.CRITICAL:
            # One that rests on a switched-off task is an error, tested elsewhere.
            needed -= switchable
        if switched or needed & switchable:
            switchable.add(number)
        seconds = draw(st.integers(1, 60))
        made.append(
            TaskTemplate(
                task_id=f"t{number}",
                name=f"Task {number}",
                priority=priority,
                data_sources=("price_data",),
                dependencies=tuple(f"t{d}" for d in sorted(needed)),
                timeout_seconds=seconds,
                estimated_seconds=seconds,
                estimated_cost_usd=Decimal(draw(st.integers(0, 9))) / 100,
                optional=draw(st.booleans()),
                in_every_profile=draw(st.booleans()),
                feature="enable_fundamentals" if switched else None,
                handler="package.module:research",
            )
        )
    return draw(st.permutations(made))


@st.composite
def plans(draw: st.DrawFn) -> tuple[ResearchPlan, Catalog]:
    catalog = Catalog.of(draw(templates(features=True)))
    listed = draw(st.sets(st.sampled_from(sorted(catalog.by_id))))
    policy = PlanningPolicy.from_mapping(
        {
            "profiles": {"balanced": {"additional_tasks": sorted(listed)}},
            "features": {
                flag: draw(st.booleans())
                for flag in (
                    "enable_planning",
                    "enable_parallel",
                    "enable_cost_optimization",
                    "enable_fundamentals",
                )
            },
        }
    )
    cents = draw(st.none() | st.integers(0, 60))
    request = AnalysisRequest(
        symbol="BTC/USDT",
        risk_profile="balanced",
        width=draw(st.integers(1, 6)),
        include_optional=draw(st.booleans()),
        max_cost_usd=None if cents is None else Decimal(cents) / 100,
    )
    return create_plan(request, policy, catalog, CREATED_AT), catalog


@given(plans())
def test_every_plan_is_complete_ordered_and_within_its_width(
    made: tuple[ResearchPlan, Catalog],
) -> None:
    plan, catalog = made
    selected = [task.task_id for task in plan.tasks]
    batch_of = {t: n for n, batch in enumerate(plan.execution_order) for t in batch}
    assert sorted(t for batch in plan.execution_order for t in batch) == sorted(selected)
    assert sorted([*selected, *(o.task_id for o in plan.omitted)]) == sorted(catalog.by_id)
    assert all(1 <= len(batch) <= plan.width for batch in plan.execution_order)
    for task in plan.tasks:
        assert all(batch_of[d] < batch_of[task.task_id] for d in task.dependencies)
    assert all(omission.detail for omission in plan.omitted)


@given(plans())
def test_estimates_add_up_and_bound_each_other(made: tuple[ResearchPlan, Catalog]) -> None:
    plan, _ = made
    assert plan.estimated_cost == sum((t.estimated_cost_usd for t in plan.tasks), Decimal(0))
    assert plan.estimated_time_sequential == math.fsum(t.estimated_seconds for t in plan.tasks)
    assert (
        plan.critical_path_seconds <= plan.estimated_time_parallel <= plan.estimated_time_sequential
    )
    path = plan.critical_path
    assert plan.critical_path_seconds == sum(plan.task(t).estimated_seconds for t in path)
    assert all(a in plan.task(b).dependencies for a, b in pairwise(path))
    assert plan.over_budget == (
        plan.max_cost_usd is not None and plan.estimated_cost > plan.max_cost_usd
    )


@given(plans())
def test_only_a_flag_or_the_profile_leaves_a_critical_task_out(
    made: tuple[ResearchPlan, Catalog],
) -> None:
    plan, catalog = made
    for omission in plan.omitted:
        if catalog.by_id[omission.task_id].priority is TaskPriority.CRITICAL:
            assert omission.reason in {"disabled", "not_in_profile"}


@given(plans())
def test_a_required_task_of_a_plan_rests_on_required_ones(
    made: tuple[ResearchPlan, Catalog],
) -> None:
    plan, _ = made
    for task in plan.tasks:
        if not task.optional:
            assert not any(plan.task(d).optional for d in task.dependencies)


@given(plans())
def test_a_task_is_required_for_its_own_sake_or_for_one_that_depends_on_it(
    made: tuple[ResearchPlan, Catalog],
) -> None:
    plan, catalog = made
    needed = {d for task in plan.tasks if not task.optional for d in task.dependencies}
    for task in plan.tasks:
        known = catalog.by_id[task.task_id]
        if not task.optional and known.optional and known.priority is not TaskPriority.CRITICAL:
            assert task.task_id in needed


@given(templates(), st.lists(st.integers(0, 80), min_size=2, max_size=5), st.booleans())
def test_a_lower_limit_never_selects_more(
    tasks: list[TaskTemplate], limits: list[int], optional: bool
) -> None:
    catalog = Catalog.of(tasks)
    policy = PlanningPolicy.from_mapping({"profiles": {"balanced": {}}})
    previous: set[str] = set()
    for cents in sorted(limits):
        request = AnalysisRequest(
            symbol="BTC/USDT",
            risk_profile="balanced",
            include_optional=optional,
            max_cost_usd=Decimal(cents) / 100,
        )
        plan = create_plan(request, policy, catalog, CREATED_AT)
        selected = {task.task_id for task in plan.tasks}
        assert previous <= selected
        previous = selected


@given(templates(), st.integers(1, 6), st.randoms(use_true_random=False))
def test_batches_do_not_depend_on_the_order_of_the_tasks(
    tasks: list[TaskTemplate], width: int, random: object
) -> None:
    shuffled = list(tasks)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert make_batches(shuffled, width) == make_batches(tasks, width)


@given(templates(), st.integers(1, 6))
def test_no_batch_leaves_a_place_free_while_a_task_is_ready(
    tasks: list[TaskTemplate], width: int
) -> None:
    by_id = {task.task_id: task for task in tasks}
    done: set[str] = set()
    for batch in make_batches(tasks, width):
        ready = [t for t, task in by_id.items() if t not in done and done >= {*task.dependencies}]
        assert len(batch) == min(width, len(ready))
        done |= set(batch)


@given(templates(smallest=2), st.data())
def test_any_cycle_is_named_with_a_true_path(
    tasks: list[TaskTemplate], data: st.DataObject
) -> None:
    """Close a ring over some tasks, whatever else they depend on."""
    ring = data.draw(st.lists(st.sampled_from([t.task_id for t in tasks]), min_size=1, unique=True))
    follows = dict(zip(ring, [*ring[1:], ring[0]], strict=True))
    cyclic = [
        task.model_copy(update={"dependencies": (*task.dependencies, follows[task.task_id])})
        if task.task_id in follows
        else task
        for task in tasks
    ]
    needs = {task.task_id: task.dependencies for task in cyclic}
    with pytest.raises(DependencyCycleError) as caught:
        Catalog.of(cyclic)
    path = caught.value.path
    assert path[0] == path[-1]
    assert len(set(path)) == len(path) - 1
    assert all(b in needs[a] for a, b in pairwise(path))
