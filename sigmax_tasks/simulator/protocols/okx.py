"""OKX: spot markets, and funding and open interest of USDT perpetuals. Newest first, in strings."""

from __future__ import annotations

from typing import Any, Final

from sigmax_tasks.simulator.protocols.reply import (
    BadRequestError,
    Reply,
    Request,
    json_reply,
    unknown_path,
)
from sigmax_tasks.simulator.world import Candle, Level, Market, UnknownNameError, World

_SUFFIX: Final = "-USDT-SWAP"
_BARS: Final = {
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1H": 3600,
    "2H": 7200,
    "4H": 14_400,
    "6Hutc": 21_600,
    "12Hutc": 43_200,
    "1Dutc": 86_400,
    "1Wutc": 604_800,
}


class _NoParameterError(Exception):
    pass


def answer(world: World, request: Request) -> Reply:
    route = _ROUTES.get(request.path)
    if route is None:
        return unknown_path(request)
    try:
        return json_reply({"code": "0", "msg": "", "data": route(world, request)})
    except _NoParameterError as missing:
        return _refuse("50014", f"Parameter {missing} can not be empty.", 400)
    except UnknownNameError:
        return _refuse("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
    except BadRequestError as refusal:
        return _refuse("51000", f"Parameter {refusal.parameter} error", 400)


def _refuse(code: str, message: str, status: int = 200) -> Reply:
    return json_reply({"code": code, "msg": message, "data": []}, status)


def _name(request: Request) -> str:
    name = request.text("instId")
    if not name:
        raise _NoParameterError("instId")
    return name


def _market(world: World, request: Request) -> Market:
    name = _name(request)
    for market in world.markets("okx"):
        if f"{market.base}-{market.quote}" == name:
            return market
    raise UnknownNameError(name)


def _perpetual(request: Request) -> str:
    name = _name(request)
    if not name.endswith(_SUFFIX):
        raise UnknownNameError(name)
    return name.removesuffix(_SUFFIX)


def _instruments(world: World, request: Request) -> list[dict[str, Any]]:
    if request.text("instType") != "SPOT":
        return []
    return [
        {
            "alias": "",
            "baseCcy": market.base,
            "category": "1",
            "ctMult": "",
            "ctType": "",
            "ctVal": "",
            "ctValCcy": "",
            "expTime": "",
            "instFamily": "",
            "instId": f"{market.base}-{market.quote}",
            "instType": "SPOT",
            "lever": "10",
            "listTime": "1548133413000",
            "lotSz": f"{10.0**-market.amount_decimals:.8f}",
            "minSz": f"{10.0**-market.amount_decimals:.8f}",
            "optType": "",
            "quoteCcy": market.quote,
            "settleCcy": "",
            "state": "live",
            "stk": "",
            "tickSz": f"{10.0**-market.price_decimals:.8f}",
            "uly": "",
        }
        for market in world.markets("okx")
    ]


def _ticker(world: World, request: Request) -> list[dict[str, str]]:
    return [_ticker_row(world, _market(world, request))]


def _tickers(world: World, request: Request) -> list[dict[str, str]]:
    """Of all markets."""
    if request.text("instType") != "SPOT":
        return []
    return [_ticker_row(world, market) for market in world.markets("okx")]


def _ticker_row(world: World, market: Market) -> dict[str, str]:
    ticker = world.ticker("okx", market)
    digits = market.price_decimals
    day = ticker.day
    return {
        "instType": "SPOT",
        "instId": f"{market.base}-{market.quote}",
        "last": f"{ticker.last:.{digits}f}",
        "lastSz": f"{ticker.last_size:.8f}",
        "askPx": f"{ticker.ask:.{digits}f}",
        "askSz": f"{ticker.ask_size:.8f}",
        "bidPx": f"{ticker.bid:.{digits}f}",
        "bidSz": f"{ticker.bid_size:.8f}",
        "open24h": f"{day.open:.{digits}f}",
        "high24h": f"{day.high:.{digits}f}",
        "low24h": f"{day.low:.{digits}f}",
        "volCcy24h": f"{day.volume * day.vwap:.8f}",
        "vol24h": f"{day.volume:.8f}",
        "ts": str(ticker.now_ms),
        "sodUtc0": f"{ticker.today.open:.{digits}f}",
        "sodUtc8": "",
    }


def _books(world: World, request: Request) -> list[dict[str, Any]]:
    market = _market(world, request)
    book = world.book("okx", market, request.integer("sz", 1, 1, 400))
    digits = market.price_decimals

    def side(levels: Any) -> list[list[str]]:
        return [_level(level, digits) for level in levels]

    return [
        {
            "asks": side(book.asks),
            "bids": side(book.bids),
            "ts": str(book.now_ms),
            "seqId": book.sequence,
        }
    ]


def _level(level: Level, digits: int) -> list[str]:
    return [f"{level.price:.{digits}f}", f"{level.size:.8f}", "0", "1"]


def _trades(world: World, request: Request) -> list[dict[str, str]]:
    market = _market(world, request)
    rows = world.trades("okx", market, request.integer("limit", 100, 1, 500))
    return [
        {
            "instId": _name(request),
            "side": "buy" if row.buyer_initiated else "sell",
            "sz": f"{row.size:.8f}",
            "px": f"{row.price:.{market.price_decimals}f}",
            "tradeId": str(row.trade_id),
            "ts": str(row.time_ms),
        }
        for row in reversed(rows)
    ]


def _candles(world: World, request: Request) -> list[list[str]]:
    """``after`` and ``before`` are both left out: older than the one, newer than the other."""
    market = _market(world, request)
    seconds = _BARS.get(request.text("bar", "1m"))
    if seconds is None:
        raise BadRequestError("bar", "is unknown")
    before, after = request.optional("before"), request.optional("after")
    limit = request.integer("limit", 100, 1, 300)
    rows = world.candles(
        "okx",
        market,
        seconds,
        start_ms=None if before is None else before + 1,
        end_ms=None if after is None else after - 1,
        limit=limit,
    )
    return [_bar(row, market, seconds, world.now_ms) for row in reversed(rows)]


def _bar(row: Candle, market: Market, seconds: int, now_ms: int) -> list[str]:
    digits = market.price_decimals
    prices = [f"{value:.{digits}f}" for value in (row.open, row.high, row.low, row.close)]
    quote = "" if row.quote_volume is None else f"{row.quote_volume:.8f}"
    complete = row.open_ms + seconds * 1000 <= now_ms
    return [
        str(row.open_ms),
        *prices,
        f"{row.volume:.8f}",
        quote,
        quote,
        "1" if complete else "0",
    ]


def _funding(world: World, request: Request) -> list[dict[str, str]]:
    before, after = request.optional("before"), request.optional("after")
    rows = world.funding(
        "okx_futures",
        _perpetual(request),
        None if before is None else before + 1,
        None if after is None else after - 1,
        request.integer("limit", 100, 1, 400),
    )
    return [
        {
            "instType": "SWAP",
            "instId": _name(request),
            "fundingRate": f"{row.rate:.10f}",
            "realizedRate": f"{row.rate:.10f}",
            "fundingTime": str(row.time_ms),
        }
        for row in reversed(rows)
    ]


def _open_interest(world: World, request: Request) -> list[dict[str, str]]:
    found = world.open_interest("okx_futures", _perpetual(request))
    return [
        {
            "instId": _name(request),
            "instType": "SWAP",
            "oi": f"{found.coins * 100:.8f}",
            "oiCcy": f"{found.coins:.8f}",
            "oiUsd": f"{found.coins * found.price:.8f}",
            "ts": str(found.now_ms),
        }
    ]


_ROUTES: Final = {
    "/api/v5/public/instruments": _instruments,
    "/api/v5/market/ticker": _ticker,
    "/api/v5/market/tickers": _tickers,
    "/api/v5/market/books": _books,
    "/api/v5/market/trades": _trades,
    "/api/v5/market/candles": _candles,
    "/api/v5/market/history-candles": _candles,
    "/api/v5/public/funding-rate-history": _funding,
    "/api/v5/public/open-interest": _open_interest,
}
