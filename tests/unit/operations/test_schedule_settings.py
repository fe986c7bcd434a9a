"""schedule.yaml: what it may say, and what a mistake says."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigmax_planner.errors import SigmaxError
from sigmax_tasks.settings import load_settings

ENTRY = 'schedules:\n  daily:\n    cron: "0 8 * * *"\n    symbols: [btc/usdt]\n'


def load(folder: Path, text: str):
    (folder / "schedule.yaml").write_text(text)
    return load_settings(folder, environ={}).settings


def test_nothing_is_scheduled_at_first_nor_below_a_commented_out_example(tmp_path: Path) -> None:
    assert load_settings(environ={}).settings.schedule.schedules == {}
    assert load(tmp_path, "schedules:\n  # nothing yet\n").schedule.schedules == {}


def test_the_example_of_the_shipped_file_is_valid(tmp_path: Path) -> None:
    shipped = (Path(__file__).resolve().parents[3] / "config" / "schedule.yaml").read_text()
    example = shipped.partition("# An example")[2].partition("\n#\n")[2]
    text = "\n".join(line.removeprefix("#").removeprefix(" ") for line in example.splitlines())
    entry = load(tmp_path, text).schedule.entry("majors")
    assert entry.symbols == ("BTC/USDT", "ETH/USDT")
    assert set(type(entry).model_fields) == entry.model_fields_set, "it shows every key"


def test_a_schedule_is_no_part_of_what_shapes_a_decision(tmp_path: Path) -> None:
    with_one = load(tmp_path, ENTRY)
    assert with_one.schedule.schedules
    assert with_one.snapshot == load_settings(environ={}).settings.snapshot


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("    timezone: Mars/Olympus", "no such time zone"),
        ("    profile: bold", "unknown profile in schedules.daily 'bold'"),
        ("    ovrlap: skip", "did you mean 'schedules.daily.overlap'"),
        ("    overlap: never", "schedules.daily.overlap"),
        ("    max_cost: -1", "schedules.daily.max_cost"),
        ("    data: replay", "schedules.daily.data"),
        ("    late_after: 0", "schedules.daily.late_after"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(SigmaxError, match=message.replace(".", r"\.")):
        load(tmp_path, f"{ENTRY}{line}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('schedules:\n  d:\n    cron: "0 8 * *"\n    symbols: [A/B]\n', "five fields"),
        ('schedules:\n  d:\n    cron: "0 8 * * *"\n', "symbols or a watchlist"),
        ('schedules:\n  d:\n    cron: "0 8 * * *"\n    symbols: [AB]\n', "invalid symbol"),
        ('schedules:\n  D d:\n    cron: "0 8 * * *"\n    symbols: [A/B]\n', "D d"),
    ],
)
def test_an_entry_that_cannot_be_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SigmaxError, match=message):
        load(tmp_path, text)
