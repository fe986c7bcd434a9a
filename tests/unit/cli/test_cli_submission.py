"""Requests are complete and checked before anything starts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sigmax_planner.errors import UnknownNameError
from sigmax_planner.models import DataMode
from sigmax_tasks.cli.submission import Submission, Typed, prepare
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.settings import Settings, load_settings

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(None, (), {}).settings


def ask(
    settings: Settings, *symbols: str, environ: dict[str, str] | None = None, **typed: Any
) -> Submission:
    return prepare(Typed(symbols or ("BTC/USDT",), **typed), settings, environ or {}, NOW)


def test_a_plain_request_is_about_now_with_the_default_profile(settings: Settings) -> None:
    submission = ask(settings)
    (request,) = submission.requests
    assert (request.data_mode, request.as_of, request.seed) == (DataMode.LIVE, None, None)
    assert request.risk_profile == "balanced"
    assert request.watchlist == ()
    assert submission.plans[0].task_count == 6
    assert not submission.starts_server


def test_symbols_are_each_others_watchlist(settings: Settings) -> None:
    submission = ask(settings, "BTC/USDT", "ETH/USDT", "SOL/USDT")
    assert [r.symbol for r in submission.requests] == ["BTC/USDT", "ETH/USDT", "SOL/USDT"]
    assert submission.requests[1].watchlist == ("BTC/USDT", "SOL/USDT")


def test_the_simulated_market_stands_still_at_its_configured_time(settings: Settings) -> None:
    (request,) = ask(settings, data="simulated").requests
    assert request.as_of == settings.runtime.simulator.as_of
    assert request.seed == settings.runtime.simulator.seed
    (other,) = ask(settings, data="simulated", seed="0", as_of="2024-05-01").requests
    assert (other.seed, other.as_of) == (0, datetime(2024, 5, 1, tzinfo=UTC))


def test_a_running_data_server_is_used(settings: Settings) -> None:
    environ = {"SIGMAX_SIMULATOR_URL": "http://127.0.0.1:8799/"}
    submission = ask(settings, data="simulated", environ=environ)
    assert submission.requests[0].source_root == "http://127.0.0.1:8799"
    assert not submission.starts_server
    assert ask(settings, environ=environ).requests[0].source_root is None


def test_the_address_of_a_started_server_goes_into_each_request(settings: Settings) -> None:
    submission = ask(settings, "BTC/USDT", "ETH/USDT", data="simulated")
    assert submission.starts_server
    served = submission.served_from("http://127.0.0.1:1")
    assert {r.source_root for r in served.requests} == {"http://127.0.0.1:1"}


def test_a_replay_has_a_folder_and_a_moment(settings: Settings, tmp_path: Path) -> None:
    submission = ask(settings, data="replay", replay_dir=str(tmp_path), as_of="2025-03-14T12:00Z")
    assert submission.replay_dir == tmp_path
    assert submission.requests[0].seed is None
    served = ask(
        settings,
        data="replay",
        as_of="2025-03-14",
        environ={"SIGMAX_SIMULATOR_URL": "http://127.0.0.1:8799"},
    )
    assert served.replay_dir is None


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"data": "replay", "as_of": "2025-03-14"}, "needs --replay-dir"),
        ({"data": "replay", "replay_dir": "."}, "needs --as-of"),
        ({"data": "replay", "replay_dir": "/no/such", "as_of": "2025-03-14"}, "not a folder"),
        ({"replay_dir": "."}, "--replay-dir does not go with --data live"),
        ({"as_of": "2025-03-14"}, "--as-of does not go with --data live"),
        ({"seed": "7"}, "--seed does not go with --data live"),
        ({"data": "simulated", "as_of": "2014-01-01"}, "before the simulated market"),
        ({"data": "simulated", "as_of": "2026-03-02"}, "future"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    typed: dict[str, str], problem: str, settings: Settings
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        ask(settings, **typed)


def test_a_replay_takes_no_seed(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--seed does not go with --data replay"):
        ask(settings, data="replay", replay_dir=str(tmp_path), as_of="2025-03-14", seed="1")


def test_an_address_that_is_none_is_refused(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="not an http address"):
        ask(settings, data="simulated", environ={"SIGMAX_SIMULATOR_URL": "file:///etc/passwd"})


def test_an_unknown_profile_lists_the_known_ones(settings: Settings) -> None:
    with pytest.raises(UnknownNameError, match="aggressive, balanced, conservative"):
        ask(settings, profile="brave")


def test_options_override_the_plan(settings: Settings) -> None:
    submission = ask(
        settings, profile="balanced", width="4", optional=False, max_cost="0.5", deadline="30"
    )
    (request,) = submission.requests
    (plan,) = submission.plans
    assert (plan.width, plan.task_count, plan.estimated_time_parallel) == (4, 4, 30)
    assert request.deadline_seconds == 30
