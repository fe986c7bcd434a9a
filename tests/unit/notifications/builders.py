"""Settings with receivers, and runs to tell of."""

from __future__ import annotations

from typing import Any

from sigmax_tasks.settings.notifications import NotificationSettings
from tests.unit.engine.builders import runtime


def settings(**receivers: dict[str, Any]) -> NotificationSettings:
    """Two tries, a second apart; each receiver's variable is its name in capitals."""
    shipped = runtime().notifications.model_dump()
    named = {
        name: {"url_env": name.upper(), "simulated": True, **keys}
        for name, keys in receivers.items()
    }
    changed = {"receivers": named, "max_attempts": 2, "retry_seconds": 1, "timeout_seconds": 0.5}
    return NotificationSettings.model_validate({**shipped, **changed})
