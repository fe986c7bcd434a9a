"""Coinbase Advanced Trade, the keyless part, and the v2 currency lists."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from sigmax_tasks.simulator.protocols.reply import (
    BadRequestError,
    Reply,
    Request,
    iso,
    json_reply,
    unknown_path,
)
from sigmax_tasks.simulator.world import Market, UnknownNameError, World

_GRANULARITIES: Final = {
    "ONE_MINUTE": 60,
    "FIVE_MINUTE": 300,
    "FIFTEEN_MINUTE": 900,
    "THIRTY_MINUTE": 1800,
    "ONE_HOUR": 3600,
    "TWO_HOUR": 7200,
    "FOUR_HOUR": 14_400,
    "SIX_HOUR": 21_600,
    "ONE_DAY": 86_400,
}
_MOST_CANDLES: Final = 350
_QUOTE_NAMES: Final = {"USD": "US Dollar", "USDT": "Tether"}
_FIAT: Final = (("USD", "US Dollar"), ("EUR", "Euro"), ("GBP", "British Pound"))


def answer(world: World, request: Request) -> Reply:
    world.markets("coinbase")
    try:
        return _route(world, request)
    except BadRequestError as refusal:
        return _refuse("INVALID_ARGUMENT", str(refusal), 400)
    except UnknownNameError:
        return _refuse("NOT_FOUND", "valid product_id is required", 404)


def _route(world: World, request: Request) -> Reply:
    match request.path.strip("/").split("/"):
        case ["v2", "currencies"]:
            rows = [{"id": code, "name": name, "min_size": "0.01"} for code, name in _FIAT]
            return json_reply({"data": rows})
        case ["v2", "currencies", "crypto"]:
            return json_reply({"data": _crypto(world)})
        case ["v2", "exchange-rates"]:
            return json_reply({"data": _rates(world, request.text("currency", "USD"))})
        case ["v2", "time"]:
            seconds = world.now_ms // 1000
            return json_reply({"data": {"iso": iso(world.now_ms, 0), "epoch": seconds}})
        case ["api", "v3", "brokerage", "time"]:
            moment = world.now_ms
            payload = {
                "iso": iso(moment, 0),
                "epochSeconds": str(moment // 1000),
                "epochMillis": str(moment),
            }
            return json_reply(payload)
        case ["api", "v3", "brokerage", "market", "products"]:
            return _products(world, request)
        case ["api", "v3", "brokerage", "market", "product_book"]:
            return _book(world, request)
        case ["api", "v3", "brokerage", "market", "products", name]:
            return json_reply(_product(world, _market(world, name)))
        case ["api", "v3", "brokerage", "market", "products", name, "candles"]:
            return _candles(world, _market(world, name), request)
        case ["api", "v3", "brokerage", "market", "products", name, "ticker"]:
            return _ticker(world, _market(world, name), request)
        case _:
            return unknown_path(request)


def _refuse(code: str, message: str, status: int) -> Reply:
    payload = {"error": code, "error_details": message, "message": message}
    return json_reply(payload, status)


def _market(world: World, name: str) -> Market:
    for market in world.markets("coinbase"):
        if f"{market.base}-{market.quote}" == name:
            return market
    raise UnknownNameError(name)


def _crypto(world: World) -> list[dict[str, Any]]:
    names = {market.base: market.name for market in world.markets("coinbase")}
    names["USDT"] = "Tether"
    return [
        {
            "asset_id": _uuid(code),
            "code": code,
            "name": name,
            "color": f"#{sha256(code.encode()).hexdigest()[:6].upper()}",
            "sort_index": 100 + number,
            "exponent": 8,
            "type": "crypto",
            "address_regex": "^(?:0x)?[0-9a-fA-F]{40}$",
        }
        for number, (code, name) in enumerate(names.items())
    ]


def _uuid(text: str) -> str:
    digest = sha256(text.encode()).hexdigest()
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))


def _rates(world: World, currency: str) -> dict[str, Any]:
    if currency != "USD":
        raise BadRequestError("currency", "is not simulated")
    rates = {"USD": "1.0"}
    for market in world.markets("coinbase"):
        if market.quote == "USD":
            last = world.candles("coinbase", market, 60, limit=1)[-1].close
            rates[market.base] = f"{1.0 / last:.16f}"
    return {"currency": currency, "rates": rates}


def _products(world: World, request: Request) -> Reply:
    products = []
    if request.text("product_type", "SPOT") in ("", "SPOT", "UNKNOWN_PRODUCT_TYPE"):
        asked = request.repeated.get("product_ids", ())
        products = [
            _product(world, market)
            for market in world.markets("coinbase")
            if not asked or f"{market.base}-{market.quote}" in asked
        ]
    return json_reply({"products": products, "num_products": len(products)})


def _product(world: World, market: Market) -> dict[str, Any]:
    since = world.now_ms - 172_800_000
    rows = world.candles("coinbase", market, 3600, start_ms=since, limit=60)
    day = [row for row in rows if row.open_ms > world.now_ms - 90_000_000]
    before = [row for row in rows if row.open_ms <= world.now_ms - 90_000_000]
    last = rows[-1].close
    volume = sum(row.volume for row in day)
    earlier = sum(row.volume for row in before)
    digits = market.price_decimals
    change = (last / day[0].open - 1.0) * 100.0
    tick = f"{10.0**-digits:.{digits}f}"
    step = f"{10.0**-market.amount_decimals:.{market.amount_decimals}f}"
    name = f"{market.base}-{market.quote}"
    return {
        "product_id": name,
        "price": f"{last:.{digits}f}",
        "price_percentage_change_24h": f"{change:.14f}",
        "volume_24h": f"{volume:.8f}",
        "volume_percentage_change_24h": f"{(volume / earlier - 1.0) * 100.0:.14f}",
        "base_increment": step,
        "quote_increment": tick,
        "quote_min_size": "1",
        "quote_max_size": "50000000",
        "base_min_size": step,
        "base_max_size": "10000000",
        "base_name": market.name,
        "quote_name": _QUOTE_NAMES[market.quote],
        "watched": False,
        "is_disabled": False,
        "new": False,
        "status": "online",
        "cancel_only": False,
        "limit_only": False,
        "post_only": False,
        "trading_disabled": False,
        "auction_mode": False,
        "product_type": "SPOT",
        "quote_currency_id": market.quote,
        "base_currency_id": market.base,
        "fcm_trading_session_details": None,
        "mid_market_price": "",
        "alias": "",
        "alias_to": [],
        "base_display_symbol": market.base,
        "quote_display_symbol": market.quote,
        "view_only": False,
        "price_increment": tick,
        "display_name": name,
        "product_venue": "CBE",
        "approximate_quote_24h_volume": f"{volume * last:.2f}",
        "new_at": "2023-01-01T00:00:00Z",
        "market_cap": "",
        "base_cbrn": "",
        "quote_cbrn": "",
        "product_cbrn": "",
        "icon_color": "",
        "icon_url": "",
        "display_name_overwrite": "",
        "is_alpha_testing": False,
        "about_description": "",
        "best_bid_price": "",
        "best_ask_price": "",
    }


def _candles(world: World, market: Market, request: Request) -> Reply:
    seconds = _GRANULARITIES.get(request.text("granularity"))
    if seconds is None:
        raise BadRequestError("granularity", "is not one of the known granularities")
    start, end = request.optional("start"), request.optional("end")
    if start is None or end is None:
        raise BadRequestError("start" if start is None else "end", "is required")
    limit = request.integer("limit", _MOST_CANDLES, 1, _MOST_CANDLES)
    if (end - start) // seconds > _MOST_CANDLES:
        raise BadRequestError("start", f"and end span more than {_MOST_CANDLES} candles")
    rows = world.candles(
        "coinbase", market, seconds, start_ms=start * 1000, end_ms=end * 1000, limit=limit
    )
    digits = market.price_decimals
    shown = [
        {
            "start": str(row.open_ms // 1000),
            "low": f"{row.low:.{digits}f}",
            "high": f"{row.high:.{digits}f}",
            "open": f"{row.open:.{digits}f}",
            "close": f"{row.close:.{digits}f}",
            "volume": f"{row.volume:.8f}",
        }
        for row in reversed(rows)
        if row.open_ms <= end * 1000
    ]
    return json_reply({"candles": shown})


def _ticker(world: World, market: Market, request: Request) -> Reply:
    start, end = request.optional("start"), request.optional("end")
    rows = world.trades(
        "coinbase",
        market,
        request.integer("limit", 100, 1, 1000),
        None if start is None else start * 1000,
        None if end is None else end * 1000,
    )
    top = world.book("coinbase", market, 1)
    digits = market.price_decimals
    shown = [
        {
            "trade_id": str(row.trade_id),
            "product_id": f"{market.base}-{market.quote}",
            "price": f"{row.price:.{digits}f}",
            "size": f"{row.size:.8f}",
            "time": iso(row.time_ms, 6),
            "side": "BUY" if row.buyer_initiated else "SELL",
            "bid": "",
            "ask": "",
            "exchange": "coinbase",
        }
        for row in reversed(rows)
    ]
    payload = {
        "trades": shown,
        "best_bid": f"{top.bids[0].price:.{digits}f}",
        "best_ask": f"{top.asks[0].price:.{digits}f}",
    }
    return json_reply(payload)


def _book(world: World, request: Request) -> Reply:
    market = _market(world, request.text("product_id"))
    book = world.book("coinbase", market, request.integer("limit", 500, 1, 1000))
    digits = market.price_decimals
    bid, ask = book.bids[0].price, book.asks[0].price
    middle = (bid + ask) / 2.0
    sides = {
        name: [{"price": f"{x.price:.{digits}f}", "size": f"{x.size:.8f}"} for x in levels]
        for name, levels in (("bids", book.bids), ("asks", book.asks))
    }
    pricebook = {
        "product_id": f"{market.base}-{market.quote}",
        **sides,
        "time": iso(book.now_ms, 6),
    }
    payload = {
        "pricebook": pricebook,
        "last": f"{middle:.{digits + 1}f}",
        "mid_market": f"{middle:.{digits + 1}f}",
        "spread_bps": f"{(ask - bid) / middle * 1e4:.12f}",
        "spread_absolute": f"{ask - bid:.{digits}f}",
    }
    return json_reply(payload)
