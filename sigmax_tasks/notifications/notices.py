"""Who is to be told of what. Pure, and free of heavy libraries: every decision passes here."""

from __future__ import annotations

from typing import Any

from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.outbox import packed
from sigmax_tasks.settings.notifications import NotificationSettings, ReceiverSettings

Notice = dict[str, Any]


def run_notices(settings: NotificationSettings, record: RunRecord) -> str:
    """Notices of a decided run, for the step that keeps it; "" where nobody wants any."""
    found: list[Notice] = []
    for name, receiver in settings.receivers.items():
        if record.decision.simulated and not receiver.simulated:
            continue
        if wants_decision(receiver, record):
            found.append({"kind": "decision", "run": record.run_id, "to": name})
        if receiver.run_alerts and record.research.alerts:
            found.append({"kind": "run_alert", "run": record.run_id, "to": name})
    return packed(found)


def alert_notices(
    settings: NotificationSettings, alert: str, text: str, *, firing: bool, at: float
) -> str:
    """Notices of an alert of the whole cluster."""
    return packed(
        [
            {
                "kind": "cluster_alert",
                "alert": alert,
                "firing": firing,
                "text": text,
                "at": round(at),
                "to": name,
            }
            for name, receiver in settings.receivers.items()
            if receiver.cluster_alerts
        ]
    )


def wants_decision(receiver: ReceiverSettings, record: RunRecord) -> bool:
    decision = record.decision
    return (
        receiver.decisions
        and decision.action.value in receiver.actions
        and decision.confidence >= receiver.min_confidence
        and (not receiver.symbols or decision.symbol in receiver.symbols)
    )
