"""Asking a provider about many markets in one request.

The runs of a watchlist want the same of each of its markets, and many providers answer for many of
them at once. So a run that misses an answer asks for its whole watchlist, and what comes is kept
under each need by itself: the other runs find it there. All runs of a watchlist would make the same
request (:class:`Scope`), so only one of them does (shared.py).

A family that can do this has a :class:`Bulk`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import ValidationError

from sigmax_planner.models import Symbol
from sigmax_tasks.errors import BadPayloadError, NotOfferedError, SourceError
from sigmax_tasks.models.observations import DataNeed, Observation
from sigmax_tasks.settings.sources import SeriesEntry
from sigmax_tasks.sources.call import Call, bad_payload

Outcome = Observation | SourceError


@dataclass(frozen=True)
class Part:
    """One of the things asked for together; ``series`` as in :class:`Call`."""

    need: DataNeed
    series: SeriesEntry | None = None


@dataclass(frozen=True)
class Scope:
    """What one request asks for: ``what`` tells requests of a provider apart that differ in more
    than their ``symbols``.
    """

    what: str
    symbols: tuple[Symbol, ...]


class Bulk(Protocol):
    """How one family asks for many things at once."""

    def scope(self, part: Part, symbols: Sequence[Symbol], call: Call) -> Scope | None:
        """The request that answers ``part`` along with what is like it of ``symbols``.

        The same for all its parts. None where ``part`` is asked for alone.
        """
        ...

    def fetch(self, part: Part, scope: Scope, call: Call) -> Sequence[tuple[Part, Outcome]]:
        """What came of ``part`` and of all that was asked for along with it.

        Raises the :class:`SourceError` of the request as a whole.
        """
        ...


def neighbours(
    symbols: Iterable[Symbol], symbol: Symbol | None, most: int
) -> tuple[Symbol, ...] | None:
    """Those of ``symbols`` that are asked for with ``symbol``: equal shares of at most ``most``.

    None where ``symbol`` is none of them.
    """
    ordered = sorted(set(symbols))
    if symbol is None or symbol not in ordered:
        return None
    shares = -(-len(ordered) // most)
    number = ordered.index(symbol) * shares // len(ordered)
    return tuple(s for n, s in enumerate(ordered) if n * shares // len(ordered) == number)


def of_all(part: Part, symbols: Sequence[Symbol]) -> list[Part]:
    """The same of each of ``symbols``."""
    return [Part(part.need.model_copy(update={"symbol": s}), part.series) for s in symbols]


def each(call: Call, parts: Sequence[Part], answer: AnswerFor) -> list[tuple[Part, Outcome]]:
    """What ``answer`` gives for each part: one that cannot be had leaves the others as they are."""
    found: list[tuple[Part, Outcome]] = []
    for part in parts:
        try:
            found.append((part, answer(part)))
        except (NotOfferedError, BadPayloadError) as error:
            found.append((part, error))
        except ValidationError as error:
            found.append((part, bad_payload(call.provider_id, error)))
    return found


class AnswerFor(Protocol):
    """The observation of one part; a :class:`SourceError` where there is none."""

    def __call__(self, part: Part, /) -> Observation: ...
