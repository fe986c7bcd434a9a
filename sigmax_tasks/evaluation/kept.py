"""What earlier evaluations found out, as files: findings by task, decisions, and their times."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from sigmax_tasks.errors import ConfigurationError, EvaluationError
from sigmax_tasks.evaluation.models import ChunkDecisions, TaskBlock
from sigmax_tasks.evaluation.packing import join_packed, pack, pack_blocks, unpack
from sigmax_tasks.places import data_folder
from sigmax_tasks.whole_file import make_private, write_whole


def default_folder() -> Path:
    """Where evaluations of this user keep what they found out."""
    return data_folder() / "evaluations"


class Kept:
    """Files by key, each written whole; the longest unused go first above ``megabytes``."""

    def __init__(self, folder: Path, megabytes: float) -> None:
        self._findings = folder / "findings"
        self._decisions = folder / "decisions"
        self._most_bytes = int(megabytes * 1_000_000)

    def prepare(self) -> None:
        """Make the folders; :class:`ConfigurationError` where they cannot be made."""
        for folder in (self._findings, self._decisions):
            try:
                make_private(folder)
                if not os.access(folder, os.W_OK):
                    raise PermissionError(13, "not writable")
            except OSError as error:
                raise ConfigurationError(
                    f"the folder {folder} cannot be used: {error.strerror}",
                    advice="set XDG_DATA_HOME to a folder you may write to",
                ) from error

    def findings(self, keys: Iterable[str]) -> str:
        """Those of the keys that are kept, joined as they are packed; a worker opens them."""
        texts = (_read(self._findings / key) for key in keys)
        return join_packed(text for text in texts if text)

    def decisions(self, key: str) -> ChunkDecisions | None:
        """None where they are not kept, or not readable."""
        text = _read(self._decisions / key)
        if text is None:
            return None
        try:
            return unpack(ChunkDecisions, text)
        except EvaluationError:
            return None

    def keep(self, blocks: Iterable[TaskBlock], decisions: ChunkDecisions) -> None:
        """Write findings first: decisions that are kept always have them beside them."""
        try:
            for block in blocks:
                write_whole(self._findings / block.key, pack_blocks([block]).encode())
            write_whole(self._decisions / decisions.key, pack(decisions).encode())
        except OSError as error:
            raise EvaluationError(
                f"what was found out cannot be kept in {self._findings.parent}: {error.strerror}"
            ) from error

    def prune(self) -> None:
        """Drop what was not used for longest until the rest fits."""
        files = [path for folder in (self._findings, self._decisions) for path in folder.iterdir()]
        known = []
        for path in files:
            try:
                state = path.stat()
            except FileNotFoundError:
                continue  # another evaluation has just dropped it
            known.append((state.st_mtime, state.st_size, path))
        total = sum(size for _, size, _ in known)
        for _, size, path in sorted(known):
            if total <= self._most_bytes:
                return
            path.unlink(missing_ok=True)
            total -= size


def _read(path: Path) -> str | None:
    try:
        text = path.read_text(encoding="ascii")
        os.utime(path)  # it was of use
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}") from error
    return text
