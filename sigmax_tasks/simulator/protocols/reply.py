"""A request as a protocol sees it, and what it answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs

from sigmax_tasks.simulator.world import World

JSON_TYPE: Final = "application/json; charset=utf-8"


class BadRequestError(Exception):
    """A parameter the real provider refuses too; `parameter` names it."""

    def __init__(self, parameter: str, reason: str) -> None:
        super().__init__(f"parameter {parameter!r} {reason}")
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is the real provider's path, decoded, starting with a slash.

    `query` holds the last value of each parameter, `repeated` all of them.
    """

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    repeated: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, path: str, query: str, body: bytes = b"") -> Request:
        parsed = parse_qs(query, keep_blank_values=True, max_num_fields=400)
        return cls(path, {name: values[-1] for name, values in parsed.items()}, body, parsed)

    def text(self, name: str, default: str = "") -> str:
        return self.query.get(name, default)

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number between the bounds; above `high` gives `high`, else BadRequestError."""
        found = self.optional(name)
        if found is None:
            return default
        if found < low:
            raise BadRequestError(name, f"must be at least {low}")
        return min(found, high)

    def optional(self, name: str) -> int | None:
        text = self.query.get(name)
        if text is None or text == "":
            return None
        try:
            value = int(text[:32])
        except ValueError:
            raise BadRequestError(name, "must be a whole number") from None
        if abs(value) > 10**19:
            raise BadRequestError(name, "is out of range")
        return value

    def question(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def flag(self, name: str) -> bool:
        return self.text(name).lower() == "true"


@dataclass(frozen=True, slots=True)
class Reply:
    """`weight` is what the request costs of the provider's quota, where it has such weights."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    weight: int = 1


Answer = Callable[[World, Request], Reply]


def json_reply(payload: Any, status: int = 200, weight: int = 1) -> Reply:
    body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Reply(status, body.encode(), weight=weight)


def text_reply(text: str, content_type: str, status: int = 200) -> Reply:
    return Reply(status, text.encode(), content_type)


def unknown_path(request: Request) -> Reply:
    """404 that says so; not a shape of any real provider."""
    return json_reply({"error": "unknown path", "detail": f"no route for {request.path}"}, 404)


def iso(time_ms: int, digits: int = 3) -> str:
    """2024-11-15T00:00:00.000Z with 0, 3 or 6 digits of the second."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}Z" if digits == 0 else f"{text}.{moment.microsecond:06d}"[: 20 + digits] + "Z"


def rfc822(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
