"""Task messages as Celery writes them (protocol 2), in the form kombu gives them on Redis.

Made here they can be pushed by the Lua step that decides that they are due: several at once, and
without the objects, connections and result subscriptions that ``apply_async`` has for each. Any
Celery worker can read them. ``tests/integration/test_lean_chords.py`` holds them against Celery's.
"""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pydantic_core import to_json

from sigmax_planner.canvas import PRIORITY_SEPARATOR

JOINED_HEADER: Final = "sigmax_joined"
"""Marks a chord's task whose part is counted by the step that keeps its outcome."""


@dataclass(frozen=True)
class Letter:
    """A message and the list of Redis it belongs into, ``key_behind`` for a run behind others."""

    key: str
    text: str
    key_behind: str


@dataclass(frozen=True)
class Held:
    """A message at work in this process, as Redis keeps it until it is acknowledged.

    Who has removed it, in the step that keeps what it asked for, calls ``settle``.
    """

    index_key: str
    texts_key: str
    tag: str
    settle: Callable[[], None]


@dataclass(frozen=True)
class Call:
    """What a message asks for: a task by name, and where it is to run. Lower ``priority`` first.

    ``priority_behind`` is that for a run behind others, where it differs.
    """

    task: str
    args: Sequence[str | int]
    queue: str
    priority: int
    headers: Mapping[str, str | int]
    priority_behind: int | None = None

    def as_signature(self) -> dict[str, Any]:
        """As the body of a chord stands in the messages of its header."""
        return {
            "task": self.task,
            "args": list(self.args),
            "kwargs": {},
            "options": {
                "queue": self.queue,
                "priority": self.priority,
                "headers": dict(self.headers),
            },
            "subtask_type": None,
            "immutable": True,
        }

    @classmethod
    def of_signature(cls, signature: Mapping[str, Any]) -> Call:
        """The reverse of :meth:`as_signature`."""
        options = signature["options"]
        return cls(
            signature["task"],
            signature["args"],
            options["queue"],
            options["priority"],
            options["headers"],
        )


def queue_key(queue: str, priority: int) -> str:
    """The list of a queue for that priority."""
    return f"{queue}{PRIORITY_SEPARATOR}{priority}" if priority else queue


def letter(call: Call, root_id: str | None = None) -> Letter:
    """A message of its own; ``root_id`` is the Celery task it goes back to."""
    return _letter(call, {"root_id": root_id, "ignore_result": True}, None)


def chord_letters(header: Sequence[Call], body: Call) -> list[Letter]:
    """One message for each task of a chord; all carry its body, as Celery's do."""
    group = _new_id()
    chord = body.as_signature()
    return [
        _letter(
            call,
            {"group": group, "group_index": index, "ignore_result": False, JOINED_HEADER: 1},
            chord,
        )
        for index, call in enumerate(header)
    ]


def _letter(call: Call, headers: dict[str, Any], chord: dict[str, Any] | None) -> Letter:
    task_id = _new_id()
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": chord}
    body = to_json([list(call.args), {}, embed])
    message = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": call.task,
            "id": task_id,
            "eta": None,
            "expires": None,
            "group": None,
            "retries": 0,
            "timelimit": [None, None],
            "parent_id": None,
            "argsrepr": repr(tuple(call.args)),
            "kwargsrepr": "{}",
            "origin": _origin(os.getpid()),
            **call.headers,
            **headers,
            "root_id": headers.get("root_id") or task_id,
        },
        "properties": {
            "correlation_id": task_id,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": call.queue},
            "priority": call.priority,
            "body_encoding": "base64",
            "delivery_tag": _new_id(),
        },
    }
    return Letter(
        queue_key(call.queue, call.priority),
        to_json(message).decode(),
        queue_key(
            call.queue, call.priority if call.priority_behind is None else call.priority_behind
        ),
    )


def _new_id() -> str:
    """A random UUID (version 4), without the object that ``uuid4`` makes of it first."""
    bits = os.urandom(16).hex()
    variant = "89ab"[int(bits[16], 16) % 4]
    return f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-{variant}{bits[17:20]}-{bits[20:]}"


@lru_cache(maxsize=2)
def _origin(pid: int) -> str:
    """As Celery names who sends: ``gen<pid>@<host>``."""
    return f"gen{pid}@{socket.gethostname()}"
