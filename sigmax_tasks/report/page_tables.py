"""The rows of the report's tables: evidence, lineage, tasks, risk checks. Texts as shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from sigmax_tasks.models.decision import Argument, Case, RiskCheck
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.models.observations import Lineage
from sigmax_tasks.models.research import TaskOutcome, TaskStatus
from sigmax_tasks.redact import redact_url
from sigmax_tasks.report.numbers import MISSING, money, seconds_text
from sigmax_tasks.report.waterfall_chart import meter

HASH_SHOWN = 12


@dataclass(frozen=True)
class EvidenceRow:
    """``side`` is up, down or none. ``weight`` is empty where the debate did not use it."""

    evidence_id: str
    task_id: str
    claim: str
    outside_text: bool
    polarity: str
    reliability: str
    weight: str
    side: str
    age: str
    observed_at: str
    observations: tuple[str, ...]


@dataclass(frozen=True)
class LineageRow:
    """One answer of a provider. ``tasks`` were given it; ``used`` is whether a finding cites it."""

    observation_id: str
    tasks: tuple[str, ...]
    source: str
    subject: str
    provider: str
    endpoint: str
    observed_at: str
    fetched_at: str
    age: str
    sha256: str
    size: str
    cache: str
    used: bool

    @property
    def short_hash(self) -> str:
        return self.sha256[:HASH_SHOWN]


@dataclass(frozen=True)
class TaskRow:
    """A task of the plan: what it found, and what it took."""

    task_id: str
    name: str
    priority: str
    batch: int
    status: str
    reason: str
    score: str
    strength: str
    weight: str
    informed: str
    contribution: str
    side: str
    summary: str
    labels: tuple[tuple[str, str], ...]
    attempts: int
    requests: int
    seconds: str
    estimated_seconds: str
    cost: str
    estimated_cost: str
    providers: tuple[str, ...]
    worker: str
    critical: bool


@dataclass(frozen=True)
class ArgumentRow:
    evidence_id: str
    claim: str
    weight: str
    base_weight: str
    bar: Markup
    rebuttals: tuple[str, ...]


@dataclass(frozen=True)
class CheckRow:
    name: str
    value: str
    limit: str
    factor: str
    bar: Markup
    state: str
    arithmetic: str


def side_of(value: float) -> str:
    return "up" if value > 0 else "down" if value < 0 else "none"


def age_text(seconds: float) -> str:
    """In the unit a person would choose; a negative age is a time after as-of."""
    size = abs(seconds)
    for limit, length, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if size < limit:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86_400:.1f} d"


def moment_text(moment: datetime) -> str:
    """To the second, UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def bytes_text(number: int) -> str:
    return f"{number:,} B" if number < 10_000 else f"{number / 1000:,.1f} kB"


def evidence_rows(dossier: Dossier) -> tuple[EvidenceRow, ...]:
    """Weightiest first; what the debate could not use comes last."""
    decision = dossier.record.decision
    debate = decision.debate
    weights = {a.evidence_id: a.weight for c in (debate.bull, debate.bear) for a in c.arguments}
    items = [item for o in dossier.outcomes if o.finding for item in o.finding.evidence]
    items.sort(key=lambda e: (-weights.get(e.evidence_id, -1.0), e.evidence_id))
    return tuple(
        EvidenceRow(
            evidence_id=item.evidence_id,
            task_id=item.task_id,
            claim=item.claim,
            outside_text=item.untrusted_text,
            polarity=f"{item.polarity:+.2f}",
            reliability=f"{item.reliability:.2f}",
            weight=f"{weights[item.evidence_id]:.4f}" if item.evidence_id in weights else "",
            side=side_of(item.polarity),
            age=age_text((decision.as_of - item.observed_at).total_seconds()),
            observed_at=moment_text(item.observed_at),
            observations=item.observation_ids,
        )
        for item in items
    )


def lineage_rows(dossier: Dossier) -> tuple[LineageRow, ...]:
    """Every observation that was kept or cited, in plan order; one that tasks share comes once."""
    as_of = dossier.record.decision.as_of
    rows: dict[Lineage, list[str]] = {}
    cited: set[Lineage] = set()
    for task_id, line, used in _lineage(dossier):
        tasks = rows.setdefault(line, [])
        if task_id not in tasks:
            tasks.append(task_id)
        if used:
            cited.add(line)
    return tuple(
        LineageRow(
            observation_id=line.observation_id,
            tasks=tuple(tasks),
            source=line.source,
            subject=" ".join(part for part in (line.kind, line.name, line.symbol) if part),
            provider=line.provider,
            endpoint=redact_url(line.endpoint),
            observed_at=moment_text(line.observed_at),
            fetched_at=moment_text(line.fetched_at),
            age=age_text((as_of - line.observed_at).total_seconds()),
            sha256=line.payload_sha256,
            size=bytes_text(line.payload_bytes),
            cache=f"hit, {age_text(line.cache_age_seconds)} old" if line.cache_hit else "fetched",
            used=line in cited,
        )
        for line, tasks in rows.items()
    )


