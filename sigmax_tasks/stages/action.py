"""Which action the score asks for, before anything is sized."""

from __future__ import annotations

from sigmax_tasks.models.decision import Action, Analysis, RiskAssessment, ValidationReport
from sigmax_tasks.models.policy import ProfilePolicy


def wanted_action(analysis: Analysis, limits: ProfilePolicy) -> Action:
    """BUY from ``buy_threshold`` up, SELL from minus that down, else HOLD."""
    if analysis.score >= limits.buy_threshold:
        return Action.BUY
    if analysis.score <= -limits.buy_threshold:
        return Action.SELL
    return Action.HOLD


def allowed_action(
    analysis: Analysis, risk: RiskAssessment, report: ValidationReport, limits: ProfilePolicy
) -> Action:
    """What the score asks for, or HOLD where validation failed or any veto stands."""
    if not report.passed or risk.vetoes:
        return Action.HOLD
    return wanted_action(analysis, limits)
