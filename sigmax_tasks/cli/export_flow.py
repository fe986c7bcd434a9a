"""Writes runs to files, for ``sigmax export`` and ``sigmax-submit --export``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sigmax_tasks.cli.options import config_path
from sigmax_tasks.cli.records import MOST_RUNS, find_run, open_records
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.report.terminal import Terminal
from sigmax_tasks.run_file import (
    STANDARD_STREAM,
    dump_run_file,
    file_name,
    is_folder,
    write_run_file,
)
from sigmax_tasks.settings import load_settings


class Dossiers(Protocol):
    """Where finished runs are asked for."""

    def dossier(self, run_id: str) -> Dossier: ...


@dataclass(frozen=True)
class Target:
    """A file, or a folder in which each run gets a file of its own."""

    path: Path
    folder: bool

    def write(self, dossier: Dossier) -> Path:
        """Write the run; the file it went to. :class:`RunFileError` if that fails."""
        path = self.path / file_name(dossier) if self.folder else self.path
        write_run_file(dossier, path)
        return path


def check_target(text: str, option: str, *, runs: int = 1) -> Target:
    """The place to write to, made if it is a folder that does not exist yet.

    Raises :class:`ConfigurationError` where nothing can be written, so that a mistake is told
    before the work is done and not after.
    """
    path = Path(text)
    folder = is_folder(text) or runs > 1
    if not text or text == STANDARD_STREAM:
        raise ConfigurationError(f"{option} {text!r} is not the path of a file or folder")
    if folder and path.exists() and not path.is_dir():
        raise ConfigurationError(
            f"{option} {text!r} is a file, and {runs} runs need a folder",
            advice="give the path of a folder",
        )
    place = path if folder else path.parent
    try:
        if folder:
            place.mkdir(parents=True, exist_ok=True)
        if not place.is_dir():
            raise ConfigurationError(f"{option}: there is no folder {str(place)!r}")
    except OSError as error:
        raise ConfigurationError(f"{option} {text!r} cannot be used: {error.strerror}") from error
    if not os.access(place, os.W_OK):
        raise ConfigurationError(f"{option}: the folder {str(place)!r} is not writable")
    return Target(path, folder)


def export_run(
    run: str,
    *,
    output: str,
    broker: str | None,
    config_dir: str | None,
    overrides: tuple[str, ...],
) -> int:
    """Everything behind ``sigmax export``."""
    target = None if output == STANDARD_STREAM else check_target(output, "--output")
    settings = load_settings(config_path(config_dir), overrides).settings
    with open_records(settings, broker) as records:
        dossier = records.dossier(find_run(run, records.ids(MOST_RUNS), records.where))
    if target is not None:
        Terminal.of_streams().log(f"exported {dossier.record.run_id} to {target.write(dossier)}")
        return 0
    sys.stdout.buffer.write(dump_run_file(dossier))
    sys.stdout.buffer.flush()
    return 0


def export_finished(
    dossiers: Dossiers, run_ids: Iterable[str], target: Target, terminal: Terminal
) -> None:
    """Write runs that have just ended."""
    for run_id in run_ids:
        terminal.log(f"exported {run_id} to {target.write(dossiers.dossier(run_id))}")
