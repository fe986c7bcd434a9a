"""The file of what is held, and what a submission makes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sigmax_planner.models import Holding, Portfolio
from sigmax_tasks.cli.submission import Typed, prepare
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.portfolio import portfolio_of, read_portfolio
from sigmax_tasks.settings import load_settings

GOOD = "equity_usd: 250000\nholdings:\n  eth/usdt: 0.10\n  DOGE/USDT: -0.02\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "held.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_portfolio_is_read(tmp_path: Path) -> None:
    assert read_portfolio(written(tmp_path, GOOD), "x") == Portfolio(
        equity_usd=250_000,
        holdings=(
            Holding(symbol="ETH/USDT", fraction=0.1),
            Holding(symbol="DOGE/USDT", fraction=-0.02),
        ),
    )
    assert read_portfolio(written(tmp_path, "equity_usd: 5"), "x").holdings == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "not a portfolio"),
        ("holdings: [ETH/USDT]", "not a portfolio"),
        ("holdings: {ETH: 0.1}", "ETH"),
        ("holdings: {1: 0.1}", "1"),
        ("holdings: {ETH/USDT: 1.5}", "less than or equal to 1"),
        ("holdings: {ETH/USDT: lots}", "valid number"),
        ("holdings: {ETH/USDT: .nan}", "fraction"),
        ("holdings: {ETH/USDT: 0.1, eth/usdt: 0.1}", "held twice"),
        ("equity_usd: -3", "greater than 0"),
        ("cash: 3", "unknown key 'cash'"),
        ("holdings: {", "not valid YAML"),
        ("!!python/object/apply:os.system [ls]", "not valid YAML"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_portfolio(written(tmp_path, text), "--portfolio 'held.yaml'")
    assert problem in str(caught.value)
    assert "--portfolio 'held.yaml'" in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a file"):
        read_portfolio(tmp_path / "nothing", "--portfolio 'nothing'")


def test_holdings_go_with_each_request_and_are_compared_with(tmp_path: Path) -> None:
    settings = load_settings(None, (), {}).settings
    typed = Typed(("BTC/USDT", "ETH/USDT"), portfolio=str(written(tmp_path, GOOD)))
    first, second = prepare(typed, settings, {}, datetime(2026, 3, 1, tzinfo=UTC)).requests
    assert first.portfolio is not None
    assert first.portfolio == second.portfolio
    assert first.watchlist == ("ETH/USDT", "DOGE/USDT")
    assert second.watchlist == ("DOGE/USDT", "BTC/USDT")


def test_what_would_stand_in_a_file_can_be_given(tmp_path: Path) -> None:
    given = {"equity_usd": 250_000, "holdings": {"eth/usdt": 0.10, "DOGE/USDT": -0.02}}
    assert portfolio_of(given, "x") == read_portfolio(written(tmp_path, GOOD), "x")
    assert portfolio_of({}, "x") == Portfolio()
    for wrong in ([], "held", {"holdings": ["ETH/USDT"]}, {"holdings": None}):
        with pytest.raises(ConfigurationError, match="x is not a portfolio"):
            portfolio_of(wrong, "x")
    with pytest.raises(ConfigurationError, match="x: unknown key 'cash'"):
        portfolio_of({"cash": 3}, "x")
