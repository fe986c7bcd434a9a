"""What a home of the journal can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sigmax_planner.models import DataMode
from sigmax_tasks.models.journal import JournalEntry, Outcome


@dataclass(frozen=True)
class JournalQuery:
    """Which entries: each filter that is set must fit; ``limit`` None means all."""

    symbol: str | None = None
    profile: str | None = None
    data_mode: DataMode | None = None
    limit: int | None = None

    def fits(self, entry: JournalEntry) -> bool:
        return (
            (self.symbol is None or entry.symbol == self.symbol)
            and (self.profile is None or entry.profile == self.profile)
            and (self.data_mode is None or entry.data_mode is self.data_mode)
        )


class Journal(Protocol):
    """Decisions by run id. The first entry of a run stays, and so does its first outcome.

    ``where`` names the home for people. Everything may raise :class:`JournalError`, or the
    errors of Redis for a home there.
    """

    @property
    def where(self) -> str: ...

    def add(self, entry: JournalEntry) -> bool:
        """Keep an entry; False where its run has one already."""
        ...

    def entries(self, query: JournalQuery) -> tuple[JournalEntry, ...]:
        """Those that fit, the latest decision first."""
        ...

    def latest(self, book: str, *, not_after: datetime, besides: str = "") -> JournalEntry | None:
        """The newest entry of a book up to that market time, other than run ``besides``."""
        ...

    def settle(self, outcomes: Mapping[str, Outcome]) -> int:
        """Fill in outcomes by run id; how many were new."""
        ...

    def forget_before(self, moment: datetime) -> int:
        """Drop what was decided before that moment of the wall clock; how many."""
        ...

    def damage(self) -> tuple[str, ...]:
        """A sentence for each part that cannot be read; it is left out and left as it is."""
        ...
