"""What a command imports before it does its work; heavy libraries belong to the workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SHARING = {"sklearn", "scipy"}
"""What shares out the equity, which takes several symbols."""
HEAVY = {
    "celery", "kombu", "ccxt", "numpy", "talib", "yake", "vaderSentiment", "flower", *SHARING
}  # fmt: skip
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


def test_a_plan_is_made_without_the_libraries_of_the_workers(tmp_path: Path) -> None:
    assert not modules_after(tmp_path, "main", "plan", "BTC/USDT") & HEAVY


def test_what_shares_out_is_loaded_for_several_symbols_only() -> None:
    probe = (
        "import json, sys, sigmax_tasks.cli.submit_flow\n"
        "before = sorted(sys.modules)\n"
        "from sigmax_tasks.cli.allocation import prepare_allocation\n"
        "prepare_allocation()\n"
        "print(json.dumps([before, sorted(sys.modules)]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60
    )
    before, after = map(set, json.loads(ended.stdout.splitlines()[-1]))
    assert not before & {*SHARING, "numpy"}
    assert after >= SHARING


def test_the_embedded_worker_does_not_import_the_plugins_of_the_celery_command() -> None:
    """They would cost a decision that starts its own worker about a tenth of a second."""
    probe = (
        "import json, sys, sigmax_tasks.embedded_worker as started; started.app.Worker;"
        "print(json.dumps(sorted(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(json.loads(ended.stdout.splitlines()[-1]))
    assert not loaded & {"flower", "prompt_toolkit", "celery.bin.celery", "ccxt", "numpy", "talib"}
    assert not loaded & SHARING
