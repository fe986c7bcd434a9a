"""The knobs of planning and of running a plan, from the content of planning.yaml.

Built from a mapping, never from a path: finding and merging files is the settings loader's work.
A wrong type, a number out of bounds or an unknown key raises pydantic's ``ValidationError``, whose
``loc`` is the path of the key; names and widths raise a :class:`PlanningError`. Keys that are left
out have the default written here, which is also what the shipped planning.yaml says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from sigmax_planner.errors import UnknownNameError
from sigmax_planner.models import (
    Batching,
    Message,
    RiskProfile,
    Seconds,
    TaskId,
    TaskValue,
    UsdAmount,
    Width,
)
from sigmax_planner.priorities import PriorityRule, RuleName, default_rules

ProfileName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]


class Section(Message):
    """A key without a value (its entries may all be commented out) is a key left out."""

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, content: object) -> object:
        if not isinstance(content, Mapping):
            return content
        return {k: v for k, v in content.items() if v is not None or k not in cls.model_fields}


class Planning(Section):
    """What a plan looks like where the profile does not say otherwise."""

    enable_parallel_tasks: bool = True
    max_parallel_tasks: Width = 3
    include_optional_tasks: bool = True
    batching: Batching = Batching.LEVELS
    adaptive_width: bool = True
    quota_reserve: Annotated[float, Field(strict=True, gt=0, le=1)] = 0.25
    learned_estimates: bool = True
    learn_after_runs: int = Field(default=5, strict=True, ge=1, le=50)
    timeouts: dict[TaskId, Seconds] = Field(default_factory=dict)
    cost_estimates: dict[TaskId, UsdAmount] = Field(default_factory=dict)
    task_values: dict[TaskId, TaskValue] = Field(default_factory=dict)


class ProfilePlanning(Section):
    """What a profile says of the planning; None leaves it to :class:`Planning`."""

    max_parallel_tasks: Width | None = None
    include_optional_tasks: bool | None = None


class Profile(Section):
    """A risk profile as configured: its own width and tasks, and what it demands of research."""

    planning: ProfilePlanning = ProfilePlanning()
    additional_tasks: tuple[str, ...] = ()
    require_all_critical: bool = True
    min_data_sources: int = Field(default=4, strict=True, ge=0, le=1000)


class TaskExecution(Section):
    """How the engine treats failing tasks."""

    retry_failed_tasks: bool = True
    max_retries: int = Field(default=2, strict=True, ge=0, le=20)
    retry_delay: float = Field(default=1.0, strict=True, ge=0, le=3600)
    skip_failed_optional: bool = True
    fail_on_critical_error: bool = False


class Performance(Section):
    """Limits of money, time, connections and memory."""

    max_cost_per_decision: UsdAmount | None = None
    max_cost_per_day: UsdAmount | None = None
    total_plan_timeout: Seconds = 120.0
    batch_timeout: Seconds = 60.0
    max_concurrent_api_calls: int = Field(default=10, strict=True, ge=1, le=1000)
    max_memory_per_task_mb: int = Field(default=100, strict=True, ge=1, le=65_536)


class Priorities(Section):
    """Rules that change priorities with the market, and how old what they rest on may be."""

    max_context_age_hours: float = Field(default=24.0, strict=True, gt=0, le=8784)
    rules: dict[RuleName, PriorityRule] = Field(default_factory=default_rules)

    @field_validator("rules", mode="before")
    @classmethod
    def _without_removed(cls, rules: object) -> object:
        if not isinstance(rules, Mapping):
            return rules
        return {name: rule for name, rule in rules.items() if rule is not None}


class Features(Section):
    """Flags. A task of the catalogue may name one as its condition."""

    enable_planning: bool = True
    enable_parallel: bool = True
    enable_cost_optimization: bool = True
    enable_auto_prioritization: bool = False
    enable_fundamentals: bool = False
    verbose_planning: bool = False

    def is_on(self, flag: str) -> bool:
        """Raises :class:`UnknownNameError` for a flag that does not exist."""
        if flag not in type(self).model_fields:
            raise UnknownNameError("feature flag", flag, type(self).model_fields)
        return bool(getattr(self, flag))


class Alerts(Section):
    """Thresholds above which a run is reported: shares, seconds, USD."""

    high_failure_rate: Share = 0.3
    slow_execution: Seconds = 90.0
    high_cost_per_decision: UsdAmount = Field(default="0.30", validate_default=True)


class Targets(Section):
    """What the cluster is meant to reach; shown beside the metrics, and nothing depends on it."""

    completion_rate: Share = 0.9
    speedup: float = Field(default=1.5, strict=True, ge=0, le=1000)
    cost_per_decision: UsdAmount = Field(default="0.25", validate_default=True)
    timeout_rate: Share = 0.05


class Monitoring(Section):
    """What is watched while plans run."""

    alerts: Alerts = Alerts()
    targets: Targets = Targets()


class Debug(Section):
    """Switches for finding out what a run does, or would do."""

    log_execution_plan: bool = False
    log_task_results: bool = False
    simulate_execution: bool = False
    dry_run: bool = False


def _default_profiles() -> dict[str, Profile]:
    return {
        "conservative": Profile(
            planning=ProfilePlanning(max_parallel_tasks=4, include_optional_tasks=True),
            additional_tasks=("liquidity", "correlation", "fundamentals"),
            min_data_sources=5,
        ),
        "balanced": Profile(additional_tasks=("fundamentals",), min_data_sources=4),
        "aggressive": Profile(
            planning=ProfilePlanning(include_optional_tasks=False),
            additional_tasks=("momentum",),
            require_all_critical=False,
            min_data_sources=3,
        ),
    }


class PlanningPolicy(Section):
    """The content of planning.yaml, checked."""

    default_profile: str = "balanced"
    planning: Planning = Planning()
    profiles: dict[ProfileName, Profile] = Field(default_factory=_default_profiles, min_length=1)
    task_execution: TaskExecution = TaskExecution()
    performance: Performance = Performance()
    priorities: Priorities = Priorities()
    features: Features = Features()
    monitoring: Monitoring = Monitoring()
    debug: Debug = Debug()

    @classmethod
    def from_mapping(cls, content: Mapping[str, Any]) -> Self:
        """Check the content of planning.yaml; see the module for what is raised."""
        return cls.model_validate(dict(content))

    @model_validator(mode="after")
    def _default_profile_exists(self) -> Self:
        self.profile(self.default_profile)
        return self

    def profile(self, name: str) -> RiskProfile:
        """A profile with the gaps filled from ``planning``.

        Raises :class:`UnknownNameError`, which lists the known profiles.
        """
        try:
            found = self.profiles[name]
        except KeyError:
            raise UnknownNameError("risk profile", name, self.profiles) from None
        width = found.planning.max_parallel_tasks
        optional = found.planning.include_optional_tasks
        return RiskProfile(
            name=name,
            max_parallel_tasks=self.planning.max_parallel_tasks if width is None else width,
            include_optional_tasks=(
                self.planning.include_optional_tasks if optional is None else optional
            ),
            additional_tasks=found.additional_tasks,
            require_all_critical=found.require_all_critical,
            min_data_sources=found.min_data_sources,
        )
