"""How a decision that was made again compares with the one recorded."""

from __future__ import annotations

import json
from typing import Any

from rich.text import Text

from sigmax_tasks.replay import Replay, RerunState
from sigmax_tasks.report.text import clean_text

_STATE_STYLE = {
    RerunState.IDENTICAL: "green",
    RerunState.DIFFERS: "bold yellow",
    RerunState.FAILED: "bold red",
    RerunState.NOT_RUN: "dim",
}


def replay_lines(replay: Replay) -> tuple[Text, ...]:
    """Is it the same decision, what was changed and what that changed; a line each."""
    lines = [_line(f"what if: {override}", "bold") for override in replay.overrides]
    for rerun in replay.reruns:
        detail = f": {rerun.detail}" if rerun.detail else ""
        text = f"research of {rerun.task_id} {rerun.state.value}{detail}"
        lines.append(_line(text, _STATE_STYLE[rerun.state]))
    digest = replay.recorded.decision_hash
    if replay.identical:
        lines.append(_line(f"the same decision as recorded, hash {digest}", "green"))
        return tuple(lines)
    now_digest = replay.record.decision.decision_hash
    lines.append(_line(f"another decision than recorded: hash {digest}", "bold yellow"))
    lines.append(_line(f"                                  now {now_digest}"))
    if not replay.changes:
        lines.append(_line("  the figures are the same, only texts differ"))
    for change in replay.changes:
        recorded, now = _value(change.recorded), _value(change.now)
        lines.append(_line(f"  {change.name}: {recorded} recorded, {now} now"))
    return tuple(lines)


def _line(text: str, style: str = "") -> Text:
    return Text(clean_text(text, limit=1000) if not text.startswith("  ") else text, style=style)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return clean_text("; ".join(map(str, value)) or "none")
    return clean_text(value if isinstance(value, str) else json.dumps(value))
