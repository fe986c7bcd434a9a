"""Takes secrets and personal data out of text. The one set of patterns; pure and in linear time.

Public by nature, and kept: wallet addresses, transaction hashes, names of accounts. Every pattern
is bounded or cannot start inside its own match, so that no text makes it slow.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from sigmax_tasks.checksums import IBAN_LENGTHS, iban_is_valid, is_card_number

PersonalData = Literal["email", "phone", "card", "iban"]
SECRET = "secret"  # noqa: S105  # the name of a kind
PERSONAL_DATA: tuple[PersonalData, ...] = get_args(PersonalData)
_MARK = "[secret]"
_MOST_ROUNDS = 10
_SECRET_NAME = re.compile(r"(^|[._])(password|passwd|secret|token|api_?key)$", re.IGNORECASE)

Decide = Callable[[re.Match[str]], str | None]
"""What to put in place of a match; None leaves it alone."""


@dataclass(frozen=True)
class Redacted:
    """``text`` without what was found, and how much of each kind that was."""

    text: str
    counts: Counter[str]


@dataclass(frozen=True)
class _Rule:
    """``needs``: the text is not searched unless it holds one of these."""

    kind: str
    pattern: re.Pattern[str]
    decide: Decide
    needs: tuple[str, ...] = ()


def redact(text: str, personal_data: Collection[str] = PERSONAL_DATA) -> Redacted:
    """Secrets always, and these kinds of personal data. Redacting the result changes nothing.

    What is found becomes ``[secret]``, ``[email]`` and so on; credentials in an address ``***``.
    """
    counts: Counter[str] = Counter()
    rules = [rule for rule in _RULES if rule.kind == SECRET or rule.kind in personal_data]
    for _ in range(_MOST_ROUNDS):
        before = text
        for rule in rules:
            text = _apply(rule, text, counts)
        if "iban" in personal_data:
            text = _without_ibans(text, counts)
        if text == before:
            break
    return Redacted(text, counts)


def names_secret(dotted_key: str) -> bool:
    """Whether the value of that configuration key is a secret, or holds one."""
    return bool(_SECRET_NAME.search(dotted_key))


def shown_value(dotted_key: str, value: object) -> str:
    """A value for an error message, as Python writes it, without secrets."""
    if dotted_key == "broker.url" or names_secret(dotted_key):
        return "a value that is not shown"
    return redact(repr(value), ()).text


def redact_url(text: str) -> str:
    """``redis://:secret@host/0`` -> ``redis://***@host/0``; any number of addresses in the text."""
    return redact(text, ()).text


def _apply(rule: _Rule, text: str, counts: Counter[str]) -> str:
    if rule.needs and not any(word in text for word in rule.needs):
        return text

    def replace(match: re.Match[str]) -> str:
        new = rule.decide(match)
        if new is None:
            return match[0]
        counts[rule.kind] += 1
        return new

    return rule.pattern.sub(replace, text)


def _always(replacement: str) -> Decide:
    return lambda _match: replacement


def _after(replacement: str) -> Decide:
    """Keep group 1 and replace the rest, unless the rest has been replaced before."""

    def decide(match: re.Match[str]) -> str | None:
        return None if match[0] == match[1] + replacement else match[1] + replacement

    return decide


def _has_digit(text: str) -> bool:
    return any(character.isdigit() for character in text)


def _dashed_key(match: re.Match[str]) -> str | None:
    """``sk-`` begins words too; a key has a long part with letters and digits in it."""
    parts = re.split(r"[_-]", match[0][3:])
    return _MARK if any(len(part) >= 12 and _has_digit(part) for part in parts) else None


def _assigned(match: re.Match[str]) -> str | None:
    """``password = x`` says a secret; ``Private key: warning`` does not."""
    value = match["value"]
    if value == _MARK or not ("=" in match["sign"] + value or _has_digit(value)):
        return None
    return f"{match['name']}{match['sign']}{_MARK}"


def _bearer(match: re.Match[str]) -> str | None:
    return f"{match[1]}{_MARK}" if _has_digit(match[2]) else None


def _mixed_token(match: re.Match[str]) -> str | None:
    """Keys of exchanges mix all kinds of characters; addresses are in base 58, hashes in hex."""
    text = match[0]
    mixed = (
        _has_digit(text)
        and any(c.islower() for c in text)
        and any(c.isupper() for c in text)
        and any(c in "0OIl" for c in text)
    )
    return _MARK if mixed and not re.fullmatch(r"(?:0x)?[0-9a-fA-F]+", text) else None


def _hex_key(match: re.Match[str]) -> str | None:
    """A private key in hex looks like the hash of a transaction; the word before tells them."""
    return None if match["hash"] else _MARK


