"""What people type is parsed by us, so that each mistake gives one clear line."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from sigmax_planner.errors import InvalidSymbolError, InvalidWidthError
from sigmax_tasks.cli.options import (
    MOST_SYMBOLS,
    parse_as_of,
    parse_deadline,
    parse_max_cost,
    parse_seed,
    parse_symbols,
    parse_width,
    read_watchlist,
)
from sigmax_tasks.errors import ConfigurationError

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "2.5", "1e2", "\u0663", "9" * 5000, "1_0"])
def test_a_width_that_is_no_whole_number_from_1_is_refused(text: str) -> None:
    with pytest.raises(InvalidWidthError):
        parse_width(text)


def test_widths() -> None:
    assert parse_width("4") == 4
    assert parse_width(None) is None


@pytest.mark.parametrize("text", ["-0.01", "nan", "inf", "x", "", "1e9", "-Infinity"])
def test_a_cost_that_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--max-cost"):
        parse_max_cost(text)


def test_costs_are_exact() -> None:
    assert parse_max_cost("0.1") == Decimal("0.1")
    assert parse_max_cost("$0.15") == Decimal("0.15")
    assert parse_max_cost("0") == 0


@pytest.mark.parametrize("text", ["0", "-3", "nan", "inf", "x", "", "86401"])
def test_a_deadline_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--deadline"):
        parse_deadline(text)


@pytest.mark.parametrize("text", ["-1", "x", "1.5", "9" * 19, ""])
def test_a_seed_that_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--seed"):
        parse_seed(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-03-14", datetime(2025, 3, 14, tzinfo=UTC)),
        ("2025-03-14T12:30", datetime(2025, 3, 14, 12, 30, tzinfo=UTC)),
        ("2025-03-14 12:30:15Z", datetime(2025, 3, 14, 12, 30, 15, tzinfo=UTC)),
        ("2025-03-14T12:30+02:00", datetime(2025, 3, 14, 10, 30, tzinfo=UTC)),
        ("2026-03-01T12:00Z", NOW),
    ],
)
def test_times_are_utc_where_no_zone_is_given(text: str, moment: datetime) -> None:
    assert parse_as_of(text, NOW) == moment


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("2026-03-01T12:01Z", "future"),
        ("9999-12-31T23:59-14:00", "not a time"),
        ("0001-01-01T00:00+14:00", "not a time"),
        ("2008-12-31", "before there was any market"),
        ("yesterday", "not a time"),
        ("2025-02-30", "not a time"),
        ("", "not a time"),
    ],
)
def test_times_that_cannot_be_are_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        parse_as_of(text, NOW)


def test_symbols_lose_repeats_and_keep_their_order() -> None:
    symbols = parse_symbols(["eth/usdt", "BTC/USDT", "ETH/USDT"], ["BTC/USDT", "SOL/USDT"])
    assert symbols == ("ETH/USDT", "BTC/USDT", "SOL/USDT")


@pytest.mark.parametrize(
    "text", ["BTC", "BTC/USDT/X", "btc-usdt", "B\x00/USDT", "\u0411TC/USDT", "/"]
)
def test_symbols_are_checked(text: str) -> None:
    with pytest.raises(InvalidSymbolError):
        parse_symbols([text])


def test_no_symbol_and_too_many_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="no symbol given"):
        parse_symbols([])
    many = [f"C{n}/USDT" for n in range(MOST_SYMBOLS + 1)]
    assert len(parse_symbols(many[:-1])) == MOST_SYMBOLS
    with pytest.raises(ConfigurationError, match="201 symbols are more than 200"):
        parse_symbols(many)


def test_a_watchlist_has_comments_and_empty_lines(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("\ufeff# mine\nbtc/usdt # first\n\n  ETH/USDT  \r\n", encoding="utf-8")
    assert read_watchlist(str(file)) == ("BTC/USDT", "ETH/USDT")
    assert read_watchlist(None) == ()


def test_a_mistake_in_a_watchlist_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("BTC/USDT\n\nnonsense\n")
    with pytest.raises(ConfigurationError, match=r"list\.txt line 3: invalid symbol 'nonsense'"):
        read_watchlist(str(file))


@pytest.mark.parametrize("content", [b"", b"# only\n", b"\xff\xfe\x00", b"A/B\n" * 50_000])
def test_a_watchlist_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="--watchlist"):
        read_watchlist(str(file))
    with pytest.raises(ConfigurationError, match="is not a file"):
        read_watchlist(str(tmp_path))
