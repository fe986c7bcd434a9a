"""``create_plan``: adjust, select, batch. The estimates are computed by the plan itself."""

from __future__ import annotations

import logging
from datetime import datetime

from sigmax_planner.batches import make_batches
from sigmax_planner.catalog import Catalog
from sigmax_planner.models import (
    AnalysisRequest,
    ResearchPlan,
    ResearchTask,
    RiskProfile,
    TaskTemplate,
    parse_width,
)
from sigmax_planner.policy import PlanningPolicy
from sigmax_planner.selection import select_tasks

logger = logging.getLogger(__name__)


def check_names(policy: PlanningPolicy, catalog: Catalog) -> None:
    """Check everything that planning.yaml and tasks.yaml say about each other.

    Raises :class:`UnknownNameError` for a task or a feature flag that does not exist. Cheap;
    ``create_plan`` does it each time, a settings loader may do it once at start.
    """
    for name, profile in policy.profiles.items():
        catalog.check_task_ids(profile.additional_tasks, f"profiles.{name}.additional_tasks")
    catalog.check_task_ids(policy.planning.timeouts, "planning.timeouts")
    catalog.check_task_ids(policy.planning.cost_estimates, "planning.cost_estimates")
    for template in catalog.templates:
        if template.feature is not None:
            policy.features.is_on(template.feature)


def create_plan(
    request: AnalysisRequest, policy: PlanningPolicy, catalog: Catalog, created_at: datetime
) -> ResearchPlan:
    """The research plan for one question; the same arguments give the same plan.

    ``created_at`` is aware. What the request leaves None comes from the profile, then from the
    policy. With ``features.enable_planning`` off the plan is the fixed sequential research (the
    CRITICAL and HIGH tasks of every profile, width 1), made by the same code. ``tasks`` are in
    order of priority. With ``features.verbose_planning`` the summary is logged at INFO.

    Raises :class:`UnknownNameError` (profile, task, feature flag), :class:`InvalidWidthError`,
    or :class:`PlanningError` (see :func:`select_tasks`).
    """
    check_names(policy, catalog)
    profile = policy.profile(request.risk_profile)
    adjusted = catalog.adjusted(
        timeouts=policy.planning.timeouts, cost_estimates=policy.planning.cost_estimates
    )
    width, notes = _width(request, policy, profile)
    limit = request.max_cost_usd
    if limit is None:
        limit = policy.performance.max_cost_per_decision
    include_optional = request.include_optional
    if include_optional is None:
        include_optional = profile.include_optional_tasks
    selection = select_tasks(
        adjusted,
        policy.features,
        profile,
        include_optional=include_optional,
        max_cost_usd=limit,
    )
    templates = sorted(selection.tasks, key=lambda template: template.priority.rank)
    tasks = tuple(_research_task(template) for template in templates)
    plan = ResearchPlan(
        symbol=request.symbol,
        risk_profile=profile.name,
        tasks=tasks,
        execution_order=make_batches(tasks, width),
        width=width,
        omitted=selection.omitted,
        max_cost_usd=limit,
        over_budget=selection.over_budget,
        notes=(*notes, *selection.notes),
        created_at=created_at,
    )
    warnings = _warnings(plan, request, policy, profile)
    if warnings:
        plan = plan.model_copy(update={"notes": (*plan.notes, *warnings)})
    if policy.features.verbose_planning:
        logger.info("%s", plan.summary)
    return plan


def _width(
    request: AnalysisRequest, policy: PlanningPolicy, profile: RiskProfile
) -> tuple[int, tuple[str, ...]]:
    """The width of the plan, and why it is not the one asked for."""
    asked = parse_width(profile.max_parallel_tasks if request.width is None else request.width)
    if not policy.features.enable_planning:
        return 1, ("features.enable_planning is off: the fixed research runs, one task at a time",)
    if not policy.features.enable_parallel:
        switch = "features.enable_parallel"
    elif not policy.planning.enable_parallel_tasks:
        switch = "planning.enable_parallel_tasks"
    else:
        return asked, ()
    return 1, (f"width 1 instead of {asked}: {switch} is off",) if asked > 1 else ()


def _research_task(template: TaskTemplate) -> ResearchTask:
    return ResearchTask(
        task_id=template.task_id,
        name=template.name,
        priority=template.priority,
        data_sources=template.data_sources,
        dependencies=template.dependencies,
        timeout_seconds=template.timeout_seconds,
        estimated_seconds=template.estimated_seconds,
        estimated_cost_usd=template.estimated_cost_usd,
        optional=template.optional,
        handler=template.handler,
        estimate_basis=template.estimate_basis,
    )


def _warnings(
    plan: ResearchPlan, request: AnalysisRequest, policy: PlanningPolicy, profile: RiskProfile
) -> tuple[str, ...]:
    """What the plan as it stands will run into, as far as it can be known before it runs."""
    warnings = []
    deadline, key = request.deadline_seconds, "the deadline of the request"
    if deadline is None:
        deadline, key = policy.performance.total_plan_timeout, "performance.total_plan_timeout"
    if plan.estimated_time_parallel > deadline:
        warnings.append(
            f"may take {plan.estimated_time_parallel:g} s, longer than {key} of {deadline:g} s: "
            "the run then ends with what there is"
        )
    batch_timeout = policy.performance.batch_timeout
    slow = [task.task_id for task in plan.tasks if task.timeout_seconds > batch_timeout]
    if slow:
        warnings.append(
            f"performance.batch_timeout of {batch_timeout:g} s is shorter than the time limit of "
            + ", ".join(slow)
        )
    sources = {source for task in plan.tasks for source in task.data_sources}
    if len(sources) < profile.min_data_sources:
        warnings.append(
            f"uses {len(sources)} data sources, but profile {profile.name} needs "
            f"{profile.min_data_sources} to decide"
        )
    return tuple(warnings)