def _card(match: re.Match[str]) -> str | None:
    return "[card]" if is_card_number(re.sub(r"[ -]", "", match[0])) else None


def _named_phone(match: re.Match[str]) -> str | None:
    number = match["number"]
    if re.match(r"\d{4}-\d{2}-\d{2}", number):
        return None
    return f"{match['name']}[phone]" if sum(c.isdigit() for c in number) >= 7 else None


def _phone(match: re.Match[str]) -> str | None:
    return "[phone]" if 9 <= sum(c.isdigit() for c in match[0]) <= 15 else None


_HEX64 = r"0x[0-9a-fA-F]{64}(?![0-9A-Za-z])"
_BASE58 = r"[1-9A-HJ-NP-Za-km-z]"
_KNOWN_TOKENS = "|".join(
    (
        r"gh[pousr]_[A-Za-z0-9]{20,}",
        r"github_pat_[A-Za-z0-9_]{20,}",
        r"glpat-[A-Za-z0-9_-]{20,}",
        r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
        r"(?:AKIA|ASIA)[0-9A-Z]{16}",
        r"AIza[0-9A-Za-z_-]{35}",
        r"[rsp]k_(?:live|test)_[0-9A-Za-z]{10,}",
        r"whsec_[0-9A-Za-z]{20,}",
        r"hf_[A-Za-z0-9]{30,}",
        r"npm_[A-Za-z0-9]{30,}",
        r"pypi-[A-Za-z0-9_-]{50,}",
        r"dop_v1_[0-9a-f]{64}",
        r"ya29\.[A-Za-z0-9_-]{20,}",
        r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}",
        r"\d{8,10}:AA[A-Za-z0-9_-]{33}",
        r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}",
        rf"[5KL]{_BASE58}{{50,51}}(?![0-9A-Za-z])",
        rf"[xyztuv]prv{_BASE58}{{90,120}}(?![0-9A-Za-z])",
    )
)
_KEY_WORDS = (
    r"(?:api|access|auth|private|client|signing|wallet)[ _-]?(?:key|token|secret)"
    r"|(?:api[ _-]?)?secret[ _-]?key|api[ _-]?secret|passw(?:or)?d|passphrase|pwd"
)
_USER_OF_ADDRESS = r"[\w.%+-]{1,64}"
_LABEL = r"[\w-]{1,63}"
_UNIT = r"(?:%|USD[A-Z]?|EUR|GBP|JPY|CHF|BTC|ETH|SOL|XRP|SATS?|BPS)\b"
_NUMBER_END = rf"(?![\w%]|[.,]\d|\s?{_UNIT})"

