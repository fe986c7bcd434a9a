"""What is said of cross-checks that found no answer: once each, and as what they are."""

from __future__ import annotations

from collections.abc import Sequence

from sigmax_tasks.models.observations import DataNeed, Missing

_NOT_RECORDED = "not recorded"
_LONGEST = 1000


def settle_cross_checks(
    needs: Sequence[DataNeed], missing: Sequence[Missing]
) -> tuple[Missing, ...]:
    """``missing`` with the gaps of each cross-check of ``needs`` put together, and marked.

    A cross-check asks several providers, so a source that is silent as a whole, as in a replay,
    would be stated once for each. A gap that a plain need of the same source and label has too
    stays as it is.
    """
    plain = {(need.source, need.label) for need in needs if not need.cross_check}
    checks = {(need.source, need.label) for need in needs if need.cross_check} - plain
    reasons: dict[tuple[str, str], list[str]] = {}
    for gap in missing:
        reasons.setdefault((gap.source, gap.need), []).append(gap.reason)
    found: list[Missing] = []
    for gap in missing:
        key = (gap.source, gap.need)
        if key not in checks:
            found.append(gap)
        elif key in reasons:
            reason = _together(reasons.pop(key))
            found.append(gap.model_copy(update={"reason": reason, "cross_check": True}))
    return tuple(found)


def _together(reasons: Sequence[str]) -> str:
    said = list(dict.fromkeys(reasons))
    if all(reason.partition(": ")[2].startswith(_NOT_RECORDED) for reason in said):
        names = ", ".join(reason.partition(": ")[0] for reason in said)
        return f"{_NOT_RECORDED} ({names})"
    return "; ".join(said)[:_LONGEST]
