"""GDELT's list of recent articles: news of last resort.

It refuses often and for long, says so in plain text with status 200 or 429, and gives titles
only. After a refusal it is left alone for ``cool_down_seconds``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from sigmax_tasks.errors import RateLimitedError, WrongQuestionError
from sigmax_tasks.models.observations import DataNeed, Observation, TextItem
from sigmax_tasks.sources.call import Call
from sigmax_tasks.sources.feeds import TITLE_LENGTH, clean_url, observe_texts, plain_text

_MOST: Final = 250
_SPACED: Final = re.compile(r"\s+([,.;:!?%])")
_PORT: Final = re.compile(r"^(https?://[^/:]+):(?:80|443)(?=/|$)")


class GdeltOptions(BaseModel):
    """``query`` in GDELT's language, over the last ``hours``; stale as for feeds."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    query: str = Field(min_length=3, max_length=200)
    hours: int = Field(default=24, ge=1, le=168)
    max_age_hours: float = Field(default=48, gt=0)
    cool_down_seconds: float = Field(default=900, ge=0)


class _Article(BaseModel):
    url: str = ""
    title: str = ""
    seendate: str
    domain: str = ""


class _Articles(BaseModel):
    articles: list[_Article] = []


def fetch_gdelt(need: DataNeed, call: Call) -> Observation:
    """:class:`Texts` of the newest articles, their outlets being the sites they stand on."""
    options = call.options
    if not isinstance(options, GdeltOptions):
        raise TypeError("the gdelt adapter needs GdeltOptions")
    end = call.clock.now()
    start = end - timedelta(hours=options.hours)
    try:
        answer = call.get(
            "/api/v2/doc/doc",
            {
                "query": options.query,
                "mode": "artlist",
                "format": "json",
                "maxrecords": min(need.limit, _MOST),
                "startdatetime": f"{start:%Y%m%d%H%M%S}",
                "enddatetime": f"{end:%Y%m%d%H%M%S}",
                "sort": "datedesc",
            },
        )
    except RateLimitedError as error:
        wait = max(error.retry_after_seconds or 0.0, options.cool_down_seconds)
        raise RateLimitedError(call.provider_id, error.problem, retry_after_seconds=wait) from error
    return parse_articles(need, call, options, answer_json(call, options, answer.body))


def answer_json(call: Call, options: GdeltOptions, body: bytes) -> Any:
    """The parsed body; what GDELT says in plain text is an error, whatever the status."""
    start = body[:400].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start and start[:1] not in b"{[<":
        said = " ".join(start.decode("utf-8", "replace").split())[:160]
        if "limit requests" in said.lower():
            raise RateLimitedError(
                call.provider_id, said, retry_after_seconds=options.cool_down_seconds
            )
        raise WrongQuestionError(call.provider_id, said)
    return call.answers[-1].json()


def parse_articles(need: DataNeed, call: Call, options: GdeltOptions, data: Any) -> Observation:
    items = []
    for article in call.parse(_Articles, data).articles:
        title = _SPACED.sub(r"\1", plain_text(article.title))[:TITLE_LENGTH]
        if title:
            items.append(
                TextItem(
                    outlet=plain_text(article.domain)[:60] or "gdelt",
                    title=title,
                    url=clean_url(_PORT.sub(r"\1", article.url)),
                    published_at=_seen_at(call, article.seendate),
                )
            )
    return observe_texts(need, call, items, options.max_age_hours)


def _seen_at(call: Call, text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise call.bad(f"unreadable time {text[:20]!r}") from error
