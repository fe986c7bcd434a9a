"""Decides a finished run again, from its file alone: no cluster, no network, no chance (D9)."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sigmax_planner.models import ResearchTask
from sigmax_tasks.errors import ReplayMismatchError
from sigmax_tasks.handlers import load_handler
from sigmax_tasks.llm.hearing import hold_from_answers
from sigmax_tasks.models.decision import DebateRecord, Decision, RunRecord, ValidationReport
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.models.observations import Observation
from sigmax_tasks.models.policy import DecisionPolicy
from sigmax_tasks.models.research import (
    Finding,
    ResearchBundle,
    ResearchInputs,
    TaskOutcome,
    TaskStatus,
)
from sigmax_tasks.settings import DecidingSettings
from sigmax_tasks.stages.aggregate import aggregate
from sigmax_tasks.stages.chain import conclude
from sigmax_tasks.stages.debate import debate
from sigmax_tasks.stages.privacy import Redactor, phrases_in_observations
from sigmax_tasks.stages.standing import standings
from sigmax_tasks.stages.validate import validate

BY_RULES = "rules"
OWN_HANDLERS = "sigmax_tasks.research."
"""Handlers of this package; others are run only if this machine's own configuration has them."""


class RerunState(StrEnum):
    """What came of running the research of one task again."""

    IDENTICAL = "identical"
    DIFFERS = "differs"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Rerun:
    """The research of one task, run again. ``detail`` says what differs, or why it did not run."""

    task_id: str
    state: RerunState
    detail: str = ""


@dataclass(frozen=True)
class Change:
    """A figure of the decision that is not what was recorded; JSON values."""

    name: str
    recorded: Any
    now: Any


@dataclass(frozen=True)
class Replay:
    """``record`` is that of the run with the decision as it comes out now.

    ``overrides`` are the settings that were changed, ``reruns`` the research that was run again, in
    plan order; both empty for a plain replay.
    """

    record: RunRecord
    recorded: Decision
    overrides: tuple[str, ...]
    reruns: tuple[Rerun, ...]

    @property
    def identical(self) -> bool:
        return self.record.decision.decision_hash == self.recorded.decision_hash

    @property
    def changes(self) -> tuple[Change, ...]:
        """What is different, the verdict first; what the figures do not show is left out."""
        before, after = _figures(self.recorded), _figures(self.record.decision)
        return tuple(
            Change(name, before[name], after[name])
            for name in before
            if before[name] != after[name]
        )

    def check(self) -> None:
        """Raise :class:`ReplayMismatchError` where the recorded decision does not come out."""
        if self.identical or self.overrides:
            return
        hashes = (self.recorded.decision_hash[:12], self.record.decision.decision_hash[:12])
        differences = ["hash {}..., now {}...".format(*hashes)]
        differences += [f"{c.name} {_shown(c.recorded)}, now {_shown(c.now)}" for c in self.changes]
        differences += [
            f"the research of {rerun.task_id} {rerun.state.value} ({rerun.detail})"
            for rerun in self.reruns
            if rerun.state in {RerunState.DIFFERS, RerunState.FAILED}
        ]
        raise ReplayMismatchError(
            self.record.run_id, differences, other_versions(self.record.versions)
        )


def replay(
    dossier: Dossier,
    overrides: Sequence[str] = (),
    *,
    from_observations: bool = False,
    trusted_handlers: Collection[str] = (),
) -> Replay:
    """aggregate, validate, debate, analyse, assess_risk, privacy, size, decide on a kept run.

    The settings are those of the run, with ``KEY=VALUE`` overrides on top; nothing of this
    machine's configuration is asked for. A model's debate is held again from its kept answers;
    where what it would be asked is not what it was, its debate is taken as recorded.
    ``from_observations`` runs the research again first; a task whose research cannot be run keeps
    its finding. ``trusted_handlers`` are handlers besides our own that a file may name.
    """
    settings = DecidingSettings.from_snapshot(dossier.settings, overrides)
    outcomes = dossier.outcomes
    reruns: tuple[Rerun, ...] = ()
    if from_observations:
        outcomes, reruns = run_research_again(dossier, settings, trusted_handlers)
    decision = decide_again(dossier, settings, outcomes)
    return Replay(
        record=dossier.record.model_copy(update={"decision": decision}),
        recorded=dossier.record.decision,
        overrides=tuple(overrides),
        reruns=reruns,
    )


