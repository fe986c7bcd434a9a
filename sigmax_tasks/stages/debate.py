"""debate: the case for a rise and the case for a fall, by rules (D3).

Every argument that rests on usable observations speaks once, with weight = |polarity| x reliability
x the task's share of the planned weights. In each round both sides at once attack the strongest
argument of the other side that was not attacked yet, on the best of these grounds, each with a
force in [0, 1]: a contrary argument of the same task (force: its share of the two weights), a
contrary argument of another task (that share x ``other_task_force``), the trend label of the
technical research (``trend_force``), the argument's own age (1 - freshness), and thin coverage of
its task (1 - informed). A rebuttal leaves weight x (1 - rebuttal_max x force). The judge's net is
(bull - bear) / (bull + bear + prior).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sigmax_tasks.models.decision import Argument, Case, DebateRecord, ValidationReport
from sigmax_tasks.models.policy import DebatePolicy, DecisionPolicy
from sigmax_tasks.models.research import Evidence, ResearchBundle
from sigmax_tasks.stages.exact import exact, share
from sigmax_tasks.stages.standing import Standing, freshness, standings
from sigmax_tasks.stages.weights import planned_weights

BULL = "bull"
BEAR = "bear"


class _Plea(NamedTuple):
    """An argument with what is needed to attack it."""

    evidence: Evidence
    standing: Standing
    weight: float
    fresh: float

    @property
    def key(self) -> tuple[float, str, str]:
        """Strongest first, then by evidence id and task."""
        return (-self.weight, self.evidence.evidence_id, self.standing.task_id)


class _Rules(NamedTuple):
    """What the attacks of a debate share: its rules, the trend label, a gap of each task."""

    policy: DebatePolicy
    trend: str
    gaps: Mapping[str, str]


class _Ground(NamedTuple):
    """Why an argument should count less, and how much."""

    force: float
    text: str


def debate(
    bundle: ResearchBundle,
    report: ValidationReport,
    policy: DecisionPolicy,
    standing: Sequence[Standing] | None = None,
) -> DebateRecord:
    """Both cases, strongest argument first, and the judge's net with its arithmetic.

    ``rounds`` is the number of rounds in which at least one side found something to attack.
    ``standing`` is that of the bundle's tasks, for who knows it.
    """
    standing = standings(bundle, policy.validation) if standing is None else standing
    pleas = _pleas(bundle, policy, standing)
    sides = {
        BULL: sorted((p for p in pleas if p.evidence.polarity > 0), key=lambda p: p.key),
        BEAR: sorted((p for p in pleas if p.evidence.polarity < 0), key=lambda p: p.key),
    }
    rules = _Rules(policy.debate, _trend(bundle, policy), _gap_texts(report))
    heard = min(policy.debate.rounds, max(len(side) for side in sides.values()))
    bull = _case(BULL, sides[BULL], sides[BEAR], rules)
    bear = _case(BEAR, sides[BEAR], sides[BULL], rules)
    net, arithmetic = judged(bull.total, bear.total, policy.debate.prior)
    return DebateRecord(bull=bull, bear=bear, rounds=heard, net=net, arithmetic=arithmetic)


def judged(bull: float, bear: float, prior: float) -> tuple[float, str]:
    """The judge's net from the totals of both cases, and its arithmetic in words."""
    net = exact((bull - bear) / (bull + bear + prior))
    return net, (
        f"({bull:.4f} bull - {bear:.4f} bear) / "
        f"({bull:.4f} + {bear:.4f} + {prior:g} prior) = {net:+.4f}"
    )


def _pleas(
    bundle: ResearchBundle, policy: DecisionPolicy, standing: Sequence[Standing]
) -> list[_Plea]:
    weights = planned_weights(bundle.plan, policy)
    pleas = []
    for one in standing:
        for item in one.evidence:
            weight = exact(abs(item.polarity) * item.reliability * weights[one.task_id])
            fresh = min(
                freshness(one.usable[key], bundle.as_of, policy.validation)
                for key in item.observation_ids
            )
            pleas.append(_Plea(item, one, weight, fresh))
    return pleas


def _trend(bundle: ResearchBundle, policy: DecisionPolicy) -> str:
    """``up``, ``down`` or what else the trend label says; empty where there is none."""
    task_id, _, label = policy.debate.trend_label.partition(".")
    finding = bundle.finding(task_id)
    return finding.labels.get(label, "") if finding else ""


def _case(side: str, own: Sequence[_Plea], other: Sequence[_Plea], rules: _Rules) -> Case:
    arguments = [
        _heard(side, plea, other, rules, round_number)
        for round_number, plea in enumerate(own, start=1)
    ]
    arguments.sort(key=lambda a: (-a.weight, a.evidence_id, a.task_id))
    return Case(
        side=side,
        arguments=tuple(arguments),
        total=exact(math.fsum(a.weight for a in arguments)),
    )


def _heard(
    side: str, plea: _Plea, other: Sequence[_Plea], rules: _Rules, round_number: int
) -> Argument:
    """The argument after its round; the strongest is attacked in the first, and so on."""
    weight = plea.weight
    rebuttals: tuple[str, ...] = ()
    if round_number <= rules.policy.rounds:
        ground = _best_ground(side, plea, other, rules)
        if ground is not None:
            left = 1.0 - rules.policy.rebuttal_max * ground.force
            weight = exact(plea.weight * left)
            rebuttals = (f"round {round_number}: {ground.text}; counts x {left:.2f}",)
    return Argument(
        evidence_id=plea.evidence.evidence_id,
        task_id=plea.standing.task_id,
        claim=plea.evidence.claim,
        weight=weight,
        base_weight=plea.weight,
        rebuttals=rebuttals,
    )


def _best_ground(side: str, plea: _Plea, other: Sequence[_Plea], rules: _Rules) -> _Ground | None:
    """The strongest ground against an argument; of equal ones the first in the module's order."""
    same = [p for p in other if p.standing is plea.standing]
    elsewhere = [p for p in other if p.standing is not plea.standing]
    grounds = [
        _contrary(plea, same, 1.0),
        _contrary(plea, elsewhere, rules.policy.other_task_force),
    ]
    if rules.trend == {BULL: "down", BEAR: "up"}[side]:
        grounds.append(_Ground(rules.policy.trend_force, f"the trend is {rules.trend}"))
    grounds.append(_Ground(1.0 - plea.fresh, f"its data are old, fresh to {plea.fresh:.2f}"))
    grounds.append(_thin(plea.standing, rules.gaps))
    found = [ground for ground in grounds if ground is not None and ground.force > 0]
    return max(found, key=lambda ground: ground.force, default=None)


def _contrary(plea: _Plea, others: Sequence[_Plea], scale: float) -> _Ground | None:
    if not others:
        return None
    best = min(others, key=lambda p: p.key)
    force = scale * share(best.weight, best.weight + plea.weight)
    return _Ground(force, f"{best.evidence.evidence_id} says: {best.evidence.claim}")


def _gap_texts(report: ValidationReport) -> Mapping[str, str]:
    """The first gap of each task, in words."""
    texts: dict[str, str] = {}
    for gap in report.gaps:
        texts.setdefault(gap.task_id, f"{gap.source}: {gap.reason}")
    return texts


def _thin(one: Standing, gaps: Mapping[str, str]) -> _Ground:
    detail = f" ({gaps[one.task_id]})" if one.task_id in gaps else ""
    return _Ground(
        1.0 - one.informed, f"{one.task_id} rests on {one.informed:.2f} of its data{detail}"
    )
