"""Made recordings in the layout of a replay folder, and their corruption after a moment."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from sigmax_tasks.evaluation.models import StepDecision
from sigmax_tasks.models.decision import Action
from sigmax_tasks.simulator.publication import bar_visible_at, hash_rate_visible_at, published_at

FIRST = date(2021, 1, 1)
DAYS = 640
SERIES = ("DGS10", "DGS2", "T10Y2Y", "VIXCLS", "SP500", "DTWEXBGS", "FEDFUNDS", "M2SL", "WALCL")
DAY_MS = 86_400_000


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def write_recordings(folder: Path, symbols: tuple[str, ...] = ("BTC", "SOL")) -> Path:
    """Candles (daily, and 4h of BTC), mood, hash rate, funding, gold and macro series."""
    for number, base in enumerate(symbols):
        fine = _candles(DAYS * 6, 14_400_000, seed=number)
        if base == "BTC":
            _write(folder / f"ohlcv/4h/{base}_USDT_4h.csv", _CANDLE, fine)
        days = [_merge(fine[i : i + 6]) for i in range(0, len(fine), 6)]
        _write(folder / f"ohlcv/daily/{base}_USDT_1d.csv", _CANDLE, days)
    generator = np.random.default_rng(99)
    dates = [FIRST + timedelta(days=n) for n in range(DAYS)]
    mood = np.clip(50 + np.cumsum(generator.normal(0, 6, DAYS)), 5, 95)
    _write(
        folder / "fear_greed/fear_greed_daily.csv",
        ["date", "value"],
        [[day, int(value)] for day, value in zip(dates, mood, strict=True)],
    )
    rate = 1e8 * np.exp(np.cumsum(generator.normal(0.001, 0.03, DAYS)))
    _write(
        folder / "onchain/btc_hashrate_daily.csv",
        ["date", "hashrate_th_s"],
        zip(dates, rate, strict=True),
    )
    funding = generator.normal(1e-4, 2e-4, DAYS)
    _write(
        folder / "derivatives/btc_perp_funding_daily.csv",
        ["date", "funding_mean", "funding_abs"],
        [[d, f"{f:.8f}", f"{abs(f):.8f}"] for d, f in zip(dates, funding, strict=True)],
    )
    gold = 170 * np.exp(np.cumsum(generator.normal(0, 0.01, DAYS)))
    _write(
        folder / "macro/market/gld_daily.csv",
        ["date", "open", "high", "low", "close", "volume"],
        [
            [d, g, g * 1.01, g * 0.99, g, 1000]
            for d, g in zip(dates, gold, strict=True)
            if d.weekday() < 5
        ],
    )
    for name in SERIES:
        level = 3.0 + np.cumsum(generator.normal(0, 0.05, DAYS))
        monthly = name in {"FEDFUNDS", "M2SL"}
        rows = [
            [day, f"{abs(value) + 0.5:.4f}"]
            for day, value in zip(dates, level, strict=True)
            if (day.day == 1 if monthly else day.weekday() < 5)
        ]
        _write(folder / f"macro/fred/{name}.csv", ["date", "value"], rows)
    return folder


def corrupt_after(source: Path, target: Path, moment: datetime, only: str = "") -> Path:
    """A copy in which everything that was not public at ``moment`` is wildly different.

    ``only`` narrows it to paths that start so. The running candle is corrupted as well.
    """
    shutil.copytree(source, target)
    for path in target.rglob("*.csv"):
        name = path.relative_to(target).as_posix()
        if name.startswith(only):
            _corrupt(path, _is_public(name, moment))
    return target


def _is_public(name: str, moment: datetime) -> Callable[[str], bool]:
    if name.startswith("ohlcv"):
        length = 14_400_000 if "_4h" in name else DAY_MS
        return lambda text: int(text) + length <= ms(moment)

    def visible(text: str) -> datetime:
        day = date.fromisoformat(text)
        if name.startswith("fear_greed"):
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        if name.startswith("onchain"):
            return hash_rate_visible_at(day)
        if name.startswith("derivatives"):
            return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
        if name.startswith("macro/market"):
            return bar_visible_at(day, around_the_clock=False)
        return published_at(Path(name).stem, day)

    return lambda text: visible(text) <= moment


def _corrupt(path: Path, is_public: Callable[[str], bool]) -> None:
    with path.open(newline="") as stream:
        head, *rows = list(csv.reader(stream))
    changed = [row if is_public(row[0]) else _wild(row, path.name) for row in rows]
    _write(path, head, changed)


def _wild(row: list[str], name: str) -> list[str]:
    if name.startswith("fear_greed"):
        return [row[0], "99" if float(row[1]) < 50 else "1"]
    return [row[0], *(str(float(text) * 9.0) if text else text for text in row[1:])]


_CANDLE = ["timestamp_ms", "open", "high", "low", "close", "volume"]


def _candles(count: int, length_ms: int, seed: int) -> list[list[float]]:
    generator = np.random.default_rng(seed)
    closes = 100.0 * (seed + 1) * np.exp(np.cumsum(generator.normal(0.0002, 0.012, count)))
    start = ms(datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC))
    rows = []
    before = closes[0]
    for index, close in enumerate(closes):
        high = max(before, close) * (1 + abs(generator.normal(0, 0.004)))
        low = min(before, close) * (1 - abs(generator.normal(0, 0.004)))
        volume = 1000.0 * (1 + abs(generator.normal()))
        prices = [round(float(v), 4) for v in (before, high, low, close, volume)]
        rows.append([start + index * length_ms, *prices])
        before = prices[3]
    return rows


def _merge(rows: list[list[float]]) -> list[float]:
    return [
        rows[0][0],
        rows[0][1],
        max(row[2] for row in rows),
        min(row[3] for row in rows),
        rows[-1][4],
        round(sum(row[5] for row in rows), 4),
    ]


def _write(path: Path, head: list[str], rows: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(head)
        writer.writerows(rows)  # type: ignore[arg-type]


def step_decision(
    as_of: datetime,
    action: Action = Action.BUY,
    *,
    size: float = 0.1,
    stop: float | None = None,
    target: float | None = None,
    hours: float = 48.0,
    confidence: float = 0.5,
    price: float = 100.0,
) -> StepDecision:
    return StepDecision(
        as_of=as_of,
        action=action,
        confidence=confidence,
        score=0.1,
        size_fraction=size if action is not Action.HOLD else 0.0,
        reference_price=price,
        stop_price=stop,
        take_profit_price=target,
        horizon_hours=hours,
        regime="trending",
        validated=True,
        validation_score=0.9,
    )
