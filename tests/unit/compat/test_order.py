"""A hand-made plan is checked before anything of it runs."""

from __future__ import annotations

from typing import Any

import pytest

from sigmax_planner.errors import (
    DependencyCycleError,
    DuplicateTaskError,
    PlanningError,
    UnknownDependencyError,
    UnknownNameError,
)
from sigmax_tasks.compat.order import check_order, check_tasks
from sigmax_tasks.errors import ConfigurationError

from .builders import task

TASKS = (task("a"), task("b", "a"), task("c"))


def test_a_sound_order_is_kept_as_it_is() -> None:
    assert check_order(TASKS, [["c"], ["a"], [], ("b",)], 1) == (("c",), ("a",), ("b",))


def test_without_an_order_the_planner_makes_one() -> None:
    assert check_order(TASKS, None, 3) == (("a", "c"), ("b",))
    assert check_order(TASKS, None, 1) == (("a",), ("b",), ("c",))


@pytest.mark.parametrize(
    ("order", "error", "said"),
    [
        ([["a"], ["b"]], PlanningError, "leaves out c"),
        ([["a"], ["b", "c", "a"]], DuplicateTaskError, "a"),
        ([["a"], ["b", "c", "d"]], UnknownNameError, "'d'"),
        ([["a", "b"], ["c"]], PlanningError, "'b' no later than 'a'"),
        ([["b"], ["a", "c"]], PlanningError, "'b' no later than 'a'"),
        (["a", "b", "c"], PlanningError, "'a' is not a batch"),
        ([1], PlanningError, "1 is not a batch"),
        ([], PlanningError, "leaves out a, b, c"),
    ],
)
def test_a_wrong_order_is_a_typed_error_that_names_the_task(
    order: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        check_order(TASKS, order, 3)
    assert said in str(caught.value)


def test_tasks_may_be_mappings_of_their_fields() -> None:
    (made,) = check_tasks([{"task_id": "a", "name": "A", "priority": "HIGH", "timeout_seconds": 5}])
    assert made.estimated_seconds == 5
    assert made.handler == ""


@pytest.mark.parametrize(
    ("tasks", "error"),
    [
        ([task("a"), task("a")], DuplicateTaskError),
        ([task("a", "z")], UnknownDependencyError),
        ([task("a", "b"), task("b", "a")], DependencyCycleError),
        ([task("a", "a")], DependencyCycleError),
        ([{"task_id": "a"}], ConfigurationError),
        (
            [{"task_id": "a", "name": "A", "priority": "x", "timeout_seconds": 1}],
            ConfigurationError,
        ),
        (["a"], PlanningError),
    ],
)
def test_unsound_tasks_are_typed_errors(tasks: list[Any], error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        check_tasks(tasks)
    assert "\n" not in str(caught.value)
