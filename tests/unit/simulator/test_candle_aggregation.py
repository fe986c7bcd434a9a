from __future__ import annotations

from pathlib import Path

import pytest

from sigmax_tasks.candles import (
    TIMEFRAME_SECONDS,
    CandleRow,
    aggregate_candles,
    bucket_start_ms,
    timeframe_seconds,
)

HOUR = 3_600_000
DAY = 24 * HOUR
MONDAY = 1_731_283_200_000  # 2024-11-11 00:00 UTC


def hours(first: int, count: int, skip: tuple[int, ...] = ()) -> list[CandleRow]:
    return [
        (first + n * HOUR, 10.0 + n, 20.0 + n, 5.0 - n / 100, 11.0 + n, 2.0)
        for n in range(count)
        if n not in skip
    ]


def test_a_bucket_takes_first_open_highest_lowest_last_close_and_the_sum() -> None:
    rows = aggregate_candles(hours(MONDAY, 4), 3600, 14_400)
    assert rows == [(MONDAY, 10.0, 23.0, 4.97, 14.0, 8.0)]


def test_incomplete_buckets_are_left_out_at_both_ends_and_inside() -> None:
    rows = aggregate_candles(hours(MONDAY + 2 * HOUR, 14, skip=(4,)), 3600, 14_400)
    assert [row[0] for row in rows] == [MONDAY + 8 * HOUR, MONDAY + 12 * HOUR]


def test_incomplete_buckets_are_kept_on_request() -> None:
    rows = aggregate_candles(
        hours(MONDAY + 2 * HOUR, 14, skip=(4,)), 3600, 14_400, require_complete=False
    )
    assert [(row[0] - MONDAY) // HOUR for row in rows] == [0, 4, 8, 12]
    assert [row[5] for row in rows] == [4.0, 6.0, 8.0, 8.0]


def test_weeks_start_on_monday() -> None:
    rows = aggregate_candles(hours(MONDAY - 30 * HOUR, 24 * 9), 3600, 604_800)
    assert [row[0] for row in rows] == [MONDAY]
    assert bucket_start_ms(MONDAY - 1, 604_800) == MONDAY - 7 * DAY
    assert bucket_start_ms(0, 604_800) == -3 * DAY


@pytest.mark.parametrize(("fine", "coarse"), [(3600, 5400), (3600, 60), (0, 60), (60, -60)])
def test_time_frames_that_do_not_fit_are_refused(fine: int, coarse: int) -> None:
    with pytest.raises(ValueError, match="cannot make"):
        aggregate_candles([], fine, coarse)


def test_rows_out_of_order_or_off_the_grid_are_refused() -> None:
    good = hours(MONDAY, 2)
    with pytest.raises(ValueError, match="must rise"):
        aggregate_candles([good[1], good[0]], 3600, 14_400)
    with pytest.raises(ValueError, match="must rise"):
        aggregate_candles([good[0], good[0]], 3600, 14_400)
    with pytest.raises(ValueError, match="not a multiple"):
        aggregate_candles([(MONDAY + 1, *good[0][1:])], 3600, 14_400)


def test_time_frame_names() -> None:
    assert timeframe_seconds("4h") == 14_400
    assert list(TIMEFRAME_SECONDS.values()) == sorted(TIMEFRAME_SECONDS.values())
    with pytest.raises(ValueError, match="known: 1m"):
        timeframe_seconds("3q")


def _read(path: Path) -> list[CandleRow]:
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    return [
        (int(t), float(o), float(h), float(low), float(c), float(v)) for t, o, h, low, c, v in rows
    ]


@pytest.mark.parametrize("base", ["BTC", "ETH", "SOL"])
def test_real_hours_make_the_real_four_hours(shared_data: Path, base: str) -> None:
    fine = _read(shared_data / "ohlcv" / "hourly" / f"{base}_USDT_1h_2024.csv")
    coarse = {r[0]: r for r in _read(shared_data / "ohlcv" / "4h" / f"{base}_USDT_4h.csv")}
    made = aggregate_candles(fine, 3600, 14_400)
    common = [row for row in made if row[0] in coarse]
    assert len(common) > 1_400
    assert len(common) == len(made)
    for row in common:
        real = coarse[row[0]]
        assert row[:5] == real[:5]
        assert row[5] == pytest.approx(real[5], rel=1e-6)
