"""Looks at the cluster again and again, and tells which alerts began or ended."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta

from sigmax_tasks import clock
from sigmax_tasks.settings import Settings
from sigmax_tasks.telemetry.alert_book import AlertBook, AlertChange
from sigmax_tasks.telemetry.alert_rules import alert_rules
from sigmax_tasks.telemetry.conditions import values_of
from sigmax_tasks.telemetry.families import families
from sigmax_tasks.telemetry.reading import Reading

logger = logging.getLogger(__name__)


class AlertWatch:
    """``tell`` is called for each change; :attr:`firing` may be read from other threads.

    ``firing`` are the alerts that were known to fire before.
    """

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Reading],
        tell: Callable[[AlertChange], None],
        firing: Collection[str] = (),
    ) -> None:
        self._read = read
        self._tell = tell
        self._targets = settings.planning.monitoring.targets
        self._rules = alert_rules(settings)
        self._book = AlertBook(
            self._rules, timedelta(minutes=settings.runtime.alerts.window_minutes), firing
        )
        self._interval = settings.runtime.alerts.interval_seconds
        self.firing: dict[str, bool] = {rule.name: rule.name in firing for rule in self._rules}

    def run(self, stop: threading.Event) -> None:
        """One look per interval until ``stop``."""
        while not stop.wait(self._interval):
            self.look()

    def look(self) -> Sequence[AlertChange]:
        """One look, and what changed by it."""
        values = values_of(families(self._read(), self._targets))
        changes = self._book.step(clock.now(), values)
        for change in changes:
            self.firing[change.rule.name] = change.firing
            logger.warning("%s", sentence(change))
            self._tell(change)
        return changes


def sentence(change: AlertChange) -> str:
    """One line about a change."""
    if not change.firing:
        return f"{change.rule.name} is over: {change.rule.summary}"
    value = "" if change.value is None else f" (now {change.value:.4g})"
    return f"{change.rule.name}: {change.rule.summary}{value}. {change.rule.advice}"
