"""What an HTTP answer means: decided by its content first, then by its status.

Three kinds of "no": wait (429, 418, a body that says so), never here (451, a geo-block), wrong
question (400, 404, 410, 422). The rest is a passing fault (5xx, 408, 425) or a permanent one.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from sigmax_tasks.errors import (
    BadPayloadError,
    NeverHereError,
    PermanentSourceError,
    RateLimitedError,
    SourceError,
    TransientSourceError,
    WrongQuestionError,
)

MAX_DEPTH: Final = 32
MAX_PARTS: Final = 500_000
"""Lists and objects of one JSON answer: each takes memory many times its two characters."""
_LONGEST_WAIT: Final = 86_400.0
_RATE_LIMITED: Final = frozenset({418, 429})
_PASSING: Final = frozenset({408, 425})
_WRONG_QUESTION: Final = frozenset({400, 404, 410, 422})
_NEVER_HERE: Final = ("restricted location", "configured to block access from your country")
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_STRING = re.compile(rb'"[^"]*"')


@dataclass(frozen=True)
class Answer:
    """One complete answer. ``endpoint`` is path and query as asked, without address and keys."""

    provider: str
    endpoint: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    def text(self) -> str:
        """The body as UTF-8; :class:`BadPayloadError` when it is not."""
        try:
            return self.body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadPayloadError(self.provider, "the answer is not UTF-8 text") from error

    def json(self) -> Any:
        """The parsed body; :class:`BadPayloadError` when it is not clean JSON."""
        return parse_json(self.provider, self.body)


def refusal(
    provider: str, status: int, headers: Mapping[str, str], body: bytes, moment: datetime
) -> SourceError | None:
    """The error that an answer stands for; None for an answer with a status of 2xx.

    ``moment`` is the wall time that a Retry-After date is measured against.
    """
    if 200 <= status < 300:
        return None
    text = body[:4096].decode("utf-8", "replace")
    said = error_text(body)
    problem = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    lowered = text.lower()
    if status == 451 or (400 <= status < 500 and any(mark in lowered for mark in _NEVER_HERE)):
        return NeverHereError(provider, f"not served here ({problem})")
    wait = retry_after_seconds(headers, moment)
    if status in _RATE_LIMITED:
        return RateLimitedError(provider, problem, retry_after_seconds=wait)
    if status >= 500 or status in _PASSING:
        return TransientSourceError(provider, problem, retry_after_seconds=wait)
    if status in _WRONG_QUESTION:
        recorded = said.startswith("not recorded")
        return WrongQuestionError(provider, said if recorded else problem)
    return PermanentSourceError(provider, problem)


def retry_after_seconds(headers: Mapping[str, str], moment: datetime) -> float | None:
    """Retry-After, given as seconds or as an HTTP date; None when absent or unreadable."""
    value = next((v for k, v in headers.items() if k.lower() == "retry-after"), "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        seconds = (at - moment).total_seconds()
    if not math.isfinite(seconds):
        return None
    return min(max(0.0, seconds), _LONGEST_WAIT)


def error_text(body: bytes) -> str:
    """What an error body says, in at most 160 printable characters; "" for HTML or nothing."""
    start = body[:4096].lstrip()
    if not start or start.startswith(b"<"):
        return ""
    try:
        said = " ".join(_sentences(json.loads(body[:65_536]), 0))
    except (ValueError, RecursionError):
        said = start.decode("utf-8", "replace")
    clean = "".join(c if c.isprintable() else " " for c in said)
    clean = " ".join(clean.split())
    return clean if len(clean) <= 160 else clean[:157] + "..."


_SAYING: Final = ("error", "detail", "description", "msg", "message", "error_message", "retMsg")
_HOLDING: Final = ("status", "chart", "finance", "Err")


def _sentences(data: object, depth: int) -> list[str]:
    if depth > 3:
        return []
    if isinstance(data, str):
        return [data]
    if isinstance(data, list):
        return [s for item in data[:3] for s in _sentences(item, depth + 1)]
    if not isinstance(data, dict):
        return []
    found = []
    for name in _SAYING:
        value = data.get(name)
        said = _sentences(value, depth + 1) if value else []
        if said and name == "error" and isinstance(data.get("detail"), str):
            said[-1] += ":"
        found += said
    for name in _HOLDING:
        if isinstance(data.get(name), dict):
            found += _sentences(data[name], depth + 1)
    return found


def parse_json(provider: str, body: bytes) -> Any:
    """JSON without NaN, infinity, deep nesting and countless parts; else BadPayloadError."""
    start = body[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise BadPayloadError(provider, "empty body")
    if start.startswith(b"<"):
        raise BadPayloadError(provider, "a page of HTML or XML in place of JSON")
    if body.count(b"[") + body.count(b"{") > MAX_PARTS:
        raise BadPayloadError(provider, f"JSON of more than {MAX_PARTS} lists and objects")
    if _depth(body) > MAX_DEPTH:
        raise BadPayloadError(provider, f"JSON nested deeper than {MAX_DEPTH}")
    try:
        data = json.loads(body, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        what = start[:40].decode("utf-8", "replace")
        raise BadPayloadError(provider, f"not JSON: starts with {what!r}") from error
    _refuse_rate_limit_body(provider, data)
    return data


def _depth(body: bytes) -> int:
    """How deep brackets nest outside of strings, or a depth beyond MAX_DEPTH that is enough.

    0 when there are too few to matter.
    """
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return 0
    bare = _STRING.sub(b"", _ESCAPE.sub(b"", body) if b"\\" in body else body)
    deepest = depth = 0
    for byte in bare.translate(None, delete=_NOT_BRACKETS):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
            if deepest > MAX_DEPTH:
                break
        else:
            depth -= 1
    return deepest


_NOT_BRACKETS: Final = bytes(b for b in range(256) if b not in b"[]{}")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is beyond the range of a number")
    return value


def _refuse_rate_limit_body(provider: str, data: object) -> None:
    """CoinGecko's 429 body was seen with status 200 too."""
    status = data.get("status") if isinstance(data, dict) else None
    if isinstance(status, dict) and status.get("error_code"):
        said = str(status.get("error_message") or "")[:160]
        problem = f"error {status['error_code']} in a good answer: {said}"
        if status["error_code"] == 429:
            raise RateLimitedError(provider, problem)
        raise PermanentSourceError(provider, problem)
