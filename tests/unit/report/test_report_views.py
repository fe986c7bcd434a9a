"""What people see: complete, calm, at most as wide as the terminal, and harmless."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from rich.console import Console, RenderableType

from sigmax_planner.models import DataMode
from sigmax_tasks.models.decision import Action, Argument, Case, DebateRecord, Gap
from sigmax_tasks.models.events import EventKind
from sigmax_tasks.report.config_view import config_lines
from sigmax_tasks.report.decision_view import (
    banner_text,
    decision_brief,
    decision_summary,
    decision_view,
    run_header,
    runs_header,
)
from sigmax_tasks.report.numbers import data_banner, hours_text, money, price
from sigmax_tasks.report.progress import RunProgress
from sigmax_tasks.report.progress_view import progress_view
from sigmax_tasks.report.record_view import history_view, record_view, status_view
from tests.unit.report.builders import (
    AS_OF,
    RUN_ID,
    START,
    finished,
    make_event,
    make_plan,
    make_record,
    make_validation,
    story,
)

HOSTILE = "\x1b[2J\x1b]0;owned\x07[bold red]Bitcoin[/] \u202edoubles\x00 " + "very " * 80


def render(view: RenderableType, width: int = 80, *, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=width, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(view)
    return captured.get()


def hostile_record():
    argument = Argument(
        evidence_id="sentiment.x", task_id="sentiment", claim=HOSTILE[:300], weight=1
    )
    debate = DebateRecord(
        bull=Case(side="bull", arguments=(argument,) * 8, total=8),
        bear=Case(side="bear", arguments=(), total=0),
        rounds=0,
        net=1,
        arithmetic=HOSTILE,
    )
    gaps = tuple(Gap(task_id="sentiment", source="news", reason=HOSTILE) for _ in range(9))
    return make_record(
        debate=debate,
        vetoes=(HOSTILE,),
        would_change=(HOSTILE,),
        reasons=(HOSTILE,),
        validation=make_validation(passed=False, failures=(HOSTILE,), gaps=gaps),
    )


def all_views() -> dict[str, RenderableType]:
    record, hostile = make_record(), hostile_record()
    plan = record.plan
    banner = banner_text(DataMode.SIMULATED, data_banner(DataMode.SIMULATED, AS_OF, 10**17))
    run = RunProgress.of_plan(RUN_ID, plan)
    for event in story(plan)[:6]:
        run = run.apply(event)
    run = run.apply(
        make_event(
            EventKind.TASK_FINISHED, 90, **finished("macro", status="failed", detail=HOSTILE)
        )
    )
    now = START + timedelta(seconds=9)
    other = RunProgress.of_plan(RUN_ID.replace("4f", "5f"), make_plan("1000000SATS/USDT"))
    return {
        "decision": decision_view(record, seed=7),
        "hostile decision": decision_view(hostile),
        "record": record_view(record),
        "hostile record": record_view(hostile),
        "header": run_header(plan, RUN_ID, banner, deadline_seconds=120),
        "headers": runs_header([plan, plan], banner, deadline_seconds=120),
        "progress": progress_view([run], now, 24),
        "progress of many": progress_view([run, other] * 30, now, 24),
        "summary": decision_summary([record, hostile, make_record("1000000SATS/USDT")]),
        "brief": decision_brief(hostile),
        "history": history_view([record, hostile, make_record("1000000SATS/USDT")]),
        "status": status_view("redis://h", ["host:1"], [(RUN_ID, START.timestamp())], START),
    }


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", list(all_views()))
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    lines = render(all_views()[name], width).splitlines()
    assert lines
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("name", list(all_views()))
def test_no_control_character_reaches_the_terminal(name: str) -> None:
    text = render(all_views()[name])
    assert text.replace("\n", "").isprintable()
    assert "owned" not in text


@pytest.mark.parametrize("name", list(all_views()))
def test_a_terminal_that_knows_ascii_only_can_show_it(name: str) -> None:
    render(all_views()[name], encoding="ascii").encode("ascii", errors="replace")
    bar = render(decision_view(make_record()), encoding="ascii")
    assert "##########" in bar
    assert "\u2588" not in bar


def test_markup_of_outside_text_is_shown_and_not_obeyed() -> None:
    assert "[bold red]Bitcoin[/] doubles" in render(decision_view(hostile_record()))


def test_the_decision_says_it_all() -> None:
    text = render(decision_view(make_record(), seed=7))
    for expected in (
        "SIMULATED DATA, seed 7, as of 2025-03-14 12:00 UTC",
        "BTC/USDT  balanced  run " + RUN_ID,
        "BUY",
        "confidence 0.62",
        "size 8.4 % of equity",
        "score +0.34",
        "97,123.40",
        "94,010.00",
        "-3.2 %",
        "103,350.00",
        "+6.4 %",
        "72 h",
        "score 0.87, needs 0.70",
        "completeness",
        "For a rise  total 0.65",
        "0.31  EMA 20 is above EMA 50",
        "For a fall  total 0.26",
        "net +0.43: (0.65 - 0.26)",
        "social",
        "no provider answered (403)",
        "a close below 94,010 USDT",
        "6 tasks: 6 completed in 4.2 s, one by one 9.0 s: speed-up 2.14",
        "estimated $0.19, actual $0.0072, no limit",
        f"sigmax show {RUN_ID}",
    ):
        assert expected in text


def test_a_decision_without_prices_shows_no_made_up_ones() -> None:
    text = render(
        decision_view(
            make_record(
                action=Action.HOLD,
                reference_price=None,
                stop_price=None,
                take_profit_price=None,
                vetoes=("kill switch is on",),
                validation=make_validation(passed=False, failures=("2 of 4 sources",)),
            )
        )
    )
    assert ["reference", "n/a"] in [line.split() for line in text.splitlines()]
    assert "target" not in text
    assert "NOT PASSED" in text
    assert "missed  2 of 4 sources" in text
    assert "kill switch is on" in text


def test_a_live_run_without_any_data_names_the_mode_that_works_offline() -> None:
    nothing = make_validation(passed=False, sources_seen=())
    live = make_record(data_mode=DataMode.LIVE, simulated=False, validation=nothing)
    assert "--data simulated works without a network" in render(decision_view(live))
    assert "--data simulated works" not in render(decision_view(make_record(validation=nothing)))


def test_at_most_five_arguments_a_side_are_shown() -> None:
    text = render(decision_view(hostile_record()), 200)
    assert "For a rise  total 8.00, 5 of 8" in text
    assert text.count("1.00  [bold red]") == 5


def test_the_whole_record_shows_workers_attempts_rebuttals_and_hashes() -> None:
    text = render(record_view(make_record()), 120)
    assert all(digest in render(record_view(make_record())) for digest in ("ab" * 32, "cd" * 32))
    for expected in ("host-1:4242", "kraken, alternative_me", "older than a day", "ab" * 32,
                     "cd" * 32, "celery", "spread is twice its median", "Kelly 0.22 halved",
                     "macro.rates", "+0.144", "finalize_run"):  # fmt: skip
        assert expected in text


def test_progress_shows_attempt_seconds_cost_and_reason() -> None:
    run = RunProgress.of_plan(RUN_ID, make_plan())
    run = run.apply(make_event(EventKind.RUN_STARTED, 0))
    run = run.apply(make_event(EventKind.TASK_STARTED, 1, task_id="technical", attempt=1))
    run = run.apply(
        make_event(EventKind.TASK_FINISHED, 3, **finished("macro", status="failed", detail="503"))
    )
    text = render(progress_view([run], START + timedelta(seconds=5), 24))
    technical = next(line for line in text.splitlines() if line.startswith("technical"))
    assert technical.split() == ["technical", "running", "1", "4.0", "15"]
    macro = next(line for line in text.splitlines() if line.startswith("macro"))
    assert macro.split() == ["macro", "failed", "1", "1.5", "20", "$0.0012", "503"]
    assert "running  1/6 tasks" in text
    assert "5.0 of 55 s planned  $0.0012 of $0.19 planned" in text


def test_many_runs_fit_the_height_of_the_terminal() -> None:
    runs = [RunProgress.of_plan(f"run-{n:05}", make_plan()) for n in range(60)]
    runs[50] = runs[50].apply(make_event(EventKind.RUN_STARTED, 1, run_id="run-00050"))
    lines = render(progress_view(runs, START, 24)).splitlines()
    assert len(lines) <= 24
    assert any("run-00050" in line for line in lines)
    assert any("and 42 more" in line for line in lines)
    assert "0 of 60 runs over" in lines[-1]


def test_status_says_what_is_missing() -> None:
    text = render(status_view("redis://h", [], [(RUN_ID, START.timestamp() - 4)], START))
    assert "none; start one with" in text
    assert "4 s over its deadline" in text


def test_banners_name_the_mode() -> None:
    assert data_banner(DataMode.LIVE, None) == "LIVE DATA"
    assert data_banner(DataMode.REPLAY, AS_OF).startswith("REPLAY OF RECORDED DATA, as of 2025")


def test_numbers_are_as_long_as_they_need_to_be() -> None:
    assert price(97123.4) == "97,123.40"
    assert price(1.23456) == "1.2346"
    assert price(0.00001234) == "0.00001234"
    assert price(None) == "n/a"
    assert hours_text(168) == "7 days"
    record = make_record()
    assert money(record.cost.actual_usd) == "$0.0072"


def test_lines_of_the_configuration_are_not_broken() -> None:
    (line,) = config_lines([("sources.user_agent", "x" * 200, "--set")])
    assert line.plain == f'sources.user_agent = "{"x" * 200}"  [--set]'
