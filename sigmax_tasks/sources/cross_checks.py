"""Cross-checks: which are made, and what is said of those that found no answer."""

from __future__ import annotations

from collections.abc import Sequence

from sigmax_tasks.models.observations import DataNeed, Missing
from sigmax_tasks.settings.sources import SourceSettings

_NOT_RECORDED = "not recorded"
_LONGEST = 1000


def without_idle_checks(
    needs: Sequence[DataNeed], settings: SourceSettings
) -> tuple[DataNeed, ...]:
    """The needs without cross-checks of sources that name nobody to ask for them."""
    return tuple(
        need
        for need in needs
        if not need.cross_check
        or (need.source in settings.data_sources and settings.data_sources[need.source].cross_check)
    )


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
