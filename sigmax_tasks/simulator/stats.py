"""What the server was asked: counts by provider, status and path, and when."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final

_MOST_PATHS: Final = 300
_MOST_TIMES: Final = 2_000
_OTHER: Final = "(other paths)"


@dataclass(slots=True)
class _Count:
    requests: int = 0
    bytes: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    paths: dict[str, dict[str, Any]] = field(default_factory=dict)
    times: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_MOST_TIMES))
    weights: deque[tuple[float, int]] = field(default_factory=deque)


class Stats:
    """Safe for threads. A status is the HTTP status, or the name of a fault without one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, _Count] = {}

    def record(
        self,
        provider: str,
        path: str,
        status: str,
        *,
        sent_bytes: int,
        started_seconds: float,
        took_seconds: float,
    ) -> None:
        """`started_seconds` is unix time."""
        with self._lock:
            count = self._counts.setdefault(provider, _Count())
            count.requests += 1
            count.bytes += sent_bytes
            count.statuses[status] += 1
            name = path if path in count.paths or len(count.paths) < _MOST_PATHS else _OTHER
            entry = count.paths.setdefault(name, {"requests": 0, "bytes": 0, "statuses": Counter()})
            entry["requests"] += 1
            entry["bytes"] += sent_bytes
            entry["statuses"][status] += 1
            count.times.append(
                {
                    "at": round(started_seconds, 6),
                    "seconds": round(took_seconds, 6),
                    "path": name,
                    "status": status,
                }
            )

    def weight(self, provider: str, weight: int, now_seconds: float) -> int:
        """Add a request's weight; the provider's total of the last minute."""
        with self._lock:
            weights = self._counts.setdefault(provider, _Count()).weights
            weights.append((now_seconds, weight))
            while weights and weights[0][0] <= now_seconds - 60.0:
                weights.popleft()
            return sum(each for _, each in weights)

    def reset(self) -> None:
        with self._lock:
            self._counts.clear()

    def snapshot(self) -> dict[str, Any]:
        with self._lock:
            providers = {
                name: {
                    "requests": count.requests,
                    "bytes": count.bytes,
                    "statuses": dict(count.statuses),
                    "paths": {
                        path: {**entry, "statuses": dict(entry["statuses"])}
                        for path, entry in count.paths.items()
                    },
                    "times": list(count.times),
                }
                for name, count in self._counts.items()
                if count.requests
            }
            totals = {
                "requests": sum(count.requests for count in self._counts.values()),
                "bytes": sum(count.bytes for count in self._counts.values()),
            }
        return {**totals, "providers": providers}
