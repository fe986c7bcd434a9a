"""The first paragraph: whether there is evidence of an edge, as a careful statistician says it."""

from __future__ import annotations

from collections.abc import Sequence

from sigmax_tasks.evaluation.result import RandomRule, Row
from sigmax_tasks.evaluation.uncertainty import Deflated, Interval

CONVINCING = 0.95


def verdict_of(
    rows: Sequence[Row],
    drawn: RandomRule,
    against_hold: Interval | None,
    deflated: Deflated | None,
) -> str:
    """Evidence is claimed only where three things agree.

    The interval of the Sharpe ratio lies above zero, its deflated probability is at least 95 %, and
    at most 5 % of the same trades at random moments do as well.
    """
    ours, hold = rows[0], rows[1]
    own = ours.figures
    if own.trades == 0 or own.sharpe is None or ours.sharpe is None:
        return (
            f"No evidence either way: {own.trades} closed trades in {own.steps} steps. "
            "Decisions that are nearly all HOLD cannot be told good from bad."
        )
    positive = ours.sharpe.low > 0
    sure = deflated is not None and deflated.probability >= CONVINCING
    lucky = drawn.better_sharpe is None or drawn.better_sharpe > 1 - CONVINCING
    if positive and sure and not lucky:
        opening = "There is evidence of an edge on these data"
    elif ours.sharpe.high < 0:
        opening = "There is evidence of a loss: these decisions did worse than doing nothing"
    else:
        opening = "There is no evidence of an edge"
    parts = [
        f"{opening}. After costs the Sharpe ratio is {own.sharpe:.2f} a year, and resampling the "
        f"history puts it between {ours.sharpe.low:.2f} and {ours.sharpe.high:.2f} (95 %), an "
        f"interval that {'does not include' if positive or ours.sharpe.high < 0 else 'includes'} "
        "zero."
    ]
    if drawn.better_sharpe is not None:
        timing = "" if lucky else " The moments are better than chance, which is not yet a profit."
        parts.append(
            f"The same trades at random moments do at least as well in "
            f"{drawn.better_sharpe:.1%} of {drawn.drawings:,} drawings."
            f"{'' if positive else timing}"
        )
    if deflated is not None:
        variants = "one variant" if deflated.trials == 1 else f"{deflated.trials} variants"
        parts.append(
            f"With {variants} tried, the probability that the ratio is more than the luck of the "
            f"best is {deflated.probability:.0%}."
        )
    if hold.figures.sharpe is not None and against_hold is not None:
        parts.append(
            f"Buy and hold had a Sharpe ratio of {hold.figures.sharpe:.2f}; the difference lies "
            f"between {against_hold.low:+.2f} and {against_hold.high:+.2f}."
        )
    return " ".join(parts)
