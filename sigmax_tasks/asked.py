"""Checks of single values that are asked for, typed or from Python: a moment and a seed.

``called`` is what an error calls the value: ``--as-of`` or ``as_of``.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sigmax_tasks.errors import ConfigurationError

EARLIEST_AS_OF = datetime(2009, 1, 3, tzinfo=UTC)
"""No market of ours is older than the first block."""

LARGEST_SEED = 10**18 - 1


def checked_moment(value: object, now: datetime, called: str) -> datetime:
    """An ISO date (its first second) or date-time, or an aware ``datetime``; not after ``now``.

    A text without a zone is UTC, and so is what comes back.
    """
    moment = value
    try:
        if isinstance(moment, str):
            moment = datetime.fromisoformat(moment.strip())
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
        if isinstance(moment, datetime) and moment.tzinfo is not None:
            moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        moment = None
    if not isinstance(moment, datetime):
        raise ConfigurationError(
            f"{called} {value!r} is not a time",
            advice="write it like 2025-03-14 or 2025-03-14T12:00Z (UTC where no zone is given)",
        ) from None
    if moment.tzinfo is None:
        raise ConfigurationError(f"{called} {value!r} is not a time with a zone")
    shown = f"{moment:%Y-%m-%d %H:%M} UTC"
    if moment > now:
        raise ConfigurationError(
            f"{called} {shown} lies in the future (it is {now:%Y-%m-%d %H:%M} UTC)",
            advice="give a time that has been",
        )
    if moment < EARLIEST_AS_OF:
        raise ConfigurationError(
            f"{called} {shown} is before there was any market",
            advice=f"give a time after {EARLIEST_AS_OF:%Y-%m-%d}",
        )
    return moment


def checked_seed(value: object, called: str) -> int:
    """A whole number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_SEED:
        raise ConfigurationError(
            f"{called} {value!r} is not a whole number from 0 to {LARGEST_SEED}",
            advice="write it like 7",
        )
    return value
