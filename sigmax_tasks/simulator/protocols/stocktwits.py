"""StockTwits: the messages about one symbol, thirty a page, some with a stated leaning."""

from __future__ import annotations

import re
from typing import Final

from sigmax_tasks.simulator.protocols.reply import Reply, Request, iso, json_reply, unknown_path
from sigmax_tasks.simulator.world import UnknownNameError, World

_STREAM: Final = re.compile(r"/api/2/streams/symbol/([A-Z0-9]{1,15})\.X\.json")
_PAGE: Final = 30


def answer(world: World, request: Request) -> Reply:
    found = _STREAM.fullmatch(request.path)
    if found is None:
        return unknown_path(request)
    try:
        stories = world.messages(found[1])[:_PAGE]
    except UnknownNameError:
        problem = {"response": {"status": 404}, "errors": [{"message": "Symbol not found"}]}
        return json_reply(problem, 404)
    messages = [
        {
            "id": story.time_ms // 1000 * 100 + number,
            "body": f"${found[1]}.X {story.title}",
            "created_at": iso(story.time_ms, 0),
            "user": {"username": story.author.split()[0].lower()},
            "entities": {"sentiment": {"basic": story.section} if story.section else None},
        }
        for number, story in enumerate(stories)
    ]
    symbol = {"symbol": f"{found[1]}.X", "title": found[1]}
    cursor = {"more": False, "since": None, "max": None}
    return json_reply(
        {"response": {"status": 200}, "symbol": symbol, "cursor": cursor, "messages": messages}
    )
