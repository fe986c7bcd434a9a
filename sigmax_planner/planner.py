"""``create_plan``: adjust, prioritise, select, batch. The plan computes its totals itself."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from sigmax_planner.batches import make_batches, parse_width
from sigmax_planner.catalog import Catalog
from sigmax_planner.errors import PlanningError
from sigmax_planner.facts import NOTHING_KNOWN, PlanningFacts
from sigmax_planner.flow import waves
from sigmax_planner.headroom import narrowed, unreachable
from sigmax_planner.learned import Learned, learned_of, with_learned
from sigmax_planner.models import (
    AnalysisRequest,
    Batching,
    MarketContext,
    ResearchPlan,
    ResearchTask,
    RiskProfile,
    TaskPriority,
    TaskTemplate,
)
from sigmax_planner.policy import PlanningPolicy
from sigmax_planner.priorities import Firing, firings, prioritised, stale_because
from sigmax_planner.selection import select_tasks

logger = logging.getLogger(__name__)


NEAR_THE_LIMIT = 0.9
"""A task whose slow runs take that share of its time limit is warned of."""


def check_names(policy: PlanningPolicy, catalog: Catalog) -> None:
    """Check everything that planning.yaml and tasks.yaml say about each other.

    Raises :class:`UnknownNameError` for a task or a feature flag that does not exist, and
    :class:`PlanningError` for a priority rule about a CRITICAL task. Cheap; ``create_plan`` does
    it each time, a settings loader may do it once at start.
    """
    for name, profile in policy.profiles.items():
        catalog.check_task_ids(profile.additional_tasks, f"profiles.{name}.additional_tasks")
    catalog.check_task_ids(policy.planning.timeouts, "planning.timeouts")
    catalog.check_task_ids(policy.planning.cost_estimates, "planning.cost_estimates")
    catalog.check_task_ids(policy.planning.task_values, "planning.task_values")
    for template in catalog.templates:
        if template.feature is not None:
            policy.features.is_on(template.feature)
    if policy.features.enable_auto_prioritization:
        _check_rules(policy, catalog)


def _check_rules(policy: PlanningPolicy, catalog: Catalog) -> None:
    for name, rule in policy.priorities.rules.items():
        named = (*rule.raise_tasks, *rule.lower_tasks)
        catalog.check_task_ids(named, f"priorities.rules.{name}")
        for task_id in named:
            if catalog.by_id[task_id].priority is TaskPriority.CRITICAL:
                raise PlanningError(
                    f"priorities.rules.{name} names the CRITICAL task {task_id!r}: a rule neither "
                    "gives nor takes CRITICAL",
                    advice="leave it out, or change its priority in tasks.yaml",
                )


def create_plan(
    request: AnalysisRequest,
    policy: PlanningPolicy,
    catalog: Catalog,
    created_at: datetime,
    facts: PlanningFacts = NOTHING_KNOWN,
) -> ResearchPlan:
    """The research plan for one question; the same arguments give the same plan.

    ``created_at`` is aware. What the request leaves None comes from the profile, then from the
    policy. With ``features.enable_planning`` off the plan is the fixed sequential research (the
    CRITICAL and HIGH tasks of every profile, width 1), made by the same code. ``tasks`` are in
    order of priority. With ``features.verbose_planning`` the summary is logged at INFO.

    ``facts`` are what is known before anything runs: learned estimates, the market for the
    priority rules (that of the request goes first) and the quota that is left. Without them the
    plan rests on the configuration alone. ``notes`` say what they changed.

    Raises :class:`UnknownNameError` (profile, task, feature flag), :class:`InvalidWidthError`,
    or :class:`PlanningError` (see :func:`select_tasks`).
    """
    check_names(policy, catalog)
    profile = policy.profile(request.risk_profile)
    fired, market_notes = fired_rules(request, policy, facts, created_at)
    adjusted = catalog.adjusted(
        timeouts=policy.planning.timeouts, cost_estimates=policy.planning.cost_estimates
    )
    learned: dict[str, Learned] = {}
    if policy.planning.learned_estimates:
        at_least = policy.planning.learn_after_runs
        learned = learned_of(adjusted.templates, facts.samples, at_least)
    known = with_learned(adjusted.templates, learned, typed_costs=policy.planning.cost_estimates)
    known = prioritised(known, fired)
    if known != adjusted.templates:
        adjusted = adjusted.with_templates(known)
    width, width_notes = _width(request, policy, profile)
    limit = request.max_cost_usd
    if limit is None:
        limit = policy.performance.max_cost_per_decision
    include_optional = request.include_optional
    if include_optional is None:
        include_optional = profile.include_optional_tasks
    headroom = facts.headroom if policy.planning.adaptive_width else {}
    deadline, _ = deadline_of(request, policy)
    selection = select_tasks(
        adjusted,
        policy.features,
        profile,
        include_optional=include_optional,
        max_cost_usd=limit,
        out_of_reach={
            template.task_id: why
            for template in adjusted.templates
            if headroom and (why := unreachable(template, headroom, deadline)) is not None
        },
        values=policy.planning.task_values,
    )
    width, narrowing = narrowed(width, selection.tasks, headroom, policy.planning.quota_reserve)
    templates = sorted(selection.tasks, key=lambda template: template.priority.rank)
    tasks = tuple(_research_task(template) for template in templates)
    plan = ResearchPlan(
        symbol=request.symbol,
        risk_profile=profile.name,
        tasks=tasks,
        execution_order=(
            waves(tasks, width)
            if policy.planning.batching is Batching.CRITICAL_PATH
            else make_batches(tasks, width)
        ),
        width=width,
        batching=policy.planning.batching,
        omitted=selection.omitted,
        max_cost_usd=limit,
        over_budget=selection.over_budget,
        notes=(
            *width_notes,
            *((narrowing,) if narrowing else ()),
            *market_notes,
            *_rule_notes(fired, tasks),
            *selection.notes,
            *facts.notes,
        ),
        created_at=created_at,
    )
    warnings = _warnings(plan, request, policy, profile, learned)
    if warnings:
        plan = plan.model_copy(update={"notes": (*plan.notes, *warnings)})
    if policy.features.verbose_planning:
        logger.info("%s", plan.summary)
    return plan


def fired_rules(
    request: AnalysisRequest, policy: PlanningPolicy, facts: PlanningFacts, created_at: datetime
) -> tuple[tuple[Firing, ...], tuple[str, ...]]:
    """The priority rules that hold, and what is to be said of the market they were held against."""
    if not (policy.features.enable_auto_prioritization and policy.features.enable_planning):
        return (), ()
    market = request.market or facts.market
    if market is None:
        return (), ("no priority rule was looked at: nothing is known of the market yet",)
    stale = stale_because(
        market,
        moment=request.as_of or created_at,
        max_age_hours=policy.priorities.max_context_age_hours,
    )
    if stale is not None:
        return (), (f"no priority rule was looked at: {stale}",)
    fired = firings(policy.priorities.rules, market)
    if not fired:
        return (), (f"no priority rule fired for the market of {_origin(market)}",)
    names = ", ".join(f"{f.rule} ({' and '.join(f.reasons)})" for f in fired)
    return fired, (f"priority rules fired for the market of {_origin(market)}: {names}",)


def _origin(market: MarketContext) -> str:
    return f"{market.origin}, {market.observed_at:%Y-%m-%d %H:%M} UTC"


def _rule_notes(fired: Sequence[Firing], tasks: Sequence[ResearchTask]) -> tuple[str, ...]:
    if not fired:
        return ()
    changed = [f"{t.task_id} by {t.priority_basis}" for t in tasks if t.priority_basis]
    return (f"priorities changed: {', '.join(changed) or 'none of this plan'}",)


def deadline_of(request: AnalysisRequest, policy: PlanningPolicy) -> tuple[float, str]:
    """Seconds a run may take, and who says so."""
    if request.deadline_seconds is not None:
        return request.deadline_seconds, "the deadline of the request"
    return policy.performance.total_plan_timeout, "performance.total_plan_timeout"


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
        priority_basis=template.priority_basis,
    )


def _warnings(
    plan: ResearchPlan,
    request: AnalysisRequest,
    policy: PlanningPolicy,
    profile: RiskProfile,
    learned: Mapping[str, Learned],
) -> tuple[str, ...]:
    """What the plan as it stands will run into, as far as it can be known before it runs."""
    warnings = []
    deadline, key = deadline_of(request, policy)
    parallel = plan.estimated_time_parallel
    if parallel > deadline:
        warnings.append(
            f"may take {parallel:g} s, longer than {key} of {deadline:g} s: "
            "the run then ends with what there is"
        )
    batch_timeout = policy.performance.batch_timeout
    slow = [task.task_id for task in plan.tasks if task.timeout_seconds > batch_timeout]
    if slow:
        warnings.append(
            f"performance.batch_timeout of {batch_timeout:g} s is shorter than the time limit of "
            + ", ".join(slow)
        )
    warnings += [
        f"{task.task_id} took up to {known.seconds_p95:g} s in its latest runs, and its time "
        f"limit is {task.timeout_seconds:g} s"
        for task in plan.tasks
        if (known := learned.get(task.task_id))
        and known.seconds_p95 >= NEAR_THE_LIMIT * task.timeout_seconds
    ]
    sources = {source for task in plan.tasks for source in task.data_sources}
    if len(sources) < profile.min_data_sources:
        warnings.append(
            f"uses {len(sources)} data sources, but profile {profile.name} needs "
            f"{profile.min_data_sources} to decide"
        )
    return tuple(warnings)
