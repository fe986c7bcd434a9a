"""Where providers are found, and the checks on sources.yaml."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from sigmax_planner.models import AnalysisRequest, DataMode
from sigmax_tasks.errors import ConfigurationError, UnknownKeyError
from sigmax_tasks.models.observations import Payload
from sigmax_tasks.settings.sources import SourceSettings, source_settings
from sigmax_tasks.sources import Addresses, SourceDesk, check_source_root
from sigmax_tasks.sources.addresses import is_loopback
from sigmax_tasks.sources.ccxt_session import Markets
from sigmax_tasks.sources.registry import build_providers

AS_OF = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
AS_OF_MS = 1_767_323_045_678


def test_live_addresses_are_the_settings_unless_overridden(settings: SourceSettings) -> None:
    addresses = Addresses.live(settings, {"SIGMAX_BASE_URL_KRAKEN": "http://localhost:9/k/"})
    assert addresses.base_url("kraken") == "http://localhost:9/k"
    assert addresses.base_url("coinbase") == "https://api.coinbase.com"


@pytest.mark.parametrize("bad", ["ftp://x", "kraken", "https://u:p@x", "https://x?k=1", "http://"])
def test_an_unusable_override_is_a_configuration_error(settings: SourceSettings, bad: str) -> None:
    with pytest.raises(ConfigurationError, match="SIGMAX_BASE_URL_KRAKEN"):
        Addresses.live(settings, {"SIGMAX_BASE_URL_KRAKEN": bad})


def test_local_addresses_name_the_world(settings: SourceSettings) -> None:
    root = "http://127.0.0.1:8765/"
    simulated = Addresses.simulated(settings, root, seed=7, as_of=AS_OF)
    assert simulated.base_url("fred") == f"http://127.0.0.1:8765/sim/7/{AS_OF_MS}/fred"
    replay = Addresses.replay(settings, root, as_of=AS_OF)
    assert replay.base_url("fred") == f"http://127.0.0.1:8765/replay/{AS_OF_MS}/fred"
    assert set(replay.base_urls) == set(settings.providers)


def test_addresses_follow_the_request(settings: SourceSettings) -> None:
    root = "http://localhost:1"
    plain = AnalysisRequest(symbol="BTC/USDT", risk_profile="balanced")
    assert Addresses.of_request(plain, settings, {}) == Addresses.live(settings, {})
    simulated = plain.model_copy(
        update={"data_mode": DataMode.SIMULATED, "source_root": root, "seed": 3, "as_of": AS_OF}
    )
    assert "/sim/3/" in Addresses.of_request(simulated, settings).base_url("okx")
    with pytest.raises(ConfigurationError, match="seed"):
        Addresses.of_request(simulated.model_copy(update={"seed": None}), settings)
    replay = simulated.model_copy(update={"data_mode": DataMode.REPLAY})
    assert "/replay/" in Addresses.of_request(replay, settings).base_url("okx")
    with pytest.raises(ConfigurationError, match="address of its data server"):
        Addresses.of_request(replay.model_copy(update={"source_root": None}), settings)


@pytest.mark.parametrize(
    "root", ["http://127.0.0.1:1", "http://127.8.9.10", "http://[::1]:5", "http://localhost:80"]
)
def test_loopback_roots_are_taken(root: str) -> None:
    assert check_source_root(root) == root


@pytest.mark.parametrize(
    "root",
    [
        "https://127.0.0.1:1",
        "http://10.0.0.5:80",
        "http://evil.example",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://user@127.0.0.1",
        "http://0.0.0.0:80",
        "http://127.0.0.1:99999",
        "file:///etc",
        "",
    ],
)
def test_other_roots_are_refused(root: str) -> None:
    with pytest.raises(ConfigurationError):
        check_source_root(root)


def test_a_listed_root_is_taken(settings: SourceSettings) -> None:
    listed = settings.model_copy(update={"allowed_source_roots": ("https://sim.example",)})
    found = Addresses.replay(listed, "https://sim.example/", as_of=AS_OF)
    assert found.base_url("okx").startswith("https://sim.example/replay/")
    with pytest.raises(ConfigurationError):
        Addresses.replay(listed, "https://sim.example.org", as_of=AS_OF)


def test_loopback_is_decided_by_address() -> None:
    assert is_loopback("127.255.0.1")
    assert is_loopback("::1")
    assert not is_loopback("128.0.0.1")
    assert not is_loopback("loopback.example")


def test_the_shipped_file_is_complete(settings: SourceSettings) -> None:
    expected = (
        "news social fear_greed onchain coingecko price_data volume_data macro_data orderbook "
        "historical_data defillama derivatives"
    )
    assert set(settings.data_sources) == set(expected.split())
    kinds = {t.model_fields["kind"].default for t in get_args(get_args(Payload)[0])}
    for source in settings.data_sources:
        needs = settings.default_needs(source, "ETH/USDT")
        assert needs
        for need in needs:
            assert need.kind in kinds
            if need.kind == "series":
                assert need.name in settings.series[source]
    assert len(settings.coin_ids) >= 60
    build_providers(settings, Markets(1, 1))


def test_needs_of_a_market_wide_source_name_no_symbol(settings: SourceSettings) -> None:
    assert settings.default_needs("news", "ETH/USDT")[0].symbol is None
    assert settings.default_needs("price_data", "ETH/USDT")[0].symbol == "ETH/USDT"


def test_attribution_is_at_hand(settings: SourceSettings) -> None:
    notices = settings.notices(("coingecko", "coinmetrics", "unknown"))
    assert notices == (
        "coingecko: Powered by CoinGecko; free with attribution, no resale",
        "coinmetrics: Data from Coin Metrics (community); CC BY-NC 4.0: non-commercial use only",
    )


def altered(shipped: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(shipped)
    *above, last = path.split("/")
    place = changed
    for name in above:
        place = place[name]
    place[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("never_here_minute", 3, "did you mean 'never_here_minutes'"),
        ("providers/kraken/timeout_second", 3, "did you mean 'timeout_seconds'"),
        ("data_sources/news/provider", [], "did you mean 'providers'"),
    ],
)
def test_an_unknown_key_names_the_nearest(
    shipped: dict[str, Any], path: str, value: Any, says: str
) -> None:
    with pytest.raises(UnknownKeyError, match=r"sources\.yaml") as caught:
        source_settings(altered(shipped, path, value))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("data_sources/news/providers", ["coindesk", "nobody"], "unknown provider 'nobody'"),
        ("data_sources/news/providers", ["coindesk", "coindesk"], "listed twice"),
        ("providers/kraken/base_url", "kraken.com", "not an http or https address"),
        ("providers/kraken/timeout_seconds", 0, "timeout_seconds"),
        ("series/weather", {}, "no such data source"),
    ],
)
def test_a_wrong_value_is_one_clear_line(
    shipped: dict[str, Any], path: str, value: Any, says: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        source_settings(altered(shipped, path, value))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("providers/kraken/adapter", "exchanges", "did you mean 'exchange'"),
        ("providers/kraken/adapter", "nowhere.at_all:fetch", "cannot import the adapter"),
        ("providers/kraken/adapter", "sigmax_tasks.errors:__all__", "is not a function"),
        ("providers/kraken/options", {"exchange": "mtgox"}, "options.exchange"),
        ("providers/coindesk/options", {"path": "/rss", "outlet": "X", "colour": 1}, "colour"),
        ("providers/fred/options", {"x": 1}, "options.x"),
    ],
)
def test_an_unusable_provider_is_found_before_anything_runs(
    shipped: dict[str, Any], path: str, value: Any, says: str
) -> None:
    changed = source_settings(altered(shipped, path, value))
    with pytest.raises(ConfigurationError) as caught:
        SourceDesk(changed, max_concurrent_calls=1, max_response_bytes=1000)
    assert says in str(caught.value)


def test_a_provider_of_ones_own_is_asked_at_its_own_place_in_simulated_runs(
    shipped: dict[str, Any],
) -> None:
    def addresses(url: str, **changes: Any) -> Addresses:
        own = {**shipped["providers"]["kraken"], "simulated_url": url}
        given = {**shipped, **changes, "providers": {**shipped["providers"], "kraken": own}}
        as_of = datetime(2026, 1, 10, tzinfo=UTC)
        return Addresses.simulated(
            source_settings(given), "http://127.0.0.1:9", seed=1, as_of=as_of
        )

    found = addresses("http://127.0.0.1:8099/")
    assert found.base_url("kraken") == "http://127.0.0.1:8099"
    assert found.base_url("binance").startswith("http://127.0.0.1:9/sim/1/")
    with pytest.raises(ConfigurationError, match="not http on loopback"):
        addresses("https://example.org")
    allowed = addresses("https://example.org", allowed_source_roots=["https://example.org"])
    assert allowed.base_url("kraken") == "https://example.org"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fallback": ["gdelt"], "combine": "first"}, "fallback is for combine: all"),
        ({"fallback": ["nobody"], "combine": "all"}, "unknown provider 'nobody'"),
        ({"cross_check": ["nobody"]}, "unknown provider 'nobody'"),
        ({"cross_check": ["kraken", "kraken"]}, "listed twice"),
    ],
)
def test_fallbacks_and_cross_checks_are_providers(
    shipped: dict[str, Any], changes: dict[str, Any], says: str
) -> None:
    news = {**shipped["data_sources"]["news"], "fallback": [], **changes}
    given = {**shipped, "data_sources": {**shipped["data_sources"], "news": news}}
    with pytest.raises(ConfigurationError, match=says):
        source_settings(given)
