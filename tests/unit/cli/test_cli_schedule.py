"""``sigmax schedule`` and the options of ``sigmax up``."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run, Script, error_line

SCHEDULE = """
schedules:
  majors:
    cron: "0 8 * * mon-fri"
    timezone: Europe/Berlin
    symbols: [btc/usdt]
    watchlist: more.txt
    portfolio: held.yaml
    profile: aggressive
    deadline: 60
    max_cost: 0.2
  hourly:
    cron: "30 * * * *"
    symbols: [SOL/USDT]
"""


@pytest.fixture
def config(tmp_path: Path) -> tuple[str, str]:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "schedule.yaml").write_text(SCHEDULE)
    (folder / "more.txt").write_text("eth/usdt\n")
    (folder / "held.yaml").write_text("holdings: {SOL/USDT: 0.1}\n")
    return "--config", str(folder)


def test_the_list_shows_each_entry_with_its_next_time(
    config: tuple[str, str], run_sigmax: Run
) -> None:
    lines = [
        json.loads(line)
        for line in run_sigmax("schedule", "list", "--json", *config).stdout.splitlines()
    ]
    assert [line["name"] for line in lines] == ["majors", "hourly"]
    assert datetime.fromisoformat(lines[1]["next"]).minute == 30
    assert lines[0]["last"] is None, "no cluster is asked where none runs"
    table = run_sigmax("schedule", "list", *config)
    assert "majors" in table.stdout
    assert "Europe/Berlin" in table.stdout


def test_no_schedules_are_no_error(run_sigmax: Run) -> None:
    result = run_sigmax("schedule", "list")
    assert result.exit_code == 0
    assert "schedule.yaml" in result.stderr
    assert run_sigmax("schedule", "next").exit_code == 0


def test_the_next_times_are_in_order_and_in_the_zone(
    config: tuple[str, str], run_sigmax: Run
) -> None:
    result = run_sigmax("schedule", "next", "--count", "30", "--json", *config)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(found) == 30
    times = [datetime.fromisoformat(line["at"]) for line in found]
    assert times == sorted(times)
    one = run_sigmax("schedule", "next", "majors", "--count", "2", "--json", *config)
    for line in one.stdout.splitlines():
        assert datetime.fromisoformat(json.loads(line)["local"]).hour == 8


def test_an_entry_is_run_now_as_sigmax_submit_would(
    config: tuple[str, str], run_sigmax: Run, script: Script
) -> None:
    result = run_sigmax("schedule", "run", "majors", "--json", *config)
    assert result.exit_code == 0, result.output
    assert [request.symbol for request in script.requests] == ["BTC/USDT", "ETH/USDT"]
    request = script.requests[0]
    assert (request.risk_profile, request.deadline_seconds) == ("aggressive", 60.0)
    assert str(request.max_cost_usd) == "0.2"
    assert request.portfolio is not None
    assert request.watchlist == ("SOL/USDT", "ETH/USDT")
    assert len(result.stdout.splitlines()) == 2


def test_an_unknown_entry_names_the_known_ones(config: tuple[str, str], run_sigmax: Run) -> None:
    result = run_sigmax("schedule", "run", "majrs", *config)
    assert result.exit_code == 2
    assert "did you mean 'majors'" in error_line(result)


def test_a_wrong_expression_is_found_by_config_check(
    config: tuple[str, str], run_sigmax: Run
) -> None:
    assert "schedule majors: next at" in run_sigmax("config", "check", *config).stdout
    held = Path(config[1]) / "held.yaml"
    held.write_text("holdings: {SOL/USDT: lots}\n")
    assert "of schedule 'majors': fraction" in error_line(run_sigmax("config", "check", *config))
    held.write_text("{}")
    path = Path(config[1]) / "schedule.yaml"
    path.write_text(SCHEDULE.replace("30 * * * *", "61 * * * *"))
    result = run_sigmax("config", "check", *config)
    assert result.exit_code == 2
    assert "schedules.hourly.cron '61 * * * *'" in error_line(result)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--workers", "0"), "--workers '0' is not a whole number from 1 to 64"),
        (("--concurrency", "many"), "--concurrency 'many'"),
        (("--port", "70000"), "--port '70000'"),
        (("--set", "coin_ids.BTC=x"), "cannot be handed on to workers"),
    ],
)
def test_up_refuses_before_it_starts_anything(
    options: tuple[str, ...], message: str, run_sigmax: Run, tmp_path: Path
) -> None:
    result = run_sigmax("up", *options)
    assert result.exit_code == 2
    assert message in error_line(result)
    assert not (tmp_path / "data").exists()


def test_up_refuses_a_schedule_on_simulated_data_without_a_server(
    config: tuple[str, str], run_sigmax: Run, tmp_path: Path
) -> None:
    path = Path(config[1]) / "schedule.yaml"
    path.write_text(f"{SCHEDULE}    data: simulated\n")
    assert "'hourly' is on simulated data" in error_line(run_sigmax("up", *config))
    assert not (tmp_path / "data").exists()
