"""Which tasks of the catalogue run, and why the others do not.

The rules, in order:

1. A task is left out when the profile does not have it, when its feature flag (or that of a task
   it depends on) is off, or when it is optional and optional tasks are off. CRITICAL tasks count
   as not optional whatever they say. With ``features.enable_planning`` off only the CRITICAL and
   HIGH tasks of every profile that are not optional are left in.
2. A required task pulls in the dependencies that rule 1 left out; they are required then, too.
3. An optional task whose dependency is left out is left out for the same reason.
4. Over the cost limit, tasks go until the estimate fits: first optional ones, then MEDIUM and LOW
   ones; within both the lowest priority first, then the highest cost. CRITICAL and required HIGH
   tasks stay, and so does what they depend on. A task is worth as much as the most urgent task
   that depends on it, and takes its dependents along. A free task is not dropped for money.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from sigmax_planner.catalog import Catalog
from sigmax_planner.errors import PlanningError
from sigmax_planner.estimates import usd_text
from sigmax_planner.graph import TaskGraph
from sigmax_planner.models import (
    Omission,
    OmissionReason,
    RiskProfile,
    TaskPriority,
    TaskTemplate,
)
from sigmax_planner.policy import Features

URGENT = (TaskPriority.CRITICAL, TaskPriority.HIGH)


@dataclass(frozen=True)
class Selection:
    """Every task of the catalogue is in ``tasks`` or in ``omitted``, in the catalogue's order.

    ``tasks`` are marked optional only if nothing required depends on them. ``over_budget``: they
    cost more than the limit, and may not be dropped.
    """

    tasks: tuple[TaskTemplate, ...]
    omitted: tuple[Omission, ...]
    over_budget: bool
    notes: tuple[str, ...]


def select_tasks(
    catalog: Catalog,
    features: Features,
    profile: RiskProfile,
    *,
    include_optional: bool,
    max_cost_usd: Decimal | None,
) -> Selection:
    """Apply the rules of this module.

    Raises :class:`UnknownNameError` for a feature flag that does not exist, and
    :class:`PlanningError` when a CRITICAL task depends on a task that is switched off.
    """
    chosen = _Choice(catalog.graph, catalog.templates, {}, {}, ())
    chosen = _apply_rules(chosen, features, profile, include_optional)
    chosen = _pull_in(chosen)
    chosen = _follow_dependencies(chosen)
    if max_cost_usd is not None:
        chosen = _fit(chosen, features, max_cost_usd)
    return Selection(
        tasks=tuple(
            template.model_copy(update={"optional": not chosen.required[template.task_id]})
            for template in chosen.kept
        ),
        omitted=tuple(
            chosen.omitted[t.task_id] for t in catalog.templates if t.task_id in chosen.omitted
        ),
        over_budget=max_cost_usd is not None and chosen.cost > max_cost_usd,
        notes=chosen.notes,
    )


@dataclass(frozen=True)
class _Choice:
    """The state between two rules. ``required`` says of each task whether it is not optional."""

    graph: TaskGraph
    templates: tuple[TaskTemplate, ...]
    omitted: dict[str, Omission]
    required: dict[str, bool]
    notes: tuple[str, ...]

    @property
    def kept(self) -> tuple[TaskTemplate, ...]:
        return tuple(t for t in self.templates if t.task_id not in self.omitted)

    @property
    def cost(self) -> Decimal:
        return sum((t.estimated_cost_usd for t in self.kept), Decimal(0))

    def without(self, more: Iterable[Omission]) -> _Choice:
        return replace(self, omitted={**self.omitted, **{o.task_id: o for o in more}})


def _apply_rules(
    chosen: _Choice, features: Features, profile: RiskProfile, include_optional: bool
) -> _Choice:
    required = {
        t.task_id: not t.optional or t.priority is TaskPriority.CRITICAL for t in chosen.templates
    }
    switched_off = {
        t.task_id: t.feature
        for t in chosen.templates
        if t.feature is not None and not features.is_on(t.feature)
    }
    blocked = _blocked(chosen.graph, switched_off)
    omitted: list[Omission] = []
    for template in chosen.templates:
        task_id = template.task_id
        if not template.in_every_profile and task_id not in profile.additional_tasks:
            reason = OmissionReason.NOT_IN_PROFILE
            detail = f"profile {profile.name} does not list it under additional_tasks"
        elif task_id in switched_off:
            reason = OmissionReason.DISABLED
            detail = f"features.{switched_off[task_id]} is off"
        elif task_id in blocked:
            cause = f"{blocked[task_id]} (features.{switched_off[blocked[task_id]]} is off)"
            if template.priority is TaskPriority.CRITICAL:
                raise PlanningError(
                    f"the CRITICAL task {task_id!r} depends on {cause}",
                    advice="switch the feature on, or remove the dependency",
                )
            reason, detail = OmissionReason.DISABLED, f"depends on {cause}"
        elif not features.enable_planning and not (
            required[task_id] and template.in_every_profile and template.priority in URGENT
        ):
            reason = OmissionReason.DISABLED
            detail = "features.enable_planning is off: only the fixed research runs"
        elif not required[task_id] and not include_optional:
            reason, detail = OmissionReason.OPTIONAL_OFF, "optional tasks are off"
        else:
            continue
        omitted.append(Omission(task_id=task_id, reason=reason, detail=detail))
    return replace(chosen, required=required).without(omitted)


def _blocked(graph: TaskGraph, switched_off: Container[str]) -> dict[str, str]:
    """Task id -> the switched-off task it depends on, directly or not."""
    blocked: dict[str, str] = {}
    for task_id in graph.order:
        for dependency in graph.dependencies[task_id]:
            cause = dependency if dependency in switched_off else blocked.get(dependency)
            if cause is not None:
                blocked[task_id] = cause
                break
    return blocked


def _pull_in(chosen: _Choice) -> _Choice:
    """Whatever a required task depends on is required."""
    roots = [t.task_id for t in chosen.kept if chosen.required[t.task_id]]
    needed = chosen.graph.with_dependencies(roots)
    notes = []
    for task_id in chosen.omitted:
        if task_id in needed:
            waiting = next(d for d in chosen.graph.dependents[task_id] if d in needed)
            notes.append(f"{task_id} runs because {waiting} depends on it")
    return replace(
        chosen,
        omitted={k: v for k, v in chosen.omitted.items() if k not in needed},
        required={k: v or k in needed for k, v in chosen.required.items()},
        notes=(*chosen.notes, *notes),
    )


def _follow_dependencies(chosen: _Choice) -> _Choice:
    """What is left here without a dependency is optional, and goes for the same reason."""
    omitted = dict(chosen.omitted)
    for task_id in chosen.graph.order:
        if task_id in omitted:
            continue
        for dependency in chosen.graph.dependencies[task_id]:
            if dependency in omitted:
                cause = omitted[dependency]
                omitted[task_id] = Omission(
                    task_id=task_id,
                    reason=cause.reason,
                    detail=f"depends on {dependency}, which is left out: {cause.detail}",
                )
                break
    return replace(chosen, omitted=omitted)


def _fit(chosen: _Choice, features: Features, limit: Decimal) -> _Choice:
    if chosen.cost > limit and features.enable_cost_optimization:
        required = [t.task_id for t in chosen.kept if chosen.required[t.task_id]]
        chosen = _drop(chosen, chosen.graph.with_dependencies(required), limit)
        urgent = [
            t.task_id
            for t in chosen.kept
            if t.priority is TaskPriority.CRITICAL
            or (t.priority is TaskPriority.HIGH and not t.optional)
        ]
        chosen = _drop(chosen, chosen.graph.with_dependencies(urgent), limit)
    if chosen.cost <= limit:
        return chosen
    excess = f"the estimate of {usd_text(chosen.cost)} exceeds the limit of {usd_text(limit)}"
    if features.enable_cost_optimization:
        why = "no task that is left may be dropped"
    else:
        why = "features.enable_cost_optimization is off, so nothing was dropped"
    return replace(chosen, notes=(*chosen.notes, f"{excess}: {why}"))


def _drop(chosen: _Choice, staying: frozenset[str], limit: Decimal) -> _Choice:
    """Drop what may go until the estimate fits.

    The order of dropping does not depend on ``limit``, so that a lower limit keeps a subset.
    """
    kept = {t.task_id: t for t in chosen.kept}
    worth = chosen.graph.inherited({task_id: t.priority.rank for task_id, t in kept.items()})
    candidates = sorted(
        kept.keys() - staying,
        key=lambda task_id: (-worth[task_id], -kept[task_id].estimated_cost_usd, task_id),
    )
    cost = chosen.cost
    dropped: list[Omission] = []
    for candidate in candidates:
        if cost <= limit:
            break
        if candidate not in kept or not kept[candidate].estimated_cost_usd:
            continue
        for task_id in sorted(chosen.graph.with_dependents([candidate], within=kept)):
            saved = kept.pop(task_id).estimated_cost_usd
            cost -= saved
            detail = f"saves {usd_text(saved)} to keep the limit of {usd_text(limit)}"
            if task_id != candidate:
                detail = f"depends on {candidate}, which does not fit {usd_text(limit)}"
            dropped.append(
                Omission(task_id=task_id, reason=OmissionReason.OVER_BUDGET, detail=detail)
            )
    return chosen.without(dropped)
