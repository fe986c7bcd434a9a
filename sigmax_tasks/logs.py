"""One form of log line for all processes: pretty or JSON, with the run and the task it is about.

The context is a pair of context variables: :func:`about` sets them for a block, and
:func:`carried` takes them along into a thread, which does not inherit them.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, TypeVar

from sigmax_tasks.log_redaction import redact_logs

Format = Literal["pretty", "json"]
_T = TypeVar("_T")

_run_id: ContextVar[str] = ContextVar("sigmax_run_id", default="")
_task_id: ContextVar[str] = ContextVar("sigmax_task_id", default="")


@contextmanager
def about(run_id: str, task_id: str = "") -> Iterator[None]:
    """Log lines of the block are about that run and task."""
    run, task = _run_id.set(run_id), _task_id.set(task_id)
    try:
        yield
    finally:
        _task_id.reset(task)
        _run_id.reset(run)


def carried(work: Callable[..., _T]) -> Callable[..., _T]:
    """``work`` for another thread, with the context of this one."""
    context = copy_context()

    def run(*args: Any, **kwargs: Any) -> _T:
        return context.run(work, *args, **kwargs)

    return run


class ContextFilter(logging.Filter):
    """Writes run and task into each record, where the record does not name them itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "run_id"):
            record.run_id = _run_id.get()
        if not hasattr(record, "task_id"):
            record.task_id = _task_id.get()
        return True


class PrettyFormatter(logging.Formatter):
    """``2026-03-01 12:00:00.123 WARNING sigmax_tasks.sweeper [RUN technical] text``, in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        place = " ".join(part for part in _context(record).values() if part)
        line = f"{_moment(record):%Y-%m-%d %H:%M:%S}.{record.msecs:03.0f} {record.levelname} "
        line += f"{record.name} {f'[{place}] ' if place else ''}{record.getMessage()}"
        trace = _trace(record, self)
        return f"{line}\n{trace}" if trace else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: at, level, logger, message, run_id, task_id, host, pid, trace."""

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, object] = {
            "at": _moment(record).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_context(record),
            "host": _host(),
            "pid": os.getpid(),
        }
        trace = _trace(record, self)
        if trace:
            facts["trace"] = trace
        return json.dumps(facts, ensure_ascii=False)


def dress(logger: logging.Logger, form: Format) -> None:
    """Give all handlers of a logger our form, the context and the redaction."""
    formatter = JsonFormatter() if form == "json" else PrettyFormatter()
    for handler in logger.handlers:
        handler.setFormatter(formatter)
        if not any(isinstance(found, ContextFilter) for found in handler.filters):
            handler.addFilter(ContextFilter())
    redact_logs(logger)


def set_levels(levels: Mapping[str, str], *, verbose_planning: bool = False) -> None:
    """Levels of single loggers; ``verbose_planning`` lets the planner's lines through."""
    if verbose_planning:
        logging.getLogger("sigmax_planner").setLevel(logging.INFO)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def log_to_stderr(level: str, form: Format) -> None:
    """For commands that are no Celery process: the root logger, once."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.StreamHandler(sys.stderr))
    root.setLevel(level)
    dress(root, form)


def _context(record: logging.LogRecord) -> dict[str, str]:
    return {name: str(getattr(record, name, "")) for name in ("run_id", "task_id")}


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _trace(record: logging.LogRecord, formatter: logging.Formatter) -> str:
    parts = []
    if record.exc_text:
        parts.append(record.exc_text)
    elif record.exc_info and record.exc_info[0] is not None:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)


@lru_cache(maxsize=1)
def _host() -> str:
    return socket.gethostname()
