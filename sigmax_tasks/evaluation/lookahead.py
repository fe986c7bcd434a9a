"""The guard of an evaluation: nothing in a research step may be later than its moment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sigmax_tasks.errors import LookAheadError
from sigmax_tasks.models.observations import Observation
from sigmax_tasks.sources.call import newest_time


def refuse_future(newest: datetime, as_of: datetime, what: str) -> None:
    """:class:`LookAheadError` where ``newest`` is after ``as_of``."""
    if newest > as_of:
        raise LookAheadError(what, newest, as_of)


def check_observations(observations: Iterable[Observation], as_of: datetime) -> None:
    """Refuse what a source dates after the step, or what was complete only after it."""
    for item in observations:
        refuse_future(item.lineage.observed_at, as_of, item.lineage.observation_id)
        newest = newest_time(item.data)
        if newest is not None:
            refuse_future(newest, as_of, item.lineage.observation_id)
