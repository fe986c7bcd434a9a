"""Distributed market research and decision support: the Python interface, see docs/PYTHON.md.

Importing this package is cheap; a name is imported when it is first used.

- :class:`SIGMAX`: open a cluster, analyse symbols, get decisions
- :class:`PlanningAgent`: plan without running; :class:`ResearchPlan` is what it gives
- :class:`TaskExecutor`: run a hand-made plan
- :class:`ResearchTask`, :class:`TaskPriority`, :class:`TaskStatus`: what plans are made of
- :class:`SigmaxError`: the root of all errors
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing's, which takes longer to import than all that a warm start does
if TYPE_CHECKING:
    from typing import Any

    from sigmax_planner.errors import SigmaxError
    from sigmax_planner.models import ResearchPlan, ResearchTask, TaskPriority
    from sigmax_tasks.compat.agent import PlanningAgent
    from sigmax_tasks.compat.bot import SIGMAX
    from sigmax_tasks.compat.executor import TaskExecutor
    from sigmax_tasks.models.research import TaskStatus

__all__ = [
    "SIGMAX",
    "PlanningAgent",
    "ResearchPlan",
    "ResearchTask",
    "SigmaxError",
    "TaskExecutor",
    "TaskPriority",
    "TaskStatus",
]

_HOMES = {
    "SIGMAX": "sigmax_tasks.compat.bot",
    "PlanningAgent": "sigmax_tasks.compat.agent",
    "ResearchPlan": "sigmax_planner.models",
    "ResearchTask": "sigmax_planner.models",
    "SigmaxError": "sigmax_planner.errors",
    "TaskExecutor": "sigmax_tasks.compat.executor",
    "TaskPriority": "sigmax_planner.models",
    "TaskStatus": "sigmax_tasks.models.research",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # as above

    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
