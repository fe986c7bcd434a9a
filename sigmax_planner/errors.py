"""The root of the one error tree, and the errors of planning.

Every error a user can cause or meet is a :class:`SigmaxError`. Facts are fields; the sentence is
built from them. ``advice`` says what to do next and is printed after the sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class SigmaxError(Exception):
    """Root of all errors of SIGMAX Tasks. ``str(error)`` is one clear line."""

    advice: str = ""

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        if advice:
            self.advice = advice

    def __str__(self) -> str:
        message = " ".join(str(self.args[0]).split())
        return f"{message}; {self.advice}" if self.advice else message


class PlanningError(SigmaxError):
    """A plan cannot be made of what was given."""


class InvalidSymbolError(PlanningError):
    """The symbol is not BASE/QUOTE."""

    def __init__(self, symbol: object) -> None:
        shown = repr(str(symbol)[:40])
        super().__init__(
            f"invalid symbol {shown}: a symbol is BASE/QUOTE, letters and digits only",
            advice="write it like BTC/USDT",
        )
        self.symbol = symbol


class UnknownNameError(PlanningError):
    """A name that is not among the known ones of its kind (profile, task, data source ...)."""

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(sorted(known))
        near = get_close_matches(str(name), self.known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        super().__init__(f"unknown {kind} {name!r}: {hint}known are {', '.join(self.known)}")


class InvalidWidthError(PlanningError):
    """The number of tasks that may run at once is not a whole number of at least 1."""

    def __init__(self, width: object) -> None:
        super().__init__(
            f"invalid width {width!r}: max_parallel_tasks is a whole number of at least 1",
            advice="use --width 1 for a sequential run",
        )
        self.width = width


class DuplicateTaskError(PlanningError):
    """One task id stands for two tasks."""

    def __init__(self, task_ids: Sequence[str]) -> None:
        self.task_ids = tuple(task_ids)
        super().__init__(f"duplicate task id: {', '.join(self.task_ids)}")


class UnknownDependencyError(PlanningError):
    """A task depends on a task that does not exist."""

    def __init__(self, task_id: str, dependency: str, known: Iterable[str]) -> None:
        self.task_id = task_id
        self.dependency = dependency
        self.known = tuple(sorted(known))
        super().__init__(
            f"task {task_id!r} depends on unknown task {dependency!r}: "
            f"known are {', '.join(self.known)}"
        )


class DependencyCycleError(PlanningError):
    """Tasks wait for each other. ``path`` starts and ends with the same task."""

    def __init__(self, path: Sequence[str]) -> None:
        self.path = tuple(path)
        super().__init__(
            f"dependency cycle: {' -> '.join(self.path)}",
            advice="remove one of these dependencies",
        )
