"""What this process remembers of each provider between calls: waits, geo-blocks, being offline.

How a run without network ends quickly: a name look-up is given up on after
``resolve_timeout_seconds`` (transport.py), and the provider is then held to be offline for
``offline_memory_seconds``. Once the hosts of two providers in a row could not be reached and none
answered since, the whole network is held to be down for that time, and every live provider is
refused at once, without a look-up. So a worker process waits for at most two look-ups in a row per
``offline_memory_seconds``; rounds that would only meet the same refusal are not waited for
(desk.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sigmax_tasks import clock
from sigmax_tasks.clock import Deadline
from sigmax_tasks.errors import (
    NeverHereError,
    RateLimitedError,
    SourceError,
    TransientSourceError,
)
from sigmax_tasks.sources.addresses import is_loopback
from sigmax_tasks.sources.breaker import CircuitOpenError
from sigmax_tasks.sources.quota import QuotaWaitError
from sigmax_tasks.sources.transport import OfflineError

_STEP_SECONDS = 0.2


def pause(seconds: float, deadline: Deadline, stopped: Callable[[], bool]) -> bool:
    """Sleep in short steps; False when ``stopped`` or the deadline came first."""
    end = clock.monotonic() + seconds
    while True:
        if stopped() or deadline.passed:
            return False
        left = end - clock.monotonic()
        if left <= 0:
            return True
        clock.sleep(min(_STEP_SECONDS, left, max(0.001, deadline.remaining)))


@dataclass
class _Record:
    wait_until: float = 0.0
    never_until: float = 0.0
    never_why: str = ""
    offline_until: float = 0.0
    offline_host: str = ""


@dataclass
class Standing:
    """Thread-safe memory, keyed by provider and base address."""

    never_here_seconds: float
    offline_seconds: float
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _records: dict[tuple[str, str], _Record] = field(default_factory=dict)
    _unreachable: set[str] = field(default_factory=set)
    _network_down_until: float = 0.0

    def objection(self, provider: str, base_url: str) -> SourceError | None:
        """Why asking now is useless, None if nothing is known against it."""
        now = clock.monotonic()
        with self._lock:
            record = self._records.get((provider, base_url), _Record())
            if record.never_until > now:
                return NeverHereError(provider, record.never_why)
            if record.wait_until > now:
                left = record.wait_until - now
                return RateLimitedError(
                    provider, f"asked to wait {left:.0f} s more", retry_after_seconds=left
                )
            if record.offline_until > now:
                host = record.offline_host
                return OfflineError(provider, f"no network: cannot reach {host}", host)
            host = urlsplit(base_url).hostname or ""
            if self._network_down_until > now and not is_loopback(host):
                return OfflineError(provider, f"no network: {host} not tried", host)
        return None

    def failed(self, base_url: str, error: SourceError) -> None:
        """Remember what this failure says about later attempts."""
        if isinstance(error, CircuitOpenError | QuotaWaitError):
            return  # what all workers know is asked for each time
        now = clock.monotonic()
        with self._lock:
            if len(self._records) > 1_000:
                self._records.clear()
            record = self._records.setdefault((error.provider, base_url), _Record())
            if isinstance(error, NeverHereError):
                record.never_until = now + self.never_here_seconds
                record.never_why = error.problem
            elif isinstance(error, OfflineError):
                record.offline_until = now + self.offline_seconds
                record.offline_host = error.host
                self._unreachable.add(error.host)
                if len(self._unreachable) >= 2:
                    self._network_down_until = now + self.offline_seconds
            elif isinstance(error, TransientSourceError) and error.retry_after_seconds:
                record.wait_until = max(record.wait_until, now + error.retry_after_seconds)

    def answered(self, provider: str, base_url: str) -> None:
        """A host answered: it, and if it is not on loopback the network, is there."""
        with self._lock:
            record = self._records.get((provider, base_url))
            if record is not None:
                record.offline_until = 0.0
            if not is_loopback(urlsplit(base_url).hostname or ""):
                self._unreachable.clear()
                self._network_down_until = 0.0