_RULES = (
    _Rule(
        SECRET,
        re.compile(
            r"-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
            r"[\s\S]*?(?:-----END [A-Z0-9 ]{0,60}-----|\Z)"
        ),
        _always(_MARK),
        ("PRIVATE KEY",),
    ),
    # User and password in an address. Other schemes than http have no @ in their paths, so that
    # there a password with a stray / or # goes as well.
    _Rule(
        SECRET,
        re.compile(r"\b((?!https?:)[a-z][a-z0-9+.-]{0,20}://)\S{0,256}@", re.IGNORECASE),
        _after("***@"),
        ("://",),
    ),
    _Rule(SECRET, re.compile(r"(://)[^\s/?#]*@"), _after("***@"), ("://",)),
    _Rule(
        SECRET,
        re.compile(
            r"([?&;][a-z_-]{0,32}(?:key|token|secret|sig|signature|password|passwd|pwd|auth)=)"
            r"[^&#\s\"'<>]*[^&#\s\"'<>:.,;)]",
            re.IGNORECASE,
        ),
        _after(_MARK),
        ("=",),
    ),
    _Rule(
        SECRET,
        re.compile(
            rf"(?P<name>\b(?:{_KEY_WORDS})\b)"
            r"(?P<sign>[\"']?\s{0,2}(?:=|:|\bis\b)\s{0,2}[\"']?)"
            r"(?P<value>[^\s\"'&,;<>]{5,}[^\s\"'&,;<>:.)])",
            re.IGNORECASE,
        ),
        _assigned,
    ),
    _Rule(
        SECRET,
        re.compile(
            r"(\bauthorization[\"']?\s{0,2}[:=]\s{0,2}[\"']?(?:[a-z]{1,12}\s{1,2})?"
            r"|\bbearer\s{1,2})([A-Za-z0-9._~+/-]{12,}={0,2})",
            re.IGNORECASE,
        ),
        _bearer,
    ),
    _Rule(SECRET, re.compile(r"(?<![A-Za-z0-9_-])sk-[A-Za-z0-9_-]{16,}"), _dashed_key, ("sk-",)),
    _Rule(SECRET, re.compile(rf"(?<![A-Za-z0-9_-])(?:{_KNOWN_TOKENS})"), _always(_MARK)),
    _Rule(
        SECRET,
        re.compile(
            r"(discord(?:app)?\.com/api/webhooks/\d{5,20}/|hooks\.slack\.com/services/)"
            r"[\w/-]+",
        ),
        _after(_MARK),
        ("hooks",),
    ),
    _Rule(
        SECRET,
        re.compile(
            r"(?P<hash>\b(?:tx|txn|txid|txhash|hash|block|transaction)\b\W{1,4})?"
            rf"(?<![0-9A-Za-z]){_HEX64}",
            re.IGNORECASE,
        ),
        _hex_key,
        ("0x", "0X"),
    ),
    _Rule(
        SECRET,
        re.compile(
            r"((?i:seed|recovery|mnemonic|secret)(?i: recovery)?(?i: phrase| words)?"
            r"\s{0,2}[:=]\s{0,2}[\"']?)(?:[a-z]{3,8}[ ,]{1,2}){11,23}[a-z]{3,8}\b"
        ),
        _after(_MARK),
        (":", "="),
    ),
    _Rule(SECRET, re.compile(r"(?<![\w/=+.-])[A-Za-z0-9]{40,}(?![\w/=])"), _mixed_token),
    _Rule(
        "email",
        re.compile(rf"{_USER_OF_ADDRESS}@(?:{_LABEL}\.){{1,6}}[^\W\d_]{{2,24}}"),
        _always("[email]"),
        ("@",),
    ),
    _Rule(
        "email",
        re.compile(
            rf"{_USER_OF_ADDRESS}\s?[\[({{]\s?at\s?[\])}}]\s?"
            rf"(?:{_LABEL}\s?(?:\.|[\[({{]\s?dot\s?[\])}}])\s?){{1,4}}[^\W\d_]{{2,24}}",
            re.IGNORECASE,
        ),
        _always("[email]"),
        ("(", "[", "{"),
    ),
    _Rule(
        "card",
        re.compile(
            r"(?<![\w.,$+-])(?:\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{1,3})?"
            r"|\d{4}([ -])\d{6}\2\d{4,5})(?![\w-]|[.,]\d)"
        ),
        _card,
    ),
    _Rule(
        "phone",
        re.compile(
            r"(?P<name>\b(?:tel\b\.?|(?:phone|telephone|whatsapp|mobile|sms|fax)"
            r"(?: (?:no|number)\b\.?|(?=\s{0,2}[:=])))\s{0,2}[:=]?\s{0,2})"
            r"(?P<number>\+?\(?\d[\d ().-]{4,20}\d)(?![\w%]|[.,]\d)",
            re.IGNORECASE,
        ),
        _named_phone,
    ),
    _Rule(
        "phone",
        re.compile(
            r"(?<![\w.$+-])\+[1-9]\d{0,14}"
            rf"(?:(?:[ -]|[ -]?\(\d{{1,5}}\)[ -]?)\d{{1,11}}){{0,6}}{_NUMBER_END}"
        ),
        _phone,
        ("+",),
    ),
    _Rule(
        "phone",
        re.compile(rf"(?<![\w.$+-])\+[1-9]\d{{0,2}}(?:\.\d{{2,4}}){{3,4}}{_NUMBER_END}"),
        _phone,
        ("+",),
    ),
    _Rule(
        "phone",
        re.compile(
            rf"(?<![\w.$+-])(?:1-)?(?:\(\d{{3}}\) ?|\d{{3}}-)\d{{3}}-\d{{4}}(?!-){_NUMBER_END}"
        ),
        _always("[phone]"),
        ("-",),
    ),
)

_IBAN_START = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?=[ -]?[A-Za-z0-9])")


def _without_ibans(text: str, counts: Counter[str]) -> str:
    parts, done = [], 0
    for start, end in _ibans(text):
        if start >= done:
            parts += [text[done:start], "[iban]"]
            done = end
            counts["iban"] += 1
    return "".join((*parts, text[done:])) if parts else text


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of account numbers, in one piece or in groups with a space or dash between."""
    for match in _IBAN_START.finditer(text):
        length = IBAN_LENGTHS.get(match[0][:2].upper())
        if length is None:
            continue
        characters: list[str] = []
        place = match.start()
        while len(characters) < length and place < len(text):
            character = text[place]
            if character.isascii() and character.isalnum():
                characters.append(character.upper())
            elif character not in " -" or not text[place - 1].isalnum():
                break
            place += 1
        whole = place == len(text) or not text[place].isalnum()
        if whole and len(characters) == length and iban_is_valid("".join(characters)):
            yield match.start(), place
