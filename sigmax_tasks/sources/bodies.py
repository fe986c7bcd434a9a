"""Reads the body of an answer, bounded in time and in size, before and after decompression."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Final

import requests

from sigmax_tasks.clock import Deadline
from sigmax_tasks.errors import BadPayloadError, SourceError, TransientSourceError

_CHUNK: Final = 65_536


def too_slow(provider: str) -> SourceError:
    return TransientSourceError(provider, "no complete answer in the time left for it")


def read_body(provider: str, response: requests.Response, most: int, deadline: Deadline) -> bytes:
    """The body, decompressed; :class:`BadPayloadError` beyond ``most`` bytes on either side."""
    too_large = BadPayloadError(provider, f"answer larger than {most} bytes")
    declared = response.headers.get("Content-Length", "")
    if declared.isdigit() and int(declared) > most:
        raise too_large
    body = bytearray()
    for piece in _decoded(provider, response, most):
        body += piece
        if len(body) > most:
            raise too_large
        if deadline.passed:
            raise too_slow(provider)
    if deadline.passed:
        # A socket shut by the watchdog looks like the end of a body of unstated length.
        raise too_slow(provider)
    return bytes(body)


def _decoded(provider: str, response: requests.Response, most: int) -> Iterator[bytes]:
    raw = response.raw.stream(_CHUNK, decode_content=False)
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        yield from raw
        return
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise BadPayloadError(provider, f"unasked content encoding {encoding[:20]!r}")
    try:
        yield from _inflated(raw, encoding == "deflate", most)
    except (zlib.error, EOFError) as error:
        raise BadPayloadError(provider, "the compressed body is damaged or cut") from error


def _inflated(raw: Iterator[bytes], deflate: bool, most: int) -> Iterator[bytes]:
    """Never more than ``most`` + 1 bytes at a time, however well they were packed."""
    inflater: Any = None
    fed = 0
    for chunk in raw:
        fed += len(chunk)
        if fed > most:
            yield bytes(most + 1)  # beyond the limit even before unpacking; the reader refuses it
            return
        pending = chunk
        while pending:
            if inflater is None:
                # RFC 1950 data starts with a byte whose low half is 8; some send bare RFC 1951.
                bare = deflate and pending[0] & 0x0F != 8
                inflater = zlib.decompressobj(
                    -zlib.MAX_WBITS if bare else zlib.MAX_WBITS if deflate else 16 + zlib.MAX_WBITS
                )
            yield inflater.decompress(pending, most + 1)
            pending = inflater.unconsumed_tail
            if inflater.eof:
                pending = inflater.unused_data.lstrip(b"\0")
                inflater = None
    if inflater is not None and not inflater.eof:
        raise EOFError
