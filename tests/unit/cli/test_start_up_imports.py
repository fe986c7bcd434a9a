"""What a command imports before it does its work; heavy libraries belong to the workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("celery", "kombu", "ccxt", "numpy", "talib", "yake", "vaderSentiment", "flower")
PROBE = """
import json, sys
from sigmax_tasks.cli.main import main, submit_main
sys.argv = {arguments!r}
try:
    {entry}()
except SystemExit as end:
    if end.code:
        raise
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def modules_after(tmp_path: Path, entry: str, *arguments: str) -> set[str]:
    probe = PROBE.format(arguments=["sigmax", *arguments], entry=entry)
    ended = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_DATA_HOME": str(tmp_path)},
        check=True,
        timeout=60,
    )
    return set(json.loads(ended.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    ("entry", "arguments"),
    [
        ("submit_main", ("--help",)),
        ("main", ("--help",)),
        ("main", ("plan", "BTC/USDT")),
    ],
)
def test_no_heavy_library_is_imported(
    tmp_path: Path, entry: str, arguments: tuple[str, ...]
) -> None:
    assert not modules_after(tmp_path, entry, *arguments) & set(HEAVY)


def test_help_imports_no_redis_and_no_pydantic_either(tmp_path: Path) -> None:
    loaded = modules_after(tmp_path, "submit_main", "--help")
    assert not loaded & {"redis", "pydantic", "rich", "requests"}
