"""The exit codes, by name, and which error ends with which."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from sigmax_tasks.errors import (
    ClusterBusyError,
    ClusterUnreachableError,
    NoDecisionError,
    RunCancelledError,
    RunLostError,
    SigmaxError,
)


class ExitCode(IntEnum):
    """What the shell sees. The signals follow its own custom of 128 + number."""

    OK = 0
    USAGE = 2
    NOT_VALIDATED = 3
    UNREACHABLE = 4
    NO_DECISION = 5
    BUG = 70
    HANGUP = 129
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


# A cluster that takes no more runs cannot be used right now, as one that does not answer: nothing
# was submitted, and trying again later may help.
_UNREACHABLE = (ClusterBusyError, ClusterUnreachableError, RunLostError)
_NO_DECISION = (NoDecisionError, RunCancelledError)
_WORST_FIRST = (
    ExitCode.NO_DECISION,
    ExitCode.UNREACHABLE,
    ExitCode.NOT_VALIDATED,
    ExitCode.OK,
)


def exit_code_of(error: SigmaxError) -> ExitCode:
    """The code an error ends the command with; all that is not the cluster's fault is usage."""
    if isinstance(error, _UNREACHABLE):
        return ExitCode.UNREACHABLE
    if isinstance(error, _NO_DECISION):
        return ExitCode.NO_DECISION
    return ExitCode.USAGE


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """The code of several runs in one command: 5 before 4 before 3 before 0."""
    seen = set(codes)
    return next((code for code in _WORST_FIRST if code in seen), ExitCode.OK)
