"""Conditions on metrics: each is evaluated here, and written as PromQL for Prometheus. Pure.

Both mean the same; only ``increase()`` differs in that Prometheus extrapolates to the ends of its
window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, Literal, Protocol

from prometheus_client.core import Metric

Labels = frozenset[tuple[str, str]]
Values = Mapping[tuple[str, Labels], float]
Compare = Literal[">", "<"]
_SLACK: Final = timedelta(seconds=1)
"""Readings are taken a little late or early."""


def values_of(metrics: Iterable[Metric]) -> dict[tuple[str, Labels], float]:
    """Each sample by its name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for metric in metrics
        for sample in metric.samples
    }


@dataclass
class History:
    """Readings of the last ``keep``, oldest first."""

    keep: timedelta
    readings: deque[tuple[datetime, Values]] = field(default_factory=deque)

    def add(self, at: datetime, values: Values) -> None:
        self.readings.append((at, values))
        while self.readings and at - self.readings[0][0] > self.keep + _SLACK:
            self.readings.popleft()

    @property
    def now(self) -> Values:
        return self.readings[-1][1] if self.readings else {}

    def since(self, window: timedelta) -> list[Values]:
        """Readings of the window, oldest first."""
        if not self.readings:
            return []
        begin = self.readings[-1][0] - window - _SLACK
        return [values for at, values in self.readings if at >= begin]

    def ago(self, window: timedelta) -> Values | None:
        """The reading of that long ago, None where there was none yet."""
        if not self.readings:
            return None
        moment = self.readings[-1][0] - window
        earlier = [values for at, values in self.readings if at <= moment + _SLACK]
        return earlier[-1] if earlier else None


@dataclass(frozen=True)
class Series:
    """All series of a metric that have these labels."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def promql(self) -> str:
        inner = ",".join(f'{name}="{value}"' for name, value in self.labels)
        return f"{self.name}{{{inner}}}" if inner else self.name

    def total(self, values: Values) -> float | None:
        """Their sum; None where there is none."""
        wanted = frozenset(self.labels)
        found = [
            v for (name, labels), v in values.items() if name == self.name and wanted <= labels
        ]
        return sum(found) if found else None

    def increase(self, history: History, window: timedelta) -> float | None:
        """How much they grew; a counter that fell began again at 0."""
        readings = history.since(window)
        if len(readings) < 2 or self.total(readings[-1]) is None:
            return None
        wanted = frozenset(self.labels)
        grown = 0.0
        for before, after in pairwise(readings):
            for key, value in after.items():
                if key[0] == self.name and wanted <= key[1] and key in before:
                    last = before[key]
                    grown += value - last if value >= last else value
        return grown


class Condition(Protocol):
    """Something that can be true of a cluster."""

    @property
    def promql(self) -> str: ...

    def value(self, history: History) -> float | None:
        """What is compared; None where it cannot be told."""
        ...

    def holds(self, history: History) -> bool: ...


@dataclass(frozen=True)
class _Compared:
    compare: Compare
    threshold: float

    def _true(self, value: float | None) -> bool:
        if value is None:
            return False
        return value > self.threshold if self.compare == ">" else value < self.threshold

    @property
    def _side(self) -> str:
        return f"{self.compare} {self.threshold:g}"


@dataclass(frozen=True)
class Now(_Compared):
    """What stands now."""

    series: Series

    @property
    def promql(self) -> str:
        return f"sum({self.series.promql}) {self._side}"

    def value(self, history: History) -> float | None:
        return self.series.total(history.now)

    def holds(self, history: History) -> bool:
        return self._true(self.value(history))


@dataclass(frozen=True)
class ShareNow(_Compared):
    """A part of a whole, now."""

    part: Series
    whole: Series

    @property
    def promql(self) -> str:
        return f"sum({self.part.promql}) / sum({self.whole.promql}) {self._side}"

    def value(self, history: History) -> float | None:
        return _ratio(self.part.total(history.now), self.whole.total(history.now))

    def holds(self, history: History) -> bool:
        return self._true(self.value(history))


@dataclass(frozen=True)
class Share(_Compared):
    """Growth of a part over growth of the whole in a window, such as a rate or a mean."""

    part: Series
    whole: Series
    window: timedelta

    @property
    def promql(self) -> str:
        window = _span(self.window)
        part = f"sum(increase({self.part.promql}[{window}]))"
        return f"{part} / sum(increase({self.whole.promql}[{window}])) {self._side}"

    def value(self, history: History) -> float | None:
        return _ratio(
            self.part.increase(history, self.window), self.whole.increase(history, self.window)
        )

    def holds(self, history: History) -> bool:
        return self._true(self.value(history))


@dataclass(frozen=True)
class Rose(_Compared):
    """Growth of counters in a window."""

    series: Series
    window: timedelta

    @property
    def promql(self) -> str:
        return f"sum(increase({self.series.promql}[{_span(self.window)}])) {self._side}"

    def value(self, history: History) -> float | None:
        return self.series.increase(history, self.window)

    def holds(self, history: History) -> bool:
        return self._true(self.value(history))


@dataclass(frozen=True)
class Changed(_Compared):
    """What stands now less what stood a window ago."""

    series: Series
    window: timedelta

    @property
    def promql(self) -> str:
        earlier = f"sum({self.series.promql} offset {_span(self.window)})"
        return f"sum({self.series.promql}) - {earlier} {self._side}"

    def value(self, history: History) -> float | None:
        earlier = history.ago(self.window)
        before = None if earlier is None else self.series.total(earlier)
        after = self.series.total(history.now)
        return None if before is None or after is None else after - before

    def holds(self, history: History) -> bool:
        return self._true(self.value(history))


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _span(window: timedelta) -> str:
    return f"{round(window.total_seconds() / 60)}m"
