"""The one clock. Market time stands still at as-of in replay and simulation; wall time does not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What the project reads of time."""

    def now(self) -> datetime:
        """Aware UTC wall time."""
        ...

    def monotonic(self) -> float:
        """Seconds for measuring spans."""
        ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class SteadyClock:
    """A clock that goes on from a moment it was given, whatever the machine's clock jumps to."""

    def __init__(self, wall: datetime) -> None:
        self._wall = wall
        self._since = time.monotonic()

    def now(self) -> datetime:
        return self._wall + timedelta(seconds=time.monotonic() - self._since)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


_clock: Clock = SystemClock()
_JUMP_SECONDS = 0.5


def now() -> datetime:
    """Aware UTC wall time of the clock that is set."""
    return _clock.now()


def monotonic() -> float:
    return _clock.monotonic()


def sleep(seconds: float) -> None:
    _clock.sleep(seconds)


@dataclass(frozen=True)
class Alignment:
    """That the clock was aligned, with the machine's clocks (seconds) at that moment."""

    clock: Clock
    monotonic: float
    machine: float

    def holds(self, seconds: float) -> bool:
        """Whether that is less than so long ago and nothing is amiss since.

        Another clock was not put in place, and the machine's own did not jump, as it does where the
        machine slept: clocks that measure spans may have stood still then.
        """
        passed = time.monotonic() - self.monotonic
        jumped = abs(time.time() - self.machine - passed) > _JUMP_SECONDS
        return self.clock is _clock and passed < seconds and not jumped


def align(wall: datetime, within_seconds: float = 0.5) -> Alignment:
    """Go by another's clock from now on, that of Redis: then all of a cluster go by one.

    One that is off by less than ``within_seconds`` already, and one put in place by
    :func:`use_clock`, is left alone.
    """
    global _clock  # noqa: PLW0603  # the one clock is the one piece of shared state
    ours = isinstance(_clock, SystemClock | SteadyClock)
    steady = isinstance(_clock, SteadyClock)
    if ours and not (steady and abs((_clock.now() - wall).total_seconds()) < within_seconds):
        _clock = SteadyClock(wall)
    return Alignment(_clock, time.monotonic(), time.time())


@contextmanager
def use_clock(clock: Clock) -> Iterator[None]:
    """Put another clock in place of the machine's, for tests."""
    global _clock  # noqa: PLW0603  # the one clock is the one piece of shared state
    before = _clock
    _clock = clock
    try:
        yield
    finally:
        _clock = before


@dataclass(frozen=True)
class RunClock:
    """Market time of one run: ``as_of`` where it is set, else the wall clock."""

    as_of: datetime | None = None

    def now(self) -> datetime:
        return self.as_of if self.as_of is not None else now()

    @property
    def now_ms(self) -> int:
        return int(self.now().timestamp() * 1000)


@dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self.at - monotonic())

    @property
    def passed(self) -> bool:
        return monotonic() >= self.at
