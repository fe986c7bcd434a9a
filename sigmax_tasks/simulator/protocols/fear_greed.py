"""alternative.me: the Fear and Greed index, newest first, every number a string."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sigmax_tasks.simulator.protocols.reply import (
    BadRequestError,
    Reply,
    Request,
    json_reply,
    unknown_path,
)
from sigmax_tasks.simulator.world import World

_FORMATS: Final = {"us": "%m-%d-%Y", "cn": "%Y-%m-%d", "kr": "%Y-%m-%d", "world": "%d-%m-%Y"}


def answer(world: World, request: Request) -> Reply:
    if request.path.rstrip("/") not in ("/fng", "/v2/fng"):
        return unknown_path(request)
    try:
        limit = request.integer("limit", 1, 0, 100_000)
    except BadRequestError as refusal:
        return json_reply({"data": [], "metadata": {"error": str(refusal)}}, 400)
    shape = _FORMATS.get(request.text("date_format"))
    data = []
    for number, row in enumerate(world.fear_greed(limit)):
        stamp = str(row.day_seconds)
        if shape is not None:
            stamp = datetime.fromtimestamp(row.day_seconds, UTC).strftime(shape)
        item = {"value": str(row.value)}
        if row.label is not None:
            item["value_classification"] = row.label
        item["timestamp"] = stamp
        if number == 0:
            item["time_until_update"] = str(86_400 - world.now_ms // 1000 % 86_400)
        data.append(item)
    payload = {"name": "Fear and Greed Index", "data": data, "metadata": {"error": None}}
    return json_reply(payload)
