"""What a check found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "problem"]
_WORSE: tuple[State, ...] = ("ok", "warning", "problem")


@dataclass(frozen=True)
class Finding:
    """One line of the doctor. ``advice`` says what to do; ok needs none.

    ``stops_work``: without this nothing can be researched, so the exit code is 4.
    """

    area: str
    name: str
    state: State
    said: str
    advice: str = ""
    stops_work: bool = False


def worst(findings: Iterable[Finding]) -> State:
    """The worst state among them; ok without any."""
    return max((finding.state for finding in findings), key=_WORSE.index, default="ok")


def graded(value: float, *, warning: float, problem: float) -> State:
    """By limits that must not be exceeded."""
    if value > problem:
        return "problem"
    return "warning" if value > warning else "ok"
