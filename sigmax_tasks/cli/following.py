"""Follows runs to their end, each by itself: one that fails does not hide the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sigmax_tasks import clock
from sigmax_tasks.cli.signals import raise_again
from sigmax_tasks.errors import (
    EngineError,
    NoDecisionError,
    RunCancelledError,
    RunLostError,
    RunNotFoundError,
)
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.report.progress import RunProgress
from sigmax_tasks.report.terminal import Terminal

if TYPE_CHECKING:
    from sigmax_tasks.client import Client

_HEALTH_SECONDS = 1.0

RunEnd = RunRecord | EngineError


class Follower:
    """Follows runs on one client. ``ends`` holds the record or the error of each that is over.

    ``on_end`` is called as soon as a run is over; ``check_cluster`` about once a second, to raise
    where the cluster itself has died.
    """

    def __init__(
        self,
        client: Client,
        runs: Sequence[RunProgress],
        terminal: Terminal,
        *,
        on_end: Callable[[str, RunEnd], None],
        check_cluster: Callable[[], None] | None = None,
    ) -> None:
        self._client = client
        self._runs = {run.run_id: run for run in runs}
        self._terminal = terminal
        self._on_end = on_end
        self._check_cluster = check_cluster
        self._next_check = 0.0
        self.ends: dict[str, RunEnd] = {}

    @property
    def open_ids(self) -> tuple[str, ...]:
        return tuple(run_id for run_id in self._runs if run_id not in self.ends)

    def run(self) -> None:
        """Return when each run is over. Raises what concerns all: an unreachable cluster."""
        self._draw()
        while self.open_ids:
            self._follow_open()
        self._draw()

    def _follow_open(self) -> None:
        """Follow what is open until all of it, or one that failed, is over."""
        try:
            for event in self._client.follow(self.open_ids):
                raise_again()
                self._check()
                if event is not None:
                    self._take(event)
                self._terminal.progress(tuple(self._runs.values()))
        except (NoDecisionError, RunLostError, RunCancelledError) as error:
            if error.run_id not in self.open_ids:
                raise
            self._end(error.run_id, error)
        except RunNotFoundError as error:
            if error.run_id not in self.open_ids:
                raise
            self._end(error.run_id, RunLostError(error.run_id))
        else:
            for run_id in self.open_ids:
                self._end_with_record(run_id)

    def _take(self, event: ProgressEvent) -> None:
        before = self._runs.get(event.run_id)
        if before is None or not before.is_news(event):
            return
        after = before.apply(event)
        self._runs[event.run_id] = after
        self._terminal.event(event, after)
        if event.kind is EventKind.RUN_FINISHED and event.run_id in self.open_ids:
            self._end_with_record(event.run_id)

    def _end_with_record(self, run_id: str) -> None:
        try:
            record = self._client.record(run_id)
        except RunNotFoundError:
            self._end(run_id, RunLostError(run_id))
            return
        self._runs[run_id] = self._runs[run_id].settled(record.research)
        self._end(run_id, record)

    def _end(self, run_id: str, end: RunEnd) -> None:
        self.ends[run_id] = end
        self._draw()
        self._on_end(run_id, end)

    def _draw(self) -> None:
        self._terminal.progress(tuple(self._runs.values()), at_once=True)

    def _check(self) -> None:
        if self._check_cluster is not None and clock.monotonic() >= self._next_check:
            self._next_check = clock.monotonic() + _HEALTH_SECONDS
            self._check_cluster()
