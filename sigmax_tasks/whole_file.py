"""Files that appear whole or not at all, and folders that are their user's alone."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path


def write_whole(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write beside the place and move there; an existing file is replaced. Raises ``OSError``.

    A ``private`` file is never readable for others; else the umask decides.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        beside.touch(mode=0o600 if private else 0o666, exist_ok=False)
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()


def make_private(folder: Path) -> None:
    """Make a folder and what it lies in, open to this user only. Raises ``OSError``.

    Folders that are there already stay as they are.
    """
    for missing in reversed([place for place in (folder, *folder.parents) if not place.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
