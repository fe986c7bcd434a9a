"""Finished runs of the embedded cluster, as files in the user's data folder."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

from sigmax_tasks.errors import ConfigurationError, RunNotFoundError
from sigmax_tasks.ids import check_run_id
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.places import data_folder
from sigmax_tasks.whole_file import make_private, write_whole

DOSSIER_SUFFIX = ".dossier.gz"


def default_folder() -> Path:
    """Where the runs of this user's embedded clusters are kept."""
    return data_folder() / "runs"


class RunArchive:
    """Run records in a folder; a file appears whole or not at all."""

    def __init__(self, folder: Path, *, keep: int = 500) -> None:
        self._folder = folder
        self._keep = keep

    def prepare(self) -> None:
        """Make the folder, private to its user; :class:`ConfigurationError` if it cannot be."""
        try:
            make_private(self._folder)
            if not os.access(self._folder, os.W_OK):
                raise PermissionError(13, "not writable")
        except OSError as error:
            raise ConfigurationError(
                f"the data folder {self._folder} cannot be used: {error.strerror}",
                advice="set XDG_DATA_HOME to a folder you may write to",
            ) from error

    def save(self, dossier: Dossier) -> None:
        """Write a run's record and its dossier beside it; drop the oldest above the limit."""
        self.prepare()
        record = dossier.record
        path = self._folder / f"{check_run_id(record.run_id)}.json"
        text = dossier.model_dump_json(exclude_computed_fields=True)
        packed = gzip.compress(text.encode(), 6)
        write_whole(path.with_suffix(DOSSIER_SUFFIX), packed, private=True)
        shown = record.model_dump_json(exclude_computed_fields=True)
        write_whole(path, shown.encode(), private=True)
        for old in self._paths()[self._keep :]:
            old.unlink(missing_ok=True)
            old.with_suffix(DOSSIER_SUFFIX).unlink(missing_ok=True)

    def dossier(self, run_id: str) -> Dossier:
        """Everything about a kept run; :class:`RunNotFoundError` when it is not kept."""
        path = self._folder / f"{check_run_id(run_id)}{DOSSIER_SUFFIX}"
        try:
            return Dossier.model_validate_json(gzip.decompress(path.read_bytes()))
        except FileNotFoundError:
            raise RunNotFoundError(run_id, str(self._folder)) from None
        except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _unreadable(path) from error

    def load(self, run_id: str) -> RunRecord:
        """The record of that id; :class:`RunNotFoundError` when it is not kept."""
        path = self._folder / f"{check_run_id(run_id)}.json"
        try:
            return RunRecord.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunNotFoundError(run_id, str(self._folder)) from None
        except ValueError as error:
            raise _unreadable(path) from error

    def ids(self) -> tuple[str, ...]:
        """Ids of the kept runs, newest first."""
        return tuple(path.stem for path in self._paths())

    def recent(self, limit: int) -> tuple[RunRecord, ...]:
        """Up to ``limit`` records, newest first."""
        return tuple(self.load(run_id) for run_id in self.ids()[:limit])

    def _paths(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return sorted(self._folder.glob("[0-9]*.json"), key=lambda path: path.stem, reverse=True)


def _unreadable(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is damaged or of another version", advice="move it away to go on"
    )
