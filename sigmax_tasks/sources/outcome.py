"""What one request tells all workers about its provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sigmax_tasks.errors import (
    NotOfferedError,
    RateLimitedError,
    SourceError,
    TransientSourceError,
    WrongQuestionError,
)
from sigmax_tasks.redact import redact
from sigmax_tasks.settings.sources import ProviderSettings, SourceSettings
from sigmax_tasks.sources.transport import OfflineError

OutcomeKind = Literal["answered", "failed", "hung", "refused", "unknown", "unsent"]
"""``refused``: told to slow down; ``unknown``: not the provider's doing, or nobody knows."""

_LONGEST_WAIT_SECONDS = 86_400.0


@dataclass(frozen=True)
class Outcome:
    """What became of a request. ``cool_seconds`` above 0 keeps all workers away for so long."""

    kind: OutcomeKind
    problem: str = ""
    cool_seconds: float = 0.0
    used_weight: int | None = None


def outcome_of(error: SourceError, settings: SourceSettings, *, hung: bool) -> Outcome:
    """What a failed request tells all workers about its provider."""
    stated = error.retry_after_seconds if isinstance(error, TransientSourceError) else None
    problem = redact(error.problem).text
    if isinstance(error, OfflineError):
        return Outcome("unknown", problem)  # it is this worker that has no network
    if isinstance(error, RateLimitedError):
        cool = settings.quota.cool_down_seconds if stated is None else stated
        return Outcome("refused", problem, cool)
    if isinstance(error, TransientSourceError):
        return Outcome("hung" if hung else "failed", problem, stated or 0.0)
    # That it does not have what was asked for says nothing about the provider.
    asked_wrong = isinstance(error, WrongQuestionError | NotOfferedError)
    return Outcome("answered", "" if asked_wrong else problem)


def answer_outcome(
    provider: ProviderSettings,
    headers: Mapping[str, str],
    error: SourceError | None,
    settings: SourceSettings,
) -> Outcome:
    """What a complete answer tells all workers: its refusal if it is one, and its headers."""
    outcome = outcome_of(error, settings, hung=False) if error is not None else Outcome("answered")
    used = _number(headers, provider.used_weight_header)
    cool, why = outcome.cool_seconds, outcome.problem
    left = _number(headers, provider.remaining_header)
    reset = _number(headers, provider.reset_header)
    if left is not None and reset is not None and left < 1 and cool <= 0:
        cool, why = min(max(0.0, reset), _LONGEST_WAIT_SECONDS), "its limit is used up"
    return Outcome(outcome.kind, why, cool, None if used is None else int(used))


def _number(headers: Mapping[str, str], name: str | None) -> float | None:
    """A plain number of that header; None where there is none."""
    text = headers.get(name, "").strip() if name else ""
    return float(text) if text.replace(".", "", 1).isdigit() and len(text) <= 15 else None
