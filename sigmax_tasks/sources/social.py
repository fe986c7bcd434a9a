"""Posts of several Reddit communities in one Atom request (its limit is one request a window)."""

from __future__ import annotations

import re
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from sigmax_tasks.models.observations import DataNeed, Observation, TextItem
from sigmax_tasks.sources.call import Call
from sigmax_tasks.sources.feeds import FeedEntry, feed_entries, observe_texts

_STANDING_THREAD: Final = re.compile(r"\bdaily\b.*\bdiscussion\b", re.IGNORECASE)
_SUBMITTED: Final = re.compile(r"\s*submitted by /u/\S+.*$")


class RedditOptions(BaseModel):
    """``communities`` joined by "+"; ``max_age_hours`` as for news."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    communities: str = Field(pattern=r"^[A-Za-z0-9_]{2,30}(\+[A-Za-z0-9_]{2,30})*$")
    max_age_hours: float = Field(default=72, gt=0)


def fetch_reddit(need: DataNeed, call: Call) -> Observation:
    """:class:`Texts` of the hot posts, without moderator bots and standing discussion threads."""
    options = call.options
    if not isinstance(options, RedditOptions):
        raise TypeError("the reddit adapter needs RedditOptions")
    path = f"/r/{options.communities}/hot/.rss"
    answer = call.get(path, {"limit": min(need.limit, 100)})
    items = [
        TextItem(
            outlet=entry.label or "reddit",
            title=entry.title,
            body=_SUBMITTED.sub("", entry.body),
            url=entry.url,
            published_at=entry.published_at,
        )
        for entry in feed_entries(call, answer.body)
        if is_post(entry)
    ]
    return observe_texts(need, call, items, options.max_age_hours)


def is_post(entry: FeedEntry) -> bool:
    """Whether a person wrote it about something."""
    bot = entry.author.lower().removeprefix("/u/") == "automoderator"
    return not bot and not _STANDING_THREAD.search(entry.title)
