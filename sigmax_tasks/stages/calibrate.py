"""calibrate: how well earlier confidences matched what happened (D11).

Only BUY and SELL decisions with a known outcome count; HOLD is neither right nor wrong. A
decision that was made several times (same hash) counts once. Brier, G. W. (1950), Verification of
forecasts expressed in terms of probability: the mean of (confidence - outcome)^2 with outcome 1
for a gain, else 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sigmax_planner.models import DataMode
from sigmax_tasks.models.decision import Calibration
from sigmax_tasks.models.journal import JournalEntry

MIN_OUTCOMES = 20
"""Below this many outcomes no calibration is shown beside a confidence."""

BINS = 10
"""Confidences are grouped by tenths."""


@dataclass(frozen=True)
class Judged:
    """A confidence and whether the decision gained."""

    confidence: float
    correct: bool


@dataclass(frozen=True)
class ReliabilityBin:
    """Decisions with a confidence in [low, high), the last bin in [low, high]."""

    low: float
    high: float
    n: int
    mean_confidence: float
    hit_rate: float


@dataclass(frozen=True)
class TrackRecord:
    """The outcomes of one kind of data, profile and horizon.

    ``base_brier`` is the score of always saying ``hit_rate``; a confidence that tells good
    decisions from bad ones has a lower ``brier``. The rates are None where ``n`` is 0. ``held``
    are resolved HOLD decisions, ``open`` those without an outcome yet, ``repeated`` those left
    out because they repeat another. ``mean_return`` is per decision, before fees.
    """

    data_mode: DataMode
    profile: str
    horizon_hours: float
    n: int
    held: int
    open: int
    repeated: int
    hit_rate: float | None
    brier: float | None
    base_brier: float | None
    mean_return: float | None
    bins: tuple[ReliabilityBin, ...]


def brier(judged: Sequence[Judged]) -> float:
    """Mean squared distance of confidence and outcome; ValueError for none."""
    if not judged:
        raise ValueError("no outcome to score")
    return math.fsum((j.confidence - float(j.correct)) ** 2 for j in judged) / len(judged)


def hit_rate(judged: Sequence[Judged]) -> float:
    """Share that gained; ValueError for none."""
    if not judged:
        raise ValueError("no outcome to count")
    return sum(j.correct for j in judged) / len(judged)


def bin_of(confidence: float) -> int:
    """0 for [0, 0.1) up to 9 for [0.9, 1]."""
    # 0.3 x 10 is 3 but 0.7 x 10 can fall just short of 7: round away what a float cannot hold.
    return min(BINS - 1, int(round(confidence * BINS, 9)))


def reliability(judged: Sequence[Judged]) -> tuple[ReliabilityBin, ...]:
    """The bins that hold something, lowest confidence first."""
    found = []
    for number in range(BINS):
        members = [j for j in judged if bin_of(j.confidence) == number]
        if members:
            found.append(
                ReliabilityBin(
                    low=number / BINS,
                    high=(number + 1) / BINS,
                    n=len(members),
                    mean_confidence=math.fsum(j.confidence for j in members) / len(members),
                    hit_rate=hit_rate(members),
                )
            )
    return tuple(found)


def calibrate(
    history: Iterable[JournalEntry], entry: JournalEntry, *, at_least: int = MIN_OUTCOMES
) -> Calibration | None:
    """What is known about confidences like that of ``entry``; None below ``at_least`` outcomes.

    Of ``history`` only the same data mode, profile and horizon counts, and only what had ended by
    the time of ``entry``: a replayed decision does not learn from its future.
    """
    alike = [
        other
        for other in history
        if _group(other) == _group(entry) and known_at(other, entry.as_of)
    ]
    judged = [_judged(other) for other in distinct(alike) if counts(other)]
    if len(judged) < at_least:
        return None
    near = [j for j in judged if bin_of(j.confidence) == bin_of(entry.confidence)]
    return Calibration(
        n=len(judged),
        hit_rate=round(hit_rate(judged), 4),
        brier=round(brier(judged), 4),
        hit_rate_at_this_confidence=round(hit_rate(near), 4) if near else None,
        n_at_this_confidence=len(near),
    )


def track_records(history: Iterable[JournalEntry]) -> tuple[TrackRecord, ...]:
    """One record per data mode, profile and horizon; live, replayed and simulated never mix."""
    groups: dict[tuple[DataMode, str, float], list[JournalEntry]] = {}
    for entry in history:
        groups.setdefault(_group(entry), []).append(entry)
    return tuple(_track_record(groups[key]) for key in sorted(groups))


def _track_record(entries: Sequence[JournalEntry]) -> TrackRecord:
    first = entries[0]
    once = distinct(entries)
    counted = [entry for entry in once if counts(entry)]
    judged = [_judged(entry) for entry in counted]
    rate = hit_rate(judged) if judged else None
    returns = [entry.outcome.return_fraction for entry in counted if entry.outcome is not None]
    return TrackRecord(
        data_mode=first.data_mode,
        profile=first.profile,
        horizon_hours=first.horizon_hours,
        n=len(judged),
        held=sum(entry.outcome is not None for entry in once) - len(judged),
        open=sum(entry.outcome is None for entry in once),
        repeated=len(entries) - len(once),
        hit_rate=rate,
        brier=brier(judged) if judged else None,
        base_brier=rate * (1.0 - rate) if rate is not None else None,
        mean_return=math.fsum(returns) / len(returns) if returns else None,
        bins=reliability(judged),
    )


def distinct(entries: Iterable[JournalEntry]) -> list[JournalEntry]:
    """Each decision once, where there are several with an outcome if any has one."""
    found: dict[tuple[str, ...], JournalEntry] = {}
    for entry in entries:
        key = (entry.book, entry.decision_hash or entry.run_id)
        if key not in found or (found[key].outcome is None and entry.outcome is not None):
            found[key] = entry
    return list(found.values())


def known_at(entry: JournalEntry, moment: datetime) -> bool:
    """Whether what followed ``entry`` had happened by ``moment`` of the market."""
    return entry.outcome is not None and entry.ends_at <= moment


def _group(entry: JournalEntry) -> tuple[DataMode, str, float]:
    return entry.data_mode, entry.profile, entry.horizon_hours


def counts(entry: JournalEntry) -> bool:
    """Whether it is known if the decision gained; a HOLD neither gains nor loses."""
    return entry.outcome is not None and entry.outcome.correct is not None


def _judged(entry: JournalEntry) -> Judged:
    correct = entry.outcome is not None and bool(entry.outcome.correct)
    return Judged(entry.confidence, correct)
