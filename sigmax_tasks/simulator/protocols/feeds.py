"""News feeds (RSS 2.0) and Reddit listings (Atom), each escaped as its real publisher does it."""

from __future__ import annotations

import re
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from sigmax_tasks.simulator.protocols.reply import (
    Reply,
    Request,
    iso,
    rfc822,
    text_reply,
    unknown_path,
)
from sigmax_tasks.simulator.world import Story, World

_NAMESPACES: Final = (
    'xmlns:content="http://purl.org/rss/1.0/modules/content/" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:atom="http://www.w3.org/2005/Atom" '
    'xmlns:media="http://search.yahoo.com/mrss/" version="2.0"'
)
_COMMUNITY: Final = re.compile(r"/r/([A-Za-z0-9_+]{1,200})/(?:hot|new|top)/?\.rss")
_LONGEST_FEED: Final = 40


def answer_coindesk(world: World, request: Request) -> Reply:
    if request.path == "/arc/outboundfeeds/rss/":
        return Reply(308, b"", headers={"Location": "/arc/outboundfeeds/rss"})
    if request.path != "/arc/outboundfeeds/rss":
        return unknown_path(request)
    home = "https://www.coindesk.com"
    items = [
        f"<item><title>{_cdata(story.title)}</title>"
        f"<link>{home}/{story.section.lower()}/{_slug(story)}</link>"
        f'<guid isPermaLink="false">{story.story_id}</guid>'
        f"<pubDate>{rfc822(story.time_ms)}</pubDate>"
        f"<description>{_cdata(escape(story.text))}</description>"
        f"<dc:creator>{escape(story.author)}</dc:creator>"
        f'<category domain="{home}/{story.section.lower()}">{_cdata(story.section)}</category>'
        "</item>"
        for story in world.headlines("coindesk")[:_LONGEST_FEED]
    ]
    return _rss("CoinDesk: Bitcoin, Ethereum, Crypto News and Price Data", home, world, items)


def answer_cointelegraph(world: World, request: Request) -> Reply:
    if request.path.rstrip("/") != "/rss":
        return unknown_path(request)
    home = "https://cointelegraph.com"
    items = [
        f"<item><title>{escape(story.title)}</title>"
        f"<pubDate>{rfc822(story.time_ms)}</pubDate>"
        f'<guid isPermaLink="true">{home}/news/{_slug(story)}</guid>'
        f"<link>{_cdata(f'{home}/news/{_slug(story)}?utm_source=rss_feed&utm_medium=rss')}</link>"
        f"<description>{_cdata(f'<p>{escape(story.text)}</p>')}</description>"
        f"<dc:creator>Cointelegraph by {escape(story.author)}</dc:creator>"
        "<category>Latest News</category></item>"
        for story in world.headlines("cointelegraph")[:_LONGEST_FEED]
    ]
    return _rss("Cointelegraph.com News", home, world, items)


def answer_decrypt(world: World, request: Request) -> Reply:
    if request.path.rstrip("/") != "/feed":
        return unknown_path(request)
    return _plain_rss(world, "decrypt", "https://decrypt.co", "Decrypt")


def answer_the_block(world: World, request: Request) -> Reply:
    if request.path != "/rss.xml":
        return unknown_path(request)
    return _plain_rss(world, "the_block", "https://www.theblock.co", "The Block")


def answer_bitcoin_magazine(world: World, request: Request) -> Reply:
    if request.path.rstrip("/") != "/feed":
        return unknown_path(request)
    home = "https://bitcoinmagazine.com"
    return _plain_rss(world, "bitcoin_magazine", home, "Bitcoin Magazine")


def _plain_rss(world: World, outlet: str, home: str, title: str) -> Reply:
    items = [
        f"<item><title>{escape(story.title)}</title>"
        f"<link>{home}/{_slug(story)}</link>"
        f'<guid isPermaLink="false">{story.story_id}</guid>'
        f"<pubDate>{rfc822(story.time_ms)}</pubDate>"
        f"<dc:creator>{escape(story.author)}</dc:creator>"
        f"<category>{escape(story.section)}</category>"
        f"<description>{_cdata(escape(story.text))}</description></item>"
        for story in world.headlines(outlet)[:_LONGEST_FEED]
    ]
    return _rss(title, home, world, items)


def answer_reddit(world: World, request: Request) -> Reply:
    found = _COMMUNITY.fullmatch(request.path)
    if found is None:
        return unknown_path(request)
    names = found[1].strip("+").split("+")[:20]
    home = "https://www.reddit.com"
    entries = []
    for story in world.posts(names)[: int(request.integer("limit", 25, 1, 100))]:
        community = story.story_id.split("-")[1]
        link = quoteattr(f"{home}/r/{community}/comments/{story.story_id}/")
        body = f'<!-- SC_OFF --><div class="md"><p>{escape(story.text)}</p></div><!-- SC_ON -->'
        entries.append(
            f"<entry><author><name>/u/{escape(story.author.split()[0].lower())}</name></author>"
            f'<category term="{community}" label="r/{community}"/>'
            f'<content type="html">{escape(body)}</content>'
            f"<id>t3_{story.story_id}</id><link href={link} />"
            f"<updated>{iso(story.time_ms, 0)[:-1]}+00:00</updated>"
            f"<published>{iso(story.time_ms, 0)[:-1]}+00:00</published>"
            f"<title>{escape(story.title)}</title></entry>"
        )
    listing = escape(f"{'+'.join(names)}")
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom" '
        'xmlns:media="http://search.yahoo.com/mrss/">'
        f"<updated>{iso(world.now_ms, 0)[:-1]}+00:00</updated><id>/r/{listing}/hot/.rss</id>"
        f"<title>hot posts from {listing}</title>{''.join(entries)}</feed>"
    )
    return text_reply(text, "application/atom+xml; charset=UTF-8")


def _rss(title: str, home: str, world: World, items: list[str]) -> Reply:
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<rss {_NAMESPACES}><channel>'
        f"<title>{escape(title)}</title><link>{home}</link><description>{escape(title)}"
        f"</description><lastBuildDate>{rfc822(world.now_ms)}</lastBuildDate>"
        f"<language>en-US</language><ttl>5</ttl>{''.join(items)}</channel></rss>"
    )
    return text_reply(text, "application/rss+xml; charset=utf-8")


def _cdata(text: str) -> str:
    return f"<![CDATA[{text.replace(']]>', ']]]]><![CDATA[>')}]]>"


def _slug(story: Story) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", story.title.lower()).strip("-")
    return f"{words[:80]}-{story.story_id.rsplit('-', 1)[-1]}"
