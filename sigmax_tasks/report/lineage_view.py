"""Where each number of a run comes from: from metrics and arguments to the answers of providers.

Observation ids repeat from task to task, so the answers are numbered over the whole run: [3] under
a metric is the third answer of the list below.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from sigmax_tasks.models.observations import Lineage
from sigmax_tasks.models.research import Finding, TaskOutcome
from sigmax_tasks.redact import redact_url
from sigmax_tasks.report.layout import grid, indented
from sigmax_tasks.report.numbers import seconds_text
from sigmax_tasks.report.text import clean_text


class Register:
    """The answers that findings cite, each under one number, in the order first cited."""

    def __init__(self, outcomes: Sequence[TaskOutcome]) -> None:
        self.numbers: dict[Lineage, int] = {}
        self._by_task: dict[str, dict[str, Lineage]] = {}
        for finding in _findings(outcomes):
            cited = {item.observation_id: item for item in finding.lineage}
            self._by_task[finding.task_id] = cited
            for item in finding.lineage:
                self.numbers.setdefault(item, len(self.numbers) + 1)

    def cited(self, task_id: str, observation_ids: Iterable[str]) -> list[int]:
        """Their numbers; KeyError for an id that the finding's lineage does not hold."""
        lineage = self._by_task[task_id]
        return [self.numbers[lineage[key]] for key in observation_ids]


def lineage_view(outcomes: Sequence[TaskOutcome]) -> RenderableType:
    """Every metric and argument with the numbers of its answers, and the answers in full."""
    register = Register(outcomes)
    parts: list[RenderableType] = [Text("Lineage", style="bold")]
    for finding in _findings(outcomes):
        parts.append(Text.assemble("  ", (finding.task_id, "bold")))
        table = grid(4)
        for metric in finding.metrics:
            table.add_row(
                Text(clean_text(metric.name)),
                number_text(metric.value),
                Text(clean_text(metric.unit), style="dim"),
                _marks(register.cited(finding.task_id, metric.observation_ids)),
            )
        for item in finding.evidence:
            name = item.evidence_id.removeprefix(f"{finding.task_id}.")
            table.add_row(
                Text(f"argument {clean_text(name)}"),
                f"{item.polarity:+.2f} x {item.reliability:.2f}",
                Text(clean_text(item.claim), style="dim"),
                _marks(register.cited(finding.task_id, item.observation_ids)),
            )
        parts.append(indented(indented(table)))
    parts += [Text(), Text("Answers", style="bold")]
    if not register.numbers:
        parts.append(Text("  no finding rests on any", style="dim"))
    table = grid(2)
    for answer, number in register.numbers.items():
        table.add_row(f"[{number}]", _answer(answer))
    parts.append(indented(table))
    return Group(*parts)


def lineage_line(outcomes: Sequence[TaskOutcome]) -> dict[str, Any]:
    """The same as JSON types: ``answers`` by number, and under ``tasks`` who cites them."""
    register = Register(outcomes)
    return {
        "answers": {
            str(number): {
                **item.model_dump(mode="json"),
                "endpoint": redact_url(item.endpoint),
            }
            for item, number in register.numbers.items()
        },
        "tasks": [
            {
                "task_id": finding.task_id,
                "metrics": [
                    {
                        "name": metric.name,
                        "value": metric.value,
                        "unit": metric.unit,
                        "answers": register.cited(finding.task_id, metric.observation_ids),
                    }
                    for metric in finding.metrics
                ],
                "evidence": [
                    {
                        "evidence_id": item.evidence_id,
                        "claim": item.claim,
                        "polarity": item.polarity,
                        "reliability": item.reliability,
                        "answers": register.cited(finding.task_id, item.observation_ids),
                    }
                    for item in finding.evidence
                ],
            }
            for finding in _findings(outcomes)
        ],
    }


def number_text(value: float) -> str:
    """All the digits that findings keep."""
    return f"{value:.10g}"


def _findings(outcomes: Sequence[TaskOutcome]) -> list[Finding]:
    return [outcome.finding for outcome in outcomes if outcome.finding is not None]


def _marks(numbers: Sequence[int]) -> str:
    return "".join(f"[{number}]" for number in numbers)


def _answer(item: Lineage) -> RenderableType:
    what = " ".join(part for part in (item.source, item.kind, item.name, item.symbol) if part)
    lines = [
        Text.assemble((clean_text(item.provider), "bold"), f"  {clean_text(what)}"),
        Text(clean_text(redact_url(item.endpoint)), style="dim", overflow="fold"),
        Text(f"observed {_moment(item.observed_at)}, fetched {_moment(item.fetched_at)}"),
        Text(f"sha256 {item.payload_sha256}, {item.payload_bytes:,} bytes", overflow="fold"),
    ]
    cached = "from the provider"
    if item.cache_hit:
        cached = f"from the cache, {seconds_text(item.cache_age_seconds)} old"
    notes = [cached, item.data_mode.value]
    if item.cross_check:
        notes.append("cross-check")
    lines.append(Text(", ".join(notes), style="dim"))
    return Group(*lines)


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
