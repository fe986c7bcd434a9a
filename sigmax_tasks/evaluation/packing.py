"""Findings and decisions of a chunk as compressed JSON text, for Redis and for files."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from sigmax_tasks.errors import EvaluationError
from sigmax_tasks.evaluation.models import TaskBlock

_BLOCKS: TypeAdapter[tuple[TaskBlock, ...]] = TypeAdapter(tuple[TaskBlock, ...])
_Model = TypeVar("_Model", bound=BaseModel)
MOST_BYTES = 512_000_000
"""What a packed text may unfold to."""


def pack_blocks(blocks: Sequence[TaskBlock]) -> str:
    return _pack(_BLOCKS.dump_json(tuple(blocks)))


def unpack_blocks(text: str) -> tuple[TaskBlock, ...]:
    """:class:`EvaluationError` for anything that :func:`pack_blocks` has not made."""
    try:
        return _BLOCKS.validate_json(_unpack(text))
    except ValidationError as error:
        raise EvaluationError("kept findings are not of this version") from error


def join_packed(texts: Iterable[str]) -> str:
    """Several packed texts as one; "" for none. They are not opened."""
    return "\n".join(texts)


def unpack_joined(text: str) -> tuple[TaskBlock, ...]:
    """The findings in a joined text; a part that cannot be read is left out."""
    found: list[TaskBlock] = []
    for part in text.split("\n") if text else ():
        try:
            found += unpack_blocks(part)
        except EvaluationError:
            continue  # written by another version or cut: worked out again
    return tuple(found)


def pack(message: BaseModel) -> str:
    return _pack(message.model_dump_json().encode())


def unpack(model: type[_Model], text: str) -> _Model:
    """:class:`EvaluationError` for anything that is not such a message."""
    try:
        return model.model_validate_json(_unpack(text))
    except ValidationError as error:
        raise EvaluationError(f"a kept {model.__name__} is not of this version") from error


def _pack(content: bytes) -> str:
    return base64.b85encode(zlib.compress(content, 6)).decode()


def _unpack(text: str) -> bytes:
    try:
        unfolding = zlib.decompressobj()
        content = unfolding.decompress(base64.b85decode(text), MOST_BYTES)
    except (ValueError, binascii.Error, zlib.error) as error:
        raise EvaluationError("what is kept of a chunk is damaged") from error
    if not unfolding.eof:
        raise EvaluationError("what is kept of a chunk is damaged or too large")
    return content
