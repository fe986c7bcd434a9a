"""From what was asked to the chunks of an evaluation, and what of them is known already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sigmax_planner.models import Symbol
from sigmax_tasks.errors import EvaluationError
from sigmax_tasks.evaluation import fingerprint
from sigmax_tasks.evaluation.blocks import blocks_of, check_size, steps_between
from sigmax_tasks.evaluation.board import Setup
from sigmax_tasks.evaluation.kept import Kept
from sigmax_tasks.evaluation.market import Grid, grid_of, path_of
from sigmax_tasks.evaluation.market import Path as PricePath
from sigmax_tasks.evaluation.models import ChunkDecisions, Question
from sigmax_tasks.evaluation.recorded_desk import RecordedDesk
from sigmax_tasks.evaluation.walk import Scope, plan_step, recorded_scope
from sigmax_tasks.settings import Settings
from sigmax_tasks.simulator.recorded_files import Recordings

WARM_STEPS = 200
"""Moments before the first one that only warm up the rules of thumb."""


@dataclass(frozen=True)
class Wish:
    """What is to be evaluated. ``only_recorded`` leaves out what the recordings cannot answer."""

    symbols: tuple[Symbol, ...]
    first: datetime
    last: datetime
    step_seconds: int
    profile: str
    folder: Path
    only_recorded: bool = False
    ablation: bool = True


@dataclass(frozen=True)
class Market:
    """Prices of one symbol: what positions live through, and the moments of its decisions."""

    path: PricePath
    grid: Grid


@dataclass(frozen=True)
class Outline:
    """Questions in order of time; ``without_data`` are symbols with no candle in the span."""

    wish: Wish
    setup: Setup
    questions: tuple[Question, ...]
    markets: Mapping[Symbol, Market]
    without_data: tuple[Symbol, ...]

    def known(self, kept: Kept) -> dict[int, ChunkDecisions]:
        """What need not be asked, by the place of its question."""
        found = {}
        for number, question in enumerate(self.questions):
            decisions = kept.decisions(question.decisions_key)
            if decisions is not None:
                found[number] = decisions
        return found


def outline(wish: Wish, settings: Settings) -> Outline:
    """Check what is asked and cut it into chunks; :class:`EvaluationError` where it cannot be."""
    steps = steps_between(wish.first, wish.last, wish.step_seconds)
    check_size(len(wish.symbols), len(steps))
    recordings = Recordings(wish.folder)
    markets: dict[Symbol, Market] = {}
    for symbol in wish.symbols:
        path = path_of(recordings, symbol)
        grid = grid_of(
            path, _ms(steps[0]), _ms(steps[-1]), wish.step_seconds, warm_steps=WARM_STEPS
        )
        if grid is not None:
            markets[symbol] = Market(path, grid)
    if not markets:
        raise EvaluationError(
            f"no candles of {', '.join(wish.symbols)} between {steps[0]:%Y-%m-%d} and "
            f"{steps[-1]:%Y-%m-%d} are recorded in {wish.folder}"
        )
    digest = fingerprint.digest_of(wish.folder)
    base = fingerprint.research_base(settings, digest)
    desk = RecordedDesk(settings.sources, wish.folder)
    questions: list[Question] = []
    for symbol, market in markets.items():
        mine = _live_steps(steps, market.grid)
        scope = None
        if wish.only_recorded:
            whole = plan_step(settings, symbol, wish.profile, mine[-1], None)
            scope = recorded_scope(settings, desk, whole, mine[-1])
        questions += _questions(wish, settings, symbol, mine, scope, base)
    questions.sort(key=lambda question: (question.steps[0], question.symbol))
    return Outline(
        wish=wish,
        setup=Setup(
            settings=settings.snapshot,
            settings_hash=settings.snapshot_hash,
            folder=str(wish.folder.resolve()),
            recordings=digest,
        ),
        questions=tuple(questions),
        markets=markets,
        without_data=tuple(s for s in wish.symbols if s not in markets),
    )


def _questions(
    wish: Wish,
    settings: Settings,
    symbol: Symbol,
    steps: Sequence[datetime],
    scope: Scope | None,
    base: str,
) -> list[Question]:
    found = []
    profile = settings.planning.profile(wish.profile)
    needs = None if scope is None else dict(scope.needs)
    blocks = blocks_of(steps, wish.step_seconds, settings.runtime.evaluation.chunk_steps)
    for block in blocks:
        plan = plan_step(settings, symbol, wish.profile, block[0], scope)
        if not plan.tasks:
            raise EvaluationError(f"nothing that {symbol} is researched by is recorded")
        moments = [step.isoformat() for step in block]
        keys = fingerprint.task_keys(base, plan, symbol, moments, needs)
        found.append(
            Question(
                symbol=symbol,
                profile=wish.profile,
                steps=block,
                scope=needs,
                task_keys=keys,
                decisions_key=fingerprint.decisions_key(
                    keys, plan, profile, settings, ablation=wish.ablation
                ),
                ablation=wish.ablation,
            )
        )
    return found


def _live_steps(steps: Sequence[datetime], grid: Grid) -> list[datetime]:
    """The steps of the grid that something follows."""
    moments = {int(at) for at in grid.live_times_ms[:-1]}
    return [step for step in steps if _ms(step) in moments]


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
