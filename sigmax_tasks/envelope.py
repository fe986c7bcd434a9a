"""What a message to a worker must look like. Pure: bytes in, a reason to refuse it out.

A worker looks at each message here before Celery does, because what kombu cannot read ends the
worker that popped it. The ids in it are checked too, so nothing unchecked becomes part of a key.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kombu.utils.json import loads
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from sigmax_planner.canvas import (
    CLOSE_BATCH,
    EVALUATE_CHUNK,
    FINALIZE_RUN,
    KICK_RUN,
    PROTOCOL_HEADER,
    PROTOCOL_VERSION,
    RUN_RESEARCH,
)
from sigmax_planner.models import TASK_ID_PATTERN
from sigmax_tasks.ids import EVALUATION_ID_PATTERN, RUN_ID_PATTERN

Reason = Literal[
    "oversized", "malformed", "wrong_serializer", "unknown_task", "bad_arguments", "newer"
]
REASONS: tuple[Reason, ...] = (
    "oversized",
    "malformed",
    "wrong_serializer",
    "unknown_task",
    "bad_arguments",
    "newer",
)
FIRST_PROTOCOL = 1
"""Of messages without a version in them."""

Content = dict[str, Any]
_TASK_ID = re.compile(TASK_ID_PATTERN, re.ASCII)
_MOST_BATCHES = 10_000
_MOST_CHUNKS = 1_000_000
_LONGEST_REASON = 500


@dataclass(frozen=True)
class Refusal:
    """Why a message is not worked on."""

    reason: Reason
    detail: str


class _Part(BaseModel):
    """Strict about what is read of a message; what later versions add is let through."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


class _Headers(_Part):
    task: str = Field(max_length=200)
    id: str = Field(min_length=1, max_length=200)
    root_id: str | None = None
    parent_id: str | None = None
    group: str | None = None
    group_index: int | None = None
    retries: int | None = None
    timelimit: tuple[float | None, float | None] | None = Field(default=None, strict=False)
    # Nothing of ours is sent for later; such a message would sit in the memory of a worker.
    eta: None = None
    expires: str | None = None
    argsrepr: str | None = None
    kwargsrepr: str | None = None
    origin: str | None = None
    shadow: str | None = None
    ignore_result: bool | None = None
    replaced_task_nesting: int | None = None
    stamped_headers: list[str] | None = None
    stamps: dict[str, Any] | None = None
    compression: None = None
    sigmax_protocol: int = Field(default=FIRST_PROTOCOL, ge=FIRST_PROTOCOL)


class _DeliveryInfo(_Part):
    exchange: str
    routing_key: str


class _Properties(_Part):
    delivery_tag: str = Field(min_length=1, max_length=200)
    delivery_info: _DeliveryInfo
    body_encoding: Literal["base64"]
    correlation_id: str | None = None
    reply_to: str | None = None
    priority: int | None = None


class _Letter(_Part):
    body: str
    headers: dict[str, Any] | None = None
    properties: _Properties


class _Message(_Letter):
    headers: _Headers  # type: ignore[assignment]  # one that names a task


class _Order(_Part):
    method: str
    arguments: dict[str, Any] | None = None
    destination: list[str] | None = None


def examine_letter(raw: bytes, *, max_bytes: int, is_order: bool) -> Content | Refusal:
    """What a message holds that is not about a task and that Celery can read.

    It is an order of the remote control, or else an answer to one or an event.
    """
    content = _envelope(raw, max_bytes)
    if isinstance(content, Refusal):
        return content
    try:
        letter = _Letter.model_validate(content)
    except ValidationError as error:
        return _malformed(error)
    body = _body(letter.body)
    if body is None:
        return Refusal("malformed", "the body is not base64 of JSON")
    if is_order:
        try:
            _Order.model_validate(body)
        except ValidationError as error:
            return _malformed(error)
    return content


