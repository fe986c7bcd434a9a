"""Files that appear whole or not at all, and folders that are their user's alone."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write beside the place and move there; an existing file is replaced. Raises ``OSError``."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with beside.open("xb") as stream:
            stream.write(content)
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
