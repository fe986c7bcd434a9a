"""What is taken out of text, what stays, and that no text makes it slow."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmax_tasks.checksums import IBAN_LENGTHS, iban_is_valid, is_card_number, luhn_is_valid
from sigmax_tasks.ids import new_run_id
from sigmax_tasks.redact import redact, redact_url

HEX = "3f9a" * 16
SECRETS = {
    "sk-abcdef1234567890ABCDEF": "[secret]",
    "sk-proj-abc_DEF123456789012345-zz": "[secret]",
    "ghp_" + "a1B2" * 9: "[secret]",
    "AKIAIOSFODNN7EXAMPLE": "[secret]",
    "123456789:AAabcdefghijklmnopqrstuvwxyz0123456": "[secret]",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.SflKxwRJSMeKKF2QT4": "[secret]",
    "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A": "[secret]",
    "Bearer abcdef1234567890": "Bearer [secret]",
    "Authorization: Basic dXNlcjpwYXNzd29yZDE=": "Authorization: Basic [secret]",
    'api_key="5fa3bc12"': 'api_key="[secret]"',
    "password=hunter": "password=[secret]",
    "the api key is 5fa3bc12 now": "the api key is [secret] now",
    f"private key: {HEX}": "private key: [secret]",
    f"sent 0x{HEX} by mistake": "sent [secret] by mistake",
    "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ": "[secret]",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nab==\n-----END RSA PRIVATE KEY-----.": "[secret].",
    "-----BEGIN PRIVATE KEY----- cut off": "[secret]",
    "redis://:s3cr3t@host:6379/0": "redis://***@host:6379/0",
    "redis://:with/slash#and@at@host/0": "redis://***@host/0",
    "see https://user:pw@host/path": "see https://***@host/path",
    "http://***@user:pass@host": "http://***@host",
    "https://host/x?api_key=abcd&y=1": "https://host/x?api_key=[secret]&y=1",
    "https://host/x?a=1&X-Amz-Signature=abc": "https://host/x?a=1&X-Amz-Signature=[secret]",
    "https://discord.com/api/webhooks/123456789/a-b_c": (
        "https://discord.com/api/webhooks/123456789/[secret]"
    ),
    "seed phrase: abandon ability able about above absent absorb abstract absurd abuse access"
    " accident": "seed phrase: [secret]",
}
PERSONAL = {
    "mail john.doe+x@example.co.uk now": "mail [email] now",
    "a@b.co": "[email]",
    "jane (at) example (dot) org": "[email]",
    "+14155550123": "[phone]",
    "ring +1 (415) 555-0123.": "ring [phone].",
    "+44 20 7946 0958": "[phone]",
    "+1.415.555.0123": "[phone]",
    "(415) 555-0123 or 415-555-0123": "[phone] or [phone]",
    "WhatsApp: 0171 2345678": "WhatsApp: [phone]",
    "4111 1111 1111 1111": "[card]",
    "card 5555555555554444!": "card [card]!",
    "3782 822463 10005": "[card]",
    "DE89 3704 0044 0532 0130 00 today": "[iban] today",
    "gb82west12345698765432": "[iban]",
    "US20 AMONG DE89370400440532013000": "US20 AMONG [iban]",
}
KEPT = (
    "BTC/USDT 97,123.40 USDT, -0.01 ATR, 66,000.5000 to 1.31G USD",
    "S&P 500 4,609.10 on 2025-03-12 (2 d old), -5.7% over 5, +0.05 pp over 20 observations",
    "2025-03-14T12:00:00+00:00",
    "20261122-175103-41234567",
    f"payload {hashlib.sha256(b'x').hexdigest()}",
    f"tx 0x{HEX}",
    f"https://etherscan.io/tx/0x{HEX}",
    "0xCace5b3c29211740E595850E80478416eE77cA21",
    "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "DYw8jCTfwHNRJhhmFcbXvVDTqWMEVFBX6ZKUmCB5SKSK",
    "/api/v3/klines?symbol=BTCUSDT&startTime=1612310400000&endTime=1698710399999 (+1 more)",
    "open interest +1234567890 USD, score +0.1234567891",
    "2 stories (2 recent, 17.0 times its earlier share)",
    "http://medium.com/@somebody/post",
    "https://a.example/sk-hynix-samsung-memory-2025-outlook",
    "Ledger: private key: why it matters; bearer certificates of deposit; token = PEPE",
    "BTC @ 67,000.50; 50000 (at) 3.5",
    "EUR100 to USD200, GB12 and DE89 3704 deals",
    "Solana phone 2 150000 preorders; phone: 2025-03-14",
    "4111 1111 1111 1112 fails the check digit",
)


@pytest.mark.parametrize(("text", "clean"), [*SECRETS.items(), *PERSONAL.items()])
def test_secrets_and_personal_data_are_taken_out(text: str, clean: str) -> None:
    found = redact(text)
    assert found.text == clean
    assert found.counts.total() >= 1


@pytest.mark.parametrize("text", KEPT)
def test_market_data_and_public_names_stay(text: str) -> None:
    found = redact(text)
    assert (found.text, found.counts) == (text, {})


@pytest.mark.parametrize("text", PERSONAL)
def test_personal_data_stay_where_they_are_not_asked_for_and_secrets_never(text: str) -> None:
    assert redact(text, ()).text == text
    assert redact(f"{text} sk-abcdef1234567890ABCDEF", ()).text == f"{text} [secret]"


def test_each_kind_is_counted() -> None:
    text = "a@b.co, c@d.org, +14155550123, password=hunter2, 4111111111111111"
    assert redact(text).counts == {"email": 2, "phone": 1, "secret": 1, "card": 1}


def test_addresses_keep_all_but_their_credentials() -> None:
    text = "redis://:a@h1/0 and redis://u:b@h2:6379"
    assert redact_url(text) == "redis://***@h1/0 and redis://***@h2:6379"
    assert redact_url("mail a@b.co") == "mail a@b.co"


# What adversaries and accidents are made of: fragments of every pattern, and filling.
FRAGMENTS = st.sampled_from(
    [*SECRETS, *PERSONAL, "@", "://", "+1", " ", ".", "-", "sk-", "0x", "tx ", "password", "=", ":",
     "a", "1", "[secret]", "***@", "(at)", "DE89", "4111", "phone", "bearer ", "\n", "é", "'", "?",
     "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "[email]", "api key is "]
)  # fmt: skip
MESSES = st.lists(FRAGMENTS | st.text(max_size=8), max_size=12).map("".join)


@given(MESSES)
@settings(max_examples=400, deadline=None)
def test_redacting_again_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(once.text).text == once.text
    assert redact(once.text).counts == {}


@given(st.text(max_size=60), st.sampled_from(list(SECRETS)[:6]), st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_a_key_between_any_words_is_found(before: str, secret: str, after: str) -> None:
    assert secret not in redact(f"{before} {secret} {after}").text


@given(st.floats(allow_nan=False, allow_infinity=False, width=32), st.integers(0, 10))
@settings(max_examples=300, deadline=None)
def test_prices_in_the_forms_that_research_writes_stay(value: float, decimals: int) -> None:
    for text in (f"{value:,.{decimals}f}", f"{value:+.4f}", f"{value:.4g} USDT", f"{value:+.1%}"):
        assert redact(f"last {text} (up)").text == f"last {text} (up)"


FIRST, LAST = datetime(2009, 1, 3), datetime(2060, 1, 1)  # noqa: DTZ001  # hypothesis wants naive


@given(st.datetimes(FIRST, LAST), st.binary(max_size=20))
@settings(max_examples=300, deadline=None)
def test_times_run_ids_tickers_and_hashes_stay(moment: datetime, data: bytes) -> None:
    aware = moment.replace(tzinfo=UTC)
    digest = hashlib.sha256(data).hexdigest()
    for text in (
        aware.isoformat(),
        f"{aware:%Y-%m-%d}",
        f"{aware:%Y-%m-%d} to {aware + timedelta(days=30):%Y-%m-%d}",
        str(int(aware.timestamp() * 1000)),
        f"{aware:%Y%m%d-%H%M%S}-{digest[:8]}",
        new_run_id(aware),
        digest,
        f"{digest[:15].upper()}/{digest[15:20].upper()}",
    ):
        assert redact(text).text == text


LONG = 60_000
EVIL = (
    "a", "a@", "1", "+1 1", "://", "x://", "-----BEGIN PRIVATE KEY-----", "-----END ",
    "eyJaaaaaaaaa.", "password=", "DE89 ", "(at)", "a(at)b.", "&key", "phone: ", "seed phrase: ",
    "4111 ", "+1-", "A1b0", "sk-", "bearer ", "0x", "tx ", ". ", "a.b@c.d", "-", "+1(2", "Aa0 ",
    "api key is ", "?token", "1.415.", "authorization: ", "[secret]", "://***@",
)  # fmt: skip


@pytest.mark.parametrize("unit", EVIL)
def test_no_text_makes_it_slow(unit: str) -> None:
    """Anything worse than linear time runs into the time limit of the test suite."""
    text = (unit * LONG)[:LONG]
    redact(text)
    redact(f"{text}!")


@given(MESSES)
@settings(max_examples=60, deadline=None)
def test_no_repeated_mess_makes_it_slow(text: str) -> None:
    redact((text * 2000)[:20_000])


@pytest.mark.parametrize("number", ["4111111111111111", "378282246310005", "6011111111111117"])
def test_card_numbers_have_an_issuer_and_a_check_digit(number: str) -> None:
    assert is_card_number(number)
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert not is_card_number(wrong)
    assert luhn_is_valid("18") and not is_card_number("18")


def test_every_country_of_the_table_is_two_letters_and_a_possible_length() -> None:
    assert all(re.fullmatch("[A-Z]{2}", c) and 15 <= n <= 34 for c, n in IBAN_LENGTHS.items())
    assert iban_is_valid("NO9386011117947")
    assert not iban_is_valid("NO9386011117948")
    assert not iban_is_valid("XX9386011117947")
