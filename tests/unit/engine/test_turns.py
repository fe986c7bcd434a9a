"""The order in which the lists of waiting tasks are looked at."""

from __future__ import annotations

from collections import Counter

import pytest

from sigmax_planner.canvas import PRIORITY_STEPS
from sigmax_tasks.turns import serving_order, usual_turns


def taken(waiting: dict[int, int], count: int, every: int = 5) -> list[int]:
    """The priorities of the next ``count`` tasks; ``waiting`` says how many there are of each."""
    left, found = dict(waiting), []
    for number in range(count):
        order = serving_order(PRIORITY_STEPS, number, every)
        assert sorted(order) == sorted(PRIORITY_STEPS), "every list is looked at"
        step = next((s for s in order if left.get(s)), None)
        if step is None:
            break
        left[step] -= 1
        found.append(step)
    return found


def test_urgent_work_comes_first_and_leaves_every_fifth_turn_to_the_others() -> None:
    order = taken({0: 1000, 7: 1000}, 500)
    assert order[:5] == [0, 0, 0, 0, 7]
    assert Counter(order) == {0: 400, 7: 100}


@pytest.mark.parametrize("below", PRIORITY_STEPS[1:])
def test_each_priority_has_its_share_where_all_wait(below: int) -> None:
    order = taken(dict.fromkeys(PRIORITY_STEPS, 10_000), 3500)
    assert Counter(order)[below] == 100
    assert Counter(order)[0] == 2800


@pytest.mark.parametrize("below", PRIORITY_STEPS[1:])
def test_a_lone_other_has_all_reserved_turns(below: int) -> None:
    assert Counter(taken({0: 1000, below: 1000}, 500))[below] == 100


def test_no_turn_is_lost_where_nothing_else_waits() -> None:
    assert taken({0: 20}, 20) == [0] * 20
    assert sorted(taken({3: 2, 7: 2}, 20)) == [3, 3, 7, 7]


@pytest.mark.parametrize("every", [0, 1])
def test_strict_order_where_nothing_is_reserved(every: int) -> None:
    assert taken({0: 100, 7: 100}, 150, every) == [0] * 100 + [7] * 50


@pytest.mark.parametrize("every", [0, 1, 2, 5])
def test_tasks_taken_at_once_never_take_a_reserved_turn(every: int) -> None:
    for taken_before in range(30):
        for more in range(min(usual_turns(taken_before, every), 12)):
            order = serving_order(PRIORITY_STEPS, taken_before + more, every)
            assert order == PRIORITY_STEPS, (taken_before, more)
        if every > 1:
            after = taken_before + usual_turns(taken_before, every)
            assert serving_order(PRIORITY_STEPS, after, every) != PRIORITY_STEPS
