"""Recordings on disk: found once, parsed when first wanted, kept.

A file is only ever chosen from the list found at the start, never by a name from a request. A file
with a row that cannot be used is refused as a whole, with its name, the line and the number of such
rows: a hole in a price series would be worse than none.
"""

from __future__ import annotations

import csv
import re
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import pairwise
from math import inf, isfinite
from pathlib import Path
from typing import Final, TypeVar

from sigmax_tasks.candles import TIMEFRAME_SECONDS, CandleRow, bucket_start_ms
from sigmax_tasks.simulator.world import NotRecorded

_CANDLES: Final = re.compile(
    r"([A-Z0-9]{1,20})_([A-Z0-9]{1,10})_(" + "|".join(TIMEFRAME_SECONDS) + r")(?:_\w{1,60})?\.csv"
)
_CANDLE_HEADER: Final = ["timestamp_ms", "open", "high", "low", "close", "volume"]

_YEAR_2100_MS: Final = 4_102_444_800_000

DayRow = tuple[date, tuple[float | None, ...]]
_Found = TypeVar("_Found")


class Recordings:
    """A folder laid out as README.md of the recordings says. Safe for threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.candle_files: dict[tuple[str, str], dict[int, list[Path]]] = {}
        for path in sorted((folder / "ohlcv").glob("*/*.csv")):
            found = _CANDLES.fullmatch(path.name)
            if found is not None:
                grains = self.candle_files.setdefault((found[1], found[2]), {})
                grains.setdefault(TIMEFRAME_SECONDS[found[3]], []).append(path)
        self.series_files = {path.stem: path for path in (folder / "macro" / "fred").glob("*.csv")}
        self.refused_rows = 0
        self._lock = threading.Lock()
        self._parsed: dict[object, object] = {}
        self._errors: dict[object, NotRecorded] = {}

    def candles(self, base: str, quote: str, seconds: int) -> list[CandleRow]:
        """All files of a market and grain together; the first file wins where two overlap."""
        paths = self.candle_files.get((base, quote), {}).get(seconds, [])
        return self._once(("candles", base, quote, seconds), lambda: self._merge(paths, seconds))

    def first_close_ms(self, base: str, quote: str) -> int | None:
        """When the market's first recorded candle closed; None when no file has a usable start."""
        return self._once(("first", base, quote), lambda: self._first_close(base, quote))

    def days(self, *parts: str, columns: tuple[str, ...]) -> list[DayRow]:
        """A daily file: dates and the named columns; an empty field is None."""
        path = self.folder.joinpath(*parts)
        return self._once(("days", path, columns), lambda: self._daily(path, columns))

    def _once(self, key: object, make: Callable[[], _Found]) -> _Found:
        with self._lock:
            if key in self._errors:
                raise self._errors[key]
            if key not in self._parsed:
                try:
                    self._parsed[key] = make()
                except NotRecorded as error:
                    self._errors[key] = error
                    raise
            return self._parsed[key]  # type: ignore[return-value]  # stored under the same key

    def _merge(self, paths: list[Path], seconds: int) -> list[CandleRow]:
        parts = [part for path in paths if (part := self._candle_rows(path, seconds))]
        in_turn = sorted(parts, key=lambda part: part[0][0])
        if all(early[-1][0] < late[0][0] for early, late in pairwise(in_turn)):
            return [row for part in in_turn for row in part]
        rows: dict[int, CandleRow] = {}
        for row in (row for part in parts for row in part):
            rows.setdefault(row[0], row)
        return [rows[time] for time in sorted(rows)]

    def _candle_rows(self, path: Path, seconds: int) -> list[CandleRow]:
        quick = self._quick_rows(path, seconds)
        if quick is not None:
            return quick
        rows: list[CandleRow] = []
        bad: list[tuple[int, str]] = []
        seen: set[int] = set()
        for line, fields in self._lines(path, _CANDLE_HEADER):
            try:
                time, o, h, low, c, v = fields
                row = (int(time), float(o), float(h), float(low), float(c), float(v))
            except ValueError:
                bad.append((line, "not six numbers"))
                continue
            reason = "the time comes twice" if row[0] in seen else _fault_of(row, seconds)
            seen.add(row[0])
            if reason is None:
                rows.append(row)
            else:
                bad.append((line, reason))
        self._refuse(path, bad)
        return sorted(rows)

    def _quick_rows(self, path: Path, seconds: int) -> list[CandleRow] | None:
        """The rows of a faultless file; None sends the file to the reader that names faults."""
        try:
            text = path.read_text(encoding="utf-8")
            head, _, body = text.partition("\n")
            lines = body.split()
            if head.strip().split(",") != _CANDLE_HEADER:
                return None
            if any(line.count(",") != len(_CANDLE_HEADER) - 1 for line in lines):
                return None
            numbers = iter(map(float, ",".join(lines).split(","))) if lines else iter(())
        except (OSError, UnicodeDecodeError):
            return None
        try:
            table = list(zip(*[numbers] * len(_CANDLE_HEADER), strict=True))
            rows: list[CandleRow] = [(int(t), o, h, low, c, v) for t, o, h, low, c, v in table]
        except (ValueError, OverflowError):
            return None
        rows.sort()
        if any(early[0] == late[0] for early, late in pairwise(rows)):
            return None
        length, origin = seconds * 1000, bucket_start_ms(0, seconds) % (seconds * 1000)
        fine = all(
            0 < low <= o <= h < inf
            and low <= c <= h
            and 0 <= v < inf
            and t % length == origin
            and 0 < t < _YEAR_2100_MS
            for t, o, h, low, c, v in table
        )
        return rows if fine else None

    def _daily(self, path: Path, columns: tuple[str, ...]) -> list[DayRow]:
        rows: list[DayRow] = []
        bad: list[tuple[int, str]] = []
        for line, fields in self._lines(path, ["date", *columns]):
            try:
                day = date.fromisoformat(fields[0])
                values = tuple(float(text) if text.strip() else None for text in fields[1:])
            except (ValueError, IndexError):
                bad.append((line, "not a date and numbers"))
                continue
            if len(values) != len(columns) or any(
                v is not None and not isfinite(v) for v in values
            ):
                bad.append((line, "not a date and numbers"))
                continue
            rows.append((day, values))
        self._refuse(path, bad)
        return sorted(rows, key=lambda row: row[0])

    def _lines(self, path: Path, header: list[str]) -> list[tuple[int, list[str]]]:
        """Numbered rows without the header, which must be as expected."""
        name = self._name(path)
        try:
            with path.open(encoding="utf-8", newline="") as file:
                reader = csv.reader(file)
                found = next(reader, [])
                if [text.strip() for text in found] != header:
                    raise NotRecorded(f"{name} line 1: expected the columns {','.join(header)}")
                return [(number, row) for number, row in enumerate(reader, 2) if row]
        except FileNotFoundError:
            raise NotRecorded(f"there is no file {name} among the recordings") from None
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise NotRecorded(f"{name} cannot be read: {error}") from None

    def _first_close(self, base: str, quote: str) -> int | None:
        closes = []
        for seconds, paths in self.candle_files.get((base, quote), {}).items():
            for path in paths:
                with path.open(encoding="utf-8", errors="replace") as file:
                    next(file, "")
                    start = next(file, "").split(",")[0]
                if start.isdigit():
                    closes.append(int(start) + seconds * 1000)
        return min(closes, default=None)

    def _refuse(self, path: Path, bad: list[tuple[int, str]]) -> None:
        if bad:
            self.refused_rows += len(bad)
            line, reason = bad[0]
            raise NotRecorded(f"{self._name(path)} line {line}: {reason} ({len(bad)} rows refused)")

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


def _fault_of(row: CandleRow, seconds: int) -> str | None:
    """Why a candle cannot be true; None when it can."""
    time, o, h, low, c, v = row
    if not (isfinite(h) and isfinite(v) and 0 < low <= o <= h and low <= c and c <= h and v >= 0):
        return "prices or volume out of order"
    if not 0 < time < _YEAR_2100_MS or bucket_start_ms(time, seconds) != time:
        return "the time is not the start of a candle"
    return None


def utc(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
