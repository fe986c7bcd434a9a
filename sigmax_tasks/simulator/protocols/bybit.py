"""Bybit v5: spot markets, and funding and open interest of linear perpetuals. Newest first."""

from __future__ import annotations

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

_INTERVALS: Final = {
    "1": 60,
    "3": 180,
    "5": 300,
    "15": 900,
    "30": 1800,
    "60": 3600,
    "120": 7200,
    "240": 14_400,
    "360": 21_600,
    "720": 43_200,
    "D": 86_400,
    "W": 604_800,
}


def answer(world: World, request: Request) -> Reply:
    route = _ROUTES.get(request.path)
    if route is None:
        return unknown_path(request)
    try:
        return _envelope(world, 0, "OK", route(world, request))
    except UnknownNameError:
        return _envelope(world, 10001, "params error: symbol invalid", {})
    except BadRequestError as refusal:
        return _envelope(world, 10001, f"params error: {refusal.parameter}", {})


def _envelope(world: World, code: int, message: str, result: dict[str, Any]) -> Reply:
    payload = {
        "retCode": code,
        "retMsg": message,
        "result": result,
        "retExtInfo": {},
        "time": world.now_ms,
    }
    return json_reply(payload)


def _spot(world: World, request: Request) -> Market:
    if request.text("category") != "spot":
        raise BadRequestError("category", "must be spot here")
    for market in world.markets("bybit"):
        if market.base + market.quote == request.text("symbol"):
            return market
    raise UnknownNameError(request.text("symbol"))


def _perpetual(request: Request) -> str:
    name = request.text("symbol")
    if request.text("category") != "linear":
        raise BadRequestError("category", "must be linear here")
    if not name.endswith("USDT"):
        raise UnknownNameError(name)
    return name.removesuffix("USDT")


def _instruments(world: World, request: Request) -> dict[str, Any]:
    if request.text("category") != "spot":
        return {"category": request.text("category"), "list": []}
    rows = [
        {
            "symbol": market.base + market.quote,
            "baseCoin": market.base,
            "quoteCoin": market.quote,
            "innovation": "0",
            "status": "Trading",
            "marginTrading": "none",
            "lotSizeFilter": {
                "basePrecision": f"{10.0**-market.amount_decimals:.8f}",
                "quotePrecision": "0.00000001",
                "minOrderQty": f"{10.0**-market.amount_decimals:.8f}",
                "maxOrderQty": "1000000",
                "minOrderAmt": "1",
                "maxOrderAmt": "4000000",
            },
            "priceFilter": {"tickSize": f"{10.0**-market.price_decimals:.8f}"},
        }
        for market in world.markets("bybit")
    ]
    return {"category": "spot", "list": rows}


def _kline(world: World, request: Request) -> dict[str, Any]:
    market = _spot(world, request)
    seconds = _INTERVALS.get(request.text("interval"))
    if seconds is None:
        raise BadRequestError("interval", "is unknown")
    rows = asked_klines(world, "bybit", market, request, seconds, span=("start", "end"), usual=200)
    digits = market.price_decimals
    shown = [
        [
            str(row.open_ms),
            *(f"{value:.{digits}f}" for value in (row.open, row.high, row.low, row.close)),
            f"{row.volume:.8f}",
            "" if row.quote_volume is None else f"{row.quote_volume:.8f}",
        ]
        for row in reversed(rows)
    ]
    return {"symbol": request.text("symbol"), "category": "spot", "list": shown}


def _tickers(world: World, request: Request) -> dict[str, Any]:
    if request.text("category") == "linear":
        return {"category": "linear", "list": [_linear_ticker(world, request)]}
    markets = [_spot(world, request)] if request.text("symbol") else world.markets("bybit")
    return {"category": "spot", "list": [_ticker(world, market) for market in markets]}


def _ticker(world: World, market: Market) -> dict[str, str]:
    ticker = world.ticker("bybit", market)
    digits, day = market.price_decimals, ticker.day
    return {
        "symbol": market.base + market.quote,
        "bid1Price": f"{ticker.bid:.{digits}f}",
        "bid1Size": f"{ticker.bid_size:.8f}",
        "ask1Price": f"{ticker.ask:.{digits}f}",
        "ask1Size": f"{ticker.ask_size:.8f}",
        "lastPrice": f"{ticker.last:.{digits}f}",
        "prevPrice24h": f"{day.open:.{digits}f}",
        "price24hPcnt": f"{ticker.last / day.open - 1.0:.6f}",
        "highPrice24h": f"{day.high:.{digits}f}",
        "lowPrice24h": f"{day.low:.{digits}f}",
        "turnover24h": f"{day.volume * day.vwap:.8f}",
        "volume24h": f"{day.volume:.8f}",
        "usdIndexPrice": "",
    }


def _linear_ticker(world: World, request: Request) -> dict[str, str]:
    """The part of the real one that is asked for; numbers it does not know are ""."""
    base = _perpetual(request)
    found = world.open_interest("bybit_futures", base)
    rate = world.funding("bybit_futures", base, None, None, 1)
    return {
        "symbol": request.text("symbol"),
        "lastPrice": "",
        "markPrice": f"{found.price:.8f}",
        "openInterest": f"{found.coins:.8f}",
        "openInterestValue": f"{found.coins * found.price:.8f}",
        "fundingRate": f"{rate[-1].rate:.8f}" if rate else "",
        "fundingIntervalHour": "8",
        "deliveryFeeRate": "",
        "deliveryTime": "0",
    }


def _orderbook(world: World, request: Request) -> dict[str, Any]:
    market = _spot(world, request)
    book = world.book("bybit", market, request.integer("limit", 1, 1, 200))
    digits = market.price_decimals
    bids, asks = (
        [[f"{level.price:.{digits}f}", f"{level.size:.8f}"] for level in levels]
        for levels in (book.bids, book.asks)
    )
    return {
        "s": request.text("symbol"),
        "a": asks,
        "b": bids,
        "ts": book.now_ms,
        "u": book.sequence,
        "seq": book.sequence,
        "cts": book.now_ms,
    }


def _recent_trade(world: World, request: Request) -> dict[str, Any]:
    market = _spot(world, request)
    rows = world.trades("bybit", market, request.integer("limit", 60, 1, 60))
    shown = [
        {
            "execId": str(row.trade_id),
            "symbol": request.text("symbol"),
            "price": f"{row.price:.{market.price_decimals}f}",
            "size": f"{row.size:.8f}",
            "side": "Buy" if row.buyer_initiated else "Sell",
            "time": str(row.time_ms),
            "isBlockTrade": False,
        }
        for row in reversed(rows)
    ]
    return {"category": "spot", "list": shown}


def _funding_history(world: World, request: Request) -> dict[str, Any]:
    rows = world.funding(
        "bybit_futures",
        _perpetual(request),
        request.optional("startTime"),
        request.optional("endTime"),
        request.integer("limit", 200, 1, 200),
    )
    shown = [
        {
            "symbol": request.text("symbol"),
            "fundingRate": f"{row.rate:.8f}",
            "fundingRateTimestamp": str(row.time_ms),
        }
        for row in reversed(rows)
    ]
    return {"category": "linear", "list": shown}


_ROUTES: Final = {
    "/v5/market/instruments-info": _instruments,
    "/v5/market/kline": _kline,
    "/v5/market/tickers": _tickers,
    "/v5/market/orderbook": _orderbook,
    "/v5/market/recent-trade": _recent_trade,
    "/v5/market/funding/history": _funding_history,
}
