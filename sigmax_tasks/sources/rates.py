"""Exchange rates of central-bank money and slow context: ECB, Frankfurter, World Bank.

Daily rates are stamped 00:00 UTC of their day. A yearly value is stamped 31 December of its year;
it is published months later, which ``updated_at`` of the provider does not say per value.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from sigmax_tasks.errors import PermanentSourceError, WrongQuestionError
from sigmax_tasks.models.observations import DataNeed, Observation
from sigmax_tasks.sources.call import Call
from sigmax_tasks.sources.documents import csv_rows
from sigmax_tasks.sources.domains import observe_series

_ECB_KEY: Final = re.compile(r"[A-Z0-9]+/[A-Z0-9.]+")
_PAIR: Final = re.compile(r"([A-Z]{3})/([A-Z]{3})")
_INDICATOR: Final = re.compile(r"([A-Z]{2,3})/([A-Z0-9.]+)")
_YEAR: Final = re.compile(r"(19|20)\d\d")


class _DayRates(BaseModel):
    """``/v1/latest`` and ``/v1/{date}``."""

    model_config = ConfigDict(allow_inf_nan=False)
    amount: float = Field(gt=0)
    base: str
    date: str
    rates: dict[str, float | None]


class _SpanRates(BaseModel):
    """``/v1/{start}..{end}``."""

    model_config = ConfigDict(allow_inf_nan=False)
    amount: float = Field(gt=0)
    base: str
    rates: dict[str, dict[str, float | None]]


class _BankRow(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    countryiso3code: str
    date: str
    value: float | None = None


def fetch_ecb(need: DataNeed, call: Call) -> Observation:
    """A daily series of the ECB's data portal as CSV; the id is ``FLOW/KEY``."""
    key = call.series_entry().id
    if not _ECB_KEY.fullmatch(key):
        raise PermanentSourceError(call.provider_id, "a series id is FLOW/KEY")
    start, end = _span(need, call)
    answer = call.get(
        f"/service/data/{key}", {"format": "csvdata", "startPeriod": start, "endPeriod": end}
    )
    return observe_series(need, call, parse_ecb_csv(call, answer.text(), key))


def parse_ecb_csv(call: Call, text: str, key: str) -> list[tuple[int, float]]:
    """(time_ms, value) of ``TIME_PERIOD`` and ``OBS_VALUE``; an empty value is left out."""
    lines = csv_rows(call, text)
    head = next(lines, [])
    if not {"KEY", "TIME_PERIOD", "OBS_VALUE"} <= set(head):
        raise call.bad(f"not the promised CSV: starts with {text[:40]!r}")
    points = []
    for line in lines:
        row = dict(zip(head, line, strict=False))  # a cut line lacks its last fields
        if row.get("KEY") != key.replace("/", ".", 1):
            raise call.bad(f"asked for {key}, answered about {str(row.get('KEY'))[:40]}")
        value = row.get("OBS_VALUE")
        if value is None:
            raise call.bad(f"cut line {','.join(line)[:40]!r}")
        if value.strip() not in {"", "NaN"}:
            points.append((_day_ms(call, row["TIME_PERIOD"]), _rate(call, value)))
    return points


def fetch_frankfurter(need: DataNeed, call: Call) -> Observation:
    """The ECB's reference rates as JSON; the id ``EUR/USD`` is dollars for one euro."""
    start, end = _span(need, call)
    base, quote = _pair(call)
    data = call.get_json(f"/v1/{start}..{end}", {"base": base, "symbols": quote})
    return observe_series(need, call, parse_frankfurter(call, data, base, quote))


def parse_frankfurter(call: Call, data: Any, base: str, quote: str) -> list[tuple[int, float]]:
    """(time_ms, ``quote`` for one ``base``), from an answer about one day or about several."""
    if isinstance(data, dict) and "message" in data and "rates" not in data:
        raise WrongQuestionError(call.provider_id, str(data["message"])[:160])
    days: dict[str, dict[str, float | None]]
    if isinstance(data, dict) and "date" in data:
        one = call.parse(_DayRates, data)
        answered, amount, days = one.base, one.amount, {one.date: one.rates}
    else:
        span = call.parse(_SpanRates, data)
        answered, amount, days = span.base, span.amount, span.rates
    if answered != base:
        raise call.bad(f"asked for {base}, answered about {answered[:10]}")
    points = []
    for day, rates in days.items():
        value = rates.get(quote)
        if value is None:
            continue
        if value <= 0:
            raise call.bad(f"an exchange rate of {value}")
        points.append((_day_ms(call, day), value / amount))
    if not points:
        raise call.bad(f"no rate of {base} in {quote}")
    return points


def fetch_worldbank(need: DataNeed, call: Call) -> Observation:
    """Yearly values of an indicator; the id is ``COUNTRY/INDICATOR`` with a three-letter code."""
    matched = _INDICATOR.fullmatch(call.series_entry().id)
    if matched is None:
        raise PermanentSourceError(call.provider_id, "a series id is COUNTRY/INDICATOR")
    country, indicator = matched.groups()
    data = call.get_json(
        f"/v2/country/{country}/indicator/{indicator}",
        {"format": "json", "per_page": 1000, "mrv": min(need.limit + 3, 60)},
    )
    return observe_series(need, call, parse_worldbank(call, data, country))


def parse_worldbank(call: Call, data: Any, country: str) -> list[tuple[int, float]]:
    """(time_ms, value) of one country; its errors come as a list of one, with status 200."""
    if not isinstance(data, list) or not data or not isinstance(data[0], dict):
        raise call.bad("not the promised pair of a head and rows")
    messages = data[0].get("message")
    if messages is not None:
        said = messages[0] if isinstance(messages, list) and messages else messages
        text = said.get("value") if isinstance(said, dict) else said
        raise WrongQuestionError(call.provider_id, str(text)[:160])
    rows = data[1] if len(data) > 1 else None
    if not isinstance(rows, list):
        raise call.bad(f"no values of {country}")
    points = []
    for raw in rows:
        row = call.parse(_BankRow, raw)
        if row.countryiso3code != country or row.value is None:
            continue
        if not _YEAR.fullmatch(row.date):
            raise call.bad(f"not a year: {row.date[:20]!r}")
        end = datetime(int(row.date), 12, 31, tzinfo=UTC)
        points.append((int(end.timestamp() * 1000), row.value))
    if not points:
        raise call.bad(f"no values of {country}")
    return points


def _pair(call: Call) -> tuple[str, str]:
    matched = _PAIR.fullmatch(call.series_entry().id)
    if matched is None:
        raise PermanentSourceError(call.provider_id, "a series id is BASE/QUOTE")
    return matched[1], matched[2]


def _span(need: DataNeed, call: Call) -> tuple[str, str]:
    """First and last day to ask for: enough for ``need.limit`` banking days, up to the clock."""
    now = call.clock.now()
    start = now - timedelta(days=min(need.limit * 1.5 + 10, 9000))
    return f"{start:%Y-%m-%d}", f"{now:%Y-%m-%d}"


def _day_ms(call: Call, text: str | None) -> int:
    try:
        moment = datetime.strptime((text or "").strip(), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise call.bad(f"unreadable date {str(text)[:20]!r}") from error
    return int(moment.timestamp() * 1000)


def _rate(call: Call, text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise call.bad(f"unreadable number {text[:20]!r}") from error
    if not math.isfinite(value) or value <= 0:
        raise call.bad(f"an exchange rate of {text[:20]}")
    return value
