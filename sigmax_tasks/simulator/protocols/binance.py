# ruff: noqa: ARG001 - the routes of the table share one signature
"""Binance spot (data-api.binance.vision) and the funding history of its USDT futures."""

from __future__ import annotations

import json
from typing import Any, Final

from sigmax_tasks.simulator.protocols.klines import asked_klines
from sigmax_tasks.simulator.protocols.reply import (
    BadRequestError,
    Reply,
    Request,
    json_reply,
    unknown_path,
)
from sigmax_tasks.simulator.world import Market, UnknownNameError, World

INTERVALS: Final = {
    "1m": 60,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1h": 3600,
    "2h": 7200,
    "4h": 14_400,
    "6h": 21_600,
    "8h": 28_800,
    "12h": 43_200,
    "1d": 86_400,
    "3d": 259_200,
    "1w": 604_800,
}


def answer(world: World, request: Request) -> Reply:
    route = _ROUTES.get(request.path)
    if route is None:
        return unknown_path(request)
    try:
        return route(world, request)
    except BadRequestError as refusal:
        text = f"Illegal characters found in parameter '{refusal.parameter}'."
        return _refuse(-1100, text)
    except UnknownNameError:
        return _refuse(-1121, "Invalid symbol.")


def answer_futures(world: World, request: Request) -> Reply:
    if request.path not in ("/fapi/v1/fundingRate", "/fapi/v1/openInterest"):
        return unknown_path(request)
    symbol = request.text("symbol")
    if not symbol:
        return _refuse(-1102, "Mandatory parameter 'symbol' was not sent.")
    if not symbol.endswith("USDT"):
        return _refuse(-1121, "Invalid symbol.")
    try:
        if request.path == "/fapi/v1/openInterest":
            found = world.open_interest("binance_futures", symbol.removesuffix("USDT"))
            coins = f"{found.coins:.3f}"
            return json_reply({"symbol": symbol, "openInterest": coins, "time": found.now_ms})
        rows = world.funding(
            "binance_futures",
            symbol.removesuffix("USDT"),
            request.optional("startTime"),
            request.optional("endTime"),
            request.integer("limit", 100, 1, 1000),
        )
    except UnknownNameError:
        return _refuse(-1121, "Invalid symbol.")
    except BadRequestError as refusal:
        return _refuse(-1100, f"Illegal characters found in parameter '{refusal.parameter}'.")
    shown = [
        {
            "symbol": symbol,
            "fundingTime": row.time_ms,
            "fundingRate": f"{row.rate:.8f}",
            "markPrice": "" if row.mark_price is None else f"{row.mark_price:.8f}",
        }
        for row in rows
    ]
    return json_reply(shown)


def _refuse(code: int, message: str) -> Reply:
    return json_reply({"code": code, "msg": message}, 400)


def _market(world: World, symbol: str) -> Market:
    if not symbol:
        raise BadRequestError("symbol", "is missing")
    for market in world.markets("binance"):
        if market.base + market.quote == symbol:
            return market
    raise UnknownNameError(symbol)


def _empty(world: World, request: Request) -> Reply:
    return json_reply({})


def _time(world: World, request: Request) -> Reply:
    return json_reply({"serverTime": world.now_ms})


def _exchange_info(world: World, request: Request) -> Reply:
    markets = list(world.markets("binance"))
    if request.text("symbol"):
        markets = [_market(world, request.text("symbol"))]
    limits = [("REQUEST_WEIGHT", "MINUTE", 1, 6000), ("RAW_REQUESTS", "MINUTE", 5, 300_000)]
    payload = {
        "timezone": "UTC",
        "serverTime": world.now_ms,
        "rateLimits": [
            {"rateLimitType": kind, "interval": unit, "intervalNum": number, "limit": limit}
            for kind, unit, number, limit in limits
        ],
        "exchangeFilters": [],
        "symbols": [_symbol(market) for market in markets],
    }
    return json_reply(payload, weight=20)


def _symbol(market: Market) -> dict[str, Any]:
    tick = f"{10.0**-market.price_decimals:.8f}"
    step = f"{10.0**-market.amount_decimals:.8f}"
    return {
        "symbol": market.base + market.quote,
        "status": "TRADING",
        "baseAsset": market.base,
        "baseAssetPrecision": 8,
        "quoteAsset": market.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": tick,
                "maxPrice": "1000000.00000000",
                "tickSize": tick,
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": step,
                "maxQty": "9000000.00000000",
                "stepSize": step,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": "5.00000000",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ],
        "permissions": ["SPOT", "MARGIN"],
    }


def _klines(world: World, request: Request) -> Reply:
    market = _market(world, request.text("symbol"))
    interval = request.text("interval")
    seconds = INTERVALS.get(interval)
    if seconds is None:
        return _refuse(-1120, "Invalid interval.")
    rows = asked_klines(
        world, "binance", market, request, seconds, span=("startTime", "endTime"), usual=500
    )
    shown = [
        [
            row.open_ms,
            f"{row.open:.8f}",
            f"{row.high:.8f}",
            f"{row.low:.8f}",
            f"{row.close:.8f}",
            f"{row.volume:.8f}",
            row.open_ms + seconds * 1000 - 1,
            _maybe(row.quote_volume),
            row.trades,
            _maybe(row.taker_base),
            _maybe(
                None
                if row.taker_base is None or row.quote_volume is None or not row.volume
                else row.quote_volume * row.taker_base / row.volume
            ),
            "0",
        ]
        for row in rows
    ]
    return json_reply(shown, weight=2)


