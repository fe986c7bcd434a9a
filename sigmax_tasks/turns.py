"""In which order a worker looks at the lists of waiting tasks. Pure."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def serving_order(steps: Sequence[int], taken: int, every: int) -> tuple[int, ...]:
    """The priorities in the order in which the next task is looked for.

    ``steps`` are all there are, the most urgent first: the usual order. A worker that has ``taken``
    so many tasks reserves every ``every``-th for the others: it begins at each of them in turn and
    takes one of the most urgent only where nothing else waits. So while urgent work never ends, one
    task in ``every`` is another, and each priority below the first has at least one in
    ``every * (len(steps) - 1)``. ``every`` 0 or 1 reserves nothing.
    """
    usual = tuple(steps)
    if every < 2 or len(usual) < 2 or taken % every != every - 1:
        return usual
    start = 1 + (taken // every) % (len(usual) - 1)
    return usual[start:] + usual[:start][::-1]


def usual_turns(taken: int, every: int) -> int:
    """How many tasks may be taken in the usual order before one of a reserved turn is due."""
    return sys.maxsize if every < 2 else every - 1 - taken % every
