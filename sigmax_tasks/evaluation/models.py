"""The messages of an evaluation: what is asked, what a chunk answers, what is kept."""

from __future__ import annotations

from pydantic import Field

from sigmax_planner.models import Message, Symbol, UtcTime
from sigmax_tasks.models.decision import Action
from sigmax_tasks.models.research import TaskOutcome


class StepDecision(Message):
    """One decision of the walk, without its reasons. Prices in the quote currency."""

    as_of: UtcTime
    action: Action
    confidence: float
    score: float
    size_fraction: float
    reference_price: float | None
    stop_price: float | None
    take_profit_price: float | None
    horizon_hours: float
    regime: str
    validated: bool
    validation_score: float
    decision_hash: str = ""


class TaskBlock(Message):
    """The outcomes of one task over the steps of a block, in their order.

    ``key`` is the hash of everything they rest on. ``seconds`` is the time they took together.
    """

    task_id: str
    key: str
    outcomes: tuple[TaskOutcome, ...]
    seconds: float = Field(ge=0)


class Question(Message):
    """What one chunk is about: the steps of one block for one symbol.

    ``task_keys`` are the keys of the findings by task id, ``decisions_key`` that of the decisions;
    ``scope`` is that of :class:`sigmax_tasks.evaluation.walk.Scope`, None for the plan as it is.
    """

    symbol: Symbol
    profile: str
    steps: tuple[UtcTime, ...]
    scope: dict[str, tuple[str, ...]] | None = None
    task_keys: dict[str, str]
    decisions_key: str
    ablation: bool = True


class ChunkDecisions(Message):
    """The decisions of a chunk, and those with one task's opinion left out, in step order.

    ``task_seconds`` is what the findings of each task took when they were made.
    """

    key: str
    symbol: Symbol
    decisions: tuple[StepDecision, ...]
    without: dict[str, tuple[StepDecision, ...]] = Field(default_factory=dict)
    task_seconds: dict[str, float] = Field(default_factory=dict)


class ChunkAnswer(Message):
    """What a worker gives back: the decisions, and the findings that were not known before.

    ``error`` is one sentence where the chunk could not be worked on at all; then the rest is empty.
    """

    decisions: ChunkDecisions | None = None
    blocks: tuple[TaskBlock, ...] = ()
    seconds: float = Field(default=0.0, ge=0)
    worker: str = ""
    error: str = ""
