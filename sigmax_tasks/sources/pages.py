"""What Redis keeps of answers: compressed JSON as text, and answers as they came."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable, Mapping
from typing import Final, Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from sigmax_planner.models import UtcTime
from sigmax_tasks.sources.call import Call

_LARGEST: Final = 64_000_000
_Kept = TypeVar("_Kept", bound=BaseModel)


class Pages(BaseModel):
    """Answers kept as they came, by path and query."""

    model_config = ConfigDict(frozen=True)
    asked_at: UtcTime
    bodies: dict[str, str]

    def packed(self, most_bytes: int) -> str | None:
        """See :func:`packed`."""
        return packed(self, most_bytes)

    @classmethod
    def unpacked(cls, text: str) -> Self | None:
        """None for what are no pages of ours."""
        return unpacked(cls, text)


def packed(kept: BaseModel, most_bytes: int) -> str | None:
    """Compressed JSON as text; None where that is larger than ``most_bytes``."""
    small = zlib.compress(kept.model_dump_json().encode(), 3)
    return base64.b64encode(small).decode() if len(small) <= most_bytes else None


def unpacked(kind: type[_Kept], text: str) -> _Kept | None:
    """The model of that kind; None where the text is none."""
    try:
        plain = zlib.decompressobj().decompress(base64.b64decode(text), _LARGEST)
        return kind.model_validate_json(plain)
    except (binascii.Error, zlib.error, ValidationError):
        return None


class SharedPages(Protocol):
    """Where workers find the pages that one of them asked for."""

    def pages(
        self, what: str, call: Call, keep_seconds: float, load: Callable[[], Mapping[str, str]]
    ) -> Pages:
        """What ``load`` asks for, by path and query, asked by one of all workers.

        Raises the :class:`SourceError` that it raised, also where another one asked.
        """
        ...
