"""Gaps of cross-checks are put together and marked; others stay as they are."""

from __future__ import annotations

from sigmax_tasks.models.observations import DataNeed, Missing
from sigmax_tasks.settings.sources import SourceSettings
from sigmax_tasks.sources.cross_checks import settle_cross_checks, without_idle_checks

CHECK = DataNeed(source="price_data", kind="ticker", symbol="BTC/USDT", cross_check=True)
PLAIN = DataNeed(source="price_data", kind="candles", name="4h", symbol="BTC/USDT")


def gap(reason: str, need: DataNeed = CHECK) -> Missing:
    return Missing(source=need.source, need=need.label, reason=reason)


def test_a_replay_without_prices_of_other_venues_says_so_once() -> None:
    names = ("kraken", "coinbase", "binance", "defillama_coins")
    missing = [gap(f"{name}: not recorded: nothing of it is stored") for name in names]
    (found,) = settle_cross_checks([PLAIN, CHECK], missing)
    assert found.reason == "not recorded (kraken, coinbase, binance, defillama_coins)"
    assert found.cross_check


def test_different_reasons_are_all_kept_in_the_place_of_the_first() -> None:
    missing = [
        gap("kraken: HTTP 503"),
        gap("kraken: HTTP 503", PLAIN),
        gap("coinbase: not recorded: x"),
    ]
    found = settle_cross_checks([PLAIN, CHECK], missing)
    assert [(g.need, g.cross_check) for g in found] == [
        ("ticker of BTC/USDT", True),
        ("candles 4h of BTC/USDT", False),
    ]
    assert found[0].reason == "kraken: HTTP 503; coinbase: not recorded: x"


def test_a_plain_need_of_the_same_label_keeps_its_gap() -> None:
    plain = CHECK.model_copy(update={"cross_check": False})
    missing = [gap("kraken: HTTP 503"), gap("coinbase: HTTP 503")]
    assert settle_cross_checks([plain, CHECK], missing) == tuple(missing)


def test_a_cross_check_that_nobody_is_named_for_is_not_made(settings: SourceSettings) -> None:
    news = CHECK.model_copy(update={"source": "news"})
    needs = (PLAIN, CHECK, news)
    assert without_idle_checks(needs, settings) == (PLAIN, CHECK)
