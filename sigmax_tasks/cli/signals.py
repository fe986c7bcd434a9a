"""Turns the signals that end a program into exceptions, so that everything started is stopped."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

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
        arrived += 1
        code = _CODES[signal.Signals(number)]
        if arrived == 1:
            if code is ExitCode.INTERRUPTED:
                raise KeyboardInterrupt
            raise StoppedEarly(code)
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
        for number, handler in before.items():
            if handler is not signal.SIG_IGN and handler is not None:
                signal.signal(number, handler)
