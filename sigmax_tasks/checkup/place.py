"""This machine: configuration, data folder, disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sigmax_tasks.checkup.finding import Finding, State

AREA: Final = "here"
FREE_MB: Final = (1000, 100)


def data_findings(folder: Path) -> list[Finding]:
    """``folder`` need not exist yet."""
    if not folder.exists():
        parent = next(path for path in folder.parents if path.exists())
        if os.access(parent, os.W_OK):
            return [
                Finding(AREA, "data folder", "ok", f"{folder} will be made"),
                _disk(parent),
            ]
        return [_unusable(folder)]
    if not os.access(folder, os.W_OK | os.X_OK):
        return [_unusable(folder)]
    if folder.stat().st_mode & 0o077:
        advice = f"chmod 700 {folder}: it holds decisions and the password of the local cluster"
        state: State = "warning"
        return [Finding(AREA, "data folder", state, f"{folder} is open to others", advice)]
    return [Finding(AREA, "data folder", "ok", str(folder)), _disk(folder)]


def secret_findings(broker_origin: str, url: str | None) -> list[Finding]:
    """Whether the address with its password comes from a file that others may read."""
    path = Path(broker_origin)
    if url is None or not urlsplit(url).password or not path.is_file():
        return []
    if path.stat().st_mode & 0o044:
        said = f"{path} holds a password and others may read it"
        advice = "move the address to SIGMAX_BROKER_URL, or chmod 600 the file"
        return [Finding(AREA, "secrets", "warning", said, advice)]
    return []


def _disk(folder: Path) -> Finding:
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    if free_mb > FREE_MB[0]:
        return Finding(AREA, "disk", "ok", f"{free_mb / 1000:.1f} GB free")
    state: State = "problem" if free_mb <= FREE_MB[1] else "warning"
    advice = f"make room on the disk of {folder}"
    return Finding(AREA, "disk", state, f"{free_mb} MB free", advice)


def _unusable(folder: Path) -> Finding:
    advice = "set XDG_DATA_HOME to a folder of yours"
    return Finding(AREA, "data folder", "problem", f"{folder} cannot be written", advice)
