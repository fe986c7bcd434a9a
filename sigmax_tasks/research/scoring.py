"""From numbers to a Finding: squashing, weighing evidence, citing observations.

Every research module opens a :class:`Notebook` on its inputs, writes metrics and evidence into it,
each with the observations it rests on, and closes it with :meth:`Notebook.finding`. Polarities are
in [-1, 1] (fall to rise), reliabilities in [0, 1]. NaN and infinity never get into a finding: such
a metric is left out, such an argument is not made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sigmax_planner.errors import SigmaxError
from sigmax_tasks.models.observations import Lineage, Observation
from sigmax_tasks.models.research import Evidence, Finding, Metric, ResearchInputs

SIGNIFICANT_DIGITS = 10
CLAIM_LENGTH = 300
SUMMARY_LENGTH = 400


class InsufficientDataError(SigmaxError):
    """The data do not suffice for any answer of this task; the sentence says what is lacking."""


def clip(value: float, low: float, high: float) -> float:
    """``value`` held inside [low, high]; NaN stays NaN."""
    return value if math.isnan(value) else max(low, min(high, value))


def squash(value: float, scale: float) -> float:
    """tanh(value / scale): 0 stays 0, ``scale`` gives 0.76, never beyond -1 or 1; NaN gives 0."""
    if math.isnan(value):
        return 0.0
    return math.tanh(value / scale)


def rounded(value: float, digits: int = SIGNIFICANT_DIGITS) -> float:
    """``value`` to that many significant digits; minus zero becomes zero."""
    return float(f"{value:.{digits}g}") + 0.0


def sample_reliability(count: int, half_at: float) -> float:
    """count / (count + half_at): 0 without data, 0.5 at ``half_at`` data points, towards 1."""
    return count / (count + half_at) if count > 0 else 0.0


def weighted_score(evidence: Sequence[Evidence]) -> float:
    """Mean polarity weighted by reliability, in [-1, 1]; 0 where nothing carries weight."""
    weight = math.fsum(item.reliability for item in evidence)
    if weight <= 0:
        return 0.0
    total = math.fsum(item.polarity * item.reliability for item in evidence)
    return clip(total / weight, -1.0, 1.0)


def strength_of(evidence: Sequence[Evidence]) -> float:
    """How much the evidence says at all, in [0, 1], whatever its direction.

    1 - exp(-R / 2) with R the sum of reliabilities: 0.12 for one argument of 0.25, 0.39 for two
    of 0.5, 0.71 for five. Arguments of one task lean on the same data; hence the half.
    """
    weight = math.fsum(item.reliability for item in evidence)
    return clip(-math.expm1(-weight / 2.0), 0.0, 1.0)


def shortened(text: str, limit: int) -> str:
    """One line of at most ``limit`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3].rstrip() + "..."


def cited_lineage(inputs: ResearchInputs, observation_ids: Iterable[str]) -> tuple[Lineage, ...]:
    """Lineage of the cited observations, own ones first, then those of upstream findings.

    An id that neither the inputs nor an upstream finding holds raises ValueError.
    """
    wanted = set(observation_ids)
    known: dict[str, Lineage] = {}
    for observation in inputs.observations:
        known.setdefault(observation.lineage.observation_id, observation.lineage)
    for finding in inputs.upstream.values():
        for lineage in finding.lineage:
            known.setdefault(lineage.observation_id, lineage)
    unknown = sorted(wanted - known.keys())
    if unknown:
        raise ValueError(f"{inputs.task_id} cites what it was not given: {unknown}")
    return tuple(lineage for key, lineage in known.items() if key in wanted)


def finding_from(
    inputs: ResearchInputs,
    *,
    evidence: Sequence[Evidence],
    metrics: Sequence[Metric],
    summary: str,
    labels: Mapping[str, str] | None = None,
    task_id: str | None = None,
    strength_factor: float = 1.0,
) -> Finding:
    """The Finding of these metrics and arguments: score, strength, lineage and gaps filled in.

    ``task_id`` is that of the inputs unless given; ``strength_factor`` in [0, 1] lowers the
    strength where the whole answer rests on less than it should. Two metrics of one name, or two
    pieces of evidence of one id, raise ValueError.
    """
    _refuse_twins("metric", [item.name for item in metrics])
    _refuse_twins("evidence", [item.evidence_id for item in evidence])
    cited = {key for metric in metrics for key in metric.observation_ids}
    cited |= {key for item in evidence for key in item.observation_ids}
    return Finding(
        task_id=task_id or inputs.task_id,
        symbol=inputs.symbol,
        as_of=inputs.as_of,
        score=rounded(weighted_score(evidence)),
        strength=rounded(strength_of(evidence) * clip(strength_factor, 0.0, 1.0)),
        summary=shortened(summary, SUMMARY_LENGTH),
        metrics=tuple(metrics),
        evidence=tuple(evidence),
        labels=dict(labels or {}),
        missing=inputs.missing,
        lineage=cited_lineage(inputs, cited),
    )


class Notebook:
    """Collects the metrics, evidence and labels of one finding in the order they are written."""

    def __init__(self, inputs: ResearchInputs) -> None:
        self.inputs = inputs
        self.metrics: list[Metric] = []
        self.evidence: list[Evidence] = []
        self.labels: dict[str, str] = {}

    def measure(
        self, name: str, value: float | None, unit: str, *observations: Observation
    ) -> bool:
        """Keep a metric, to 10 significant digits; False where it is None, NaN or infinite."""
        if value is None or not math.isfinite(value):
            return False
        self.metrics.append(
            Metric(
                name=name,
                value=rounded(float(value)),
                unit=unit,
                observation_ids=_ids(observations),
            )
        )
        return True

    def argue(
        self,
        short_name: str,
        claim: str,
        *observations: Observation,
        polarity: float,
        reliability: float,
        metric_names: Iterable[str] = (),
        observed_at: datetime | None = None,
        untrusted_text: bool = False,
    ) -> bool:
        """Keep an argument; False where a number in it is NaN or infinite.

        ``observed_at`` is that of the oldest observation it rests on unless given. Names of
        metrics that were not kept are dropped from ``metric_names``.
        """
        if not (math.isfinite(polarity) and math.isfinite(reliability)):
            return False
        known = {metric.name for metric in self.metrics}
        self.evidence.append(
            Evidence(
                evidence_id=f"{self.inputs.task_id}.{short_name}",
                task_id=self.inputs.task_id,
                claim=shortened(claim, CLAIM_LENGTH),
                polarity=rounded(clip(polarity, -1.0, 1.0)),
                reliability=rounded(clip(reliability, 0.0, 1.0)),
                metric_names=tuple(name for name in metric_names if name in known),
                observation_ids=_ids(observations),
                observed_at=observed_at or min(o.lineage.observed_at for o in observations),
                untrusted_text=untrusted_text,
            )
        )
        return True

    def value(self, name: str) -> float | None:
        """The metric of that name as kept, None where it was not."""
        return next((m.value for m in self.metrics if m.name == name), None)

    def finding(self, summary: str, *, strength_factor: float = 1.0) -> Finding:
        """Close the notebook."""
        return finding_from(
            self.inputs,
            evidence=self.evidence,
            metrics=self.metrics,
            summary=summary,
            labels=self.labels,
            strength_factor=strength_factor,
        )


def _ids(observations: Sequence[Observation]) -> tuple[str, ...]:
    if not observations:
        raise ValueError("a metric or an argument needs an observation to rest on")
    return tuple(dict.fromkeys(o.lineage.observation_id for o in observations))


def _refuse_twins(kind: str, names: Sequence[str]) -> None:
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise ValueError(f"{kind} named twice: {', '.join(twins)}")
