"""What an evaluation says: figures with intervals, comparisons, calibration. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sigmax_tasks.evaluation.market import FloatArray
from sigmax_tasks.evaluation.metrics import Figures
from sigmax_tasks.evaluation.uncertainty import Deflated, Interval
from sigmax_tasks.stages.calibrate import ReliabilityBin
from sigmax_tasks.stages.monotone import MonotoneMap


@dataclass(frozen=True)
class Row:
    """One line of the table: a strategy with its figures and 95 % intervals."""

    name: str
    figures: Figures
    annual_return: Interval | None
    sharpe: Interval | None
    max_drawdown: Interval | None
    returns: FloatArray


@dataclass(frozen=True)
class Group:
    """Figures of a part: a symbol, a year. ``trades_only``: there are no curves of a regime."""

    kind: str
    name: str
    figures: Figures
    trades_only: bool = False


@dataclass(frozen=True)
class RandomRule:
    """The same trades at random moments. ``better`` is the share of drawings at or above ours."""

    drawings: int
    sharpe_median: float | None
    sharpe_low: float | None
    sharpe_high: float | None
    return_median: float
    better_sharpe: float | None
    better_return: float
    median_returns: FloatArray


@dataclass(frozen=True)
class Reliability:
    """Confidence against what happened. ``base_brier`` is always saying the share that gained.

    ``unseen`` are decisions made after enough outcomes were known to calibrate on: their
    ``calibrated_brier`` is of maps fitted on outcomes before each decision only, as is
    ``past_base_brier``, that of always saying the share known so far. ``bins`` and
    ``calibrated_bins`` are of the unseen ones.
    """

    outcomes: int
    hit_rate: float | None
    brier: float | None
    base_brier: float | None
    unseen: int
    unseen_brier: float | None
    calibrated_brier: float | None
    past_base_brier: float | None
    bins: tuple[ReliabilityBin, ...]
    calibrated_bins: tuple[ReliabilityBin, ...]
    final_map: MonotoneMap | None
    fitted_until: datetime | None


@dataclass(frozen=True)
class Ablated:
    """The strategy without the opinion of one task.

    ``sharpe_added`` is the Sharpe ratio with it minus that without, and its interval;
    ``per_dollar`` and ``per_second`` divide it by what the catalogue estimates for the task.
    """

    task_id: str
    sharpe_without: float | None
    return_without: float | None
    trades_without: int
    sharpe_added: float | None
    interval: Interval | None
    cost_usd: float
    seconds: float
    measured_seconds: float | None

    @property
    def per_dollar(self) -> float | None:
        if self.sharpe_added is None or self.cost_usd <= 0:
            return None
        return self.sharpe_added / self.cost_usd

    @property
    def per_second(self) -> float | None:
        if self.sharpe_added is None or self.seconds <= 0:
            return None
        return self.sharpe_added / self.seconds


@dataclass(frozen=True)
class Assessment:
    """All of it. ``times_ms`` are the moments that the curves start their steps at, and the end.

    ``against_hold`` is the interval of the Sharpe ratio minus that of buy and hold.
    """

    symbols: tuple[str, ...]
    profile: str
    first: datetime
    last: datetime
    step_seconds: int
    only_recorded: bool
    decisions: int
    actions: dict[str, int]
    validated: int
    times_ms: tuple[int, ...]
    rows: tuple[Row, ...]
    groups: tuple[Group, ...]
    random: RandomRule
    against_hold: Interval | None
    deflated: Deflated | None
    reliability: Reliability
    ablation: tuple[Ablated, ...]
    costs: tuple[str, ...]
    notes: tuple[str, ...]
    verdict: str

    @property
    def ours(self) -> Row:
        return self.rows[0]
