"""compare: what is different from the last decision on the same market (D8)."""

from __future__ import annotations

from collections.abc import Collection

from sigmax_tasks.models.decision import Previous
from sigmax_tasks.models.journal import JournalEntry

MOST_NAMED = 3
"""How many tasks, new gaps and closed gaps are named; the rest is counted."""

_SMALLEST_SCORE = 0.005
_SMALLEST_CONTRIBUTION = 0.005
_SMALLEST_SHARE = 0.005


def compare(before: JournalEntry, now: JournalEntry) -> Previous:
    """The earlier decision with a sentence for each thing that changed, most important first."""
    return Previous(
        run_id=before.run_id,
        as_of=before.as_of,
        action=before.action,
        confidence=before.confidence,
        score=before.score,
        changes=(
            *_verdict(before, now),
            *_contributions(before, now),
            *_gaps("new gap", set(now.gaps) - set(before.gaps)),
            *_gaps("gap closed", set(before.gaps) - set(now.gaps)),
            *_circumstances(before, now),
        ),
    )


def _verdict(before: JournalEntry, now: JournalEntry) -> list[str]:
    found = []
    if before.action is not now.action:
        found.append(f"action {before.action.value} to {now.action.value}")
    if before.validated != now.validated:
        words = "passes validation now" if now.validated else "no longer passes validation"
        found.append(f"the research {words}")
    if abs(now.score - before.score) >= _SMALLEST_SCORE:
        found.append(
            f"score {before.score:+.2f} to {now.score:+.2f} ({now.score - before.score:+.2f})"
        )
    if abs(now.confidence - before.confidence) >= _SMALLEST_SHARE:
        found.append(f"confidence {before.confidence:.2f} to {now.confidence:.2f}")
    if abs(now.size - before.size) >= _SMALLEST_SHARE:
        found.append(f"size {before.size * 100:.1f} % to {now.size * 100:.1f} % of equity")
    return found


def _contributions(before: JournalEntry, now: JournalEntry) -> list[str]:
    """The tasks that moved most; one that was not there counts as 0 and is said to be new."""
    old, new = before.contributions, now.contributions
    moved = {task_id: new.get(task_id, 0.0) - old.get(task_id, 0.0) for task_id in {**old, **new}}
    ranked = sorted(
        (task_id for task_id, by in moved.items() if abs(by) >= _SMALLEST_CONTRIBUTION),
        key=lambda task_id: (-abs(moved[task_id]), task_id),
    )
    found = []
    for task_id in ranked[:MOST_NAMED]:
        if task_id not in old:
            found.append(f"{task_id} is new and adds {new[task_id]:+.3f}")
        elif task_id not in new:
            found.append(f"{task_id} is not there any more, it added {old[task_id]:+.3f}")
        else:
            found.append(
                f"{task_id} adds {new[task_id]:+.3f}, it added {old[task_id]:+.3f} "
                f"({moved[task_id]:+.3f})"
            )
    if len(ranked) > MOST_NAMED:
        found.append(f"{len(ranked) - MOST_NAMED} more tasks moved less")
    return found


def _gaps(word: str, gaps: Collection[str]) -> list[str]:
    named = sorted(gaps)
    found = [f"{word}: {gap}" for gap in named[:MOST_NAMED]]
    if len(named) > MOST_NAMED:
        found.append(f"{word}: {len(named) - MOST_NAMED} more")
    return found


def _circumstances(before: JournalEntry, now: JournalEntry) -> list[str]:
    found = []
    if before.reference and now.reference and before.reference != now.reference:
        found.append(f"the price moved by {(now.reference / before.reference - 1) * 100:+.1f} %")
    if before.settings_hash != now.settings_hash:
        found.append("the settings are not the same")
    return found
