"""What news and social feeds share: safe parsing of RSS and Atom, plain text, clean links.

A feed is untrusted. Its XML is checked for entity tricks before feedparser sees it, its HTML is
reduced to text, and every field is cut to a bounded length.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sigmax_tasks.models.observations import DataNeed, Observation, TextItem, Texts
from sigmax_tasks.sources.call import Call

TITLE_LENGTH: Final = 300
BODY_LENGTH: Final = 2000
URL_LENGTH: Final = 500
_MARKUP_LENGTH: Final = 20_000
_SILENT: Final = frozenset({"script", "style", "template", "noscript"})
_BREAKING: Final = frozenset({"p", "br", "div", "li", "tr", "h1", "h2", "h3", "blockquote"})


@dataclass(frozen=True)
class FeedEntry:
    """One entry as its feed gave it, in plain text. ``label`` is its first category."""

    title: str
    body: str
    url: str
    author: str
    label: str
    published_at: datetime


def feed_entries(call: Call, body: bytes) -> list[FeedEntry]:
    """The dated, titled entries of an RSS or Atom document, in its order."""
    # Local: feedparser takes 0.1 s to import, and only feeds need it.
    import feedparser

    check_xml(call, body)
    feed = feedparser.parse(body, sanitize_html=False, resolve_relative_uris=False)
    if not feed.get("version"):
        raise call.bad("not an RSS or Atom feed")
    return list(_entries(feed.entries))


def check_xml(call: Call, body: bytes) -> None:
    """Refuse what is not well-formed XML, or declares entities."""
    # Local: as above.
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    if not body.strip():
        raise call.bad("empty body")
    try:
        root = fromstring(body, forbid_dtd=True)
    except DefusedXmlException as error:
        raise call.bad("the feed declares a document type or entities") from error
    except (ParseError, ValueError, LookupError) as error:
        raise call.bad("not well-formed XML") from error
    if root.tag.rpartition("}")[2].lower() == "html":
        raise call.bad("a page of HTML in place of a feed")


def _entries(entries: Any) -> Iterator[FeedEntry]:
    for entry in entries:
        title = plain_text(entry.get("title", ""))[:TITLE_LENGTH]
        stamp = entry.get("published_parsed") or entry.get("updated_parsed")
        if not title or stamp is None:
            continue
        try:
            published = datetime.fromtimestamp(calendar.timegm(stamp), UTC)
        except (ValueError, OverflowError):
            continue
        tags = entry.get("tags") or [{}]
        yield FeedEntry(
            title=title,
            body=plain_text(_body_markup(entry))[:BODY_LENGTH],
            url=clean_url(entry.get("link", "")),
            author=plain_text(entry.get("author", ""))[:100],
            label=plain_text(tags[0].get("label") or tags[0].get("term") or "")[:60],
            published_at=published,
        )


def _body_markup(entry: Any) -> str:
    """The summary, else the first content that is not empty."""
    texts = [
        entry.get("summary", ""),
        *(part.get("value", "") for part in entry.get("content", [])),
    ]
    return next((text for text in texts if text and text.strip()), "")


def observe_texts(
    need: DataNeed,
    call: Call,
    items: list[TextItem],
    max_age_hours: float,
) -> Observation:
    """Texts up to the run's clock, newest last, one per link and per title.

    Items dated later are left out (publishers date ahead); a feed whose newest item is older than
    ``max_age_hours`` is stale and refused.
    """
    now = call.clock.now()
    known: set[str] = set()
    kept = []
    for item in sorted(items, key=lambda item: (item.published_at, item.title)):
        names = {name for name in (item.url, item.title.casefold()) if name}
        if item.published_at <= now and not names & known:
            known |= names
            kept.append(item)
    if not kept:
        raise call.bad("no item up to the run's time")
    age_hours = (now - kept[-1].published_at).total_seconds() / 3600
    if age_hours > max_age_hours:
        raise call.bad(f"stale: its newest item is {age_hours:.0f} hours old")
    channel = "social" if need.source == "social" else "news"
    return call.observe(need, Texts(channel=channel, items=tuple(kept[-need.limit :])))


def clean_url(url: str) -> str:
    """The link without campaign parameters and fragment; "" unless it is http or https."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not parts.netloc or len(url) > 4 * URL_LENGTH:
        return ""
    kept = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if not name.lower().startswith("utm_")
    ]
    clean = urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(kept), ""))
    return clean if len(clean) <= URL_LENGTH else ""


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  # the base's signature
        if tag in _SILENT:
            self._silent += 1
        elif tag in _BREAKING:
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT and self._silent:
            self._silent -= 1
        elif tag in _BREAKING:
            self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def plain_text(markup: str) -> str:
    """Markup as one line of printable text."""
    parser = _Text()
    parser.feed(markup[:_MARKUP_LENGTH])
    parser.close()
    text = "".join(parser.parts)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
