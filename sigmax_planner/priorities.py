"""Dynamic priorities: rules that raise or lower tasks while the market is in some state.

A rule moves a task by one step between HIGH, MEDIUM and LOW. CRITICAL is neither given nor taken
by a rule: it also says what a decision may not lack, and that is a matter of the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from sigmax_planner.models import (
    MarketContext,
    Message,
    TaskId,
    TaskPriority,
    TaskTemplate,
    Volatility,
)

RuleName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
_STEPS = (TaskPriority.HIGH, TaskPriority.MEDIUM, TaskPriority.LOW)


class Condition(Message):
    """What must hold of the market; of several all. What is not known of it does not hold.

    ``drawdown_above`` is a share of the recent high, ``volume_above`` a multiple of the median,
    ``news_tone_beyond`` a tone of the news that far from neutral, to either side.
    """

    volatility: Volatility | None = None
    drawdown_above: float | None = Field(default=None, ge=0, le=1)
    volume_above: float | None = Field(default=None, ge=0)
    news_tone_beyond: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if all(value is None for value in self.model_dump().values()):
            raise ValueError(f"no condition; known are {', '.join(type(self).model_fields)}")
        return self

    def reasons(self, market: MarketContext) -> tuple[str, ...] | None:
        """What of the market makes it hold, in words; None where it does not."""
        found: list[str] = []
        if self.volatility is not None:
            if market.volatility != self.volatility:
                return None
            found.append(f"volatility {market.volatility}")
        for least, value, words in (
            (self.drawdown_above, market.drawdown_fraction, "drawdown {:.1%}"),
            (self.volume_above, market.volume_ratio, "volume {:.2f}x its median"),
            (self.news_tone_beyond, market.news_tone, "news tone {:+.2f}"),
        ):
            if least is None:
                continue
            if value is None or not abs(value) > least:
                return None
            found.append(words.format(value))
        return tuple(found)


class PriorityRule(Message):
    """While ``when`` holds, tasks go up or down by one step."""

    when: Condition
    raise_tasks: tuple[TaskId, ...] = ()
    lower_tasks: tuple[TaskId, ...] = ()

    @model_validator(mode="after")
    def _moves_something(self) -> Self:
        if not (self.raise_tasks or self.lower_tasks):
            raise ValueError("a rule raises or lowers at least one task")
        both = [task_id for task_id in self.raise_tasks if task_id in self.lower_tasks]
        if both:
            raise ValueError(f"raised and lowered at once: {', '.join(both)}")
        return self


def default_rules() -> dict[str, PriorityRule]:
    """Those of the shipped planning.yaml."""
    return {
        name: PriorityRule.model_validate(rule)
        for name, rule in {
            "high_volatility": {
                "when": {"volatility": "high"},
                "raise_tasks": ["correlation"],
                "lower_tasks": ["fundamentals"],
            },
            "deep_drawdown": {
                "when": {"drawdown_above": 0.2},
                "raise_tasks": ["correlation", "patterns"],
            },
            "volume_shock": {"when": {"volume_above": 2.0}, "raise_tasks": ["patterns"]},
            "news_shock": {"when": {"news_tone_beyond": 0.4}, "raise_tasks": ["keywords"]},
        }.items()
    }


@dataclass(frozen=True)
class Firing:
    """A rule that holds: why, and what each task it names was and is now."""

    rule: str
    reasons: tuple[str, ...]
    raised: tuple[str, ...]
    lowered: tuple[str, ...]


def firings(rules: Mapping[str, PriorityRule], market: MarketContext | None) -> tuple[Firing, ...]:
    """The rules that hold, in the order of the file; none without a market context."""
    if market is None:
        return ()
    return tuple(
        Firing(name, reasons, rule.raise_tasks, rule.lower_tasks)
        for name, rule in rules.items()
        if (reasons := rule.when.reasons(market)) is not None
    )


def stale_because(market: MarketContext, *, moment: datetime, max_age_hours: float) -> str | None:
    """Why a market context says nothing about ``moment``, None where it does."""
    hours = (moment - market.observed_at).total_seconds() / 3600
    if hours < 0:
        return f"{market.origin} is later than the moment that is asked about"
    if hours > max_age_hours:
        return f"{market.origin} is {hours:.1f} h old, more than {max_age_hours:g} h"
    return None


def prioritised(
    templates: Sequence[TaskTemplate], fired: Sequence[Firing]
) -> tuple[TaskTemplate, ...]:
    """The templates with the priorities after those rules; their basis names the rules."""
    if not fired:
        return tuple(templates)
    return tuple(_moved(template, fired) for template in templates)


def _moved(template: TaskTemplate, fired: Sequence[Firing]) -> TaskTemplate:
    if template.priority is TaskPriority.CRITICAL:
        return template
    named = [f for f in fired if template.task_id in (*f.raised, *f.lowered)]
    down = sum(template.task_id in f.lowered for f in named)
    down -= sum(template.task_id in f.raised for f in named)
    place = min(max(_STEPS.index(template.priority) + down, 0), len(_STEPS) - 1)
    priority = _STEPS[place]
    if priority is template.priority:
        return template
    rules = " and ".join(f.rule for f in named)
    basis = f"{rules}: {template.priority} -> {priority}"
    return template.model_copy(update={"priority": priority, "priority_basis": basis})
