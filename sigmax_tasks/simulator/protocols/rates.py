"""ECB data portal (CSV), Frankfurter (JSON of the same rates) and the World Bank (yearly)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from sigmax_tasks.simulator.protocols.reply import (
    Reply,
    Request,
    json_reply,
    text_reply,
    unknown_path,
)
from sigmax_tasks.simulator.world import Observation, UnknownNameError, World

_ECB_PATH: Final = re.compile(r"/service/data/EXR/D\.([A-Z]{3})\.([A-Z]{3})\.SP00\.A")
_SPAN_PATH: Final = re.compile(r"/v1/(\d{4}-\d\d-\d\d)\.\.(\d{4}-\d\d-\d\d)?")
_BANK_PATH: Final = re.compile(r"/v2/country/([A-Z]{2,3})/indicator/([A-Z0-9.]{3,40})")
_COLUMNS: Final = "KEY,FREQ,CURRENCY,CURRENCY_DENOM,EXR_TYPE,EXR_SUFFIX,TIME_PERIOD,OBS_VALUE"


def answer_ecb(world: World, request: Request) -> Reply:
    found = _ECB_PATH.fullmatch(request.path)
    if found is None:
        return unknown_path(request)
    try:
        rows = _between(
            world.exchange_rate(found[2], found[1]),
            request.text("startPeriod"),
            request.text("endPeriod"),
        )
    except UnknownNameError:
        return text_reply("No results found.", "text/plain", 404)
    key = f"EXR.D.{found[1]}.{found[2]}.SP00.A"
    head = f"{key},D,{found[1]},{found[2]},SP00,A"
    lines = [_COLUMNS, *(f"{head},{row.date},{row.value}" for row in rows)]
    return text_reply("\n".join(lines) + "\n", "application/vnd.sdmx.data+csv; version=1.0.0")


def answer_frankfurter(world: World, request: Request) -> Reply:
    found = _SPAN_PATH.fullmatch(request.path)
    if found is None:
        return unknown_path(request)
    base, quote = request.text("base", "EUR"), request.text("symbols", "USD")
    try:
        rows = _between(world.exchange_rate(base, quote), found[1], found[2] or "")
    except UnknownNameError:
        return json_reply({"message": "not found"}, 404)
    if not rows:
        return json_reply({"message": "not found"}, 404)
    payload = {
        "amount": 1.0,
        "base": base,
        "start_date": rows[0].date,
        "end_date": rows[-1].date,
        "rates": {row.date: {quote: row.value} for row in rows},
    }
    return json_reply(payload)


def _between(rows: Sequence[Observation], start: str, end: str) -> list[Observation]:
    return [row for row in rows if start <= row.date and (not end or row.date <= end)]


def answer_worldbank(world: World, request: Request) -> Reply:
    """Newest first; what it does not know is a message with status 200."""
    found = _BANK_PATH.fullmatch(request.path)
    if found is None:
        return unknown_path(request)
    country, indicator = found[1], found[2]
    try:
        rows = world.yearly(country, indicator)[-request.integer("mrv", 60, 1, 60) :]
    except UnknownNameError:
        said = "The provided parameter value is not valid"
        message = {"id": "120", "key": "Invalid value", "value": said}
        return json_reply([{"message": [message]}])
    shown = [
        {
            "indicator": {"id": indicator, "value": indicator},
            "country": {"id": country[:2], "value": country},
            "countryiso3code": country,
            "date": row.date,
            "value": row.value,
            "unit": "",
            "obs_status": "",
            "decimal": 1,
        }
        for row in reversed(rows)
    ]
    head = {"page": 1, "pages": 1, "per_page": 1000, "total": len(shown), "sourceid": "2"}
    return json_reply([head, shown])
