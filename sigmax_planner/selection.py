"""Which tasks of the catalogue run, and why the others do not.

The rules, in order:

1. A task is left out when the profile does not have it, when its feature flag (or that of a task
   it depends on) is off, or when it is optional and either optional tasks are off or none of its
   data sources can be asked before the deadline. CRITICAL tasks count as not optional whatever
   they say. With ``features.enable_planning`` off only the CRITICAL and
   HIGH tasks of every profile that are not optional are left in.
2. A required task pulls in the dependencies that rule 1 left out; they are required then, too.
3. An optional task whose dependency is left out is left out for the same reason.
4. Over the cost limit, tasks go until the estimate fits: first optional ones, then MEDIUM and LOW
   ones; within both the lowest priority first, then the least value per USD where values are known
   (0 where a task has none), then the highest cost. CRITICAL and required HIGH tasks stay, and so
   does what they depend on. A task is as urgent as the most urgent task that depends on it, and
   takes its dependents along. A free task is not dropped for money.
   What was pulled in only for a dropped task goes with it.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
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

NONE_OUT_OF_REACH: Mapping[str, str] = {}
NO_VALUES: Mapping[str, float] = {}
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
    out_of_reach: Mapping[str, str] = NONE_OUT_OF_REACH,
    values: Mapping[str, float] = NO_VALUES,
) -> Selection:
    """Apply the rules of this module.

    ``out_of_reach`` says of tasks why their data cannot be asked for in time, ``values`` what a
    task was found to be worth.

    Raises :class:`UnknownNameError` for a feature flag that does not exist, and
    :class:`PlanningError` when a CRITICAL task depends on a task that is switched off.
    """
    chosen = _apply_rules(catalog, features, profile, include_optional, out_of_reach)
    chosen = _pull_in(chosen)
    chosen = _follow_dependencies(chosen)
    notes: tuple[str, ...] = ()
    if max_cost_usd is not None:
        chosen, notes = _fit(chosen, features, max_cost_usd, values)
    return Selection(
        tasks=tuple(
            template.model_copy(update={"optional": not chosen.required[template.task_id]})
            for template in chosen.kept
        ),
        omitted=tuple(
            chosen.omitted[t.task_id] for t in catalog.templates if t.task_id in chosen.omitted
        ),
        over_budget=max_cost_usd is not None and chosen.cost > max_cost_usd,
        notes=(*_reasons_to_pull_in(chosen), *notes),
    )


@dataclass(frozen=True)
class _Choice:
    """The state between two rules.

    ``required`` says of each task whether it is not optional; ``roots`` are required for their
    own sake, the others for a task that depends on them. ``pulled_in`` holds why a task would be
    left out if nothing required depended on it.
    """

    graph: TaskGraph
    templates: tuple[TaskTemplate, ...]
    omitted: dict[str, Omission]
    required: dict[str, bool]
    roots: frozenset[str] = frozenset()
    pulled_in: dict[str, Omission] = field(default_factory=dict)

    @property
    def kept(self) -> tuple[TaskTemplate, ...]:
        return tuple(t for t in self.templates if t.task_id not in self.omitted)

    @property
    def cost(self) -> Decimal:
        return sum((t.estimated_cost_usd for t in self.kept), Decimal(0))


def _apply_rules(
    catalog: Catalog,
    features: Features,
    profile: RiskProfile,
    include_optional: bool,
    out_of_reach: Mapping[str, str],
) -> _Choice:
    required = {
        t.task_id: not t.optional or t.priority is TaskPriority.CRITICAL for t in catalog.templates
    }
    switched_off = {
        t.task_id: t.feature
        for t in catalog.templates
        if t.feature is not None and not features.is_on(t.feature)
    }
    blocked = _blocked(catalog.graph, switched_off)
    omitted: dict[str, Omission] = {}
    for template in catalog.templates:
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
        elif not required[task_id] and task_id in out_of_reach:
            reason, detail = OmissionReason.QUOTA, out_of_reach[task_id]
        else:
            continue
        omitted[task_id] = Omission(task_id=task_id, reason=reason, detail=detail)
    return _Choice(catalog.graph, catalog.templates, omitted, required)


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
    roots = frozenset(t.task_id for t in chosen.kept if chosen.required[t.task_id])
    needed = chosen.graph.with_dependencies(roots)
    return replace(
        chosen,
        omitted={k: v for k, v in chosen.omitted.items() if k not in needed},
        required={k: k in needed for k in chosen.required},
        roots=roots,
        pulled_in={k: v for k, v in chosen.omitted.items() if k in needed},
    )


def _reasons_to_pull_in(chosen: _Choice) -> tuple[str, ...]:
    return tuple(
        f"{task_id} runs because {waiting} depends on it"
        for task_id in chosen.pulled_in
        for waiting in _requiring(chosen.graph, task_id, chosen.required)[:1]
    )


def _requiring(graph: TaskGraph, task_id: str, required: Mapping[str, bool]) -> list[str]:
    return [d for d in graph.dependents[task_id] if required.get(d)]


def _follow_dependencies(chosen: _Choice) -> _Choice:
    """What is left here without a dependency is optional, and goes for the same reason."""
    omitted = dict(chosen.omitted)
    for task_id in chosen.graph.order:
        if task_id not in omitted:
            lost = next((d for d in chosen.graph.dependencies[task_id] if d in omitted), None)
            if lost is not None:
                omitted[task_id] = _follows(task_id, omitted[lost])
    return replace(chosen, omitted=omitted)


def _follows(task_id: str, cause: Omission) -> Omission:
    detail = f"depends on {cause.task_id}, which is left out: {cause.detail}"
    return Omission(task_id=task_id, reason=cause.reason, detail=detail)


def _fit(
    chosen: _Choice, features: Features, limit: Decimal, values: Mapping[str, float]
) -> tuple[_Choice, tuple[str, ...]]:
    """Drop what may go, and say so if the estimate exceeds the limit all the same."""
    if features.enable_cost_optimization:
        required = [t.task_id for t in chosen.kept if chosen.required[t.task_id]]
        chosen = _drop(chosen, chosen.graph.with_dependencies(required), limit, values)
        urgent = [
            t.task_id
            for t in chosen.kept
            if t.priority is TaskPriority.CRITICAL
            or (t.priority is TaskPriority.HIGH and t.task_id in chosen.roots)
        ]
        chosen = _drop(chosen, chosen.graph.with_dependencies(urgent), limit, values)
    if chosen.cost <= limit:
        return chosen, ()
    excess = f"the estimate of {usd_text(chosen.cost)} exceeds the limit of {usd_text(limit)}"
    if features.enable_cost_optimization:
        return chosen, (f"{excess}: no task that is left may be dropped",)
    why = "features.enable_cost_optimization is off, so nothing was dropped"
    return chosen, (f"{excess}: {why}",)


def _drop(
    chosen: _Choice, staying: frozenset[str], limit: Decimal, values: Mapping[str, float]
) -> _Choice:
    """Drop what may go until the estimate fits.

    The order of dropping does not depend on ``limit``, so that a lower limit keeps a subset.
    """
    graph = chosen.graph
    kept = {t.task_id: t for t in chosen.kept}
    worth = graph.inherited({task_id: t.priority.rank for task_id, t in kept.items()})
    per_usd = {task_id: _per_usd(kept[task_id], values) for task_id in kept}
    candidates = sorted(
        kept.keys() - staying,
        key=lambda task_id: (
            -worth[task_id],
            per_usd[task_id],
            -kept[task_id].estimated_cost_usd,
            task_id,
        ),
    )
    omitted, required = dict(chosen.omitted), dict(chosen.required)
    cost = chosen.cost
    for candidate in candidates:
        if cost <= limit:
            break
        if candidate not in kept or not kept[candidate].estimated_cost_usd:
            continue
        saved = usd_text(kept[candidate].estimated_cost_usd)
        known = f"; worth {per_usd[candidate]:.3g} per USD" if candidate in values else ""
        leaving = [
            Omission(
                task_id=candidate,
                reason=OmissionReason.OVER_BUDGET,
                detail=f"saves {saved} to keep the limit of {usd_text(limit)}{known}",
            )
        ]
        while leaving:
            cause = leaving.pop()
            if cause.task_id not in kept:
                continue
            for task_id in sorted(graph.with_dependents([cause.task_id], within=kept)):
                cost -= kept.pop(task_id).estimated_cost_usd
                # What was pulled in for one of these goes for the reason it had before.
                own = chosen.pulled_in.get(task_id)
                follows = cause if task_id == cause.task_id else _follows(task_id, cause)
                omitted[task_id] = own or follows
                required[task_id] = False
                leaving += _released(chosen, task_id, required)
    return replace(chosen, omitted=omitted, required=required)


def _per_usd(template: TaskTemplate, values: Mapping[str, float]) -> float:
    cost = float(template.estimated_cost_usd)
    return values.get(template.task_id, 0.0) / cost if cost else 0.0


def _released(chosen: _Choice, dropped: str, required: dict[str, bool]) -> list[Omission]:
    """Take back in ``required`` what was required for ``dropped`` alone, directly or not.

    Returns the omissions of those that had been pulled in, and so leave the plan again.
    """
    leaving: list[Omission] = []
    stack = [dropped]
    while stack:
        for task_id in chosen.graph.dependencies[stack.pop()]:
            if not required[task_id] or task_id in chosen.roots:
                continue
            if not _requiring(chosen.graph, task_id, required):
                required[task_id] = False
                stack.append(task_id)
                if task_id in chosen.pulled_in:
                    leaving.append(chosen.pulled_in[task_id])
    return leaving
