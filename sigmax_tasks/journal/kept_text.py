"""Reads an entry of the journal from the text that a home keeps of it."""

from __future__ import annotations

from functools import lru_cache

from pydantic import ValidationError

from sigmax_tasks.models.journal import JournalEntry, Outcome

_READ_LATELY = 2_500
"""A little more than a decision looks back on: the next one needs the same again."""


@lru_cache(maxsize=_READ_LATELY)
def entry_of(text: str | bytes, outcome: str | None = None) -> JournalEntry | None:
    """The entry of a text, with an outcome that is kept beside it; None where it cannot be read.

    Raises ``ValidationError`` for an outcome that cannot be read.
    """
    try:
        entry = JournalEntry.model_validate_json(text)
    except ValidationError:
        return None
    if outcome is None:
        return entry
    return entry.model_copy(update={"outcome": Outcome.model_validate_json(outcome)})
