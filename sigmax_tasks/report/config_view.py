"""The effective configuration: one line per key, with its value and its origin."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

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


class Valued(Protocol):
    """A key with its value and origin."""

    @property
    def key(self) -> str: ...
    @property
    def value(self) -> Any: ...
    @property
    def origin(self) -> str: ...


class Explained(Protocol):
    """What is shown of a key that is explained."""

    @property
    def key(self) -> str: ...
    @property
    def comment(self) -> str: ...
    @property
    def place(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def default(self) -> Sequence[Valued]: ...
    @property
    def values(self) -> Sequence[Valued]: ...
    @property
    def variable(self) -> str: ...


def explanation_lines(found: Explained) -> list[Text]:
    """The documentation, then type, default, value with origin, and how to set it."""
    lines = [Text(clean_text(found.key), style="bold")]
    if found.comment:
        lines.append(Text(clean_text(found.comment, limit=4000)))
    single = len(found.values) == 1 and found.values[0].key == found.key
    rows = [("type", found.kind)]
    if single:
        default = found.default[0].value if found.default else None
        rows.append(("default", _json(default) if found.default else "none"))
        rows.append(("value", f"{_json(found.values[0].value)}  [{found.values[0].origin}]"))
    else:
        changed = [v for v in found.values if v.origin != SHIPPED]
        rows.append(("keys", f"{len(found.values)}; sigmax config show {found.key} lists them"))
        rows += [("changed", f"{v.key} = {_json(v.value)}  [{v.origin}]") for v in changed]
    rows.append(("file", found.place))
    if single:
        rows.append(("environment", found.variable or "not possible; use a file or --set"))
        rows.append(("once", f"--set {found.key}=VALUE"))
    lines += [
        Text.assemble((f"  {name:<12}", "dim"), clean_text(text, limit=2000))
        for name, text in rows
        if text
    ]
    return lines


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
