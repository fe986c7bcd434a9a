"""An evaluation on a private cluster: killed in the middle, gone on with, and the same as whole."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sigmax_tasks.evaluation.chunk import work
from sigmax_tasks.evaluation.models import ChunkDecisions
from sigmax_tasks.evaluation.outline import Wish, outline
from sigmax_tasks.evaluation.packing import unpack
from sigmax_tasks.evaluation.recorded_desk import RecordedDesk
from tests.switches import clean_environ, load_settings

from ..unit.evaluation.builders import at, write_recordings

pytestmark = pytest.mark.integration
CHUNK_STEPS = 4
SPAN = ("2022-06-01", "2022-07-02")


def arguments(folder: Path, page: Path) -> list[str]:
    return [
        *(sys.executable, "-c", "from sigmax_tasks.cli.main import main; main()"),
        *("evaluate", "BTC/USDT", "--replay-dir", str(folder), "--only-recorded"),
        *("--from", SPAN[0], "--to", SPAN[1], "--workers", "2", "--json"),
        *("--set", f"evaluation.chunk_steps={CHUNK_STEPS}", "--set", "evaluation.random_seeds=50"),
        *("--set", "evaluation.bootstrap_resamples=100", "--report", str(page)),
    ]


def environment(home: Path) -> dict[str, str]:
    kept = clean_environ()
    return {**kept, "XDG_DATA_HOME": str(home)}


def test_a_killed_evaluation_goes_on_and_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    folder, home = write_recordings(tmp_path / "recordings", ("BTC",)), tmp_path / "home"
    home.mkdir()
    command = arguments(folder, tmp_path / "page.html")
    kept = home / "sigmax" / "evaluations" / "decisions"
    first = subprocess.Popen(
        command, env=environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    until = time.monotonic() + 60
    while time.monotonic() < until and first.poll() is None:
        if kept.is_dir() and len(list(kept.iterdir())) >= 2:
            break
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    before = len([path for path in kept.iterdir() if not path.name.startswith(".")])
    total = len(own_questions(folder))
    assert 2 <= before < total
    again = subprocess.run(
        command, env=environment(home), capture_output=True, text=True, timeout=90, check=False
    )
    assert again.returncode == 0, again.stderr
    assert f"({before} chunks from before)" in again.stderr
    found: dict[str, Any] = json.loads(again.stdout)
    assert found["decisions"] == 32
    assert sum(found["actions"].values()) == 32
    assert [row["name"] for row in found["strategies"]][:2] == ["SIGMAX", "buy and hold"]
    assert {one["task_id"] for one in found["ablation"]} >= {"technical", "macro"}
    page = (tmp_path / "page.html").read_text()
    assert found["verdict"].split(".")[0] in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    third = subprocess.run(
        command, env=environment(home), capture_output=True, text=True, timeout=60, check=False
    )
    assert f"all {total} chunks are known from before" in third.stderr
    assert json.loads(third.stdout) == found
    assert kept_hashes(kept) == own_hashes(folder)


def own_questions(folder: Path) -> list[Any]:
    overrides = (f"evaluation.chunk_steps={CHUNK_STEPS}",)
    settings = load_settings(None, overrides, environ={}).settings
    wish = Wish(
        ("BTC/USDT",), at(SPAN[0]), at(SPAN[1]), 86_400, "balanced", folder, only_recorded=True
    )
    return list(outline(wish, settings).questions)


def own_hashes(folder: Path) -> set[str]:
    """The decisions as this process makes them, without a cluster."""
    shipped = load_settings(None, environ={}).settings
    settings = shipped.with_snapshot(shipped.snapshot)
    desk = RecordedDesk(settings.sources, folder)
    answers = [work(question, settings, desk) for question in own_questions(folder)[:2]]
    return {d.decision_hash for a in answers if a.decisions for d in a.decisions.decisions}


def kept_hashes(folder: Path) -> set[str]:
    chunks = [unpack(ChunkDecisions, path.read_text()) for path in folder.iterdir()]
    chunks.sort(key=lambda chunk: chunk.decisions[0].as_of)
    return {d.decision_hash for chunk in chunks[:2] for d in chunk.decisions}
