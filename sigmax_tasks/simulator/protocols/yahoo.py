"""Yahoo chart: daily bars with nulls where there was no print and a running last bar."""

from __future__ import annotations

import re
from typing import Any, Final

from sigmax_tasks.simulator.protocols.reply import (
    BadRequestError,
    Reply,
    Request,
    json_reply,
    unknown_path,
)
from sigmax_tasks.simulator.world import Bar, Bars, UnknownNameError, World

_RANGES: Final = {
    "1d": 1,
    "5d": 7,
    "1mo": 31,
    "3mo": 92,
    "6mo": 183,
    "1y": 366,
    "2y": 731,
    "5y": 1827,
    "10y": 3653,
    "max": 36_500,
}
_SYMBOL: Final = re.compile(r"[A-Z0-9^=.\-]{1,20}")
_COLUMNS: Final = ("open", "high", "low", "close", "volume")


def answer(world: World, request: Request) -> Reply:
    match request.path.strip("/").split("/"):
        case ["v8", "finance", "chart", symbol]:
            pass
        case _:
            return unknown_path(request)
    interval = request.text("interval", "1d")
    if interval != "1d":
        text = f"{interval} data not available: only daily bars are served here."
        return _refuse("Unprocessable Entity", text, 422)
    if not _SYMBOL.fullmatch(symbol):
        return _refuse("Not Found", "No data found, symbol may be delisted", 404)
    try:
        found = world.bars(symbol)
        span = _span(world, request)
    except UnknownNameError:
        return _refuse("Not Found", "No data found, symbol may be delisted", 404)
    except BadRequestError as refusal:
        return _refuse("Bad Request", str(refusal), 400)
    bars = [bar for bar in found.bars if span[0] <= bar.seconds <= span[1]]
    if request.text("range") == "1d":
        bars = list(found.bars[-1:])
    return json_reply({"chart": {"result": [_result(found, bars, request)], "error": None}})


def _span(world: World, request: Request) -> tuple[int, int]:
    now = world.now_ms // 1000
    start, end = request.optional("period1"), request.optional("period2")
    if start is not None:
        return start, now if end is None else end
    days = _RANGES.get(request.text("range", "1mo"))
    if days is None:
        raise BadRequestError("range", f"must be one of {', '.join(_RANGES)}")
    return now - days * 86_400, now


def _result(found: Bars, bars: list[Bar], request: Request) -> dict[str, Any]:
    known = [bar for bar in found.bars if bar.close is not None]
    year = [bar for bar in known if bar.seconds > known[-1].seconds - 365 * 86_400] if known else []
    before = [bar for bar in known if bars and bar.seconds < bars[0].seconds]
    last = known[-1] if known else None
    meta = {
        "currency": "USD",
        "symbol": found.symbol,
        "instrumentType": found.kind,
        "regularMarketTime": None if last is None else last.seconds,
        "hasPrePostMarketData": False,
        "gmtoffset": 0,
        "timezone": "UTC",
        "exchangeTimezoneName": "UTC",
        "regularMarketPrice": None if last is None else last.close,
        "fiftyTwoWeekHigh": max((bar.high for bar in year if bar.high is not None), default=None),
        "fiftyTwoWeekLow": min((bar.low for bar in year if bar.low is not None), default=None),
        "regularMarketDayHigh": None if last is None else last.high,
        "regularMarketDayLow": None if last is None else last.low,
        "regularMarketVolume": None if last is None else last.volume,
        "longName": found.name,
        "shortName": found.name,
        "chartPreviousClose": before[-1].close if before else None,
        "priceHint": 2,
        "dataGranularity": "1d",
        "range": request.text("range"),
    }
    quote = {name: [getattr(bar, name) for bar in bars] for name in _COLUMNS}
    return {
        "meta": meta,
        "timestamp": [bar.seconds for bar in bars],
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": quote["close"]}]},
    }


def _refuse(code: str, description: str, status: int) -> Reply:
    payload = {"chart": {"result": None, "error": {"code": code, "description": description}}}
    return json_reply(payload, status)
