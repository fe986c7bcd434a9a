"""What stops all new positions for a while (D5): by hand, after losses, without data.

A volatility shock stops them too; it is a limit of the market's figures (risk.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sigmax_tasks.models.journal import JournalEntry
from sigmax_tasks.models.policy import KillSwitch
from sigmax_tasks.models.research import LossStreak, ResearchBundle
from sigmax_tasks.stages.calibrate import counts, distinct, known_at


def loss_streak(history: Iterable[JournalEntry], as_of: datetime, seed: int | None) -> LossStreak:
    """The losses in a row up to ``as_of`` among decisions of one profile and kind of data.

    BUY and SELL decisions whose horizon had passed count, each once, of all markets, of a simulated
    market those of its seed; the latest to end come first.
    """
    known = [e for e in history if e.seed == seed and counts(e) and known_at(e, as_of)]
    ended = sorted(distinct(known), key=lambda e: (e.ends_at, e.run_id), reverse=True)
    losses = 0
    for entry in ended:
        if entry.outcome is None or entry.outcome.correct:
            break
        losses += 1
    return LossStreak(losses=losses, last_at=ended[0].ends_at if losses else None)


def kill_switch_vetoes(bundle: ResearchBundle, rules: KillSwitch) -> tuple[str, ...]:
    """A reason for each switch that is engaged."""
    vetoes = []
    if rules.engaged:
        vetoes.append(f"kill switch: {rules.reason}")
    streak = bundle.circumstances.streak
    if rules.losses_in_a_row is not None and streak is not None and streak.last_at is not None:
        until = streak.last_at + timedelta(hours=rules.pause_hours)
        if streak.losses >= rules.losses_in_a_row and bundle.as_of < until:
            vetoes.append(
                f"kill switch: {streak.losses} losses in a row, limit {rules.losses_in_a_row}; "
                f"pause until {until:%Y-%m-%d %H:%M} UTC"
            )
    planned = len(bundle.plan.tasks)
    there = len({finding.task_id for finding in bundle.findings})
    missing = planned - there
    if planned and rules.failed_task_share is not None:
        share = missing / planned
        if share >= rules.failed_task_share:
            vetoes.append(
                f"kill switch: {missing} of {planned} tasks gave nothing, "
                f"limit {rules.failed_task_share:.0%}"
            )
    return tuple(vetoes)


def kill_switch_warnings(bundle: ResearchBundle, rules: KillSwitch) -> tuple[str, ...]:
    """What could not be judged."""
    if rules.losses_in_a_row is not None and bundle.circumstances.streak is None:
        return ("losses in a row are unknown: the journal could not be read",)
    return ()
