"""Journal entries and outcomes for the tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sigmax_planner.models import DataMode
from sigmax_tasks.models.decision import Action
from sigmax_tasks.models.journal import Hit, JournalEntry, Outcome

AS_OF = datetime(2025, 3, 14, 12, 0, tzinfo=UTC)


def entry(number: int = 1, **changes: Any) -> JournalEntry:
    """A live BUY at 100 with its stop at 95 and its target at 110, for 4 hours."""
    values: dict[str, Any] = {
        "run_id": f"20250314-120000-{number:08}",
        "symbol": "BTC/USDT",
        "profile": "balanced",
        "data_mode": DataMode.LIVE,
        "simulated": False,
        "as_of": AS_OF,
        "decided_at": AS_OF + timedelta(seconds=number),
        "action": Action.BUY,
        "confidence": 0.6,
        "score": 0.2,
        "size": 0.05,
        "validated": True,
        "reference": 100.0,
        "stop": 95.0,
        "target": 110.0,
        "horizon_hours": 4.0,
        "decision_hash": f"{number:064}",
        "settings_hash": "cd" * 32,
        "contributions": {"technical": 0.1, "macro": -0.02},
        "gaps": ("sentiment: social",),
    }
    return JournalEntry(**{**values, **changes})


def outcome(correct: bool | None = True, **changes: Any) -> Outcome:
    """Target reached, or stop; for None the end of a HOLD."""
    hit = {True: Hit.TARGET, False: Hit.STOP, None: Hit.HORIZON}[correct]
    values: dict[str, Any] = {
        "resolved_at": AS_OF + timedelta(days=1),
        "exit_at": AS_OF + timedelta(hours=2),
        "exit_price": 110.0 if correct else 95.0,
        "return_fraction": 0.1 if correct else -0.05,
        "hit": hit,
        "correct": correct,
        "candles": "kraken 5m",
    }
    return Outcome(**{**values, **changes})
