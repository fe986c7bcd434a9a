"""One chunk: the steps of a block for one symbol, researched and decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sigmax_tasks import clock
from sigmax_tasks.evaluation.models import ChunkAnswer, ChunkDecisions, Question, TaskBlock
from sigmax_tasks.evaluation.walk import (
    Desk,
    Scope,
    bundle_of,
    decide_step,
    decide_without,
    plan_step,
    research_step,
    shortened,
)
from sigmax_tasks.models.research import TaskOutcome
from sigmax_tasks.settings import Settings


def work(
    question: Question, settings: Settings, desk: Desk, known: Sequence[TaskBlock] = ()
) -> ChunkAnswer:
    """The answer to a question; ``known`` findings with the right key are not made again."""
    began = clock.monotonic()
    usable = {
        block.task_id: block
        for block in known
        if question.task_keys.get(block.task_id) == block.key
        and len(block.outcomes) == len(question.steps)
    }
    scope = None if question.scope is None else Scope(question.scope)
    profile = settings.planning.profile(question.profile)
    seconds: dict[str, float] = defaultdict(float)
    found: dict[str, list[TaskOutcome]] = defaultdict(list)
    decisions = []
    without = defaultdict(list)

    def on_task(task_id: str, spent: float) -> None:
        seconds[task_id] += spent

    for index, as_of in enumerate(question.steps):
        plan = plan_step(settings, question.symbol, question.profile, as_of, scope)
        before: Mapping[str, TaskOutcome] = {
            task_id: block.outcomes[index] for task_id, block in usable.items()
        }
        outcomes = research_step(settings, desk, plan, as_of, before, on_task, scope)
        for task_id, outcome in outcomes.items():
            if task_id not in usable:
                found[task_id].append(outcome)
        bundle = bundle_of(plan, outcomes, as_of)
        decisions.append(shortened(decide_step(bundle, profile, settings.decision)))
        if question.ablation:
            tasks = [task.task_id for task in plan.tasks]
            others = decide_without(tasks, bundle, profile, settings.decision)
            for task_id, decision in others.items():
                without[task_id].append(shortened(decision))
    return ChunkAnswer(
        decisions=ChunkDecisions(
            key=question.decisions_key,
            symbol=question.symbol,
            decisions=tuple(decisions),
            without={task_id: tuple(made) for task_id, made in without.items()},
            task_seconds={
                **{task_id: round(spent, 4) for task_id, spent in seconds.items()},
                **{task_id: block.seconds for task_id, block in usable.items()},
            },
        ),
        blocks=tuple(
            TaskBlock(
                task_id=task_id,
                key=question.task_keys[task_id],
                outcomes=tuple(made),
                seconds=round(seconds[task_id], 4),
            )
            for task_id, made in found.items()
            if task_id in question.task_keys and len(made) == len(question.steps)
        ),
        seconds=round(clock.monotonic() - began, 4),
    )
