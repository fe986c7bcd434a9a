"""GDELT's article list: titles with blanks before their punctuation, refusals in plain text."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from sigmax_tasks.simulator.protocols.reply import Reply, Request, json_reply, unknown_path
from sigmax_tasks.simulator.world import Story, World

_MOST: Final = 250
_MARKS: Final = re.compile(r"([,.;:!?%])")


def answer(world: World, request: Request) -> Reply:
    if request.path != "/api/v2/doc/doc":
        return unknown_path(request)
    if len(request.text("query")) < 3:
        return _text("Your query was too short or too long.")
    if request.text("mode") != "artlist" or request.text("format") != "json":
        return _text("Invalid mode.")
    start, end = _moment(request, "startdatetime"), _moment(request, "enddatetime")
    limit = request.integer("maxrecords", 75, 1, _MOST)
    found = [
        {
            "url": f"https://news.example.org:443/{story.story_id}",
            "url_mobile": "",
            "title": _MARKS.sub(r" \1", story.title),
            "seendate": f"{datetime.fromtimestamp(story.time_ms / 1000, UTC):%Y%m%dT%H%M%SZ}",
            "socialimage": "",
            "domain": "news.example.org",
            "language": "English",
            "sourcecountry": "United States",
        }
        for story in world.headlines("gdelt")
        if _within(story, start, end)
    ]
    return json_reply({"articles": found[:limit]} if found else {})


def _text(said: str) -> Reply:
    return Reply(200, f"{said}\n".encode(), "text/html; charset=utf-8")


def _moment(request: Request, name: str) -> float | None:
    try:
        found = datetime.strptime(request.text(name), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return found.timestamp() * 1000


def _within(story: Story, start: float | None, end: float | None) -> bool:
    after = start is None or story.time_ms >= start
    return after and (end is None or story.time_ms <= end)
