"""OKX: the funding history of its USDT perpetuals, newest first."""

from __future__ import annotations

from sigmax_tasks.simulator.protocols.reply import (
    BadRequestError,
    Reply,
    Request,
    json_reply,
    unknown_path,
)
from sigmax_tasks.simulator.world import UnknownNameError, World

_SUFFIX = "-USDT-SWAP"


def answer(world: World, request: Request) -> Reply:
    if request.path != "/api/v5/public/funding-rate-history":
        return unknown_path(request)
    name = request.text("instId")
    if not name:
        return _envelope("50014", "Parameter instId can not be empty.", [], 400)
    if not name.endswith(_SUFFIX):
        return _envelope("51001", "Instrument ID does not exist", [], 200)
    try:
        before, after = request.optional("before"), request.optional("after")
        rows = world.funding(
            "okx",
            name.removesuffix(_SUFFIX),
            None if before is None else before + 1,
            None if after is None else after - 1,
            request.integer("limit", 100, 1, 400),
        )
    except UnknownNameError:
        return _envelope("51001", "Instrument ID does not exist", [], 200)
    except BadRequestError as refusal:
        return _envelope("51000", f"Parameter {refusal.parameter} error", [], 400)
    shown: list[dict[str, str]] = [
        {
            "instType": "SWAP",
            "instId": name,
            "fundingRate": f"{row.rate:.10f}",
            "realizedRate": f"{row.rate:.10f}",
            "fundingTime": str(row.time_ms),
        }
        for row in reversed(rows)
    ]
    return _envelope("0", "", shown, 200)


def _envelope(code: str, message: str, data: list[dict[str, str]], status: int) -> Reply:
    return json_reply({"code": code, "msg": message, "data": data}, status)
