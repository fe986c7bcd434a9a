"""Signals that end a command, wherever they meet it."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from sigmax_tasks.cli.exit import ExitCode
from sigmax_tasks.cli.signals import StoppedEarly, raise_again, stop_signals


class LastWords:
    """An object whose end is when the signal arrives: what that raises is lost."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self._number)
        for _ in range(1000):
            pass


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGTERM, StoppedEarly), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_stop_that_was_lost_is_raised_again(
    monkeypatch: pytest.MonkeyPatch, number: int, raised: type[BaseException]
) -> None:
    lost: list[type[BaseException] | None] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda shown: lost.append(shown.exc_type))
    with stop_signals():
        raise_again()
        LastWords(number)
        assert lost == [raised]
        with pytest.raises(raised):
            raise_again()
    raise_again()


def test_a_signal_says_how_the_command_ended() -> None:
    with pytest.raises(StoppedEarly) as stopped, stop_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):
            pass
    assert stopped.value.code is ExitCode.TERMINATED
