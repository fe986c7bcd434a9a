"""The decision chain from end to end: one bundle in, one decision out, no clock and no chance."""

from __future__ import annotations

from collections.abc import Sequence

from sigmax_planner.models import RiskProfile
from sigmax_tasks.models.decision import DebateRecord, Decision, ValidationReport
from sigmax_tasks.models.policy import DecisionPolicy
from sigmax_tasks.models.research import ResearchBundle
from sigmax_tasks.stages.analyse import analyse
from sigmax_tasks.stages.debate import debate
from sigmax_tasks.stages.decide import decide
from sigmax_tasks.stages.privacy import flag_compliance
from sigmax_tasks.stages.risk import assess_risk
from sigmax_tasks.stages.size import size
from sigmax_tasks.stages.standing import Standing, standings
from sigmax_tasks.stages.validate import validate


def run_chain(bundle: ResearchBundle, profile: RiskProfile, policy: DecisionPolicy) -> Decision:
    """validate -> debate -> analyse -> assess_risk -> size -> decide, the debate by rules.

    Raises UnknownNameError where decision.yaml does not know the profile.
    """
    standing = standings(bundle, policy.validation)
    report = validate(bundle, profile, policy, standing)
    record = debate(bundle, report, policy, standing)
    return conclude(bundle, report, record, profile, policy, standing)


def conclude(
    bundle: ResearchBundle,
    report: ValidationReport,
    record: DebateRecord,
    profile: RiskProfile,
    policy: DecisionPolicy,
    standing: Sequence[Standing] | None = None,
) -> Decision:
    """What follows a debate, whoever held it: analyse, assess_risk, privacy, size, decide.

    ``standing`` is that of the bundle's tasks, for who knows it.
    """
    standing = standings(bundle, policy.validation) if standing is None else standing
    analysis = analyse(bundle, report, record, policy, profile, standing)
    risk = flag_compliance(assess_risk(bundle, analysis, policy, standing), bundle, policy.privacy)
    sizing = size(analysis, risk, report, policy, profile)
    return decide(
        bundle,
        report=report,
        record=record,
        analysis=analysis,
        risk=risk,
        sizing=sizing,
        profile=profile,
        policy=policy,
    )
