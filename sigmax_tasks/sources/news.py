"""Headlines from RSS feeds (CoinDesk, Cointelegraph, Decrypt, or others in sources.yaml)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from sigmax_tasks.models.observations import DataNeed, Observation, TextItem
from sigmax_tasks.sources.call import Call
from sigmax_tasks.sources.feeds import feed_entries, observe_texts


class RssOptions(BaseModel):
    """``path`` of the feed, the ``outlet`` its items are shown under, and when it is stale."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    path: str = Field(pattern=r"^/")
    outlet: str = Field(min_length=1, max_length=60)
    max_age_hours: float = Field(default=72, gt=0)


def fetch_rss(need: DataNeed, call: Call) -> Observation:
    """:class:`Texts` of one feed. ``need.limit`` counts per feed."""
    options = call.options
    if not isinstance(options, RssOptions):
        raise TypeError("the rss adapter needs RssOptions")
    answer = call.get(options.path)
    items = [
        TextItem(
            outlet=options.outlet,
            title=entry.title,
            body=entry.body,
            url=entry.url,
            published_at=entry.published_at,
        )
        for entry in feed_entries(call, answer.body)
    ]
    return observe_texts(need, call, items, options.max_age_hours)
