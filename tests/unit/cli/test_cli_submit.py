"""``sigmax-submit`` from the options to the exit code, on a scripted cluster."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sigmax_tasks.errors import (
    ClusterBusyError,
    ClusterUnreachableError,
    HandlerError,
    NoDecisionError,
    RunCancelledError,
    RunLostError,
)
from sigmax_tasks.models.decision import Action
from tests.unit.cli.conftest import Run, Script, error_line
from tests.unit.report.builders import make_validation

NOT_VALID = {"validation": make_validation(passed=False), "action": Action.HOLD}


@pytest.mark.usefixtures("by_levels")
def test_a_decision_on_validated_research_ends_with_0(run_submit: Run, script: Script) -> None:
    result = run_submit("btc/usdt")
    assert result.exit_code == 0, result.stderr
    assert "BUY" in result.stdout
    assert "confidence 0.62" in result.stdout
    assert "batch 1 of 2 started" in result.stderr
    assert script.clients_closed == script.closed == 1
    assert script.cancelled == []


def test_research_that_is_not_validated_ends_with_3(run_submit: Run, script: Script) -> None:
    script.changes["BTC/USDT"] = NOT_VALID
    result = run_submit("BTC/USDT")
    assert result.exit_code == 3
    assert "NOT PASSED" in result.stdout


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (lambda run_id: NoDecisionError(run_id, 120), 5),
        (RunCancelledError, 5),
        (RunLostError, 4),
        (lambda _: ClusterUnreachableError("broker does not answer"), 4),
    ],
)
def test_a_run_without_a_decision_says_so_in_one_line(
    error: object, code: int, run_submit: Run, script: Script
) -> None:
    script.errors["BTC/USDT"] = error  # type: ignore[assignment]
    result = run_submit("BTC/USDT", "--json")
    assert result.exit_code == code
    assert error_line(result)
    assert result.stdout == ""


def test_an_unreachable_broker_ends_with_4_before_anything_is_submitted(
    run_submit: Run, script: Script
) -> None:
    script.check_error = ClusterUnreachableError("broker redis://h does not answer")
    result = run_submit("BTC/USDT", "--broker", "redis://h")
    assert result.exit_code == 4
    assert script.opened == ["redis://h"]
    assert script.requests == []
    assert script.closed == script.clients_closed == 1


def test_a_cluster_without_workers_is_told_at_once_unless_nobody_waits(
    run_submit: Run, script: Script
) -> None:
    script.workers_error = ClusterUnreachableError("no worker is connected to the broker")
    result = run_submit("BTC/USDT", "--broker", "redis://h")
    assert result.exit_code == 4
    assert "no worker is connected" in error_line(result)
    assert script.requests == []
    assert run_submit("BTC/USDT", "--broker", "redis://h", "--no-wait").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "no symbol given"),
        (("BTC",), "invalid symbol 'BTC'"),
        (("BTC/USDT", "--width", "0"), "invalid width 0"),
        (("BTC/USDT", "--width", "x"), "invalid width 'x'"),
        (("BTC/USDT", "--profile", "brave"), "known are aggressive, balanced, conservative"),
        (("BTC/USDT", "--set", "features.no=1"), "unknown configuration key"),
        (("BTC/USDT", "--config", "/no/such"), "is not a folder"),
        (("BTC/USDT", "--no-such"), "no such option"),
        (("BTC/USDT", "--data", "guessed"), "'guessed' is not one of"),
        (("BTC/USDT", "--width"), "requires an argument"),
        (("BTC/USDT", "--no-wait"), "--no-wait needs a running cluster"),
        (
            ("BTC/USDT", "--no-wait", "--broker", "redis://h", "--data", "simulated"),
            "SIGMAX_SIMULATOR_URL",
        ),
    ],
)
def test_bad_usage_is_one_line_and_2_and_starts_nothing(
    arguments: tuple[str, ...], problem: str, run_submit: Run, script: Script
) -> None:
    result = run_submit(*arguments)
    assert result.exit_code == 2
    assert problem in error_line(result)
    assert result.stdout == ""
    assert script.opened == []


def test_a_task_without_a_handler_is_a_configuration_error(run_submit: Run, script: Script) -> None:
    script.submit_errors["ETH/USDT"] = HandlerError("x", "a:b", "module 'a' is not installed")
    result = run_submit("BTC/USDT", "ETH/USDT")
    assert result.exit_code == 2
    assert "has no usable handler" in error_line(result)
    assert script.cancelled == ["20260301-120000-00000001"]


def test_json_has_one_line_per_decision_in_the_order_asked(run_submit: Run, script: Script) -> None:
    script.finish_order = ["SOL/USDT", "BTC/USDT", "ETH/USDT"]
    result = run_submit("ETH/USDT", "BTC/USDT", "SOL/USDT", "--json")
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["symbol"] for line in lines] == ["ETH/USDT", "BTC/USDT", "SOL/USDT"]
    assert script.requests[0].watchlist == ("BTC/USDT", "SOL/USDT")


def test_several_decisions_share_the_equity(run_submit: Run, script: Script) -> None:
    result = run_submit("ETH/USDT", "BTC/USDT", "--json")
    shares = [json.loads(line)["allocation"] for line in result.stdout.splitlines()]
    # Two positions of 8.4 % without known returns count as one.
    assert shares == [{"fraction": 0.042, "of_total": 0.5}] * 2
    text = " ".join(run_submit("ETH/USDT", "BTC/USDT").stdout.split())
    assert "ETH/USDT BUY 8.4 % 4.2 % 50.0 %" in text
    alone = run_submit("ETH/USDT", "--json")
    assert "allocation" not in json.loads(alone.stdout)
    assert "Allocation" not in run_submit("ETH/USDT").stdout


def test_decisions_without_kept_candles_are_allocated_all_the_same(
    run_submit: Run, script: Script
) -> None:
    script.keeps_dossiers = False
    result = run_submit("ETH/USDT", "BTC/USDT", "--json")
    assert result.exit_code == 0
    shares = [json.loads(line)["allocation"]["of_total"] for line in result.stdout.splitlines()]
    assert shares == [0.5, 0.5]


def test_leaving_early_prints_what_is_decided(run_submit: Run, script: Script) -> None:
    script.errors["ETH/USDT"] = lambda _: KeyboardInterrupt()
    result = run_submit("BTC/USDT", "ETH/USDT", "--json")
    assert result.exit_code == 130
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["symbol"] == "BTC/USDT"
    assert "allocation" not in json.loads(line)


def test_one_run_that_fails_does_not_hide_the_others(run_submit: Run, script: Script) -> None:
    script.errors["BTC/USDT"] = RunCancelledError
    script.changes["ETH/USDT"] = NOT_VALID
    result = run_submit("BTC/USDT", "ETH/USDT", "SOL/USDT", "--json")
    assert result.exit_code == 5
    assert [json.loads(line)["symbol"] for line in result.stdout.splitlines()] == [
        "ETH/USDT",
        "SOL/USDT",
    ]
    assert "was cancelled" in error_line(result)


def test_a_lost_run_outranks_one_that_is_not_validated(run_submit: Run, script: Script) -> None:
    script.changes = {"BTC/USDT": NOT_VALID, "ETH/USDT": {"lost": True}}
    result = run_submit("BTC/USDT", "ETH/USDT")
    assert result.exit_code == 4
    assert "was lost" in error_line(result)


def test_several_decisions_have_a_summary(run_submit: Run, script: Script) -> None:
    script.changes["ETH/USDT"] = NOT_VALID
    result = run_submit("BTC/USDT", "ETH/USDT")
    assert result.exit_code == 3
    summary = [line.split() for line in result.stdout.splitlines()]
    row = "BTC/USDT BUY 0.62 8.4 % +0.34 97,123.40 passed $0.0072"
    assert row.split() in summary
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_leaving_early_cancels_what_is_open_and_closes_everything(
    error: type[BaseException], run_submit: Run, script: Script
) -> None:
    script.errors["ETH/USDT"] = lambda _: error("boom")
    result = run_submit("BTC/USDT", "ETH/USDT", "SOL/USDT")
    assert result.exit_code == (130 if error is KeyboardInterrupt else 70)
    assert script.cancelled == ["20260301-120000-00000002", "20260301-120000-00000003"]
    assert script.closed == script.clients_closed == 1
    if error is RuntimeError:
        assert "RuntimeError: boom (this is a bug" in error_line(result)


def test_a_traceback_only_for_who_asks(
    run_submit: Run, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.errors["BTC/USDT"] = lambda _: RuntimeError("boom")
    monkeypatch.setenv("SIGMAX_DEBUG", "1")
    result = run_submit("BTC/USDT")
    assert result.exit_code == 70
    assert "Traceback" in result.stderr


def test_a_busy_cluster_ends_with_4_and_may_be_waited_for(run_submit: Run, script: Script) -> None:
    script.submit_errors["ETH/USDT"] = ClusterBusyError(7, 7)
    result = run_submit("BTC/USDT", "ETH/USDT")
    assert result.exit_code == 4
    assert "7 runs are open" in error_line(result)
    assert len(script.cancelled) == 1, "no half of what was asked"
    run_submit("BTC/USDT", "--wait-for-slot", "12")
    run_submit("BTC/USDT", "--wait-for-slot")
    assert script.waits == [0, 0, 12, 300]
    result = run_submit("--wait-for-slot", "BTC/USDT")
    assert result.exit_code == 2
    assert "--wait-for-slot 60" in error_line(result)


def test_no_wait_prints_run_ids_and_leaves(run_submit: Run, script: Script) -> None:
    result = run_submit("BTC/USDT", "ETH/USDT", "--no-wait", "--broker", "redis://h")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "20260301-120000-00000001 BTC/USDT",
        "20260301-120000-00000002 ETH/USDT",
    ]
    assert script.cancelled == []
    result = run_submit("BTC/USDT", "--no-wait", "--broker", "redis://h", "--json")
    assert json.loads(result.stdout)["symbol"] == "BTC/USDT"


def test_a_dry_run_prints_the_plan_and_starts_nothing(run_submit: Run, script: Script) -> None:
    result = run_submit("BTC/USDT", "--set", "debug.dry_run=true")
    assert result.exit_code == 0
    assert "Research plan BTC/USDT" in result.stdout
    result = run_submit("BTC/USDT", "--set", "debug.dry_run=true", "--json")
    assert json.loads(result.stdout)["task_count"] == 6
    assert script.opened == []


@pytest.mark.usefixtures("by_levels")
def test_verbose_planning_logs_the_plan(
    run_submit: Run, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "Research plan created: 6 tasks, $0.19 cost, 55s est. time"
    assert line not in run_submit("BTC/USDT").stderr
    flag = run_submit("BTC/USDT", "--set", "features.verbose_planning=true")
    assert flag.stderr.splitlines().count(line) == 1
    monkeypatch.setenv("VERBOSE_PLANNING", "true")
    result = run_submit("BTC/USDT", "--json")
    assert result.stderr.splitlines().count(line) == 1
    assert len(result.stdout.splitlines()) == 1


@pytest.mark.usefixtures("by_levels")
def test_the_execution_plan_is_logged_when_asked_for(run_submit: Run, script: Script) -> None:
    result = run_submit("BTC/USDT", "--set", "debug.log_execution_plan=true")
    assert "batch 1: sentiment, onchain, technical" in result.stderr


def test_what_each_task_found_is_logged_when_asked_for(run_submit: Run, script: Script) -> None:
    wanted = ("BTC/USDT", "--json", "--set", "debug.log_task_results=true")
    result = run_submit(*wanted)
    assert "BTC/USDT macro: score -0.40, strength 0.80; Macro: risk-off" in result.stderr
    assert "BTC/USDT technical: failed: no data" in result.stderr
    assert "risk-off" not in run_submit("BTC/USDT").stderr
    script.keeps_dossiers = False
    result = run_submit(*wanted)
    assert result.exit_code == 0
    assert "BTC/USDT findings: run" in result.stderr


def test_notes_of_the_plans_are_told_once(run_submit: Run, script: Script) -> None:
    result = run_submit("BTC/USDT", "ETH/USDT", "--deadline", "20")
    assert result.stderr.count("note: ") == 1


def test_the_data_server_of_a_simulated_run_lives_as_long_as_the_command(
    run_submit: Run, script: Script
) -> None:
    result = run_submit("BTC/USDT", "--data", "SIMULATED", "--seed", "11")
    assert result.exit_code == 0
    (request,) = script.requests
    assert request.seed == 11
    assert request.source_root is not None
    assert "seed 11" in result.stdout
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", urlsplit(request.source_root).port or 0), timeout=2)


class _Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.server.body  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"status": "ok", "version": "1"}', 0),
        (b"<html>", 4),
        (b'{"status": "no"}', 4),
        (b"[]", 4),
    ],
)
def test_a_named_data_server_must_be_healthy(
    body: bytes, code: int, run_submit: Run, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HTTPServer(("127.0.0.1", 0), _Health) as server:
        server.body = body  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            monkeypatch.setenv("SIGMAX_SIMULATOR_URL", url)
            monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
            result = run_submit("BTC/USDT", "--data", "simulated")
        finally:
            server.shutdown()
            thread.join()
    assert result.exit_code == code, result.stderr
    assert [r.source_root for r in script.requests] == ([url] if code == 0 else [])


def test_a_named_data_server_that_does_not_answer_ends_with_4(
    run_submit: Run, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGMAX_SIMULATOR_URL", "http://127.0.0.1:1")
    result = run_submit("BTC/USDT", "--data", "simulated")
    assert result.exit_code == 4
    assert "sigmax simulate" in error_line(result)
    assert script.opened == []


def test_a_watchlist_adds_symbols(run_submit: Run, script: Script, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("ETH/USDT\n")
    assert run_submit("--watchlist", "list", "BTC/USDT", "--json").exit_code == 0
    assert [r.symbol for r in script.requests] == ["BTC/USDT", "ETH/USDT"]


def test_sigmax_submit_is_the_same_command(run_sigmax: Run, script: Script) -> None:
    assert run_sigmax("submit", "BTC/USDT", "--json").exit_code == 0
    assert [r.symbol for r in script.requests] == ["BTC/USDT"]
