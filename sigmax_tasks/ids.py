"""Run ids: made in one place, checked before they become part of a key."""

from __future__ import annotations

import re
import secrets
from datetime import datetime

from sigmax_tasks.errors import ConfigurationError

RUN_ID_PATTERN = re.compile(r"[0-9A-Za-z-]{8,40}", re.ASCII)
EVALUATION_ID_PATTERN = re.compile(r"[0-9a-f]{16}", re.ASCII)


def new_run_id(created_at: datetime) -> str:
    """Sortable by time and unguessable: ``20241115-093012-4f9c2a7b``."""
    return f"{created_at:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"


def new_evaluation_id() -> str:
    """Unguessable; an evaluation is known to its client alone."""
    return secrets.token_hex(8)


def check_run_id(text: str) -> str:
    """``text`` if it may be a run id, else :class:`ConfigurationError`."""
    if not RUN_ID_PATTERN.fullmatch(text):
        raise ConfigurationError(
            f"invalid run id {text[:50]!r}: 8 to 40 letters, digits and dashes",
            advice="list the runs with: sigmax history",
        )
    return text