def _maybe(value: float | None) -> str | None:
    """What a recording of candles does not hold stays null."""
    return None if value is None else f"{value:.8f}"


def _depth(world: World, request: Request) -> Reply:
    market = _market(world, request.text("symbol"))
    limit = request.integer("limit", 100, 1, 5000)
    book = world.book("binance", market, limit)
    weight = next(w for most, w in ((100, 5), (500, 25), (1000, 50), (5000, 250)) if limit <= most)
    sides = {
        name: [[f"{x.price:.8f}", f"{x.size:.8f}"] for x in levels]
        for name, levels in (("bids", book.bids), ("asks", book.asks))
    }
    return json_reply({"lastUpdateId": book.sequence, **sides}, weight=weight)


def _day(world: World, market: Market) -> dict[str, Any]:
    ticker = world.ticker("binance", market)
    day = ticker.day
    change = ticker.last - day.open
    last_id = ticker.now_ms // 100
    return {
        "symbol": market.base + market.quote,
        "priceChange": f"{change:.8f}",
        "priceChangePercent": f"{change / day.open * 100:.3f}",
        "weightedAvgPrice": f"{day.vwap:.8f}",
        "prevClosePrice": f"{day.open:.8f}",
        "lastPrice": f"{ticker.last:.8f}",
        "lastQty": f"{ticker.last_size:.8f}",
        "bidPrice": f"{ticker.bid:.8f}",
        "bidQty": f"{ticker.bid_size:.8f}",
        "askPrice": f"{ticker.ask:.8f}",
        "askQty": f"{ticker.ask_size:.8f}",
        "openPrice": f"{day.open:.8f}",
        "highPrice": f"{day.high:.8f}",
        "lowPrice": f"{day.low:.8f}",
        "volume": f"{day.volume:.8f}",
        "quoteVolume": f"{day.volume * day.vwap:.8f}",
        "openTime": ticker.now_ms - 86_400_000,
        "closeTime": ticker.now_ms,
        "firstId": last_id - day.trades,
        "lastId": last_id,
        "count": day.trades,
    }


def _wanted(world: World, request: Request) -> tuple[list[Market], bool]:
    """The markets asked for, and whether the answer is a list."""
    if request.text("symbol"):
        return [_market(world, request.text("symbol"))], False
    if not request.text("symbols"):
        return list(world.markets("binance")), True
    try:
        names = json.loads(request.text("symbols"))
    except ValueError:
        raise BadRequestError("symbols", "is not JSON") from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadRequestError("symbols", "must be a list of names")
    return [_market(world, name) for name in names], True


def _ticker_24hr(world: World, request: Request) -> Reply:
    markets, many = _wanted(world, request)
    rows = [_day(world, market) for market in markets]
    named = bool(request.text("symbols"))
    weight = (
        2 if not many or (named and len(rows) <= 20) else 40 if named and len(rows) <= 100 else 80
    )
    return json_reply(rows if many else rows[0], weight=weight)


def _ticker_price(world: World, request: Request) -> Reply:
    markets, many = _wanted(world, request)
    rows = [
        {
            "symbol": market.base + market.quote,
            "price": f"{world.candles('binance', market, 60, limit=1)[-1].close:.8f}",
        }
        for market in markets
    ]
    return json_reply(rows if many else rows[0], weight=4 if many else 2)


def _book_ticker(world: World, request: Request) -> Reply:
    markets, many = _wanted(world, request)
    rows = []
    for market in markets:
        book = world.book("binance", market, 1)
        rows.append(
            {
                "symbol": market.base + market.quote,
                "bidPrice": f"{book.bids[0].price:.8f}",
                "bidQty": f"{book.bids[0].size:.8f}",
                "askPrice": f"{book.asks[0].price:.8f}",
                "askQty": f"{book.asks[0].size:.8f}",
            }
        )
    return json_reply(rows if many else rows[0], weight=4 if many else 2)


def _trades(world: World, request: Request) -> Reply:
    market = _market(world, request.text("symbol"))
    rows = world.trades("binance", market, request.integer("limit", 500, 1, 1000))
    shown = [
        {
            "id": row.trade_id,
            "price": f"{row.price:.8f}",
            "qty": f"{row.size:.8f}",
            "quoteQty": f"{row.price * row.size:.8f}",
            "time": row.time_ms,
            "isBuyerMaker": not row.buyer_initiated,
            "isBestMatch": True,
        }
        for row in rows
    ]
    return json_reply(shown, weight=25)


def _agg_trades(world: World, request: Request) -> Reply:
    market = _market(world, request.text("symbol"))
    rows = world.trades(
        "binance",
        market,
        request.integer("limit", 500, 1, 1000),
        request.optional("startTime"),
        request.optional("endTime"),
    )
    shown = [
        {
            "a": row.trade_id,
            "p": f"{row.price:.8f}",
            "q": f"{row.size:.8f}",
            "f": row.trade_id,
            "l": row.trade_id,
            "T": row.time_ms,
            "m": not row.buyer_initiated,
            "M": True,
        }
        for row in rows
    ]
    return json_reply(shown, weight=4)


_ROUTES: Final = {
    "/api/v3/ping": _empty,
    "/api/v3/time": _time,
    "/api/v3/exchangeInfo": _exchange_info,
    "/api/v3/klines": _klines,
    "/api/v3/depth": _depth,
    "/api/v3/ticker/24hr": _ticker_24hr,
    "/api/v3/ticker/price": _ticker_price,
    "/api/v3/ticker/bookTicker": _book_ticker,
    "/api/v3/trades": _trades,
    "/api/v3/aggTrades": _agg_trades,
}
