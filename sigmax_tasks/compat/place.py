"""A cluster with its data server, held open for as long as somebody uses it from Python."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

from sigmax_tasks import clock
from sigmax_tasks.client import Client
from sigmax_tasks.clock import Deadline
from sigmax_tasks.cluster import Cluster, open_cluster
from sigmax_tasks.data_choice import DataOptions
from sigmax_tasks.data_server import serve_data
from sigmax_tasks.errors import EngineError
from sigmax_tasks.settings import Settings

_LEAVING_TICK_SECONDS = 0.05
_LEAVING_SECONDS = 10.0
"""How long closing waits for those who still use the place."""


@dataclass
class Opened:
    """What there is while a place is open. ``source_root`` is None for live data.

    ``closing`` is set when those who use it, ``visitors`` in number, have to leave.
    """

    cluster: Cluster
    source_root: str | None
    closing: threading.Event = field(default_factory=threading.Event)
    visitors: int = 0


class Place:
    """Opens and closes what runs need. All methods block and may be called from any thread.

    One that is forgotten is closed when it is garbage or the interpreter ends.
    """

    def __init__(self, settings: Settings, broker_url: str | None, data: DataOptions) -> None:
        self._settings = settings
        self._broker_url = broker_url
        self._data = data
        self._changing = threading.Lock()
        self._counting = threading.Lock()
        self._opened: Opened | None = None
        self._close: weakref.finalize[[ExitStack, int], Place] | None = None

    @property
    def opened(self) -> Opened | None:
        return self._opened

    def open(self) -> None:
        """Start what is needed and check that the broker answers; once open, do nothing."""
        with self._changing:
            if self._opened is not None:
                return
            data = self._data
            with ExitStack() as stack:
                source_root = stack.enter_context(
                    serve_data(data.mode, data.server_url, data.replay_dir)
                )
                cluster = stack.enter_context(open_cluster(self._settings, self._broker_url))
                with closing(Client(self._settings, cluster.broker_url)) as client:
                    client.check()
                kept = stack.pop_all()
            self._close = weakref.finalize(self, _close_once, kept, os.getpid())
            self._opened = Opened(cluster, source_root)

    def close(self) -> None:
        """Send visitors away, wait until they have left, stop what was started here."""
        with self._changing:
            with self._counting:
                opened, self._opened = self._opened, None
            if opened is None or self._close is None:
                return
            opened.closing.set()
            patience = Deadline.after(_LEAVING_SECONDS)
            while opened.visitors and not patience.passed:
                clock.sleep(_LEAVING_TICK_SECONDS)
            self._close()

    @contextmanager
    def visit(self) -> Iterator[Opened]:
        """Keep it open for the block; :class:`EngineError` when it is closed."""
        with self._counting:
            opened = self._opened
            if opened is not None:
                opened.visitors += 1
        if opened is None:
            raise EngineError(
                "no cluster is open",
                advice="call await bot.initialize() first, or use async with SIGMAX(...)",
            )
        try:
            yield opened
        finally:
            with self._counting:
                opened.visitors -= 1


def _close_once(stack: ExitStack, owner: int) -> None:
    """Only in the process that opened it: a forked child owns nothing of it."""
    if os.getpid() == owner:
        stack.close()
