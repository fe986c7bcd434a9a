"""The other commands of ``sigmax``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sigmax_tasks.archive import RunArchive, default_folder
from sigmax_tasks.cli.exit import ExitCode, exit_code_of, worst
from sigmax_tasks.cli.main import COMMANDS
from sigmax_tasks.cli.records import find_run
from sigmax_tasks.errors import (
    ClusterUnreachableError,
    ConfigurationError,
    NoDecisionError,
    RunCancelledError,
    RunLostError,
    RunNotFoundError,
)
from tests.unit.cli.conftest import Run, Script, error_line
from tests.unit.report.builders import make_dossier, make_record

OLD = "20260301-110000-aaaaaaaa"
NEW = "20260301-120000-bbbbbbbb"


@pytest.fixture
def archive() -> RunArchive:
    archive = RunArchive(default_folder())
    archive.save(make_dossier(make_record("ETH/USDT", OLD)))
    archive.save(make_dossier(make_record("BTC/USDT", NEW)))
    return archive


def test_without_a_command_the_help_is_shown(run_sigmax: Run) -> None:
    result = run_sigmax()
    assert result.exit_code == 0
    for name in COMMANDS:
        assert name in result.stdout


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(name: str, run_sigmax: Run) -> None:
    result = run_sigmax(name, "--help")
    assert result.exit_code == 0
    assert "Usage: sigmax " in result.stdout


def test_an_unknown_command_is_one_line(run_sigmax: Run) -> None:
    result = run_sigmax("trade")
    assert result.exit_code == 2
    assert error_line(result) == "no such command 'trade'; see sigmax --help"


def test_the_version_is_that_of_the_package(run_sigmax: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: "1.2.3")
    assert run_sigmax("--version").stdout == "sigmax 1.2.3\n"


# plan


@pytest.mark.usefixtures("by_levels")
def test_a_plan_is_shown_without_a_cluster(run_sigmax: Run) -> None:
    table = run_sigmax("plan", "btc/usdt", "--profile", "conservative")
    assert table.exit_code == 0
    assert "Research plan BTC/USDT" in table.stdout
    assert max(map(len, table.stdout.splitlines())) <= 80
    assert run_sigmax("plan", "BTC/USDT", "--format", "mermaid").stdout.startswith("flowchart")
    plan = json.loads(run_sigmax("plan", "BTC/USDT", "--json", "--width", "4").stdout)
    assert plan["summary"] == "Research plan created: 6 tasks, $0.19 cost, 55s est. time"
    assert plan == {
        **json.loads(run_sigmax("plan", "BTC/USDT", "--format", "json", "--width", "4").stdout),
        "created_at": plan["created_at"],
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("BTC",),
        ("BTC/USDT", "--width", "0"),
        ("BTC/USDT", "--json", "--format", "mermaid"),
        ("BTC/USDT", "--max-cost", "-1"),
        ("BTC/USDT", "--profile", "brave"),
        (),
    ],
)
def test_a_plan_that_cannot_be_made_is_one_line(
    arguments: tuple[str, ...], run_sigmax: Run
) -> None:
    result = run_sigmax("plan", *arguments)
    assert result.exit_code == 2
    assert error_line(result)


# show and history


def test_runs_of_the_embedded_cluster_are_shown_from_the_data_folder(
    run_sigmax: Run, archive: RunArchive
) -> None:
    shown = run_sigmax("show", "last").stdout
    assert "BTC/USDT" in shown
    assert "SIMULATED DATA, seed 7, as of" in shown
    assert "score -0.40, strength 0.80; Macro: risk-off" in shown
    assert "ETH/USDT" in run_sigmax("show", "aaaaaaaa").stdout
    kept = json.loads(run_sigmax("show", "20260301-11", "--json").stdout)
    assert kept["run_id"] == OLD
    assert kept["decision"]["symbol"] == "ETH/USDT"


def test_the_lineage_of_a_run_leads_from_its_numbers_to_answers(
    run_sigmax: Run, archive: RunArchive
) -> None:
    shown = run_sigmax("show", "last", "--lineage").stdout
    assert shown.index("Hashes and versions") < shown.index("Lineage") < shown.index("Answers")
    kept = json.loads(run_sigmax("show", "last", "--lineage", "--json").stdout)
    assert kept["run_id"] == NEW
    assert set(kept["lineage"]) == {"answers", "tasks"}
    assert "lineage" not in json.loads(run_sigmax("show", "last", "--json").stdout)


def test_what_providers_ask_to_be_said_is_shown(run_sigmax: Run, archive: RunArchive) -> None:
    shown = " ".join(run_sigmax("show", "last").stdout.split())
    assert "kraken: Data from Kraken; public market data, for own use" in shown
    assert "free with attribution" in shown


def test_history_is_newest_first(run_sigmax: Run, archive: RunArchive) -> None:
    lines = run_sigmax("history").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [NEW, OLD]
    only = run_sigmax("history", "--json", "--limit", "1").stdout.splitlines()
    assert [json.loads(line)["run_id"] for line in only] == [NEW]
    assert run_sigmax("history", "--limit", "0").exit_code == 2


def test_an_empty_history_says_so_on_stderr(run_sigmax: Run) -> None:
    result = run_sigmax("history")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "no finished run in" in result.stderr


def test_with_a_broker_the_runs_come_from_the_cluster(
    run_sigmax: Run, script: Script, archive: RunArchive
) -> None:
    script.finished["20260401-000000-cccccccc"] = make_record(
        "SOL/USDT", "20260401-000000-cccccccc"
    )
    assert "seed 23" in run_sigmax("show", "last", "--broker", "redis://h").stdout
    script.keeps_dossiers = False
    assert "SOL/USDT" in run_sigmax("show", "last", "--broker", "redis://h").stdout
    assert "SOL/USDT" in run_sigmax("history", "--broker", "redis://h").stdout
    assert run_sigmax("show", NEW, "--broker", "redis://h").exit_code == 2
    script.check_error = ClusterUnreachableError("no answer")
    assert run_sigmax("show", NEW, "--broker", "redis://h").exit_code == 4


@pytest.mark.parametrize("reference", ["../../etc/passwd", "a/b/c/d", "abc", "*", "x" * 41, "\x00"])
def test_a_run_id_is_checked_before_it_is_used(
    reference: str, run_sigmax: Run, archive: RunArchive
) -> None:
    result = run_sigmax("show", reference)
    assert result.exit_code == 2
    assert "invalid run" in error_line(result)


def test_a_reference_must_fit_one_run() -> None:
    assert find_run("last", [NEW, OLD], "here") == NEW
    assert find_run(OLD, [NEW, OLD], "here") == OLD
    with pytest.raises(ConfigurationError, match=f"fits 2 runs: {NEW}, {OLD}"):
        find_run("20260301", [NEW, OLD], "here")
    with pytest.raises(RunNotFoundError, match="'last' is not known in here"):
        find_run("last", [], "here")
    with pytest.raises(RunNotFoundError):
        find_run("cccc", [NEW, OLD], "here")
    assert find_run(NEW[:-1], [NEW[:-1], NEW], "here") == NEW[:-1]


# status, watch, cancel


@pytest.mark.parametrize("command", [("status",), ("watch", NEW), ("cancel", NEW)])
def test_without_a_cluster_there_is_nothing_to_ask(
    command: tuple[str, ...], run_sigmax: Run, script: Script
) -> None:
    result = run_sigmax(*command)
    assert result.exit_code == 4
    assert "no cluster runs here" in error_line(result)


def test_status_shows_workers_and_runs_without_the_password(
    run_sigmax: Run, script: Script
) -> None:
    script.live = ((NEW, 1_800_000_000.0),)
    result = run_sigmax("status", "--broker", "redis://:secret@h/0")
    assert "host-1:4242" in result.stdout
    assert NEW in result.stdout
    assert "secret" not in result.stdout
    as_json = json.loads(run_sigmax("status", "--broker", "redis://:s@h/0", "--json").stdout)
    assert as_json["runs"] == [{"run_id": NEW, "deadline_unix": 1_800_000_000.0}]
    assert as_json["broker"] == "redis://***@h/0"
    assert as_json["spent_today"] == {"spent_usd": 0.25, "reserved_usd": 0.05, "limit_usd": None}
    assert as_json["refused_messages"] == {"foreign": 3}
    limited = run_sigmax(
        "status", "--broker", "redis://h", "--set", "performance.max_cost_per_day=2"
    )
    assert "$0.25 today, of at most $2.00, $0.05 reserved" in limited.stdout
    assert "1 open of at most 500" in limited.stdout


def test_watch_follows_an_open_run_to_its_decision(run_sigmax: Run, script: Script) -> None:
    script.live = ((NEW, 1_800_000_000.0),)
    result = run_sigmax("watch", "bbbbbbbb", "--broker", "redis://h")
    assert result.exit_code == 0, result.stderr
    assert "technical completed" in result.stderr
    assert "BUY" in result.stdout
    assert "seed 23" in result.stdout


def test_watch_shows_the_decision_of_a_finished_run(run_sigmax: Run, script: Script) -> None:
    script.finished[NEW] = make_record("SOL/USDT", NEW)
    result = run_sigmax("watch", "last", "--broker", "redis://h", "--json")
    assert json.loads(result.stdout)["symbol"] == "SOL/USDT"
    assert result.stderr == ""


def test_leaving_watch_does_not_stop_the_run(run_sigmax: Run, script: Script) -> None:
    def interrupt(_: str) -> BaseException:
        return KeyboardInterrupt()

    script.live = ((NEW, 1_800_000_000.0),)
    script.errors["BTC/USDT"] = interrupt
    assert run_sigmax("watch", NEW, "--broker", "redis://h").exit_code == 130
    assert script.cancelled == []


def test_watching_a_run_that_is_cancelled_ends_with_5(run_sigmax: Run, script: Script) -> None:
    script.live = ((NEW, 1_800_000_000.0),)
    script.errors["BTC/USDT"] = RunCancelledError
    assert run_sigmax("watch", NEW, "--broker", "redis://h").exit_code == 5


def test_watching_a_run_that_is_in_no_list(run_sigmax: Run, script: Script) -> None:
    script.errors["BTC/USDT"] = RunCancelledError
    assert run_sigmax("watch", OLD, "--broker", "redis://h").exit_code == 5
    script.errors["BTC/USDT"] = lambda run_id: RunNotFoundError(run_id, "the run store")
    assert run_sigmax("watch", OLD, "--broker", "redis://h").exit_code == 2
    assert run_sigmax("watch", "abcd", "--broker", "redis://h").exit_code == 2


def test_cancel_stops_an_open_run_only(run_sigmax: Run, script: Script) -> None:
    script.live = ((NEW, 1_800_000_000.0),)
    assert run_sigmax("cancel", "bbbb", "--broker", "redis://h").exit_code == 2
    result = run_sigmax("cancel", "bbbbbbbb", "--broker", "redis://h")
    assert result.stdout == f"cancelled run {NEW}\n"
    assert script.cancelled == [NEW]
    assert run_sigmax("cancel", OLD, "--broker", "redis://h").exit_code == 2


# config


def test_config_shows_values_and_origins(run_sigmax: Run) -> None:
    result = run_sigmax("config", "show", "task_execution", "--set", "task_execution.max_retries=5")
    assert "task_execution.max_retries = 5  [--set]" in result.stdout
    assert "task_execution.retry_delay = 1.0  [shipped]" in result.stdout
    one = json.loads(run_sigmax("config", "show", "debug.dry_run", "--json").stdout)
    assert one == {"debug.dry_run": {"value": False, "origin": "shipped"}}


def test_config_shows_no_password(run_sigmax: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMAX_BROKER_URL", "redis://:hunter2@h/0")
    result = run_sigmax("config", "show")
    assert 'broker.url = "redis://***@h/0"  [environment SIGMAX_BROKER_URL]' in result.stdout
    assert "hunter2" not in result.output


def test_an_unknown_key_names_the_nearest(run_sigmax: Run) -> None:
    result = run_sigmax("config", "show", "features.verbose")
    assert result.exit_code == 2
    assert "did you mean 'features.verbose_planning'" in error_line(result)


@pytest.mark.usefixtures("by_levels")
def test_config_check_plans_for_every_profile(run_sigmax: Run) -> None:
    result = run_sigmax("config", "check")
    assert result.exit_code == 0, result.stderr
    assert "profile conservative: 8 tasks, $0.23 cost, 55s est. time" in result.stdout
    broken = run_sigmax("config", "check", "--set", "tasks.macro.handler=no.such:thing")
    assert broken.exit_code == 2
    assert "no usable handler" in error_line(broken)


# simulate


def test_simulate_prints_how_to_use_it_and_stops_with_the_command(
    run_sigmax: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = []

    class Server:
        url = "http://127.0.0.1:8799"

        def __init__(self, host: str, port: int, replay_dir: object) -> None:
            assert (host, port, replay_dir) == ("127.0.0.1", 8799, None)

        def start(self) -> None:
            monkeypatch.setattr("threading.Event", Interrupted)

        def stop(self) -> None:
            stopped.append(True)

    class Interrupted:
        def wait(self, _seconds: float) -> bool:
            raise KeyboardInterrupt

    monkeypatch.setattr("sigmax_tasks.simulator.server.SimulatorServer", Server)
    monkeypatch.setattr("threading.Event", Interrupted)
    result = run_sigmax("simulate")
    assert result.exit_code == 130
    assert "export SIGMAX_SIMULATOR_URL=http://127.0.0.1:8799" in result.stdout
    assert stopped == [True]


@pytest.mark.parametrize(
    "arguments",
    [("--port", "x"), ("--port", "70000"), ("--replay-dir", "/no/such"), ("--host", "0.0.0.0")],
)
def test_simulate_refuses_what_cannot_be(arguments: tuple[str, ...], run_sigmax: Run) -> None:
    result = run_sigmax("simulate", *arguments)
    assert result.exit_code == 2
    assert error_line(result)


# exit codes


def test_every_error_has_its_code() -> None:
    assert exit_code_of(ConfigurationError("x")) is ExitCode.USAGE
    assert exit_code_of(RunNotFoundError("x", "y")) is ExitCode.USAGE
    assert exit_code_of(ClusterUnreachableError("x")) is ExitCode.UNREACHABLE
    assert exit_code_of(RunLostError("x")) is ExitCode.UNREACHABLE
    assert exit_code_of(NoDecisionError("x", 1)) is ExitCode.NO_DECISION
    assert exit_code_of(RunCancelledError("x")) is ExitCode.NO_DECISION


def test_the_worst_code_of_several_runs_counts() -> None:
    codes = [ExitCode.OK, ExitCode.NOT_VALIDATED, ExitCode.UNREACHABLE, ExitCode.NO_DECISION]
    assert worst(codes) is ExitCode.NO_DECISION
    assert worst(codes[:3]) is ExitCode.UNREACHABLE
    assert worst(codes[:2]) is ExitCode.NOT_VALIDATED
    assert worst([]) is ExitCode.OK
