"""What is kept of a decision for good, and what the market did afterwards."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from pydantic import Field

from sigmax_planner.models import DataMode, Message, Symbol, UtcTime
from sigmax_tasks.models.decision import Action, RunRecord


class Hit(StrEnum):
    """What ended a position: one of its levels, or its horizon."""

    TARGET = "target"
    STOP = "stop"
    HORIZON = "horizon"


class Outcome(Message):
    """What followed a decision, before fees.

    ``return_fraction`` is that of the position (a fall is a gain for a SELL), for a HOLD that of
    the price. ``correct`` says whether it gained; None for a HOLD, which is neither right nor
    wrong. ``exit_at`` is the close of the candle in which it ended, ``resolved_at`` when this was
    filled in, ``candles`` the provider and time frame it rests on.
    """

    resolved_at: UtcTime
    exit_at: UtcTime
    exit_price: float = Field(gt=0)
    return_fraction: float
    hit: Hit
    correct: bool | None
    candles: str = ""


class JournalEntry(Message):
    """One decision. ``size`` is a share of equity; prices are in the quote currency.

    ``as_of`` is the time of the market, ``decided_at`` that of the wall clock. ``contributions``
    is what each task added to the score, ``gaps`` what the decision was made without, as
    ``task: source``. ``seed`` is that of a simulated market.
    """

    run_id: str
    symbol: Symbol
    profile: str
    data_mode: DataMode
    simulated: bool
    seed: int | None = None
    as_of: UtcTime
    decided_at: UtcTime
    action: Action
    confidence: float = Field(ge=0, le=1)
    score: float = Field(ge=-1, le=1)
    size: float = Field(ge=0, le=1)
    validated: bool
    reference: float | None = None
    stop: float | None = None
    target: float | None = None
    horizon_hours: float = Field(gt=0)
    decision_hash: str
    settings_hash: str
    contributions: dict[str, float] = Field(default_factory=dict)
    gaps: tuple[str, ...] = ()
    outcome: Outcome | None = None

    @classmethod
    def of(cls, record: RunRecord, seed: int | None) -> Self:
        """The entry of a finished run, without an outcome."""
        decision = record.decision
        return cls(
            run_id=record.run_id,
            symbol=decision.symbol,
            profile=decision.risk_profile,
            data_mode=decision.data_mode,
            simulated=decision.simulated,
            seed=seed,
            as_of=decision.as_of,
            decided_at=record.finished_at,
            action=decision.action,
            confidence=decision.confidence,
            score=decision.score,
            size=decision.size_fraction,
            validated=decision.validation.passed,
            reference=decision.reference_price,
            stop=decision.stop_price,
            target=decision.take_profit_price,
            horizon_hours=decision.horizon_hours,
            decision_hash=decision.decision_hash,
            settings_hash=record.settings_hash,
            contributions={
                part.task_id: part.contribution for part in decision.analysis.contributions
            },
            gaps=tuple(
                dict.fromkeys(f"{gap.task_id}: {gap.source}" for gap in decision.validation.gaps)
            ),
        )

    @property
    def ends_at(self) -> datetime:
        """When its horizon has passed."""
        return self.as_of + timedelta(hours=self.horizon_hours)

    @property
    def book(self) -> str:
        """Decisions that may be compared with each other: one market, profile and kind of data."""
        seed = "-" if self.seed is None else str(self.seed)
        return f"{self.data_mode.value}:{seed}:{self.profile}:{self.symbol}"

    @property
    def can_be_resolved(self) -> bool:
        """Without a price to start from nothing can be said about what followed."""
        return self.reference is not None
