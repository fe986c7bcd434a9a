"""Is each number of a claim one that the cited evidence holds? Pure.

A number of the claim is accepted where a number of the evidence, rounded to the decimals that the
claim shows, is the same; signs and thousands separators do not matter. ``3.1 %`` is also the
fraction 0.031, and ``1.3bn`` also 1300000000, rounded likewise. A number written in words cannot be
checked so, and is refused where it counts something ("ten percent", "three-fold"). Digits inside a
word (``4h``, ``M2``, ``ema_20``) are a name, and must be one that the evidence uses.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_NUMBER = re.compile(
    r"(?<![\w.,])[+-]?(?P<digits>\d{1,3}(?:,\d{3})+|\d+)(?P<decimals>\.\d+)?"
    r"(?:[eE](?P<exponent>[+-]?\d{1,2})\b)?"
    r"(?:\s?(?P<scale>bn|billion|million|thousand|trillion|[kKMGTB])(?!\w))?"
)
_WORD = re.compile(r"\w+")
_SCALES = {
    "k": 1e3,
    "thousand": 1e3,
    "m": 1e6,
    "million": 1e6,
    "g": 1e9,
    "b": 1e9,
    "bn": 1e9,
    "billion": 1e9,
    "t": 1e12,
    "trillion": 1e12,
}
_WORDS = (
    r"(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    r"|sixteen|seventeen|eighteen|nineteen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty"
    r"|hundreds?|thousands?|millions?|billions?|trillions?|dozens?)"
)
_UNITS = (
    r"(?:percent|per cent|percentage|points?|fold|times|hundreds?|thousands?|millions?|billions?"
    r"|trillions?|dollars?|usd|coins?|btc|eth)"
)
_IN_WORDS = re.compile(rf"\b{_WORDS}\b(?:[\s-]+{_WORDS}\b)*[\s-]*{_UNITS}\b", re.IGNORECASE)
_SLACK = 1e-9


def numbers_in(text: str) -> tuple[float, ...]:
    """The numbers of a text as they are meant (``1.2k`` is 1200), without their signs."""
    return tuple(_value(match) for match in _NUMBER.finditer(_plain(text)) if _stands_alone(match))


def names_in(text: str) -> frozenset[str]:
    """The words of a text that hold letters and digits, in lower case."""
    rest = _NUMBER.sub(lambda m: " " if _stands_alone(m) else m[0], _plain(text))
    return frozenset(
        word
        for word in _WORD.findall(rest.casefold())
        if any(map(str.isdigit, word)) and any(map(str.isalpha, word))
    )


def unfounded_numbers(
    text: str, allowed: Iterable[float], names: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """The numbers of ``text`` that none of ``allowed`` comes to, as they are written.

    ``names`` are the words with digits that it may use (see :func:`names_in`).
    """
    known = [abs(value) for value in allowed]
    plain = _WORD.sub(lambda word: "" if word[0].casefold() in names else word[0], _plain(text))
    missing = [
        match[0].strip()
        for match in _NUMBER.finditer(plain)
        if not any(_same(_value(match), _step(match), number) for number in known)
    ]
    # Digits that are no number of their own ("USD500", "x3").
    rest = _NUMBER.sub(" ", plain)
    missing += [word for word in _WORD.findall(rest) if any(map(str.isdigit, word))]
    missing += [match[0] for match in _IN_WORDS.finditer(plain)]
    return tuple(dict.fromkeys(missing))


def _stands_alone(match: re.Match[str]) -> bool:
    """Not the digits at the start of a word, such as ``4h``."""
    return not match.string[match.end() : match.end() + 1].isalnum()


def _factor(match: re.Match[str]) -> float:
    scale = _SCALES.get((match["scale"] or "").lower(), 1.0)
    return scale * 10.0 ** int(match["exponent"] or 0)


def _value(match: re.Match[str]) -> float:
    digits = match["digits"].replace(",", "")[:30] + (match["decimals"] or "")[:30]
    return float(digits) * _factor(match)


def _step(match: re.Match[str]) -> float:
    """The size of its last shown digit."""
    return float(_factor(match) * 10.0 ** -max(0, len((match["decimals"] or "")[:30]) - 1))


def _same(value: float, step: float, number: float) -> bool:
    """Whether ``number``, or it in percent, is ``value`` at the precision of ``step``."""
    slack = _SLACK * max(1.0, value)
    return any(abs(value - known) <= step / 2 + slack for known in (number, number * 100))


def _plain(text: str) -> str:
    """Digits of any script as 0 to 9, usual minus signs and spaces."""
    return unicodedata.normalize("NFKC", text).replace("\u2212", "-")
