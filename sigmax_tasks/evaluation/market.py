"""What the market did: candles of one symbol, and the grid of moments it is looked at."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sigmax_tasks.candles import CandleRow
from sigmax_tasks.errors import EvaluationError
from sigmax_tasks.simulator.recorded_files import Recordings
from sigmax_tasks.simulator.world import NotRecorded

FloatArray = npt.NDArray[np.float64]

_FINEST_SECONDS = 14_400
"""Candles finer than four hours are used only where there are no others: they have gaps."""


@dataclass(frozen=True)
class Path:
    """Candles of ``seconds`` each, oldest first: what a position lives through."""

    seconds: int
    rows: tuple[CandleRow, ...]
    opens_ms: tuple[int, ...]

    @classmethod
    def of(cls, rows: Sequence[CandleRow], seconds: int) -> Path:
        return cls(seconds, tuple(rows), tuple(row[0] for row in rows))

    def close_at(self, time_ms: int) -> float | None:
        """Close of the last candle that was complete by then; None before the first."""
        count = bisect_right(self.opens_ms, time_ms - self.seconds * 1000)
        return self.rows[count - 1][4] if count else None

    def between(self, start_ms: int, end_ms: int) -> tuple[CandleRow, ...]:
        """Candles that open at or after ``start_ms`` and are complete by ``end_ms``."""
        low = bisect_left(self.opens_ms, start_ms)
        high = bisect_right(self.opens_ms, end_ms - self.seconds * 1000)
        return self.rows[low:high]


@dataclass(frozen=True)
class Grid:
    """The steps of a symbol and what each step brought, for itself and for the rules of thumb.

    ``times_ms`` are n + 1 moments, ``closes`` the prices at them; ``highs`` and ``lows`` are of the
    span before each. The first ``warm`` moments only warm up indicators.
    """

    times_ms: npt.NDArray[np.int64]
    closes: FloatArray
    highs: FloatArray
    lows: FloatArray
    warm: int

    @property
    def live_times_ms(self) -> npt.NDArray[np.int64]:
        return self.times_ms[self.warm :]

    @property
    def live_closes(self) -> FloatArray:
        return self.closes[self.warm :]


def path_of(recordings: Recordings, symbol: str) -> Path:
    """The finest usable recording of a symbol; :class:`EvaluationError` where there is none.

    The coarsest is taken whose length is at most four hours, else the finest there is.
    """
    base, _, quote = symbol.partition("/")
    grains = sorted(recordings.candle_files.get((base, quote), {}))
    if not grains:
        raise EvaluationError(f"no candles of {symbol} are recorded in {recordings.folder}")
    best: Path | None = None
    for grain in sorted(grains, key=lambda g: (g > _FINEST_SECONDS, abs(g - _FINEST_SECONDS))):
        try:
            rows = recordings.candles(base, quote, grain)
        except NotRecorded as error:
            raise EvaluationError(f"the candles of {symbol} cannot be used: {error}") from error
        if rows and (best is None or _reaches_further(rows, grain, best)):
            best = Path.of(rows, grain)
    if best is None:
        raise EvaluationError(f"the candles of {symbol} in {recordings.folder} are empty")
    return best


def _reaches_further(rows: Sequence[CandleRow], seconds: int, best: Path) -> bool:
    """Whether a recording covers clearly more time than the one in hand."""
    span = rows[-1][0] + seconds * 1000 - rows[0][0]
    have = best.rows[-1][0] + best.seconds * 1000 - best.rows[0][0]
    return span > have * 1.05


def grid_of(
    path: Path, first_ms: int, last_ms: int, step_seconds: int, *, warm_steps: int
) -> Grid | None:
    """The grid from ``first_ms`` to one step after ``last_ms``, as far as the candles go.

    Starts later where the candles do; None where less than two moments are left.
    """
    step = step_seconds * 1000
    starts = path.opens_ms[0] + path.seconds * 1000
    ends = path.opens_ms[-1] + path.seconds * 1000
    while first_ms < starts:
        first_ms += step
    times = [t for t in range(first_ms, last_ms + step + 1, step) if t <= ends]
    if len(times) < 2:
        return None
    warm = [t for t in range(first_ms - warm_steps * step, first_ms, step) if t - step >= starts]
    every = [*warm, *times]
    closes = [path.close_at(t) for t in every]
    highs, lows = [], []
    for at, close in zip(every, closes, strict=True):
        rows = path.between(at - step, at)
        highs.append(max((row[2] for row in rows), default=close))
        lows.append(min((row[3] for row in rows), default=close))
    return Grid(
        np.array(every, dtype=np.int64),
        np.array(closes, dtype=np.float64),
        np.array(highs, dtype=np.float64),
        np.array(lows, dtype=np.float64),
        len(warm),
    )
