"""What a library logs is cleaned too, tracebacks and all."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from sigmax_tasks.log_redaction import RedactingFilter, redact_logs

KEY = "sk-abcdef1234567890ABCDEF"


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    logger = logging.getLogger("test.of.redaction")
    logger.propagate = False
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger.addHandler(handler)
    redact_logs(logger)
    redact_logs(logger)
    assert [type(found) for found in handler.filters] == [RedactingFilter]
    yield logger, stream
    logger.removeHandler(handler)


def test_messages_and_their_arguments_are_cleaned(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    logger.warning("GET %s by %s: %d", f"http://x/?api_key={KEY}", "a@b.co", 403)
    assert stream.getvalue() == "GET http://x/?api_key=[secret] by [email]: 403\n"


def test_tracebacks_are_cleaned(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    try:
        float(KEY)
    except ValueError:
        logger.exception("failed", stack_info=True)
    logger.warning("no error", exc_info=True)
    told = stream.getvalue()
    assert "could not convert string to float: '[secret]'" in told and "Stack (most recent" in told
    assert KEY not in told


def test_a_message_that_cannot_be_made_stops_nobody(
    log: tuple[logging.Logger, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger, stream = log
    monkeypatch.setattr(logging, "raiseExceptions", False)
    misfit = "%d and %d"
    logger.warning(misfit, "x")
    logger.warning("next")
    assert stream.getvalue() == "next\n"


def test_workers_log_through_it() -> None:
    from celery import signals

    from sigmax_tasks import celery as application

    assert application.app is not None
    for signal in (signals.after_setup_logger, signals.after_setup_task_logger):
        logger, stream = logging.Logger("of a worker"), io.StringIO()
        logger.addHandler(logging.StreamHandler(stream))
        signal.send(sender=None, logger=logger)
        logger.warning("asked http://x/?api_key=%s", KEY)
        assert "asked http://x/?api_key=[secret]" in stream.getvalue()
