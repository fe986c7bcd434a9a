"""One run from its submission to its end, without blocking the event loop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from sigmax_tasks.client import Client, SubmittedRun
from sigmax_tasks.compat.place import Opened, Place
from sigmax_tasks.compat.threads import in_thread
from sigmax_tasks.errors import EngineError, RunLostError, RunNotFoundError, SigmaxError
from sigmax_tasks.models.events import ProgressEvent
from sigmax_tasks.settings import Settings

T = TypeVar("T")


async def run_to_end(
    place: Place,
    settings: Settings,
    submit: Callable[[Client, Opened], SubmittedRun],
    read: Callable[[Client, str], T],
) -> T:
    """Submit a run, wait for its end and read its result, on a client of its own.

    Cancelling the awaiting task cancels the run. Raises what the client raises, and
    :class:`EngineError` when the place is closed or closes before the end.
    """
    with place.visit() as opened:
        run = _Run(opened, settings, submit, read)
        try:
            await in_thread(run.start)
            while await in_thread(run.wait_for_news):
                pass
            return await in_thread(run.result)
        finally:
            await in_thread(run.leave)


class _Run(Generic[T]):
    """The blocking steps. Each takes moments; one thread at a time uses it."""

    def __init__(
        self,
        opened: Opened,
        settings: Settings,
        submit: Callable[[Client, Opened], SubmittedRun],
        read: Callable[[Client, str], T],
    ) -> None:
        self._opened = opened
        self._settings = settings
        self._submit = submit
        self._read = read
        self._client: Client | None = None
        self._run_id: str | None = None
        self._events: Iterator[ProgressEvent | None] = iter(())
        self._over = False

    def start(self) -> None:
        self._client = Client(self._settings, self._opened.cluster.broker_url)
        self._run_id = self._submit(self._client, self._opened).run_id
        self._events = self._client.follow([self._run_id])

    def wait_for_news(self) -> bool:
        """Wait up to about 0.2 s; False when the run is over."""
        if self._opened.closing.is_set():
            raise EngineError(f"run {self._run_id} was cancelled: its cluster was closed")
        with self._losing():
            for event in self._events:
                if event is None:
                    self._opened.cluster.check()
                return True
        self._over = True
        return False

    def result(self) -> T:
        if self._client is None or self._run_id is None:
            raise EngineError("the run was not submitted")
        with self._losing():
            return self._read(self._client, self._run_id)

    def leave(self) -> None:
        """Close the client; a run that is not over is cancelled first."""
        if self._client is None:
            return
        if self._run_id is not None and not self._over:
            # Why it ends early is on its way up; a cluster that has died cannot be told.
            with contextlib.suppress(SigmaxError):
                self._client.cancel(self._run_id)
        self._client.close()

    @contextlib.contextmanager
    def _losing(self) -> Iterator[None]:
        """A run that was submitted and is not known any more is lost."""
        try:
            yield
        except RunNotFoundError as error:
            raise RunLostError(error.run_id) from error
