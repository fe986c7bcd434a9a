"""A decision as one line of JSON Lines."""

from __future__ import annotations

import json
from typing import Any

from sigmax_tasks.models.allocation import Allocation
from sigmax_tasks.models.decision import RunRecord


def decision_line(record: RunRecord, allocation: Allocation | None = None) -> dict[str, Any]:
    """The keys of the public JSON interface, in their order; JSON types only.

    ``previous`` and ``calibration`` are null without (enough) history; ``allocation`` is there only
    where several symbols were asked for.

    Money and prices are numbers, times ISO 8601 with Z. ``validation``, ``debate``, ``risk`` and
    ``research`` are the whole messages; :func:`record_line` gives all that is known of a run.
    """
    decision = record.decision.model_dump(mode="json")
    whole = record.model_dump(mode="json", include={"created_at", "previous", "calibration"})
    share = allocation.share_of(record.decision.symbol) if allocation is not None else None
    return {
        "run_id": record.run_id,
        **{
            key: decision[key]
            for key in (
                "symbol",
                "risk_profile",
                "data_mode",
                "simulated",
                "as_of",
                "action",
                "confidence",
                "size_fraction",
                "reference_price",
                "stop_price",
                "take_profit_price",
                "horizon_hours",
                "score",
                "reasons",
                "vetoes",
                "would_change",
                "validation",
                "debate",
                "risk",
            )
        },
        "research": record.research.model_dump(mode="json"),
        "cost": record.cost.model_dump(mode="json"),
        "plan": record.plan.to_json_dict(),
        "decision_hash": record.decision.decision_hash,
        "created_at": whole["created_at"],
        "previous": whole["previous"],
        "calibration": whole["calibration"],
        **(
            {}
            if record.decision.analysis.calibrated_confidence is None
            else {"calibrated_confidence": record.decision.analysis.calibrated_confidence}
        ),
        **({"allocation": share.model_dump(exclude={"symbol"})} if share is not None else {}),
    }


def record_line(record: RunRecord) -> dict[str, Any]:
    """The whole record; JSON types only."""
    return record.model_dump(mode="json")


def dump_line(content: object) -> str:
    """One line of ASCII JSON: control characters of outside text cannot reach the terminal."""
    line = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(", ", ": "))
    return line.replace("\x7f", "\\u007f")
