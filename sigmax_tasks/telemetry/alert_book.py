"""Which alerts fire: our own evaluation, for clusters that have no Prometheus. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sigmax_tasks.telemetry.alert_rules import AlertRule
from sigmax_tasks.telemetry.conditions import History, Values

_KEEP = timedelta(minutes=10)
"""The longest look back besides the windows of the rules."""


@dataclass(frozen=True)
class AlertChange:
    """An alert that began to fire, or came to rest. ``value`` is what its condition compared."""

    rule: AlertRule
    firing: bool
    at: datetime
    value: float | None


class AlertBook:
    """Remembers readings and since when each condition has held.

    ``firing`` are alerts that are known to fire: they go on until their condition does not hold.
    """

    def __init__(
        self, rules: Sequence[AlertRule], window: timedelta, firing: Collection[str] = ()
    ) -> None:
        self._rules = tuple(rules)
        self._history = History(max(window, _KEEP))
        self._since: dict[str, datetime] = {}
        self._firing = set(firing)

    @property
    def firing(self) -> tuple[str, ...]:
        """Names of the alerts that fire, in the order of the rules."""
        return tuple(rule.name for rule in self._rules if rule.name in self._firing)

    def step(self, at: datetime, values: Values) -> tuple[AlertChange, ...]:
        """Take one reading; what changed by it."""
        self._history.add(at, values)
        changes = []
        for rule in self._rules:
            if not rule.condition.holds(self._history):
                self._since.pop(rule.name, None)
                fires = False
            else:
                since = self._since.setdefault(rule.name, at)
                fires = rule.name in self._firing or at - since >= rule.hold
            if fires != (rule.name in self._firing):
                (self._firing.add if fires else self._firing.discard)(rule.name)
                changes.append(AlertChange(rule, fires, at, rule.condition.value(self._history)))
        return tuple(changes)
