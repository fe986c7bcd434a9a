"""Keeps secrets and personal data out of the logs of workers, whoever writes them."""

from __future__ import annotations

import logging
from contextlib import suppress

from sigmax_tasks.redact import redact

_TRACES = logging.Formatter()


class RedactingFilter(logging.Filter):
    """Cleans message, traceback and stack of each record; lets all of them pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        # A record whose arguments do not fit its text is told about by the handler.
        with suppress(TypeError, ValueError, KeyError):
            record.msg = redact(record.getMessage()).text
            record.args = None
        if record.exc_info and record.exc_info[0] is not None:
            trace = record.exc_text or _TRACES.formatException(record.exc_info)
            record.exc_text = redact(trace).text
        if record.stack_info:
            record.stack_info = redact(record.stack_info).text
        return True


def redact_logs(logger: logging.Logger) -> None:
    """Clean what the handlers of a logger write; done once for each of them."""
    for handler in logger.handlers:
        if not any(isinstance(found, RedactingFilter) for found in handler.filters):
            handler.addFilter(RedactingFilter())
