"""Beat's memory of the last times: a file that several beats and crashes cannot break."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from sigmax_tasks.beat import FileScheduler
from sigmax_tasks.settings.schedule import ScheduleEntry, ScheduleSettings
from sigmax_tasks.timetable import beat_schedule


def scheduler(
    path: Path, cron: str = "0 8 * * *", environ: dict[str, str] | None = None, **entry: Any
) -> FileScheduler:
    app = Celery("test", broker="memory://", set_as_current=False)
    schedules = ScheduleSettings(
        schedules={
            "daily": ScheduleEntry.model_validate({"cron": cron, "symbols": ["A/B"], **entry})
        }
    )
    app.conf.beat_schedule = beat_schedule(schedules, path.parent, environ or {})
    return FileScheduler(app, schedule_filename=str(path))


def test_a_first_start_has_missed_nothing_and_a_later_one_knows_what(tmp_path: Path) -> None:
    path = tmp_path / "new" / "beat.json"
    first = scheduler(path)
    assert not first.schedule["daily"].is_due().is_due
    last_week = datetime.now(UTC) - timedelta(days=7)
    first.schedule["daily"].last_run_at = last_week
    first.close()
    again = scheduler(path)
    assert again.schedule["daily"].last_run_at == last_week
    assert again.schedule["daily"].is_due().is_due
    assert path.parent.stat().st_mode & 0o077 == 0


def test_another_expression_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "beat.json"
    first = scheduler(path)
    first.schedule["daily"].last_run_at = datetime.now(UTC) - timedelta(days=7)
    first.close()
    assert not scheduler(path, cron="0 9 * * *").schedule["daily"].is_due().is_due


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"daily": 1}', '{"daily": ["<crontab: 0 8 * * * UTC>", "soon"]}']
)
def test_an_odd_file_costs_only_missed_times(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "beat.json"
    path.write_text(content)
    assert not scheduler(path).schedule["daily"].is_due().is_due
    assert "cannot be read" in caplog.text
    assert "daily" in json.loads(path.read_text())


def test_simulated_data_without_a_server_end_beat_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="SIGMAX_SIMULATOR_URL is not set"):
        scheduler(tmp_path / "beat.json", data="simulated")
    environ = {"SIGMAX_SIMULATOR_URL": "http://127.0.0.1:8799"}
    assert scheduler(tmp_path / "beat.json", environ=environ, data="simulated").schedule


def test_celery_finds_it_and_its_file_is_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sigmax_tasks.application import make_app
    from sigmax_tasks.settings import load_settings

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    app = make_app(load_settings(environ={}).settings.runtime, "redis://127.0.0.1:1/0")
    assert app.conf.beat_scheduler == "sigmax_tasks.beat:FileScheduler"
    assert app.conf.beat_schedule_filename == str(tmp_path / "sigmax" / "beat.json")
    app.close()
