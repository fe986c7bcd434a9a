"""The errors of the engine, the sources and the command line: branches of the one error tree."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches

from sigmax_planner.errors import SigmaxError

__all__ = [
    "AllocationError",
    "BadPayloadError",
    "ClusterBusyError",
    "ClusterUnreachableError",
    "ConfigurationError",
    "EngineError",
    "EvaluationError",
    "HandlerError",
    "JournalError",
    "LookAheadError",
    "ModelDebateError",
    "NeverHereError",
    "NewerRunError",
    "NoDecisionError",
    "NotOfferedError",
    "OverBudgetError",
    "PermanentSourceError",
    "RateLimitedError",
    "ReplayMismatchError",
    "RunCancelledError",
    "RunFileError",
    "RunLostError",
    "RunNotFoundError",
    "SigmaxError",
    "SourceError",
    "SpendRefusedError",
    "StoppedError",
    "TaskTimeoutError",
    "TransientSourceError",
    "UnknownKeyError",
    "UnpaidRequestError",
    "WrongQuestionError",
]


class ConfigurationError(SigmaxError):
    """The configuration cannot be used; nothing has run."""


class UnknownKeyError(ConfigurationError):
    """A configuration key that does not exist. ``where`` names the file or option."""

    def __init__(self, key: str, where: str, known: Iterable[str]) -> None:
        self.key = key
        self.where = where
        self.known = tuple(sorted(known))
        near = get_close_matches(key, self.known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(self.known[:20])}"
        super().__init__(f"unknown configuration key {key!r} in {where}: {hint}")


class HandlerError(ConfigurationError):
    """A task has no function to run it."""

    def __init__(self, task_id: str, handler: str, problem: str) -> None:
        self.task_id = task_id
        self.handler = handler
        super().__init__(
            f"task {task_id!r} has no usable handler {handler!r}: {problem}",
            advice="name an importable function as package.module:function",
        )


class SourceError(SigmaxError):
    """A provider gave no usable answer. ``provider`` is its id in sources.yaml."""

    transient = False

    def __init__(self, provider: str, problem: str, *, advice: str = "") -> None:
        self.provider = provider
        self.problem = " ".join(problem.split())[:300]
        super().__init__(f"{provider}: {self.problem}", advice=advice)


class TransientSourceError(SourceError):
    """Worth another attempt: connection, time-out, 5xx. ``retry_after_seconds`` if stated."""

    transient = True

    def __init__(
        self, provider: str, problem: str, *, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(provider, problem)
        self.retry_after_seconds = retry_after_seconds


class RateLimitedError(TransientSourceError):
    """The provider asks us to slow down (429, 418, or an error body that says so)."""


class PermanentSourceError(SourceError):
    """Asking the same provider the same thing again gives the same answer."""


class NeverHereError(PermanentSourceError):
    """The provider does not serve this place (451, geo-block): skip it for the whole run."""


class WrongQuestionError(PermanentSourceError):
    """The provider does not know what was asked for (404, 422, unknown symbol)."""


class NotOfferedError(PermanentSourceError):
    """Known before asking: this provider does not offer this (time frame, asset, metric)."""


class BulkRefusedError(PermanentSourceError):
    """The provider does not answer for all of it in one request; one by one it may."""


class StoppedError(PermanentSourceError):
    """Given up on our side: the work it was for is over. Says nothing about the provider."""


class UnpaidRequestError(PermanentSourceError):
    """Not asked: the request costs more than the budget of the task leaves."""


class BadPayloadError(PermanentSourceError):
    """The answer is not what the provider promises: wrong type, empty, stale or out of domain."""


class TaskTimeoutError(SigmaxError):
    """A task reached its time limit."""

    def __init__(self, limit_seconds: float) -> None:
        self.limit_seconds = limit_seconds
        super().__init__(f"timed out after {limit_seconds:g} s")


class ModelDebateError(SigmaxError):
    """The debate by a language model came to nothing; the rules hold it in its place."""


class EngineError(SigmaxError):
    """The cluster could not do what was asked."""


class SpendRefusedError(EngineError):
    """Money that may not be spent: the work it was for, or its run, is over."""


class OverBudgetError(SpendRefusedError):
    """Money that does not fit what a limit leaves. ``whose`` limit: ``the run``, ``the day``."""

    def __init__(
        self, *, needed_usd: Decimal, left_usd: Decimal, limit_usd: Decimal, whose: str
    ) -> None:
        self.needed_usd = needed_usd
        self.left_usd = left_usd
        self.limit_usd = limit_usd
        self.whose = whose
        super().__init__(
            f"over_budget: needs ${needed_usd:f}, ${left_usd:f} is left of the ${limit_usd:f} of "
            f"{whose}"
        )


class ClusterUnreachableError(EngineError):
    """No answer from the broker, or no worker."""


class ClusterBusyError(EngineError):
    """The cluster takes no further run at the moment; nothing was submitted."""

    def __init__(self, open_runs: int, most: int, waited_seconds: float = 0.0) -> None:
        self.open_runs = open_runs
        self.most = most
        waited = f" after {waited_seconds:.0f} s of waiting" if waited_seconds else ""
        super().__init__(
            f"the cluster is busy: {open_runs} runs are open{waited}, engine.max_open_runs allows "
            f"{most}",
            advice="wait for one to end with --wait-for-slot, or raise engine.max_open_runs",
        )


class JournalError(EngineError):
    """The journal cannot be read or written."""


class AllocationError(SigmaxError):
    """The decisions of a watchlist stand, and how they share the equity cannot be worked out."""


class EvaluationError(SigmaxError):
    """An evaluation that cannot be carried out or finished."""


class LookAheadError(EvaluationError):
    """A step of an evaluation was given something from its future."""

    def __init__(self, what: str, newest: datetime, as_of: datetime) -> None:
        self.what = what
        super().__init__(
            f"{what} holds something of {newest:%Y-%m-%d %H:%M} UTC, which nobody could know at "
            f"{as_of:%Y-%m-%d %H:%M} UTC",
            advice="mend the source: what it gives must have been public at that moment",
        )


class RunFileError(SigmaxError):
    """An exported run that cannot be read or written. ``where`` is the file."""

    def __init__(self, where: str, problem: str, *, advice: str = "") -> None:
        self.where = where
        super().__init__(f"{where}: {problem}", advice=advice)


class ReplayMismatchError(SigmaxError):
    """Deciding again gave another decision than the one recorded.

    ``differences`` are sentences; ``versions`` the libraries that differ from those of the run.
    """

    def __init__(self, run_id: str, differences: Iterable[str], versions: Iterable[str]) -> None:
        self.run_id = run_id
        self.differences = tuple(differences)
        self.versions = tuple(versions)
        said = ", ".join(self.versions) or "none"
        super().__init__(
            f"the decision of run {run_id} does not come out again: "
            f"{'; '.join(self.differences)}; versions that differ from those of the run: {said}"
        )


class RunNotFoundError(EngineError):
    """No run of that id is kept."""

    def __init__(self, run_id: str, where: str) -> None:
        self.run_id = run_id
        super().__init__(
            f"run {run_id!r} is not known in {where}", advice="list the runs with: sigmax history"
        )


class RunLostError(EngineError):
    """The run vanished from the store before its decision."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(
            f"run {run_id} was lost: the store no longer holds it",
            advice="give Redis persistence (appendonly yes) and submit again",
        )


class NewerRunError(EngineError):
    """The run was written by a newer version, whose runs this one must not touch."""

    def __init__(self, run_id: str, protocol: int, known: int) -> None:
        self.run_id = run_id
        super().__init__(
            f"run {run_id} is of protocol {protocol}; this version speaks up to {known}",
            advice="upgrade sigmax-tasks here to the version that submitted it",
        )


class RunCancelledError(EngineError):
    """The run was ended before its decision: by a user, or for ``reason``."""

    def __init__(self, run_id: str, reason: str = "") -> None:
        self.run_id = run_id
        super().__init__(f"run {run_id} was cancelled{f': {reason}' if reason else ''}")


class NoDecisionError(EngineError):
    """The run gave no decision in time."""

    def __init__(self, run_id: str, waited_seconds: float) -> None:
        self.run_id = run_id
        super().__init__(
            f"run {run_id} gave no decision within {waited_seconds:.0f} s",
            advice="look at the workers with: celery -A sigmax_tasks inspect active",
        )
