from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sigmax_planner.batches import make_batches
from sigmax_planner.errors import (
    DependencyCycleError,
    DuplicateTaskError,
    InvalidWidthError,
    UnknownDependencyError,
)
from sigmax_planner.graph import TaskGraph
from sigmax_planner.models import TaskTemplate

Make = Callable[..., TaskTemplate]


def test_no_tasks_make_no_batches() -> None:
    assert make_batches([], 3) == ()


def test_urgent_first_then_longest_then_by_id(template: Make) -> None:
    tasks = [
        template("low", priority="LOW", timeout_seconds=90),
        template("short", priority="HIGH", timeout_seconds=5),
        template("b", priority="HIGH", timeout_seconds=30),
        template("a", priority="HIGH", timeout_seconds=30),
        template("critical", priority="CRITICAL", timeout_seconds=1),
    ]
    assert make_batches(tasks, 2) == (("critical", "a"), ("b", "short"), ("low",))
    assert make_batches(tasks[::-1], 2) == make_batches(tasks, 2)


def test_a_dependency_is_always_in_an_earlier_batch(template: Make) -> None:
    tasks = [template("c", "b", priority="CRITICAL"), template("b", "a"), template("a")]
    assert make_batches(tasks, 9) == (("a",), ("b",), ("c",))


def test_free_places_are_filled(template: Make) -> None:
    tasks = [template("a"), template("b", "a"), template("c", priority="LOW")]
    assert make_batches(tasks, 2) == (("a", "c"), ("b",))


def test_a_task_is_as_urgent_as_what_waits_for_it(template: Make) -> None:
    tasks = [
        template("feed", priority="LOW"),
        template("core", "feed", priority="CRITICAL"),
        template("x", priority="HIGH"),
        template("y", priority="HIGH"),
    ]
    assert make_batches(tasks, 1) == (("feed",), ("core",), ("x",), ("y",))


@pytest.mark.parametrize("width", [0, -3, 1.5, "2", True, None])
def test_an_invalid_width_is_refused(template: Make, width: Any) -> None:
    with pytest.raises(InvalidWidthError):
        make_batches([template("a")], width)


def test_a_faulty_graph_is_refused(template: Make) -> None:
    with pytest.raises(DuplicateTaskError, match="a"):
        make_batches([template("a"), template("a")], 1)
    with pytest.raises(UnknownDependencyError, match="'a' depends on unknown task 'b'"):
        make_batches([template("a", "b")], 1)
    with pytest.raises(DependencyCycleError) as caught:
        make_batches([template("a", "a")], 1)
    assert caught.value.path == ("a", "a")


def test_the_cycle_is_named_without_what_merely_waits_for_it(template: Make) -> None:
    tasks = [template("outside", "a"), template("a", "b"), template("b", "c"), template("c", "a")]
    with pytest.raises(DependencyCycleError, match="a -> b -> c -> a"):
        make_batches(tasks, 2)


def test_a_dependency_named_twice_counts_once(template: Make) -> None:
    assert make_batches([template("b", "a", "a"), template("a")], 1) == (("a",), ("b",))


class Counted(str):
    """A task id that counts how often it is compared or hashed."""

    work = 0
    __slots__ = ()

    def __hash__(self) -> int:
        Counted.work += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        Counted.work += 1
        return super().__eq__(other)

    def __lt__(self, other: str) -> bool:
        Counted.work += 1
        return super().__lt__(other)


class Task:
    """Bare task: the batches ask for no more than this."""

    def __init__(self, number: int, template: TaskTemplate) -> None:
        self.task_id = Counted(f"t{number}")
        self.dependencies = tuple(
            Counted(f"t{d}") for d in (number // 2, number // 3) if d < number
        )
        self.priority = template.priority
        self.estimated_seconds = float(number % 7 + 1)


def operations(count: int, template: TaskTemplate) -> int:
    tasks = [Task(number, template) for number in range(count)]
    tasks[0].dependencies = ()
    Counted.work = 0
    batches = make_batches(tasks, 4)
    assert sum(len(batch) for batch in batches) == count
    return Counted.work


def test_work_grows_in_step_with_the_tasks(template: Make) -> None:
    few, many = (operations(count, template("a")) for count in (100, 1000))
    assert many < 16 * few


def test_a_chain_deeper_than_the_recursion_limit(template: Make) -> None:
    chain = [template("t0"), *(template(f"t{n}", f"t{n - 1}") for n in range(1, 3000))]
    assert make_batches(chain, 5) == tuple((f"t{n}",) for n in range(3000))
    looped = [template("t0", "t2999"), *chain[1:]]
    with pytest.raises(DependencyCycleError) as caught:
        TaskGraph.of(looped)
    assert len(caught.value.path) == 3001
