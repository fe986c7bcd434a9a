"""What news and social feeds share: safe parsing of RSS and Atom, plain text, clean links.

A feed is untrusted. Document types and entities are refused, HTML is reduced to text, and every
field is cut to a bounded length. Of several descriptions the first that is not empty counts:
CoinDesk sends its text in ``description`` and an empty ``dc:description`` behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sigmax_tasks.models.observations import DataNeed, Observation, TextItem, Texts
from sigmax_tasks.sources.call import Call
from sigmax_tasks.sources.documents import parse_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_ATOM: Final = "{http://www.w3.org/2005/Atom}"
_RSS1: Final = "{http://purl.org/rss/1.0/}"
_DC: Final = "{http://purl.org/dc/elements/1.1/}"
_CONTENT: Final = "{http://purl.org/rss/1.0/modules/content/}encoded"
_TITLES: Final = ("title", f"{_ATOM}title", f"{_RSS1}title")
_DATES: Final = ("pubDate", f"{_ATOM}published", f"{_ATOM}updated", f"{_DC}date")
_AUTHORS: Final = (f"{_ATOM}author", f"{_DC}creator", "author")
_LINKS: Final = ("link", f"{_ATOM}link", f"{_RSS1}link")
_BODIES: Final = (
    "description",
    f"{_ATOM}summary",
    f"{_ATOM}content",
    f"{_RSS1}description",
    f"{_DC}description",
    _CONTENT,
)
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
    root = parse_xml(call, body)
    if _local(root) not in {"rss", "RDF", "feed"}:
        raise call.bad("not an RSS or Atom feed")
    found = []
    for element in root.iter():
        if _local(element) in {"item", "entry"}:
            entry = _entry(element)
            if entry is not None:
                found.append(entry)
    return found


def _entry(item: Element) -> FeedEntry | None:
    """None for an entry without a title or a readable date."""
    title = plain_text(_first(item, _TITLES))[:TITLE_LENGTH]
    published = _moment(_first(item, _DATES))
    if not title or published is None:
        return None
    categories = [child for child in item if _local(child) == "category"]
    label = ""
    if categories:
        first = categories[0]
        label = first.get("label") or first.get("term") or first.text or ""
    return FeedEntry(
        title=title,
        body=plain_text(_first(item, _BODIES))[:BODY_LENGTH],
        url=clean_url(_link(item)),
        author=plain_text(_first(item, _AUTHORS))[:100],
        label=plain_text(label)[:60],
        published_at=published,
    )


def _first(item: Element, names: tuple[str, ...]) -> str:
    """The text of the first child that has any, by the order of the names."""
    for name in names:
        for child in item:
            if child.tag == name and (text := "".join(child.itertext()).strip()):
                return text[:_MARKUP_LENGTH]
    return ""


def _link(item: Element) -> str:
    for child in item:
        if child.tag in _LINKS and child.get("rel", "alternate") == "alternate":
            link = child.get("href") or child.text or ""
            if link.strip():
                return link.strip()
    return ""


def _moment(text: str) -> datetime | None:
    """RFC 822 (RSS) or ISO 8601 (Atom); a time without a zone is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        return None


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


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
