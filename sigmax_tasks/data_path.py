"""The data folder as text. Imports nothing but what is built in: a warm start asks for it first."""

from __future__ import annotations

import os


def data_path(home: str | None) -> str:
    """``$XDG_DATA_HOME/sigmax``, by default ``~/.local/share/sigmax``; ``home`` is the variable."""
    return os.path.join(home or os.path.expanduser("~/.local/share"), "sigmax")  # noqa: PTH111, PTH118