def decide_again(
    dossier: Dossier, settings: DecidingSettings, outcomes: Sequence[TaskOutcome]
) -> Decision:
    """The decision chain on these outcomes, at the time of the run."""
    recorded = dossier.record.decision
    bundle = aggregate(
        dossier.record.plan,
        outcomes,
        symbol=dossier.request.symbol,
        as_of=recorded.as_of,
        data_mode=dossier.request.data_mode,
        circumstances=dossier.record.circumstances,
    )
    profile = settings.planning.profile(dossier.request.risk_profile)
    policy = settings.decision
    standing = standings(bundle, policy.validation)
    report = validate(bundle, profile, policy, standing)
    held = _debate_again(dossier, bundle, report, policy)
    return conclude(bundle, report, held, profile, policy, standing)


def _debate_again(
    dossier: Dossier, bundle: ResearchBundle, report: ValidationReport, policy: DecisionPolicy
) -> DebateRecord:
    recorded = dossier.record.decision.debate
    if recorded.method == BY_RULES:
        # Where a model was to hold it, what is known of that is a fact of the run.
        return debate(bundle, report, policy).model_copy(update={"llm": recorded.llm})
    answers = dossier.record.model_answers
    again = hold_from_answers(bundle, report, policy, dossier.observations, answers)
    return again if again is not None else recorded


def run_research_again(
    dossier: Dossier, settings: DecidingSettings, trusted_handlers: Collection[str] = ()
) -> tuple[tuple[TaskOutcome, ...], tuple[Rerun, ...]]:
    """The outcomes with the findings as they come out now, and how they compare, in plan order."""
    outcomes = {outcome.task_id: outcome for outcome in dossier.outcomes}
    reruns: dict[str, Rerun] = {}
    for task_id in (task_id for batch in dossier.record.plan.execution_order for task_id in batch):
        task = dossier.record.plan.task(task_id)
        recorded = outcomes.get(task_id)
        observations = dossier.observations.get(task_id, ())
        why_not = _why_not(task, recorded, observations, trusted_handlers)
        if why_not or recorded is None or recorded.finding is None:
            reruns[task_id] = Rerun(task_id, RerunState.NOT_RUN, why_not)
            continue
        redactor = Redactor(settings.decision.privacy)
        given = redactor.observations(observations)
        inputs = ResearchInputs(
            task_id=task_id,
            symbol=dossier.request.symbol,
            as_of=recorded.finding.as_of,
            watchlist=dossier.request.watchlist,
            observations=given,
            missing=recorded.missing,
            upstream=_findings(outcomes, task.dependencies),
        )
        try:
            finding = redactor.finding(load_handler(task_id, task.handler).research(inputs))
        except Exception as error:  # noqa: BLE001  # a handler may raise anything; it is told
            said = redactor.text(" ".join(str(error).split()))[:200]
            reruns[task_id] = Rerun(task_id, RerunState.FAILED, f"{type(error).__name__}: {said}")
            continue
        differences = tuple(_differences(recorded.finding, finding))
        state = RerunState.DIFFERS if differences else RerunState.IDENTICAL
        reruns[task_id] = Rerun(task_id, state, "; ".join(differences))
        outcomes[task_id] = recorded.model_copy(
            update={
                "finding": finding,
                "compliance": phrases_in_observations(given, settings.decision.privacy),
            }
        )
    order = [task.task_id for task in dossier.record.plan.tasks]
    return (
        tuple(outcomes[task_id] for task_id in order if task_id in outcomes),
        tuple(reruns[task_id] for task_id in order if task_id in reruns),
    )


