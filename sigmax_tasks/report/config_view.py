"""The effective configuration as lines of key, value and origin."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from sigmax_tasks.report.layout import plain_table
from sigmax_tasks.report.text import clean_text


def config_view(values: Sequence[tuple[str, Any, str]]) -> RenderableType:
    """Rows of (dotted key, value, origin); what is not as shipped stands out."""
    table = plain_table()
    table.add_column("key", overflow="fold")
    table.add_column("value", overflow="fold")
    table.add_column("origin", overflow="fold")
    for key, value, origin in values:
        changed = origin != "shipped"
        table.add_row(
            Text(clean_text(key), style="bold" if changed else ""),
            Text(clean_text(json.dumps(value, ensure_ascii=False, default=str), limit=2000)),
            Text(clean_text(origin), style="bold" if changed else "dim"),
        )
    return table