def examine(raw: bytes, *, max_bytes: int, known_tasks: Container[str]) -> Content | Refusal:
    """What a message holds that a worker may take.

    ``raw`` is an element of a queue's list. One longer than ``max_bytes`` is not parsed.
    """
    content = _envelope(raw, max_bytes)
    if isinstance(content, Refusal):
        return content
    try:
        message = _Message.model_validate(content)
    except ValidationError as error:
        return _malformed(error)
    headers = message.headers
    if headers.sigmax_protocol > PROTOCOL_VERSION:
        return Refusal(
            "newer",
            f"protocol {headers.sigmax_protocol}, this worker speaks up to {PROTOCOL_VERSION}",
        )
    if headers.task not in known_tasks:
        return Refusal("unknown_task", f"no task {headers.task!r:.100}")
    return _examine_body(headers.task, message.body) or content


def _envelope(raw: bytes, max_bytes: int) -> Content | Refusal:
    if len(raw) > max_bytes:
        return Refusal("oversized", f"{len(raw)} bytes, at most {max_bytes} are read")
    content = _parsed(raw)
    if not isinstance(content, dict):
        return Refusal("malformed", "not a JSON object")
    kind = (content.get("content-type"), content.get("content-encoding"))
    if kind != ("application/json", "utf-8"):
        return Refusal("wrong_serializer", f"content of type {str(kind[0])[:60]!r}, not JSON")
    return content


def _malformed(error: ValidationError) -> Refusal:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part)[:40] for part in first["loc"])
    return Refusal("malformed", f"{where}: {first['msg'][:100]}")


def _body(text: str) -> Any:
    """What the body holds, None where it cannot be read."""
    try:
        return _parsed(b64decode(text, validate=True))
    except ValueError:
        return None


def _examine_body(task: str, body: str) -> Refusal | None:
    match _body(body):
        case [list() as args, dict() as kwargs, dict()]:
            pass
        case _:
            return Refusal("malformed", "the body is not [args, kwargs, embed]")
    check = _ARGUMENTS.get(task)
    if check is not None and not check(args, kwargs):
        return Refusal("bad_arguments", f"arguments of {task}")
    return None


def _parsed(raw: bytes) -> Any:
    """The JSON, None where it is none, nested too deeply, or not for kombu, which reads it next.

    kombu makes more than JSON of objects that name a type; their names may be spelt by escapes.
    """
    try:
        content = from_json(raw, allow_inf_nan=False)
        return loads(raw) if b"__type__" in raw or rb"\u" in raw else content
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ArithmeticError):
        return None


def protocol_of(headers: Mapping[str, Any]) -> int:
    """The version of an examined message."""
    return int(headers.get(PROTOCOL_HEADER, FIRST_PROTOCOL))


def _is_run(value: object) -> bool:
    return isinstance(value, str) and RUN_ID_PATTERN.fullmatch(value) is not None


def _is_step(value: object) -> bool:
    return type(value) is int and 0 <= value <= _MOST_BATCHES


def _research(args: list[Any], kwargs: dict[str, Any]) -> bool:
    match args:
        case [run, str() as task_id]:
            return not kwargs and _is_run(run) and _TASK_ID.fullmatch(task_id) is not None
    return False


def _step(args: list[Any], kwargs: dict[str, Any]) -> bool:
    match args:
        case [run, step]:
            return not kwargs and _is_run(run) and _is_step(step)
    return False


def _finalize(args: list[Any], kwargs: dict[str, Any]) -> bool:
    match args:
        case [run]:
            return not kwargs and _is_run(run)
        case [run, str() as reason]:
            return not kwargs and _is_run(run) and len(reason) <= _LONGEST_REASON
    return False


def _chunk(args: list[Any], kwargs: dict[str, Any]) -> bool:
    match args:
        case [str() as evaluation, number]:
            known = EVALUATION_ID_PATTERN.fullmatch(evaluation) is not None
            return not kwargs and known and type(number) is int and 0 <= number <= _MOST_CHUNKS
    return False


_ARGUMENTS: Mapping[str, Callable[[list[Any], dict[str, Any]], bool]] = {
    RUN_RESEARCH: _research,
    CLOSE_BATCH: _step,
    KICK_RUN: _step,
    FINALIZE_RUN: _finalize,
    EVALUATE_CHUNK: _chunk,
}
