"""Why each number of a plan is what it is, in words: the same facts, told instead of used."""

from __future__ import annotations

from sigmax_planner.estimates import usd_text
from sigmax_planner.facts import PlanningFacts
from sigmax_planner.learned import learn
from sigmax_planner.models import AnalysisRequest, Message, ResearchPlan, ResearchTask
from sigmax_planner.policy import PlanningPolicy
from sigmax_planner.priorities import Firing, stale_because


class TaskExplanation(Message):
    """One task: where its priority, its seconds and its USD come from."""

    task_id: str
    priority: str
    seconds: str
    cost: str


class RuleExplanation(Message):
    """One priority rule: what it found, or why it did not fire."""

    rule: str
    fired: bool
    why: str


class Explanation(Message):
    """``facts`` say what is known before the run, and what is not."""

    tasks: tuple[TaskExplanation, ...]
    rules: tuple[RuleExplanation, ...]
    facts: tuple[str, ...]


def explain_plan(
    plan: ResearchPlan,
    request: AnalysisRequest,
    policy: PlanningPolicy,
    facts: PlanningFacts,
    fired: tuple[Firing, ...],
) -> Explanation:
    """Of the plan that these arguments gave; ``fired`` as :func:`fired_rules` says."""
    return Explanation(
        tasks=tuple(_task(task, policy, facts) for task in plan.tasks),
        rules=_rules(policy, fired, unknown=_unusable(plan, request, policy, facts)),
        facts=(
            _about_market(plan, request, policy, facts),
            _about_quotas(plan, policy, facts),
            *_about_samples(request, policy, facts),
        ),
    )


def _task(task: ResearchTask, policy: PlanningPolicy, facts: PlanningFacts) -> TaskExplanation:
    planning = policy.planning
    samples = facts.samples.get(task.task_id, ())
    known = learn(samples, planning.learn_after_runs) if planning.learned_estimates else None
    typed_time = "planning.timeouts" if task.task_id in planning.timeouts else "the catalogue"
    if known is None:
        why = ""
        if planning.learned_estimates:
            why = f"; {len(samples)} of {planning.learn_after_runs} runs to learn from"
        seconds = f"static: {typed_time}{why}"
    else:
        seconds = (
            f"{known.basis}: half of the runs took no longer, 95 % at most "
            f"{known.seconds_p95:g} s; limit {task.timeout_seconds:g} s"
        )
    if task.task_id in planning.cost_estimates:
        cost = "static: planning.cost_estimates"
    elif known is None:
        cost = "static: the catalogue"
    else:
        cost = (
            f"{known.basis}: 95 % of the runs cost no more, half at most {usd_text(known.cost_p50)}"
        )
    priority = task.priority_basis or "the catalogue"
    return TaskExplanation(task_id=task.task_id, priority=priority, seconds=seconds, cost=cost)


def _rules(
    policy: PlanningPolicy, fired: tuple[Firing, ...], *, unknown: str | None
) -> tuple[RuleExplanation, ...]:
    if not policy.features.enable_auto_prioritization:
        return ()
    by_name = {firing.rule: firing for firing in fired}
    told = []
    for name, rule in policy.priorities.rules.items():
        wanted = _wanted(rule.when.model_dump(exclude_none=True))
        why = f"not looked at: {wanted}" if unknown else f"does not hold: {wanted}"
        if name in by_name:
            why = " and ".join(by_name[name].reasons)
        told.append(RuleExplanation(rule=name, fired=name in by_name, why=why))
    return tuple(told)


def _unusable(
    plan: ResearchPlan, request: AnalysisRequest, policy: PlanningPolicy, facts: PlanningFacts
) -> str | None:
    """Why no rule is looked at, None where the market is known well enough."""
    if not policy.features.enable_planning:
        return "features.enable_planning is off"
    market = request.market or facts.market
    if market is None:
        return "nothing is known of it"
    return stale_because(
        market,
        moment=request.as_of or plan.created_at,
        max_age_hours=policy.priorities.max_context_age_hours,
    )


def _wanted(conditions: dict[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in conditions.items())


def _about_market(
    plan: ResearchPlan, request: AnalysisRequest, policy: PlanningPolicy, facts: PlanningFacts
) -> str:
    if not policy.features.enable_auto_prioritization:
        return "priorities: features.enable_auto_prioritization is off, no rule is looked at"
    unusable = _unusable(plan, request, policy, facts)
    market = request.market or facts.market
    if market is None or unusable:
        return f"market: {unusable}, no rule is looked at"
    values = market.model_dump(exclude={"observed_at", "origin"})
    words = [f"{name} {'not known' if value is None else value}" for name, value in values.items()]
    when = f"{market.observed_at:%Y-%m-%d %H:%M} UTC"
    return f"market at {when} ({market.origin}): {', '.join(words)}"


def _about_quotas(plan: ResearchPlan, policy: PlanningPolicy, facts: PlanningFacts) -> str:
    if not policy.planning.adaptive_width:
        return "quotas: planning.adaptive_width is off, the width does not go by them"
    used = sorted({source for task in plan.tasks for source in task.data_sources})
    near = [f"{source} has {facts.headroom[source].detail}" for source in used
            if source in facts.headroom]  # fmt: skip
    return f"quotas: {'; '.join(near) if near else 'no limit is known to be near'}"


def _about_samples(
    request: AnalysisRequest, policy: PlanningPolicy, facts: PlanningFacts
) -> tuple[str, ...]:
    if not policy.planning.learned_estimates:
        return ("estimates: planning.learned_estimates is off, all are static",)
    known = sum(
        len(samples) >= policy.planning.learn_after_runs for samples in facts.samples.values()
    )
    return (
        f"estimates: {known} tasks of the catalogue have the "
        f"{policy.planning.learn_after_runs} {request.data_mode.value} runs to learn from",
    )
