"""The effective configuration: one line per key, with its value and its origin."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.text import Text

from sigmax_tasks.report.text import clean_text

SHIPPED = "shipped"


def config_lines(values: Sequence[tuple[str, Any, str]]) -> list[Text]:
    """``key = value  [origin]`` for each (dotted key, value, origin); values are JSON."""
    lines = []
    for key, value, origin in values:
        shown = json.dumps(value, ensure_ascii=False, default=str)
        changed = origin != SHIPPED
        lines.append(
            Text.assemble(
                (clean_text(key), "bold" if changed else ""),
                f" = {clean_text(shown, limit=2000)}  ",
                (f"[{clean_text(origin)}]", "bold" if changed else "dim"),
            )
        )
    return lines
