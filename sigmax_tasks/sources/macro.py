"""Rates, indices and money: FRED (CSV, and JSON with a key), Yahoo charts, US Treasury yields.

Every value is stamped 00:00 UTC of the day it is about. A missing value ("" or ".", null) is left
out, never filled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from sigmax_tasks.errors import PermanentSourceError, WrongQuestionError
from sigmax_tasks.models.observations import DataNeed, Observation
from sigmax_tasks.sources.call import DAY_MS, Call
from sigmax_tasks.sources.documents import csv_rows, parse_xml
from sigmax_tasks.sources.domains import observe_series

_RANGES: Final = (
    (31, "1mo"),
    (92, "3mo"),
    (183, "6mo"),
    (366, "1y"),
    (731, "2y"),
    (1827, "5y"),
    (3653, "10y"),
)
_TREASURY_PATH: Final = "/resource-center/data-chart-center/interest-rates/pages/xml"
_SERVICES: Final = "{http://schemas.microsoft.com/ado/2007/08/dataservices}"
_PROPERTIES: Final = "{http://schemas.microsoft.com/ado/2007/08/dataservices/metadata}properties"
_TREASURY_YEARS: Final = 5
_ROWS_OF_TWO_MONTHS: Final = 20


def fetch_fred(need: DataNeed, call: Call) -> Observation:
    """FRED without a key: ``date,value`` lines, empty or "." where there is no value."""
    series_id = call.series_entry().id
    start = _start(need, call)
    answer = call.get("/graph/fredgraph.csv", {"id": series_id, "cosd": f"{start:%Y-%m-%d}"})
    return observe_series(need, call, parse_fred_csv(call, answer.text(), series_id))


def parse_fred_csv(call: Call, text: str, series_id: str) -> list[tuple[int, float]]:
    lines = csv_rows(call, text)
    header = [name.strip() for name in next(lines, [])]
    if len(header) < 2 or header[0].lower() not in {"observation_date", "date"}:
        raise call.bad(f"not the promised CSV: starts with {text[:40]!r}")
    if series_id not in header:
        raise call.bad(f"asked for {series_id}, answered with {', '.join(header[1:4])[:60]}")
    column = header.index(series_id)
    points = []
    for line in lines:
        if len(line) <= column:
            raise call.bad(f"cut line {','.join(line)[:40]!r}")
        value = line[column].strip()
        if value not in {"", "."}:
            points.append((_date_ms(call, line[0]), _number(call, value)))
    return points


class _FredRow(BaseModel):
    date: str
    value: str


class _FredAnswer(BaseModel):
    observations: list[_FredRow]


def fetch_fred_api(need: DataNeed, call: Call) -> Observation:
    """FRED with a key: JSON, newest first, numbers as strings."""
    answer = call.get_model(
        _FredAnswer,
        "/fred/series/observations",
        {
            "series_id": call.series_entry().id,
            "file_type": "json",
            "sort_order": "desc",
            "limit": min(need.limit * 2 + 10, 10_000),
        },
    )
    points = [
        (_date_ms(call, row.date), _number(call, row.value))
        for row in answer.observations
        if row.value != "."
    ]
    return observe_series(need, call, points)


class _Period(BaseModel):
    start: int
    end: int


class _Periods(BaseModel):
    regular: _Period


class _Meta(BaseModel):
    gmtoffset: int = 0
    dataGranularity: str  # noqa: N815  # the provider's names
    currentTradingPeriod: _Periods | None = None  # noqa: N815


class _Quote(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    close: list[float | None] = []


class _Indicators(BaseModel):
    quote: list[_Quote]


class ChartResult(BaseModel):
    """One symbol of a chart answer; ``timestamp`` and closes run in step, closes may be null."""

    meta: _Meta
    timestamp: list[int] = []
    indicators: _Indicators


class _ChartError(BaseModel):
    code: str = ""
    description: str = ""


class _ChartBody(BaseModel):
    result: list[ChartResult] | None = None
    error: _ChartError | None = None


class ChartAnswer(BaseModel):
    """``/v8/finance/chart/{symbol}``."""

    chart: _ChartBody


_SPANS: Final = {"1d": 86_400, "1h": 3_600, "60m": 3_600, "5m": 300, "1m": 60}


def fetch_yahoo(need: DataNeed, call: Call) -> Observation:
    """Daily closes of a Yahoo symbol, each under the exchange's local date."""
    symbol = call.series_entry().id
    days = need.limit * 1.5 + 10
    span = next((name for limit, name in _RANGES if days <= limit), _RANGES[-1][1])
    answer = call.get_model(
        ChartAnswer,
        f"/v8/finance/chart/{quote(symbol, safe='')}",
        {"range": span, "interval": "1d"},
    )
    body = answer.chart
    if body.error is not None:
        raise WrongQuestionError(call.provider_id, f"{body.error.code}: {body.error.description}")
    if not body.result:
        raise call.bad(f"no chart of {symbol}")
    result = body.result[0]
    if result.meta.dataGranularity != "1d":
        raise call.bad(f"asked for daily bars, answered with {result.meta.dataGranularity[:8]}")
    closes = finished_closes(call, result, call.now_ms // 1000)
    shift = result.meta.gmtoffset
    points = [((at + shift) // 86_400 * DAY_MS, close) for at, close in closes]
    return observe_series(need, call, points)


def finished_closes(call: Call, result: ChartResult, now: int) -> list[tuple[int, float]]:
    """(unix seconds, close) without nulls and without the running bar.

    A bar of the current trading period ends with the period, any other after its own length.
    """
    closes = result.indicators.quote[0].close if result.indicators.quote else []
    if len(closes) != len(result.timestamp):
        raise call.bad(f"{len(result.timestamp)} times for {len(closes)} closes")
    length = _SPANS.get(result.meta.dataGranularity)
    if length is None:
        raise call.bad(f"bars of {result.meta.dataGranularity[:8]}")
    periods = result.meta.currentTradingPeriod
    found = []
    for at, close in zip(result.timestamp, closes, strict=True):
        end = at + length
        if periods is not None and periods.regular.start <= at < end and length == _SPANS["1d"]:
            end = periods.regular.end
        if close is not None and end <= now:
            found.append((at, close))
        elif at > now + call.tolerance_ms // 1000 and close is not None:
            found.append((at, close))  # the look-ahead guard refuses it, not this filter
    return found


def fetch_treasury(need: DataNeed, call: Call) -> Observation:
    """A yield in percent; an id ``A-B`` is the difference of two yields of the same day.

    The document is asked for by month for a few values, else by year; a young month or year is
    short, so the one before is asked for as well.
    """
    names = call.series_entry().id.split("-")
    now = call.clock.now()
    points: list[tuple[int, float]] = []
    if need.limit <= _ROWS_OF_TWO_MONTHS:
        last_month = now.replace(day=1) - timedelta(days=1)
        spans = [("field_tdr_date_value_month", f"{m:%Y%m}") for m in (now, last_month)]
    else:
        years = range(now.year, now.year - _TREASURY_YEARS, -1)
        spans = [("field_tdr_date_value", str(year)) for year in years]
    for parameter, value in spans:
        params = {"data": "daily_treasury_yield_curve", parameter: value}
        answer = call.get(_TREASURY_PATH, params)
        points += parse_yields(call, answer.body, names)
        if len(points) >= need.limit:
            break
    return observe_series(need, call, points)


def parse_yields(call: Call, body: bytes, names: Sequence[str]) -> list[tuple[int, float]]:
    """(ms, percent) of every entry that has all of ``names`` (one or two)."""
    if len(names) not in {1, 2}:
        raise PermanentSourceError(call.provider_id, "a series id is one yield or A-B")
    root = parse_xml(call, body)
    if not root.tag.endswith("feed"):
        raise call.bad("a page of HTML in place of the yield document")
    points = []
    for entry in root.iter(_PROPERTIES):
        values = [(entry.findtext(_SERVICES + name) or "").strip() for name in names]
        day = entry.findtext(f"{_SERVICES}NEW_DATE") or ""
        if all(values):
            numbers = [_number(call, value) for value in values]
            value = numbers[0] if len(numbers) == 1 else round(numbers[0] - numbers[1], 6)
            points.append((_date_ms(call, day[:10]), value))
    return points


def _start(need: DataNeed, call: Call) -> datetime:
    """Far enough back for ``need.limit`` values of the series' rhythm, holidays included."""
    days = need.limit * call.series_entry().step_days * 1.5 + 60
    return call.clock.now() - timedelta(days=min(days, 40_000))


def _date_ms(call: Call, text: str) -> int:
    try:
        moment = datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise call.bad(f"unreadable date {text[:20]!r}") from error
    return int(moment.timestamp() * 1000)


def _number(call: Call, text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise call.bad(f"unreadable number {text[:20]!r}") from error
    if not math.isfinite(value):
        raise call.bad(f"not a finite number: {text[:20]!r}")
    return value