def _lineage(dossier: Dossier) -> Iterator[tuple[str, Lineage, bool]]:
    """(task, lineage, cited)."""
    for outcome in dossier.outcomes:
        for item in dossier.observations.get(outcome.task_id, ()):
            yield outcome.task_id, item.lineage, False
        for line in outcome.finding.lineage if outcome.finding else ():
            yield outcome.task_id, line, True


def task_rows(dossier: Dossier, critical: tuple[str, ...]) -> tuple[TaskRow, ...]:
    """All tasks of the plan, by batch."""
    record = dossier.record
    by_id = {outcome.task_id: outcome for outcome in dossier.outcomes}
    parts = {part.task_id: part for part in record.decision.analysis.contributions}
    rows = []
    for number, batch in enumerate(record.plan.execution_order, start=1):
        for task_id in batch:
            task = record.plan.task(task_id)
            outcome = by_id.get(task_id)
            finding = outcome.finding if outcome else None
            part = parts.get(task_id)
            rows.append(
                TaskRow(
                    task_id=task_id,
                    name=task.name,
                    priority=task.priority.value,
                    batch=number,
                    status=outcome.status.value if outcome else "unknown",
                    reason=_reason(outcome),
                    score=f"{finding.score:+.2f}" if finding else MISSING,
                    strength=f"{finding.strength:.2f}" if finding else MISSING,
                    weight=f"{part.weight:.3f}" if part else MISSING,
                    informed=f"{part.informed:.2f}" if part else MISSING,
                    contribution=f"{part.contribution:+.4f}" if part else MISSING,
                    side=side_of(part.contribution) if part else "none",
                    summary=finding.summary if finding else "",
                    labels=tuple(finding.labels.items()) if finding else (),
                    attempts=outcome.attempts if outcome else 0,
                    requests=outcome.requests if outcome else 0,
                    seconds=seconds_text(outcome.duration_seconds) if outcome else MISSING,
                    estimated_seconds=seconds_text(task.estimated_seconds),
                    cost=money(outcome.cost_usd) if outcome else MISSING,
                    estimated_cost=money(task.estimated_cost_usd),
                    providers=outcome.providers if outcome else (),
                    worker=outcome.worker if outcome else "",
                    critical=task_id in critical,
                )
            )
    return tuple(rows)


def _reason(outcome: TaskOutcome | None) -> str:
    if outcome is None:
        return "no outcome was kept"
    return outcome.reason if outcome.status is not TaskStatus.COMPLETED else ""


def argument_rows(case: Case, strongest: float) -> tuple[ArgumentRow, ...]:
    """``strongest`` is the weight of a full bar."""
    side = "up" if case.side == "bull" else "down"
    return tuple(
        ArgumentRow(
            evidence_id=argument.evidence_id,
            claim=argument.claim,
            weight=f"{argument.weight:.4f}",
            base_weight=f"{argument.base_weight:.4f}" if argument.rebuttals else "",
            bar=_argument_bar(argument, strongest, side),
            rebuttals=argument.rebuttals,
        )
        for argument in case.arguments
    )


def _argument_bar(argument: Argument, strongest: float, side: str) -> Markup:
    scale = strongest or 1.0
    return meter(argument.weight / scale, base=argument.base_weight / scale, side=side)


def check_rows(checks: tuple[RiskCheck, ...]) -> tuple[CheckRow, ...]:
    """The bar ends at twice the limit; the mark in its middle is the limit."""
    rows = []
    for check in checks:
        over = check.factor < 1.0
        filled = 0.0 if check.value is None else check.value / (2.0 * check.limit)
        rows.append(
            CheckRow(
                name=check.name,
                value="unknown" if check.value is None else f"{check.value:.4g}",
                limit=f"{check.limit:g}",
                factor=f"{check.factor:.4f}",
                bar=meter(filled, mark=0.5, side="poor" if over else "good"),
                state="over" if over else "within",
                arithmetic=check.arithmetic,
            )
        )
    return tuple(rows)
