"""The steps of an evaluation, cut into blocks that are worked on and kept as wholes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from sigmax_tasks.errors import EvaluationError

MOST_DECISIONS = 500_000


def steps_between(first: datetime, last: datetime, step_seconds: int) -> tuple[datetime, ...]:
    """The moments from ``first`` to ``last`` that are multiples of the step since the epoch."""
    start = -(-round(first.timestamp()) // step_seconds) * step_seconds
    end = round(last.timestamp())
    return tuple(datetime.fromtimestamp(at, UTC) for at in range(start, end + 1, step_seconds))


def blocks_of(
    steps: Sequence[datetime], step_seconds: int, block_steps: int
) -> Iterator[tuple[datetime, ...]]:
    """The steps in runs of at most ``block_steps``, cut at the same moments whatever the span."""
    block: list[datetime] = []
    number: int | None = None
    for step in steps:
        at = round(step.timestamp()) // step_seconds // block_steps
        if at != number and block:
            yield tuple(block)
            block = []
        number = at
        block.append(step)
    if block:
        yield tuple(block)


def check_size(symbols: int, steps: int) -> None:
    """:class:`EvaluationError` for nothing to do, and for more than a cluster should be given."""
    if not steps:
        raise EvaluationError("there is no step between --from and --to")
    if symbols * steps > MOST_DECISIONS:
        raise EvaluationError(
            f"{symbols * steps:,} decisions are more than {MOST_DECISIONS:,}, the most at once",
            advice="take a shorter span, a longer --step or fewer symbols",
        )