def other_versions(recorded: Mapping[str, str]) -> tuple[str, ...]:
    """``numpy 2.1.0 (now 2.3.1)`` for everything that is not as it was in the run."""
    found = []
    for name, before in sorted(recorded.items()):
        try:
            now = platform.python_version() if name == "python" else version(name)
        except PackageNotFoundError:
            now = "not installed"
        if now != before:
            found.append(f"{name} {before} (now {now})")
    return tuple(found)


def needs_own_configuration(dossier: Dossier) -> bool:
    """Whether the file names handlers that are not ours."""
    return any(not task.handler.startswith(OWN_HANDLERS) for task in dossier.record.plan.tasks)


def _why_not(
    task: ResearchTask,
    outcome: TaskOutcome | None,
    observations: Sequence[Observation],
    trusted_handlers: Collection[str],
) -> str:
    if outcome is None:
        return "no outcome before the run ended"
    if outcome.status is not TaskStatus.COMPLETED:
        return f"{outcome.status.value} in the run: {outcome.reason or 'no reason given'}"
    if outcome.finding is None:
        return "completed without a finding"
    if not observations:
        return "the file holds no observations of it"
    if not task.handler.startswith(OWN_HANDLERS) and task.handler not in trusted_handlers:
        return f"its handler {task.handler!r} is not in the configuration here"
    return ""


def _findings(outcomes: Mapping[str, TaskOutcome], task_ids: Sequence[str]) -> dict[str, Finding]:
    found = ((task_id, outcomes[task_id].finding) for task_id in task_ids if task_id in outcomes)
    return {task_id: finding for task_id, finding in found if finding is not None}


def _differences(recorded: Finding, now: Finding) -> Iterator[str]:
    if recorded == now:
        return
    for name in ("score", "strength", "summary"):
        before, after = getattr(recorded, name), getattr(now, name)
        if before != after:
            yield f"{name} {_shown(before)}, now {_shown(after)}"
    values = {metric.name: metric.value for metric in recorded.metrics}
    moved = {
        metric.name: abs(metric.value - values[metric.name]) / (abs(values[metric.name]) or 1.0)
        for metric in now.metrics
        if metric.name in values and metric.value != values[metric.name]
    }
    if moved:
        yield f"{len(moved)} metrics, by up to {max(moved.values()):.1e} of their value"
    for name in ("metrics", "evidence", "labels", "missing", "lineage"):
        before, after = len(getattr(recorded, name)), len(getattr(now, name))
        if before != after:
            yield f"{after} instead of {before} {name}"
        elif getattr(recorded, name) != getattr(now, name) and not (name == "metrics" and moved):
            yield f"other {name}"


_FIGURES: tuple[tuple[str, Callable[[Decision], Any]], ...] = (
    ("action", lambda d: d.action.value),
    ("confidence", lambda d: d.confidence),
    ("size_fraction", lambda d: d.size_fraction),
    ("score", lambda d: d.score),
    ("reference_price", lambda d: d.reference_price),
    ("stop_price", lambda d: d.stop_price),
    ("take_profit_price", lambda d: d.take_profit_price),
    ("horizon_hours", lambda d: d.horizon_hours),
    ("validation.passed", lambda d: d.validation.passed),
    ("validation.score", lambda d: d.validation.score),
    ("validation.threshold", lambda d: d.validation.threshold),
    ("validation.failures", lambda d: list(d.validation.failures)),
    ("debate.bull", lambda d: d.debate.bull.total),
    ("debate.bear", lambda d: d.debate.bear.total),
    ("debate.net", lambda d: d.debate.net),
    ("analysis.confidence", lambda d: d.analysis.confidence),
    ("risk.size_cap_fraction", lambda d: d.risk.size_cap_fraction),
    ("vetoes", lambda d: list(d.vetoes)),
    ("risk.warnings", lambda d: list(d.risk.warnings)),
)


def _figures(decision: Decision) -> dict[str, Any]:
    return {name: read(decision) for name, read in _FIGURES}


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True) if isinstance(value, list | bool) else str(value)
