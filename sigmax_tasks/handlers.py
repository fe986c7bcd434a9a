"""From ``package.module:function`` to the functions that do the research.

Checking reads source text only, so that a client need not import what its workers run.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

from sigmax_planner.models import ResearchTask
from sigmax_tasks.errors import HandlerError
from sigmax_tasks.models.observations import DataNeed
from sigmax_tasks.models.research import Finding, ResearchInputs

Research = Callable[[ResearchInputs], Finding]
Needs = Callable[[str, tuple[str, ...]], tuple[DataNeed, ...]]

# Python 3.11 counts the depth of a parse over all threads, and fails where two of them overlap.
_PARSING = threading.Lock()


@dataclass(frozen=True)
class Handler:
    """``research`` makes the finding; ``needs`` says what it must know (None: not stated)."""

    research: Research
    needs: Needs | None


def check_handlers(tasks: Iterable[ResearchTask]) -> None:
    """Raise :class:`HandlerError` for the first task whose handler cannot be found."""
    for task in tasks:
        module, _, function = task.handler.partition(":")
        names = _defined_names(module)
        if names is None:
            raise HandlerError(task.task_id, task.handler, f"module {module!r} is not installed")
        if function not in names:
            raise HandlerError(task.task_id, task.handler, f"{module!r} defines no {function!r}")


@lru_cache(maxsize=256)
def load_handler(task_id: str, path: str) -> Handler:
    """Import a handler and the function ``needs`` beside it, if there is one."""
    module_name, _, function_name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise HandlerError(task_id, path, f"cannot be imported ({error})") from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise HandlerError(task_id, path, f"{module_name!r} has no function {function_name!r}")
    needs = getattr(module, "needs", None)
    return Handler(cast("Research", function), cast("Needs", needs) if callable(needs) else None)


@lru_cache(maxsize=256)
def _defined_names(module: str) -> frozenset[str] | None:
    """Names a module defines or imports at its top level; None when there is no such module."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.origin is None or not spec.origin.endswith(".py"):
        return frozenset(dir(importlib.import_module(module)))
    source = Path(spec.origin).read_text(encoding="utf-8")
    with _PARSING:
        body = ast.parse(source).body
    names: set[str] = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return frozenset(names)
