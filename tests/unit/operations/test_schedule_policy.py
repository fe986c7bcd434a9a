"""What becomes of a time: its policies, and the requests it stands for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import fakeredis
import pytest

from sigmax_planner.models import DataMode
from sigmax_tasks import schedule
from sigmax_tasks.errors import ClusterBusyError, ConfigurationError
from sigmax_tasks.schedule import Verdict, judge, requests_of
from sigmax_tasks.settings import load_settings
from sigmax_tasks.settings.schedule import ScheduleEntry
from sigmax_tasks.slots import SlotBook

SLOT = datetime(2025, 6, 2, 8, tzinfo=UTC)


def entry(**changes: object) -> ScheduleEntry:
    return ScheduleEntry.model_validate({"cron": "0 8 * * *", "symbols": ["BTC/USDT"], **changes})


def verdict(
    asked: ScheduleEntry,
    late: float,
    *,
    open_runs: tuple[str, ...] = (),
    newest: datetime = SLOT,
    waiting: bool = False,
) -> Verdict:
    now = SLOT + timedelta(seconds=late)
    return judge(asked, slot=SLOT, newest=newest, now=now, open_runs=open_runs, waiting=waiting)


@pytest.mark.parametrize("late", [-2.0, 0.0, 120.0])
def test_a_time_is_submitted_when_it_comes_whatever_small_difference_of_clocks(late: float) -> None:
    assert verdict(entry(), late) is Verdict.SUBMIT


def test_a_missed_time_is_left_out_or_made_up_for_once() -> None:
    assert verdict(entry(missed="skip"), 121) is Verdict.MISSED
    assert verdict(entry(missed="once"), 36_000) is Verdict.SUBMIT
    newer = SLOT + timedelta(days=1)
    assert verdict(entry(missed="once"), 90_000, newest=newer) is Verdict.MISSED
    assert verdict(entry(missed="skip", late_after=300.0), 121) is Verdict.SUBMIT


def test_open_runs_of_the_time_before_leave_it_out_or_make_it_wait() -> None:
    assert verdict(entry(overlap="skip"), 1, open_runs=("r",)) is Verdict.OVERLAPPED
    assert verdict(entry(overlap="queue"), 1, open_runs=("r",)) is Verdict.WAIT
    late = 500.0
    assert verdict(entry(overlap="queue"), late, open_runs=("r",), waiting=True) is Verdict.WAIT
    assert verdict(entry(overlap="queue"), late, waiting=True) is Verdict.SUBMIT, "it was on time"


def test_a_busy_cluster_leaves_the_time_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class FullClient:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def submit(self, _request: object) -> None:
            raise ClusterBusyError(9, 9)

        def close(self) -> None:
            pass

    monkeypatch.setattr(schedule, "Client", FullClient)
    client = fakeredis.FakeRedis(decode_responses=True)
    book = SlotBook(client)
    with caplog.at_level("WARNING"):
        schedule._submit(book, "daily", entry(), int(SLOT.timestamp()), None)
    last = book.last("daily")
    assert last is not None
    assert (last.result, last.detail) == ("busy", "9 runs were open")
    assert "daily" in caplog.text
    assert "left out" in caplog.text


def test_requests_carry_the_entry_and_the_watchlist(tmp_path: Path) -> None:
    listed = tmp_path / "majors.txt"
    listed.write_text("eth/usdt # second\nBTC/USDT\n")
    settings = load_settings(environ={}).settings
    asked = entry(watchlist=str(listed), profile="conservative", max_cost=0.2, deadline=60.0)
    first, second = requests_of("daily", asked, settings, None)
    assert (first.symbol, second.symbol) == ("BTC/USDT", "ETH/USDT")
    assert first.watchlist == ("ETH/USDT",)
    assert (first.risk_profile, first.deadline_seconds) == ("conservative", 60.0)
    assert str(first.max_cost_usd) == "0.2"
    assert first.data_mode is DataMode.LIVE
    assert first.as_of is None
    assert first.source_root is None


def test_simulated_requests_stand_at_the_simulated_time_and_need_a_server() -> None:
    settings = load_settings(environ={}).settings
    asked = entry(data="simulated")
    (request,) = requests_of("daily", asked, settings, "http://127.0.0.1:8799")
    assert request.as_of == settings.runtime.simulator.as_of
    assert request.seed == settings.runtime.simulator.seed
    assert request.source_root == "http://127.0.0.1:8799"
    with pytest.raises(ConfigurationError, match="SIGMAX_SIMULATOR_URL"):
        requests_of("daily", asked, settings, None)


def test_what_is_held_goes_with_the_requests_of_a_schedule(tmp_path: Path) -> None:
    settings = load_settings(environ={}).settings
    held = tmp_path / "held.yaml"
    held.write_text("holdings: {SOL/USDT: 0.1}\n")
    (request,) = requests_of("daily", entry(portfolio=str(held)), settings, None)
    assert request.portfolio is not None
    assert [holding.symbol for holding in request.portfolio.holdings] == ["SOL/USDT"]
    assert request.watchlist == ("SOL/USDT",)
    held.unlink()
    with pytest.raises(ConfigurationError, match=r"held\.yaml' of schedule 'daily' is not a file"):
        requests_of("daily", entry(portfolio=str(held)), settings, None)


def test_a_watchlist_that_is_gone_names_the_schedule(tmp_path: Path) -> None:
    settings = load_settings(environ={}).settings
    asked = entry(watchlist=str(tmp_path / "gone.txt"))
    with pytest.raises(ConfigurationError, match="schedule 'daily' is not a file"):
        requests_of("daily", asked, settings, None)
