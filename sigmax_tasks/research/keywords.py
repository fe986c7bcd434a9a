"""Key phrases of the news about an asset: what is talked about, what is new, in which tone.

Phrases by YAKE (Campos et al. 2020, n up to 3) over titles and openings of the relevant stories.
Trend of a phrase = ((r + 0.5) / (R + 1)) / ((b + 0.5) / (B + 1)): its share r / R of the stories of
the last 12 hours over its share b / B of the older ones, with additive smoothing; trending from
2 on with at least two recent stories. Tone of a phrase = mean of score_text over the titles of
the stories that hold it. Words are weak evidence: reliability at most 0.2, and a
phrase of one story is listed but argues nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import yake

from sigmax_tasks.models.observations import DataNeed
from sigmax_tasks.models.research import Finding, ResearchInputs
from sigmax_tasks.research.assets import ASSET_NAMES
from sigmax_tasks.research.lookup import base_of
from sigmax_tasks.research.news import Story, age_hours, quotable, stories_of
from sigmax_tasks.research.polarity import score_text
from sigmax_tasks.research.scoring import InsufficientDataError, Notebook, squash
from sigmax_tasks.research.sentiment import NEWS_NEED, TONE_SCALE, USUAL_TONE

RECENT_HOURS = 12.0
SMOOTHING = 0.5
TRENDING_RATIO = 2.0
FEWEST_STORIES = 3
CANDIDATES = 40
KEPT = 8
ARGUED = 5
ARGUED_STORIES = 2
TRUST = 0.2
BODY_CHARACTERS = 200
_COMMON = frozenset(
    {
        *("crypto", "cryptocurrency", "cryptocurrencies", "token", "tokens", "coin", "coins"),
        *("market", "markets", "price", "prices", "news", "today", "blockchain", "read", "daily"),
        *("trading", "traders", "digital", "asset", "assets", "company", "million", "billion"),
    }
)


@dataclass(frozen=True)
class Keyword:
    """One phrase: in how many recent and older stories, its trend ratio and tone."""

    phrase: str
    stories: tuple[Story, ...]
    recent: int
    older: int
    ratio: float | None
    tone: float

    @property
    def trending(self) -> bool:
        return self.ratio is not None and self.ratio >= TRENDING_RATIO and self.recent >= 2


def needs(symbol: str, watchlist: tuple[str, ...]) -> tuple[DataNeed, ...]:  # noqa: ARG001 (common signature)
    """The same news as the sentiment task, fetched once."""
    return (NEWS_NEED,)


def research(inputs: ResearchInputs) -> Finding:
    """Raises InsufficientDataError under three relevant stories, or where no phrase is left."""
    stories = stories_of(inputs, "news")
    if len(stories) < FEWEST_STORIES:
        raise InsufficientDataError(
            f"only {len(stories)} relevant news stories, {FEWEST_STORIES} are needed for keywords"
        )
    keywords = keywords_of(stories, inputs)
    if not keywords:
        raise InsufficientDataError(
            f"no phrase stands out in {len(stories)} news stories about {inputs.symbol}"
        )
    book = Notebook(inputs)
    for rank, keyword in enumerate(keywords, start=1):
        _write(book, rank, keyword)
    trending = [keyword.phrase for keyword in keywords if keyword.trending]
    book.labels["keywords"] = "; ".join(keyword.phrase for keyword in keywords)
    book.labels["trending"] = "; ".join(trending) or "none"
    agrees = _agrees_with_sentiment(book)
    if agrees is not None:
        book.labels["agrees_with_sentiment"] = "yes" if agrees else "no"
    return book.finding(
        f"Keywords in {len(stories)} stories: {', '.join(k.phrase for k in keywords[:4])};"
        f" trending: {', '.join(trending[:3]) or 'none'}.",
        strength_factor=0.7 if agrees is False else 1.0,
    )


def keywords_of(stories: Sequence[Story], inputs: ResearchInputs) -> list[Keyword]:
    """The phrases that stand out, trending and frequent ones first."""
    base = base_of(inputs.symbol)
    texts = [_text(story) for story in stories]
    recent = [age_hours(story.item, inputs.as_of) <= RECENT_HOURS for story in stories]
    found: list[Keyword] = []
    extractor = yake.KeywordExtractor(lan="en", n=3, dedup_lim=0.8, top=CANDIDATES)
    for raw, _ in extractor.extract_keywords(". ".join(texts)):
        phrase = quotable(str(raw)).lower().strip(" .,:;!?'-")
        if not _tells_something(phrase, base) or _overlaps(phrase, found):
            continue
        pattern = re.compile(rf"(?<!\w){re.escape(phrase)}(?!\w)")
        holding = [i for i, text in enumerate(texts) if pattern.search(text.lower())]
        if not holding:
            continue
        now = sum(recent[i] for i in holding)
        found.append(
            Keyword(
                phrase=phrase,
                stories=tuple(stories[i] for i in holding),
                recent=now,
                older=len(holding) - now,
                ratio=trend_ratio(now, sum(recent), len(holding) - now, recent.count(False)),
                tone=math.fsum(score_text(stories[i].title) for i in holding) / len(holding),
            )
        )
    found.sort(key=lambda k: (not k.trending, -len(k.stories), k.phrase))
    return found[:KEPT]


def trend_ratio(recent: int, all_recent: int, older: int, all_older: int) -> float | None:
    """Smoothed ratio of shares; None without stories on both sides."""
    if all_recent == 0 or all_older == 0:
        return None
    now = (recent + SMOOTHING) / (all_recent + 2 * SMOOTHING)
    before = (older + SMOOTHING) / (all_older + 2 * SMOOTHING)
    return now / before


def _text(story: Story) -> str:
    return f"{story.title}. {story.body[:BODY_CHARACTERS]}".strip()


def _tells_something(phrase: str, base: str) -> bool:
    words = phrase.split()
    known = {base.lower(), "bitcoin", "btc", *ASSET_NAMES.get(base, ())}
    if len(phrase) < 4 or not any(len(word) > 2 and word.isalpha() for word in words):
        return False
    return phrase not in known and not all(word in known or word in _COMMON for word in words)


def _overlaps(phrase: str, found: Sequence[Keyword]) -> bool:
    words = set(phrase.split())
    return any(
        words <= (other := set(keyword.phrase.split())) or other <= words for keyword in found
    )


def _write(book: Notebook, rank: int, keyword: Keyword) -> None:
    observations = [o for story in keyword.stories for o in story.observations]
    prefix = f"keyword_{rank}"
    book.measure(f"{prefix}_stories", len(keyword.stories), "count", *observations)
    book.measure(f"{prefix}_trend", keyword.ratio, "ratio", *observations)
    book.measure(f"{prefix}_tone", keyword.tone, "score", *observations)
    count = len(keyword.stories)
    if rank > ARGUED or count < ARGUED_STORIES:
        return
    mass = math.fsum(story.weight for story in keyword.stories)
    trend = "" if keyword.ratio is None else f", {keyword.ratio:.1f} times its earlier share"
    book.argue(
        prefix,
        f'Keyword "{keyword.phrase}" in {count} stories'
        f" ({keyword.recent} recent{trend}), tone {keyword.tone:+.2f}",
        *observations,
        polarity=squash(keyword.tone - USUAL_TONE, TONE_SCALE),
        reliability=TRUST * mass / (mass + 2.0) * (1.0 if keyword.trending else 0.6),
        metric_names=(f"{prefix}_stories", f"{prefix}_trend", f"{prefix}_tone"),
        observed_at=max(story.item.published_at for story in keyword.stories),
        untrusted_text=True,
    )


def _agrees_with_sentiment(book: Notebook) -> bool | None:
    """Whether keywords and the sentiment task lean the same way; None where either is neutral."""
    sentiment = book.inputs.upstream.get("sentiment")
    if sentiment is None or abs(sentiment.score) < 0.05:
        return None
    lean = math.fsum(item.polarity * item.reliability for item in book.evidence)
    return None if abs(lean) < 1e-9 else (lean > 0) == (sentiment.score > 0)
