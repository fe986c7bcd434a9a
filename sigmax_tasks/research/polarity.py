"""score_text: how good or bad a headline or post is for the price, from its words alone."""

from __future__ import annotations

import html
import itertools
import math
import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from vaderSentiment.vaderSentiment import BOOSTER_DICT, NEGATE, SentimentIntensityAnalyzer

from sigmax_tasks.research.lexicon import (
    INVERSE_SUBJECTS,
    LONGEST_PHRASE,
    MOVES,
    NEGATING_PHRASES,
    UNSURE_WORDS,
    VALENCES,
)

MAX_CHARACTERS = 2000
NORMALISATION_ALPHA = 15.0  # VADER's: compound = x / sqrt(x^2 + alpha)
NEGATION_SCALAR = -0.74  # VADER's
VADER_FACTOR = 0.6  # VADER's own words count less than the field's
QUESTION_FACTOR = 0.35
UNSURE_FACTOR = 0.5
REACH_BEFORE = 3  # words in front that negate, raise or doubt
SUBJECT_REACH_AFTER = 2
PERCENT_REACH = 5
BARE_MOVES = {"up": 1.6, "down": -1.6, "higher": 1.6, "lower": -1.6}

_TAG = re.compile(r"<[^<>]{0,500}>")
_URL = re.compile(r"(?:https?://|www\.)\S+")
_TOKEN = re.compile(r"(?:(?<![\d.])[+-])?\d[\d,]*(?:\.\d+)?%|[a-z]+(?:&[a-z]+)?|\d+|[,;:!?]")
_BREAKS = frozenset(",;:!?")
_QUESTION_OPENERS = frozenset(
    {
        *("how", "what", "why", "who", "when", "where", "which", "should"),
        *("is", "are", "can", "could", "will", "do", "does", "did"),
    }
)
_NEGATORS = frozenset(word.replace("'", "") for word in NEGATE) - {"despite"} | frozenset({"nt"})


@lru_cache(maxsize=1)
def _vader_words() -> dict[str, float]:
    return {str(k): float(v) for k, v in SentimentIntensityAnalyzer().lexicon.items()}


def tokens_of(text: str) -> list[str]:
    """Lower-case words and percentages of a text, free of markup, links and possessives."""
    plain = html.unescape(_TAG.sub(" ", html.unescape(text[:MAX_CHARACTERS])))
    plain = unicodedata.normalize("NFKC", _URL.sub(" ", _TAG.sub(" ", plain))).lower()
    plain = plain.replace("\u2019", "'").replace("\u2212", "-")
    plain = re.sub(r"n't\b", " not", plain)
    plain = re.sub(r"'s\b|'", "", plain)
    plain = re.sub(r"(\d)\s*(?:percent|per cent|pct)\b", r"\1%", plain)
    return _TOKEN.findall(plain)


class _Hit(NamedTuple):
    """A word or phrase with a valence: tokens[start:end]."""

    start: int
    end: int
    valence: float


def score_text(text: str) -> float:
    """Polarity of one headline or post in [-1, 1]; above 0.05 good, below -0.05 bad.

    Phrases are matched before words, the field's lexicon before VADER's. As in VADER, intensifiers
    raise, negations within three words turn and weaken, "but" shifts the weight, and the sum x
    becomes x / sqrt(x^2 + 15). Beyond VADER: a percentage scales the move it stands behind, a
    move of something unwelcome (inflation, outflows) counts the other way round, and questions
    and possibilities count less.
    """
    tokens = tokens_of(text)
    total = 0.0
    hits = _hits(tokens)
    pivot = max((i for i, word in enumerate(tokens) if word == "but"), default=None)
    for hit in hits:
        valence = _in_context(tokens, hit)
        if pivot is not None:
            valence *= 0.5 if hit.start < pivot else 1.5
        total += valence
    total += sum(_signed_percent(token) for token in tokens)
    if tokens and (tokens[0] in _QUESTION_OPENERS or text.rstrip().endswith("?")):
        total *= QUESTION_FACTOR
    return total / math.sqrt(total * total + NORMALISATION_ALPHA)


def _hits(tokens: list[str]) -> list[_Hit]:
    vader = _vader_words()
    hits: list[_Hit] = []
    at = 0
    while at < len(tokens):
        for length in range(min(LONGEST_PHRASE, len(tokens) - at), 0, -1):
            entry = " ".join(tokens[at : at + length])
            valence = VALENCES.get(entry)
            if valence is None and length == 1:
                valence = vader.get(entry, 0.0) * VADER_FACTOR
            if valence is not None:
                if valence:
                    hits.append(_Hit(at, at + length, valence))
                at += length
                break
    return hits


def _in_context(tokens: list[str], hit: _Hit) -> float:
    valence = hit.valence
    before = _same_clause(tokens[max(0, hit.start - REACH_BEFORE) : hit.start][::-1])[::-1]
    after = _same_clause(tokens[hit.end : hit.end + PERCENT_REACH])
    if before and before[-1] in BOOSTER_DICT:
        valence += math.copysign(BOOSTER_DICT[before[-1]], valence)
    if _moves(tokens, hit):
        valence = _scaled_by_percent(tokens[hit.start], valence, after)
        if INVERSE_SUBJECTS.intersection(before + after[:SUBJECT_REACH_AFTER]):
            valence *= -1.0
    if _negated(before):
        valence *= NEGATION_SCALAR
    if UNSURE_WORDS.intersection(before):
        valence *= UNSURE_FACTOR
    return valence


def _moves(tokens: list[str], hit: _Hit) -> bool:
    return not MOVES.isdisjoint(tokens[hit.start : hit.end])


def _negated(before: list[str]) -> bool:
    return any(token in _NEGATORS for token in before) or any(
        " ".join(before[i : i + n]) in NEGATING_PHRASES
        for n in (1, 2, 3)
        for i in range(len(before) - n + 1)
    )


def _same_clause(words: list[str]) -> list[str]:
    return list(itertools.takewhile(lambda word: word not in _BREAKS, words))


def _scaled_by_percent(word: str, valence: float, after: list[str]) -> float:
    """x0.6 for a move of nothing to x1.6 for 20 % and more; as it is where no percentage follows.

    A bare "up 8%" or "down 8%" weighs like "climbs 8%" or "drops 8%".
    """
    percent = next((token for token in after if token.endswith("%")), None)
    if percent is None:
        return valence
    if word in BARE_MOVES and percent in after[:2]:
        valence = BARE_MOVES[word]
    return valence * (0.6 + min(abs(_number(percent)), 20.0) / 20.0)


def _signed_percent(token: str) -> float:
    """+8% or -8% written with its sign is a move of its own: 1 to 2.5 VADER points."""
    if not token.endswith("%") or token[0] not in "+-":
        return 0.0
    number = _number(token)
    return math.copysign(1.0 + 1.5 * min(abs(number), 20.0) / 20.0, number) if number else 0.0


def _number(percent: str) -> float:
    return float(percent.rstrip("%").replace(",", ""))
