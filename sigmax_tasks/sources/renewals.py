"""Renews what this process holds in Redis while it holds it: so what a dead process held ends soon.

One thread for all of it, which lives while anything is held.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from sigmax_tasks.sources.redis_link import LinkDownError


class Renewals:
    """Thread-safe. What is held for ``lease_seconds`` is renewed three times in that."""

    def __init__(self, lease_seconds: float) -> None:
        self.lease_ms = round(lease_seconds * 1000)
        self._condition = threading.Condition()
        self._held: dict[str, Callable[[], object]] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def close(self) -> None:
        """Renew nothing any more; safe to call twice."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def hold(self, name: str, renew: Callable[[], object]) -> None:
        """Call ``renew`` from now on, until :meth:`drop`. A new lease is good for one round."""
        with self._condition:
            self._held[name] = renew
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(
                    target=self._keep_renewing, name="desk-renewals", daemon=True
                )
                self._thread.start()

    def drop(self, name: str) -> None:
        with self._condition:
            self._held.pop(name, None)

    def _keep_renewing(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._closed, self.lease_ms / 3000)
                if self._closed or not self._held:
                    self._thread = None
                    return
                held = tuple(self._held.values())
            for renew in held:
                with suppress(LinkDownError):
                    renew()
