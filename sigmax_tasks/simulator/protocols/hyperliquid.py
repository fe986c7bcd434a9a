"""Hyperliquid: ``POST /info`` with the question in the body; funding every hour."""

from __future__ import annotations

from typing import Any, Final

from sigmax_tasks.simulator.protocols.reply import Reply, Request, json_reply, unknown_path
from sigmax_tasks.simulator.world import UnknownNameError, World

_HOUR_MS: Final = 3_600_000
_MOST_ROWS: Final = 500


def answer(world: World, request: Request) -> Reply:
    if request.path != "/info":
        return unknown_path(request)
    question = request.question()
    if not isinstance(question, dict):
        return _not_understood()
    match question.get("type"):
        case "fundingHistory":
            return _funding(world, question)
        case "metaAndAssetCtxs":
            return _markets(world)
        case _:
            return _not_understood()


def _not_understood() -> Reply:
    text = "Failed to deserialize the JSON body into the target type"
    return Reply(422, text.encode(), "text/plain; charset=utf-8")


def _funding(world: World, question: dict[str, Any]) -> Reply:
    """Each rate of eight hours as eight of one, so that the cost of holding is the same."""
    coin, start = question.get("coin"), question.get("startTime")
    end = question.get("endTime", world.now_ms)
    if not isinstance(coin, str) or not isinstance(start, int) or not isinstance(end, int):
        return _not_understood()
    end = min(end, world.now_ms)
    try:
        rows = world.funding("hyperliquid", coin, start - 8 * _HOUR_MS, end, 1000)
    except UnknownNameError:
        return json_reply(None)
    shown = []
    for row in rows:
        for hour in range(8):
            time_ms = row.time_ms + hour * _HOUR_MS
            if start <= time_ms <= end:
                shown.append(
                    {
                        "coin": coin,
                        "fundingRate": f"{row.rate / 8:.10f}",
                        "premium": f"{row.rate / 8:.10f}",
                        "time": time_ms,
                    }
                )
    return json_reply(shown[:_MOST_ROWS])


def _markets(world: World) -> Reply:
    universe, states = [], []
    for market in world.markets("bybit"):
        found = world.open_interest("hyperliquid", market.base)
        rates = world.funding("hyperliquid", market.base, None, None, 1)
        universe.append({"szDecimals": market.amount_decimals, "name": market.base})
        states.append(
            {
                "funding": f"{rates[-1].rate / 8:.10f}" if rates else "0.0",
                "openInterest": f"{found.coins:.8f}",
                "oraclePx": f"{found.price:.8f}",
                "markPx": f"{found.price:.8f}",
            }
        )
    return json_reply([{"universe": universe}, states])
