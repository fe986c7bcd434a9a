"""Turns the signals that end a program into exceptions, so that everything started is stopped."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from sigmax_tasks.cli.exit import ExitCode


class StoppedEarly(BaseException):  # like KeyboardInterrupt, not an error
    """The command must end: SIGTERM or SIGHUP arrived, or nobody reads its output any more.

    Not an ``Exception``, so that nothing but clean-up sees it.
    """

    def __init__(self, code: ExitCode) -> None:
        super().__init__(code)
        self.code = code


_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}
if hasattr(signal, "SIGHUP"):  # Windows has none
    _CODES[signal.SIGHUP] = ExitCode.HANGUP
_WAIT_TEXT = b"sigmax: stopping what was started; press Ctrl-C once more to leave at once\n"


_stopped_by: ExitCode | None = None
"""What the first signal of this command asked for."""


def raise_again() -> None:
    """Raise once more what a signal has raised, for those who would go on with their work.

    Python raises wherever the main thread is. Where that is the end of an object or a callback of
    the collector, the exception is shown and lost.
    """
    if _stopped_by is not None:
        _raise(_stopped_by)


def _raise(code: ExitCode) -> NoReturn:
    if code is ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    raise StoppedEarly(code)


@contextmanager
def stop_signals() -> Iterator[None]:
    """Raise at the first SIGINT (KeyboardInterrupt), SIGTERM or SIGHUP (StoppedEarly).

    The second is answered with a note, so that clean-up is not cut short by an impatient key; the
    third ends the process. A signal that is ignored already (``nohup``) stays ignored. Outside the
    main thread this does nothing, as Python allows.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived = 0

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal arrived
        global _stopped_by  # noqa: PLW0603  # as there is one main thread
        arrived += 1
        code = _CODES[signal.Signals(number)]
        if arrived == 1:
            _stopped_by = code
            _raise(code)
        if arrived > 2:
            os._exit(code)
        os.write(2, _WAIT_TEXT)

    before = {number: signal.getsignal(number) for number in _CODES}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    finally:
        _forget()
        for number, handler in before.items():
            if handler is not signal.SIG_IGN and handler is not None:
                signal.signal(number, handler)


def _forget() -> None:
    global _stopped_by  # noqa: PLW0603  # as above
    _stopped_by = None
