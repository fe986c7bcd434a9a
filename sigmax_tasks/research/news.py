"""Headlines and posts made comparable: cleaned, relevant, weighed, one entry per story.

Weight of a text = outlet x relevance x 0.5^(age / half-life); half-life 12 h for news, 6 h for
social posts. Texts from after ``as_of`` or older than five days are not used.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sigmax_tasks.models.observations import Observation, TextItem, Texts
from sigmax_tasks.models.research import ResearchInputs
from sigmax_tasks.research.assets import ASSET_NAMES, is_market_wide, mentions, mentions_other
from sigmax_tasks.research.lookup import base_of

Channel = Literal["news", "social"]

HALF_LIFE_HOURS: dict[Channel, float] = {"news": 12.0, "social": 6.0}
MAX_AGE_HOURS = 120.0
SAME_STORY_HOURS = 36.0
SAME_STORY_SHARE = 0.65
SAME_STORY_WORDS = 3
QUOTE_CHARACTERS = 120

IN_TITLE, IN_BODY = 1.0, 0.7
MARKET_IN_TITLE, MARKET_IN_BODY = 0.4, 0.2

OUTLET_WEIGHTS: dict[str, float] = {
    "reuters": 1.0,
    "bloomberg": 1.0,
    "coindesk": 1.0,
    "theblock": 1.0,
    "blockworks": 0.9,
    "cointelegraph": 0.85,
    "decrypt": 0.85,
    "bitcoinmagazine": 0.7,
    "reddit": 0.4,
    "stocktwits": 0.35,
}
"""Our judgement of how much editing stands behind a text; names without blanks and endings."""
OTHER_NEWS_WEIGHT = 0.6
OTHER_SOCIAL_WEIGHT = 0.35

_MARKUP = re.compile(r"<!--.*?-->|<[^<>]{0,2000}>", re.DOTALL)
_WORD = re.compile(r"[a-z0-9][a-z0-9.%$]*")
_STOPWORDS = frozenset(
    {
        *("a", "an", "the", "of", "to", "in", "on", "at", "by", "for", "with", "from", "as", "and"),
        *("or", "but", "is", "are", "was", "were", "be", "been", "it", "its", "this", "that", "s"),
        *("has", "have", "had", "will", "would", "could", "may", "after", "over", "into", "amid"),
        *("than", "up", "out", "says", "said", "new", "more", "how", "why", "what", "who", "here"),
    }
)
_ONE_NAME = {name: base.lower() for base, names in ASSET_NAMES.items() for name in names}
_NAMES = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(_ONE_NAME, key=len)[::-1]))})\b")


@dataclass(frozen=True)
class Story:
    """One story as its first text tells it; ``outlets`` are all that carry it.

    ``weight`` is that of its heaviest text, ``relevance`` how much it is about the asset.
    """

    channel: Channel
    item: TextItem
    title: str
    body: str
    outlets: tuple[str, ...]
    texts: tuple[TextItem, ...]
    relevance: float
    weight: float
    observations: tuple[Observation, ...]

    @property
    def quote(self) -> str:
        """The title in quotation marks, at most 120 characters; untrusted text."""
        return f'"{quotable(self.title)}"'


@dataclass(frozen=True)
class _Entry:
    item: TextItem
    title: str
    body: str
    relevance: float
    weight: float
    observation: Observation
    title_words: frozenset[str]
    all_words: frozenset[str]


def cleaned(text: str) -> str:
    """Plain text on one line: no markup, no entities, no control or formatting characters."""
    plain = _MARKUP.sub(" ", html.unescape(_MARKUP.sub(" ", text)))
    plain = unicodedata.normalize("NFKC", _MARKUP.sub(" ", plain))
    kept = (" " if unicodedata.category(c)[0] in "CZ" else c for c in plain)
    return " ".join("".join(kept).split())


def quotable(text: str) -> str:
    """Cleaned, without quotation marks, brackets and braces, and bounded: fit to be cited."""
    plain = re.sub(r"[\"\u201c\u201d`<>{}\[\]\\]", "", cleaned(text)).strip()
    return (
        plain if len(plain) <= QUOTE_CHARACTERS else plain[: QUOTE_CHARACTERS - 3].rstrip() + "..."
    )


def outlet_weight(outlet: str, channel: Channel) -> float:
    """0 to 1; an outlet not in the table counts as an unknown one of its channel."""
    key = re.sub(r"[^a-z]", "", outlet.lower())
    other = OTHER_NEWS_WEIGHT if channel == "news" else OTHER_SOCIAL_WEIGHT
    return next((weight for name, weight in OUTLET_WEIGHTS.items() if name in key), other)


def relevance_of(base: str, title: str, body: str) -> float:
    """1 asset in the title, 0.7 in the body, 0.4 market in the title, 0.2 in the body, else 0.

    A title about another coin does not count as market-wide.
    """
    if mentions(base, title):
        return IN_TITLE
    if mentions(base, body):
        return IN_BODY
    if mentions_other(base, title):
        return 0.0
    if is_market_wide(title):
        return MARKET_IN_TITLE
    return MARKET_IN_BODY if is_market_wide(body) else 0.0


def stories_of(inputs: ResearchInputs, channel: Channel) -> list[Story]:
    """Relevant stories of a channel, oldest first, whatever the order of the texts."""
    base = base_of(inputs.symbol)
    entries: list[_Entry] = []
    for observation in inputs.observations:
        if isinstance(observation.data, Texts) and observation.data.channel == channel:
            entries += [
                entry
                for item in observation.data.items
                if (entry := _entry(item, channel, base, inputs.as_of, observation))
            ]
    entries.sort(key=lambda e: (e.item.published_at, e.item.outlet, e.title, e.item.url, e.body))
    groups: list[list[_Entry]] = []
    for entry in entries:
        group = next((g for g in groups if _same_story(g[0], entry)), None)
        if group is None:
            groups.append([entry])
        else:
            group.append(entry)
    return [_story(channel, group) for group in groups]


def age_hours(item: TextItem, as_of: datetime) -> float:
    return (as_of - item.published_at).total_seconds() / 3600


def _entry(
    item: TextItem, channel: Channel, base: str, as_of: datetime, observation: Observation
) -> _Entry | None:
    age = age_hours(item, as_of)
    if not 0 <= age <= MAX_AGE_HOURS:
        return None
    title, body = cleaned(item.title), cleaned(item.body)
    relevance = relevance_of(base, title, body)
    if not title or relevance == 0:
        return None
    decay = 0.5 ** (age / HALF_LIFE_HOURS[channel])
    title_words = _words(title)
    return _Entry(
        item=item,
        title=title,
        body=body,
        relevance=relevance,
        weight=outlet_weight(item.outlet, channel) * relevance * decay,
        observation=observation,
        title_words=title_words,
        all_words=title_words | _words(body),
    )


def _words(text: str) -> frozenset[str]:
    plain = text.lower().replace("\u2019", "'").replace("'s", "")
    plain = _NAMES.sub(lambda match: _ONE_NAME[match.group()], plain)
    words = (word.strip(".$") for word in _WORD.findall(plain))
    return frozenset(_stem(word) for word in words if word and word not in _STOPWORDS)


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)].rstrip("e")
    return word.rstrip("e") if len(word) > 4 else word


def _same_story(first: _Entry, other: _Entry) -> bool:
    """Equal titles, or most words of one title in the other text, at least three, close in time.

    Titles with numbers of which none is shared ("raises $10M", "raises $12M") are two stories.
    """
    hours = abs((other.item.published_at - first.item.published_at).total_seconds()) / 3600
    if hours > SAME_STORY_HOURS:
        return False
    if first.title_words == other.title_words:
        return True
    numbers, others = (
        {word for word in words if any(c.isdigit() for c in word)}
        for words in (first.title_words, other.title_words)
    )
    if numbers and others and not numbers & others:
        return False
    return any(
        len(shared) >= SAME_STORY_WORDS and len(shared) >= SAME_STORY_SHARE * len(one.title_words)
        for one, two in ((first, other), (other, first))
        for shared in (one.title_words & two.all_words,)
    )


def _story(channel: Channel, group: Sequence[_Entry]) -> Story:
    first = group[0]
    return Story(
        channel=channel,
        item=first.item,
        title=first.title,
        body=first.body,
        outlets=tuple(sorted({entry.item.outlet for entry in group})),
        texts=tuple(entry.item for entry in group),
        relevance=max(entry.relevance for entry in group),
        weight=max(entry.weight for entry in group),
        observations=tuple(
            {e.observation.lineage.observation_id: e.observation for e in group}.values()
        ),
    )
