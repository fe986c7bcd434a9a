"""What SIGMAX refuses before it starts anything, and what it says of itself."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sigmax_planner.errors import InvalidSymbolError, InvalidWidthError, UnknownNameError
from sigmax_planner.models import DataMode
from sigmax_tasks import SIGMAX
from sigmax_tasks.compat.asked import make_request
from sigmax_tasks.data_choice import DataOptions
from sigmax_tasks.errors import ClusterUnreachableError, ConfigurationError, EngineError


@pytest.mark.parametrize("mode", ["live", "trade", "PAPER", "", None])
def test_a_mode_that_is_not_deciding_is_refused_and_says_why(mode: Any) -> None:
    with pytest.raises(ValueError, match="never trades; modes are paper, analysis, research"):
        SIGMAX(mode=mode)


@pytest.mark.parametrize("mode", ["paper", "analysis", "research"])
def test_modes_that_do_not_trade_are_taken(mode: str) -> None:
    assert SIGMAX(mode=mode).mode == mode


def test_an_unknown_profile_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="aggressive, balanced, conservative"):
        SIGMAX(risk_profile="reckless")


def test_the_profile_of_the_configuration_is_the_default() -> None:
    assert SIGMAX().risk_profile == "balanced"
    assert SIGMAX(overrides=["default_profile=aggressive"]).risk_profile == "aggressive"


def test_the_configuration_folder_and_overrides_are_read(tmp_path: Path) -> None:
    (tmp_path / "planning.yaml").write_text("task_execution: {max_retries: 4, retry_delay: 3.0}\n")
    bot = SIGMAX(config_dir=tmp_path, overrides=["task_execution.retry_delay=0.5"])
    execution = bot.settings.planning.task_execution
    assert (execution.max_retries, execution.retry_delay) == (4, 0.5)
    with pytest.raises(TypeError, match="KEY=VALUE"):
        SIGMAX(overrides="task_execution.max_retries=3")
    with pytest.raises(ConfigurationError, match="max_retrys"):
        SIGMAX(overrides=["task_execution.max_retrys=3"])


def test_the_simulated_market_stands_still_at_its_configured_time() -> None:
    data = SIGMAX(data="simulated").data
    assert (data.mode, data.seed) == (DataMode.SIMULATED, 7)
    assert data.as_of == datetime(2025, 3, 14, 12, tzinfo=UTC)
    data = SIGMAX(data="simulated", seed=3, as_of="2025-01-02T08:00+02:00").data
    assert (data.seed, data.as_of) == (3, datetime(2025, 1, 2, 6, tzinfo=UTC))
    data = SIGMAX(data="simulated", as_of="2025-01-02").data
    assert data.as_of == datetime(2025, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"data": "fake"}, "'live', 'replay', 'simulated'"),
        ({"as_of": "2025-01-02"}, "as_of does not go with data='live'"),
        ({"seed": 3}, "seed does not go with data='live'"),
        ({"data": "simulated", "seed": True}, "seed True is not a whole number"),
        ({"data": "simulated", "seed": -1}, "seed -1 is not a whole number"),
        ({"data": "simulated", "as_of": "soon"}, "as_of 'soon' is not a time"),
        ({"data": "simulated", "as_of": datetime(2025, 1, 2)}, "with a zone"),  # noqa: DTZ001
        ({"data": "simulated", "as_of": 5}, "as_of 5 is not a time"),
        ({"data": "simulated", "as_of": "1999-01-01"}, "before there was any market"),
        ({"data": "simulated", "as_of": "2014-01-01"}, "before the simulated market"),
        ({"data": "simulated", "replay_dir": "."}, "replay_dir does not go with data='simulated'"),
        ({"data": "replay"}, "needs as_of"),
        ({"data": "replay", "as_of": "2025-01-02"}, "needs replay_dir"),
        ({"data": "replay", "as_of": "2025-01-02", "replay_dir": "nowhere"}, "is not a folder"),
        ({"data": "replay", "as_of": "2025-01-02", "seed": 1}, "seed does not go"),
    ],
)
def test_options_of_the_data_that_do_not_fit_are_refused(
    options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SIGMAX(**options)
    assert said in str(caught.value)


def test_a_time_to_come_is_refused() -> None:
    later = datetime.now(UTC) + timedelta(days=2)
    with pytest.raises(ConfigurationError, match="lies in the future"):
        SIGMAX(data="simulated", as_of=later)


def test_a_data_server_that_runs_already_is_taken_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SIGMAX_SIMULATOR_URL", "http://127.0.0.1:8765/")
    assert SIGMAX(data="simulated").data.server_url == "http://127.0.0.1:8765"
    assert SIGMAX().data.server_url is None, "live data come from the providers"
    monkeypatch.setenv("SIGMAX_SIMULATOR_URL", "nonsense")
    with pytest.raises(ConfigurationError, match="is not an http address"):
        SIGMAX(data="simulated")


@pytest.mark.parametrize(
    ("symbol", "options", "error"),
    [
        ("BTCUSDT", {}, InvalidSymbolError),
        ("BTC/BTC", {}, InvalidSymbolError),
        ("BTC/USDT", {"watchlist": ["nothing"]}, InvalidSymbolError),
        ("BTC/USDT", {"watchlist": "ETH/USDT"}, ConfigurationError),
        ("BTC/USDT", {"risk_profile": "reckless"}, UnknownNameError),
        ("BTC/USDT", {"width": 0}, InvalidWidthError),
        ("BTC/USDT", {"width": 2.5}, InvalidWidthError),
        ("BTC/USDT", {"max_cost_usd": -1}, ConfigurationError),
        ("BTC/USDT", {"max_cost_usd": "much"}, ConfigurationError),
        ("BTC/USDT", {"deadline_seconds": 0}, ConfigurationError),
        ("BTC/USDT", {"deadline_seconds": float("nan")}, ConfigurationError),
        ("BTC/USDT", {"deadline_seconds": "90"}, ConfigurationError),
        ("BTC/USDT", {"portfolio": "/no/such/held.yaml"}, ConfigurationError),
        ("BTC/USDT", {"portfolio": {"cash": 1}}, ConfigurationError),
        ("BTC/USDT", {"portfolio": {"holdings": {"ETH/USDT": 7}}}, ConfigurationError),
    ],
)
def test_a_wrong_question_is_refused_before_a_cluster_is_looked_at(
    symbol: str, options: dict[str, Any], error: type[Exception]
) -> None:
    bot = SIGMAX(data="simulated")
    with pytest.raises(error):
        asyncio.run(bot.analyze_symbol(symbol, **options))


def test_what_is_held_goes_with_the_question_and_is_compared_with(tmp_path: Path) -> None:
    held = {"equity_usd": 5000, "holdings": {"sol/usdt": 0.1, "BTC/USDT": 0.05}}
    asked = partial(make_request, "BTC/USDT", "balanced", DataOptions(DataMode.LIVE))
    request = asked(watchlist=["ETH/USDT", "SOL/USDT"], portfolio=held)
    assert request.watchlist == ("SOL/USDT", "ETH/USDT")
    assert request.portfolio is not None
    assert [(h.symbol, h.fraction) for h in request.portfolio.holdings] == [
        ("SOL/USDT", 0.1), ("BTC/USDT", 0.05),
    ]  # fmt: skip
    file = tmp_path / "held.yaml"
    file.write_text("equity_usd: 5000\nholdings: {SOL/USDT: 0.1, BTC/USDT: 0.05}\n")
    assert asked(watchlist=["ETH/USDT", "SOL/USDT"], portfolio=file) == request
    assert asked().portfolio is None


def test_a_bot_that_is_not_open_says_how_to_open_it() -> None:
    with pytest.raises(EngineError, match=r"await bot\.initialize"):
        asyncio.run(SIGMAX(data="simulated").analyze_symbol("BTC/USDT"))


def test_dry_run_gives_the_plan_and_needs_no_cluster() -> None:
    bot = SIGMAX(risk_profile="aggressive", overrides=["debug.dry_run=true"])
    plan = asyncio.run(bot.analyze_symbol("btc/usdt"))
    assert plan["symbol"] == "BTC/USDT"
    assert plan["task_count"] == 5


def test_closing_what_is_not_open_does_nothing() -> None:
    async def twice() -> None:
        bot = SIGMAX()
        await bot.close()
        await bot.close()

    asyncio.run(twice())


def test_a_broker_that_does_not_answer_is_an_error_and_nothing_stays_open() -> None:
    async def try_it() -> dict[str, Any]:
        bot = SIGMAX(broker_url="redis://:secret@127.0.0.1:1/0")
        with pytest.raises(ClusterUnreachableError) as caught:
            await bot.initialize()
        assert "secret" not in str(caught.value)
        return await bot.get_status()

    assert asyncio.run(try_it())["cluster"]["state"] == "closed"


def test_the_status_shows_what_holds_for_the_profile() -> None:
    status = asyncio.run(SIGMAX(risk_profile="conservative", data="simulated").get_status())
    assert status["planning"] == {
        "enable_parallel_tasks": True,
        "max_parallel_tasks": 4,
        "include_optional_tasks": True,
    }
    assert status["agents"] == {"planner": "active", "researcher": "inactive"}
    assert (status["mode"], status["risk_profile"]) == ("paper", "conservative")
    assert status["data_mode"] == "simulated"
    assert status["cluster"]["state"] == "closed"


def test_the_status_follows_the_switches_of_the_configuration() -> None:
    off = SIGMAX(risk_profile="aggressive", overrides=["features.enable_planning=false"])
    status = asyncio.run(off.get_status())
    assert status["agents"]["planner"] == "disabled"
    assert status["planning"]["enable_parallel_tasks"] is False
    assert status["planning"]["include_optional_tasks"] is False
