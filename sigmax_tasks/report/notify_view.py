"""Receivers of notifications for the terminal. No address is ever shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from sigmax_tasks.report.layout import plain_table
from sigmax_tasks.report.text import clean_text


def trials_view(found: Sequence[tuple[str, str]]) -> RenderableType:
    """(receiver, problem) of each trial message."""
    return Group(
        *(
            Text.assemble(
                f"{name}: ",
                (clean_text(problem), "bold red") if problem else ("sent", "green"),
            )
            for name, problem in found
        )
    )


def receivers_view(
    receivers: Sequence[Mapping[str, Any]], counts: Mapping[str, int] | None
) -> RenderableType:
    """What each is told of, and what has become of earlier messages."""
    if not receivers:
        return Text("no receivers (runtime.yaml: notifications.receivers)")
    table = plain_table()
    for name in ("receiver", "address", "decisions", "run alerts", "cluster alerts"):
        table.add_column(name, overflow="fold")
    for receiver in receivers:
        table.add_row(
            receiver["name"],
            receiver["url_env"] if receiver["address_known_here"] else _missing(receiver),
            _decisions(receiver),
            "yes" if receiver["run_alerts"] else "no",
            "yes" if receiver["cluster_alerts"] else "no",
        )
    if counts is None:
        return Group(table)
    said = ", ".join(f"{number} {what}" for what, number in counts.items())
    return Group(table, Text(f"Notifications: {said}"))


def _missing(receiver: Mapping[str, Any]) -> Text:
    return Text(f"{receiver['url_env']} is not set here", style="yellow")


def _decisions(receiver: Mapping[str, Any]) -> str:
    if not receiver["decisions"]:
        return "no"
    parts = ["/".join(receiver["actions"]) or "none"]
    if receiver["min_confidence"]:
        parts.append(f"from {receiver['min_confidence']:g}")
    if receiver["symbols"]:
        parts.append(", ".join(receiver["symbols"]))
    if receiver["simulated"]:
        parts.append("simulated too")
    return ", ".join(parts)
