"""What the quota that is left of the data providers allows: how wide, and which tasks at all.

Width: a data source that several tasks of the plan share, and of whose limit less than the reserve
is left, narrows the plan in proportion, down to one task at a time. Spread over more time, the
same requests find more of the limit free again. A source that one task alone uses narrows nothing,
for that task asks as much by itself.

Tasks: an optional task is left out when none of its data sources can be asked before the deadline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import floor

from sigmax_planner.facts import SourceHeadroom
from sigmax_planner.models import TaskTemplate


def narrowed(
    width: int,
    templates: Sequence[TaskTemplate],
    headroom: Mapping[str, SourceHeadroom],
    reserve: float,
) -> tuple[int, str | None]:
    """The width, and why it is not the one given."""
    users = Counter(source for template in templates for source in template.data_sources)
    scarce = [
        (headroom[source].share_left, source)
        for source, count in sorted(users.items())
        if count > 1 and source in headroom and headroom[source].share_left < reserve
    ]
    if not scarce or width == 1:
        return width, None
    share, source = min(scarce)
    allowed = max(1, floor(width * share / reserve))
    if allowed >= width:
        return width, None
    return allowed, f"width {allowed} instead of {width}: {source} has {headroom[source].detail}"


def unreachable(
    template: TaskTemplate, headroom: Mapping[str, SourceHeadroom], deadline_seconds: float
) -> str | None:
    """Why none of a task's data sources can be asked in time, None where one can."""
    waits = [headroom.get(source) for source in template.data_sources]
    known = [room for room in waits if room is not None and room.wait_seconds > deadline_seconds]
    if not known or len(known) < len(waits):
        return None
    soonest = min(known, key=lambda room: room.wait_seconds)
    return f"its data cannot be asked for before the deadline: {soonest.detail}"
