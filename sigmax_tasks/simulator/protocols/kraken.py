# ruff: noqa: ARG001 - the routes of the table share one signature
"""Kraken spot REST: errors travel in the body with HTTP 200. Weeks start on Monday here."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from sigmax_tasks.simulator.protocols.reply import (
    BadRequestError,
    Reply,
    Request,
    iso,
    json_reply,
    rfc822,
    unknown_path,
)
from sigmax_tasks.simulator.world import Market, Window, World

_OLD_NAMES: Final = {"BTC": "XBT", "DOGE": "XDG"}
_OLD_IDS: Final = frozenset(("XBT", "ETH", "XRP", "LTC", "XLM", "XMR", "ZEC", "XDG", "ETC"))
_INTERVALS: Final = frozenset((1, 5, 15, 30, 60, 240, 1440, 10080, 21600))
_TAKER: Final = [[0, 0.4], [10000, 0.35], [50000, 0.24], [100000, 0.22], [250000, 0.2]]
_MAKER: Final = [[0, 0.25], [10000, 0.2], [50000, 0.14], [100000, 0.12], [250000, 0.1]]


class _RefusedError(Exception):
    pass


def answer(world: World, request: Request) -> Reply:
    route = _ROUTES.get(request.path)
    if route is None:
        return unknown_path(request)
    markets = tuple(world.markets("kraken"))
    try:
        return json_reply({"error": [], "result": route(world, request, markets)})
    except _RefusedError as refusal:
        return json_reply({"error": [str(refusal)]})
    except BadRequestError as refusal:
        return json_reply({"error": [f"EGeneral:Invalid arguments:{refusal.parameter}"]})


def asset_id(base: str) -> str:
    name = _OLD_NAMES.get(base, base)
    if name in ("USD", "EUR"):
        return f"Z{name}"
    return f"X{name}" if name in _OLD_IDS else name


def pair_id(market: Market) -> str:
    """XXBTZUSD for the oldest dollar pairs, XBTUSDT and SOLUSD for the rest."""
    name = _OLD_NAMES.get(market.base, market.base)
    if market.quote == "USD" and name in _OLD_IDS and name != "XDG":
        return f"X{name}ZUSD"
    return f"{name}{market.quote}"


@lru_cache(maxsize=4)
def _names(markets: tuple[Market, ...]) -> dict[str, Market]:
    known = {}
    for market in markets:
        old = _OLD_NAMES.get(market.base, market.base)
        for name in (
            pair_id(market),
            f"{old}{market.quote}",
            f"{old}/{market.quote}",
            f"{market.base}/{market.quote}",
            f"{market.base}{market.quote}",
        ):
            known[name] = market
    return known


def _pick(request: Request, markets: tuple[Market, ...]) -> Market:
    wanted = request.text("pair")
    if not wanted:
        raise _RefusedError("EGeneral:Invalid arguments")
    market = _names(markets).get(wanted)
    if market is None:
        raise _RefusedError("EQuery:Unknown asset pair")
    return market


def _picks(request: Request, markets: tuple[Market, ...]) -> list[Market]:
    if not request.text("pair"):
        return list(markets)
    known = _names(markets)
    wanted = request.text("pair").split(",")
    if any(name not in known for name in wanted):
        raise _RefusedError("EQuery:Unknown asset pair")
    return [known[name] for name in wanted]


def _assets(world: World, request: Request, markets: tuple[Market, ...]) -> dict[str, Any]:
    names = [*sorted({m.base for m in markets}), "USD", "USDT"]
    return {
        asset_id(name): {
            "aclass": "currency",
            "altname": _OLD_NAMES.get(name, name),
            "decimals": 4 if name == "USD" else 10 if name in ("BTC", "ETH") else 8,
            "display_decimals": 2 if name == "USD" else 5,
            "status": "enabled",
        }
        for name in names
    }


def _pairs(world: World, request: Request, markets: tuple[Market, ...]) -> dict[str, Any]:
    return {pair_id(market): _pair(market) for market in _picks(request, markets)}


def _pair(market: Market) -> dict[str, Any]:
    old = _OLD_NAMES.get(market.base, market.base)
    leverage = [2, 3, 4, 5] if old in _OLD_IDS else [2, 3]
    return {
        "altname": f"{old}{market.quote}",
        "wsname": f"{old}/{market.quote}",
        "aclass_base": "currency",
        "base": asset_id(market.base),
        "aclass_quote": "currency",
        "quote": asset_id(market.quote),
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": market.price_decimals,
        "lot_decimals": 8,
        "lot_multiplier": 1,
        "leverage_buy": leverage,
        "leverage_sell": leverage,
        "fees": _TAKER,
        "fees_maker": _MAKER,
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": f"{10.0**-market.amount_decimals:.8f}".rstrip("0").rstrip("."),
        "costmin": "0.5",
        "tick_size": f"{10.0**-market.price_decimals:.{market.price_decimals}f}",
        "status": "online",
        "long_position_limit": 80,
        "short_position_limit": 80,
    }


def _ticker(world: World, request: Request, markets: tuple[Market, ...]) -> dict[str, Any]:
    return {pair_id(m): _one_ticker(world, m) for m in _picks(request, markets)}


def _one_ticker(world: World, market: Market) -> dict[str, Any]:
    ticker = world.ticker("kraken", market)
    now, day = ticker.today, ticker.day

    def price(value: float) -> str:
        return f"{value:.{market.price_decimals}f}0000"

    def both(name: str) -> list[str]:
        return [price(getattr(now, name)), price(getattr(day, name))]

    def lots(window: Window) -> str:
        return f"{window.volume:.8f}"

    return {
        "a": [price(ticker.ask), str(max(int(ticker.ask_size), 1)), f"{ticker.ask_size:.3f}"],
        "b": [price(ticker.bid), str(max(int(ticker.bid_size), 1)), f"{ticker.bid_size:.3f}"],
        "c": [price(ticker.last), f"{ticker.last_size:.8f}"],
        "v": [lots(now), lots(day)],
        "p": both("vwap"),
        "t": [now.trades, day.trades],
        "l": both("low"),
        "h": both("high"),
        "o": price(now.open),
    }


def _ohlc(world: World, request: Request, markets: tuple[Market, ...]) -> dict[str, Any]:
    market = _pick(request, markets)
    interval = request.integer("interval", 1, 1, 10**6)
    if interval not in _INTERVALS:
        raise _RefusedError("EGeneral:Invalid arguments")
    since = request.optional("since")
    rows = world.candles("kraken", market, interval * 60, limit=721)
    digits = market.price_decimals
    shown = [
        [
            row.open_ms // 1000,
            f"{row.open:.{digits}f}",
            f"{row.high:.{digits}f}",
            f"{row.low:.{digits}f}",
            f"{row.close:.{digits}f}",
            f"{(row.quote_volume or 0.0) / row.volume if row.volume else 0.0:.{digits}f}",
            f"{row.volume:.8f}",
            row.trades,
        ]
        for row in rows
        if since is None or row.open_ms // 1000 > since
    ]
    last = rows[-2].open_ms // 1000 if len(rows) > 1 else 0
    return {pair_id(market): shown, "last": last}


def _depth(world: World, request: Request, markets: tuple[Market, ...]) -> dict[str, Any]:
    market = _pick(request, markets)
    book = world.book("kraken", market, request.integer("count", 100, 1, 500))
    digits = market.price_decimals
    sides = {
        name: [[f"{x.price:.{digits}f}0000", f"{x.size:.3f}", x.time_ms // 1000] for x in levels]
        for name, levels in (("asks", book.asks), ("bids", book.bids))
    }
    return {pair_id(market): sides}


def _trades(world: World, request: Request, markets: tuple[Market, ...]) -> dict[str, Any]:
    market = _pick(request, markets)
    since = request.optional("since")
    start = None
    if since is not None and since > 0:
        start = since // 1_000_000 if since > 10**15 else since * 1000
    count = request.integer("count", 1000, 1, 1000)
    rows = world.trades("kraken", market, count, start)
    digits = market.price_decimals
    shown = [
        [
            f"{row.price:.{digits}f}0000",
            f"{row.size:.8f}",
            row.time_ms / 1000,
            "b" if row.buyer_initiated else "s",
            "m" if row.trade_id % 3 else "l",
            "",
            row.trade_id,
        ]
        for row in rows
    ]
    last = str(rows[-1].time_ms * 1_000_000) if rows else str(since or 0)
    return {pair_id(market): shown, "last": last}


def _status(world: World, request: Request, markets: tuple[Market, ...]) -> dict[str, Any]:
    return {"status": "online", "timestamp": iso(world.now_ms, 0)}


def _time(world: World, request: Request, markets: tuple[Market, ...]) -> dict[str, Any]:
    return {"unixtime": world.now_ms // 1000, "rfc1123": rfc822(world.now_ms)}


_ROUTES: Final = {
    "/0/public/Assets": _assets,
    "/0/public/AssetPairs": _pairs,
    "/0/public/Ticker": _ticker,
    "/0/public/OHLC": _ohlc,
    "/0/public/Depth": _depth,
    "/0/public/Trades": _trades,
    "/0/public/SystemStatus": _status,
    "/0/public/Time": _time,
}
