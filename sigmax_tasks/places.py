"""Where this user's data and configuration lie. Imports nothing heavy: start-up asks first."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sigmax_tasks.data_path import data_path
from sigmax_tasks.errors import ConfigurationError

STATE_NAME = "cluster.json"
"""File of the data folder that says where a cluster of ``sigmax up`` runs."""


def data_folder(environ: Mapping[str, str] | None = None) -> Path:
    """``$XDG_DATA_HOME/sigmax``, by default ``~/.local/share/sigmax``."""
    return Path(data_path((os.environ if environ is None else environ).get("XDG_DATA_HOME")))


def shipped_folder() -> Path:
    """The configuration inside the wheel, or the repository's when run from a checkout."""
    packaged = Path(__file__).resolve().parent / "config"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[1] / "config"


def choose_folder(explicit: Path | None, environ: Mapping[str, str]) -> Path:
    """--config, SIGMAX_CONFIG_DIR, ./config that holds a planning.yaml, the shipped one."""
    for origin, chosen in (
        ("--config", explicit),
        ("SIGMAX_CONFIG_DIR", environ.get("SIGMAX_CONFIG_DIR") or None),
    ):
        if chosen is not None:
            folder = Path(chosen)
            if not folder.is_dir():
                raise ConfigurationError(f"{origin}: {str(folder)!r} is not a folder")
            return folder
    local = Path("config")
    return local if (local / "planning.yaml").is_file() else shipped_folder()
