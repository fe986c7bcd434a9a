"""The terminal: results on stdout, everything about the way there on stderr."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from sigmax_tasks import clock
from sigmax_tasks.models.events import ProgressEvent
from sigmax_tasks.report.json_line import dump_line
from sigmax_tasks.report.progress import RunProgress, event_line
from sigmax_tasks.report.progress_view import progress_view
from sigmax_tasks.report.text import clean_text

_REDRAW_SECONDS = 0.1


class Terminal:
    """Two consoles. ``live`` says whether progress is drawn in place or logged line by line.

    Nothing of what is printed is read as markup.
    """

    def __init__(self, out: Console, err: Console, *, live: bool) -> None:
        self._out = out
        self._err = err
        self._wants_live = live
        self._live: Live | None = None
        self._drawn_at = 0.0

    @classmethod
    def of_streams(cls, *, streaming: bool = False) -> Terminal:
        """On the process's streams. Colour only on a terminal, and not with NO_COLOR.

        ``streaming``: results are written while runs go on. Into a pipe, whose reader may write to
        the same screen, there is no live table then.
        """
        out, err = _console(sys.stdout), _console(sys.stderr)
        live = _is_tty(sys.stderr) and not err.is_dumb_terminal
        return cls(out, err, live=live and not (streaming and _is_pipe(sys.stdout)))

    @property
    def is_live(self) -> bool:
        return self._wants_live

    def log(self, text: str) -> None:
        """One line on stderr, above the live table while there is one."""
        self._err.print(Text(clean_text(text, limit=1000)), soft_wrap=True)

    def show(self, view: RenderableType) -> None:
        """Something for people on stderr, such as the header of a run."""
        self._err.print(view)

    def result(self, view: RenderableType) -> None:
        """A result for people on stdout."""
        with self._aside():
            if self._out.is_terminal:
                self._out.print(view)
                return
            with self._out.capture() as captured:
                self._out.print(view)
            for line in captured.get().splitlines():
                self._out.file.write(f"{line.rstrip()}\n")
            self._out.file.flush()

    def result_lines(self, lines: Sequence[Text]) -> None:
        """Lines on stdout that are never broken, so that they can be searched."""
        with self._aside():
            for line in lines:
                self._out.print(line, soft_wrap=True)

    def write_line(self, text: str) -> None:
        """One line on stdout as it is, never wrapped."""
        with self._aside():
            self._out.file.write(f"{text}\n")
            self._out.file.flush()

    def write_json(self, content: object) -> None:
        self.write_line(dump_line(content))

    @contextmanager
    def following(self) -> Iterator[None]:
        """Within the block progress is drawn; the last state of the table stays on the screen."""
        if not self._wants_live:
            yield
            return
        # stdout is left alone: results may go to a file while the table is on the screen.
        live = Live(console=self._err, auto_refresh=False, redirect_stdout=False)
        self._live = live
        try:
            with live:
                yield
            self._err.print()
        finally:
            self._live = None

    def progress(self, runs: Sequence[RunProgress], *, at_once: bool = False) -> None:
        """Draw the runs as they stand, at most ten times a second unless ``at_once``."""
        if self._live is None:
            return
        moment = clock.monotonic()
        if at_once or moment - self._drawn_at >= _REDRAW_SECONDS:
            self._drawn_at = moment
            view = progress_view(runs, clock.now(), self._err.height)
            self._live.update(view, refresh=True)

    @contextmanager
    def counting(self) -> Iterator[Callable[[str, int, int], None]]:
        """A bar on stderr; call what it gives with a line, how much is done and of how much.

        Where there is no live terminal each further tenth is a line of the log.
        """
        told = -1
        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._err,
            transient=True,
            disable=not self._wants_live,
        )
        place = bar.add_task("", total=1)

        def tell(line: str, done: int, total: int) -> None:
            nonlocal told
            bar.update(place, description=clean_text(line), completed=done, total=max(1, total))
            tenth = done * 10 // max(1, total)
            if not self._wants_live and tenth > told:
                told = tenth
                self.log(line)

        with bar:
            yield tell

    def event(self, event: ProgressEvent, progress: RunProgress) -> None:
        """A line for the log where there is no table. ``progress`` is the state after the event."""
        if self._wants_live:
            return
        line = event_line(event, progress)
        if line:
            self.log(f"{_time_of_day(event.at)} {line}")

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Take the live table off the screen while a result is written."""
        live = self._live
        if live is None or not live.is_started:
            yield
            return
        live.transient = True
        live.stop()
        try:
            yield
        finally:
            live.transient = False
            live.start(refresh=True)


class _Console(Console):
    """A reader that went away is told to the caller; rich would end the process by itself."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _console(stream: TextIO) -> Console:
    return _Console(
        file=stream,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=False,
    )


def _is_tty(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # a closed stream
        return False


def _is_pipe(stream: TextIO) -> bool:
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):  # not a file of the system
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _time_of_day(moment: datetime) -> str:
    return f"{moment:%H:%M:%S}"
