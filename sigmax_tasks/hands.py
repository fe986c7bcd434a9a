"""Threads that are used again: work that is waited for no longer than it may take."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue


class Errand:
    """A piece of work on its way. One that is not waited for any more ends by itself, or never."""

    __slots__ = ("_done", "work")

    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work
        self._done = threading.Lock()
        self._done.acquire()

    def run(self) -> None:
        try:
            self.work()
        finally:
            self._done.release()

    def wait(self, seconds: float) -> bool:
        """Whether the work has ended, after so many seconds at most."""
        if self._done.acquire(timeout=max(0.0, seconds)):
            self._done.release()
            return True
        return False


class Hands:
    """Daemon threads that wait for work. Starting one costs more than most of what they do here.

    A thread whose work hangs is simply not free again; the next piece gets another. At most
    ``idle_threads`` wait. Thread-safe.
    """

    def __init__(self, name: str, idle_threads: int) -> None:
        self._name = name
        self._idle_threads = idle_threads
        self._idle: deque[SimpleQueue[Errand]] = deque()
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    @property
    def idle(self) -> int:
        """How many threads wait for work."""
        return len(self._idle)

    def give(self, work: Callable[[], None]) -> Errand:
        """Begin the work in a thread of its own. What it raises is shown by ``threading``."""
        errand = Errand(work)
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = SimpleQueue()
            name = f"{self._name}-{next(self._numbers)}"
            threading.Thread(target=self._serve, args=(inbox,), name=name, daemon=True).start()
        inbox.put(errand)
        return errand

    def _serve(self, inbox: SimpleQueue[Errand]) -> None:
        while True:
            inbox.get().run()
            with self._lock:
                if len(self._idle) >= self._idle_threads:
                    return
                self._idle.append(inbox)
