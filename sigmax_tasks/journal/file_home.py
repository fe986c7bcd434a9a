"""The journal as JSON Lines: one decision a line, appended under a lock.

An entry is one write that is flushed to the disk. Outcomes are filled in by writing a new file
that takes the place of the old one at once. A line that cannot be read, such as one cut short by
a power failure, is left out, told of, and kept as it is.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path

from sigmax_tasks.errors import JournalError
from sigmax_tasks.journal.home import JournalQuery
from sigmax_tasks.journal.kept_text import entry_of
from sigmax_tasks.models.journal import JournalEntry, Outcome
from sigmax_tasks.places import data_folder
from sigmax_tasks.whole_file import make_private

FILE_NAME = "journal.jsonl"


def default_file() -> Path:
    """The journal of this user's private clusters."""
    return data_folder() / FILE_NAME


class FileJournal:
    """A file that may be missing. Several processes of one machine may use it at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def where(self) -> str:
        return str(self._path)

    def prepare(self) -> None:
        """Raise :class:`JournalError` now rather than after a decision if it cannot be written."""
        with self._locked(), self._opened():
            return

    def add(self, entry: JournalEntry) -> bool:
        line = _line(entry)
        with self._locked():
            if any(_run_id(old) == entry.run_id for old in self._lines(entry.run_id)):
                return False
            with self._opened() as descriptor:
                size = os.fstat(descriptor).st_size
                # What a crash left of a line must not swallow the next one.
                cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
                _write_all(descriptor, b"\n" + line if cut else line)
                os.fsync(descriptor)
        return True

    def entries(self, query: JournalQuery) -> tuple[JournalEntry, ...]:
        marks = _marks(
            symbol=query.symbol,
            profile=query.profile,
            data_mode=query.data_mode.value if query.data_mode is not None else None,
        )
        # Lines stand in the order of the decisions, so that the last ones are enough.
        newest = (entry for entry in self._read(*marks, backwards=True) if query.fits(entry))
        found = list(islice(newest, query.limit))
        return tuple(sorted(found, key=lambda e: (e.decided_at, e.run_id), reverse=True))

    def latest(self, book: str, *, not_after: datetime, besides: str = "") -> JournalEntry | None:
        marks = _marks(symbol=book.rpartition(":")[2])
        fitting = [
            entry
            for entry in self._read(*marks)
            if entry.book == book and entry.as_of <= not_after and entry.run_id != besides
        ]
        return max(fitting, key=lambda e: (e.as_of, e.decided_at, e.run_id), default=None)

    def settle(self, outcomes: Mapping[str, Outcome]) -> int:
        settled = 0

        def change(line: bytes) -> bytes | None:
            nonlocal settled
            entry = entry_of(line) if _run_id(line) in outcomes else None
            if entry is None or entry.outcome is not None:
                return line
            settled += 1
            return _line(entry.model_copy(update={"outcome": outcomes[entry.run_id]}))

        if outcomes:
            with self._locked():
                self._rewrite(change)
        return settled

    def forget_before(self, moment: datetime) -> int:
        dropped = 0

        def change(line: bytes) -> bytes | None:
            nonlocal dropped
            entry = entry_of(line)
            if entry is None or entry.decided_at >= moment:
                return line
            dropped += 1
            return None

        with self._locked():
            # Entries stand in the order of their decisions: mostly the first says it all.
            first = next((e for line in self._lines() if (e := entry_of(line)) is not None), None)
            if first is not None and first.decided_at < moment:
                self._rewrite(change)
        return dropped

    def damage(self) -> tuple[str, ...]:
        return tuple(
            f"line {number} of {self._path} cannot be read and is left out"
            for number, line in enumerate(self._lines(), start=1)
            if line.strip() and entry_of(line) is None
        )

    def _read(self, *marks: str, backwards: bool = False) -> Iterator[JournalEntry]:
        """Readable entries whose line holds all of ``marks``; each run once."""
        seen: set[str] = set()
        lines: Iterable[bytes] = self._lines(*marks)
        for line in reversed(list(lines)) if backwards else lines:
            entry = entry_of(line)
            if entry is not None and entry.run_id not in seen:
                seen.add(entry.run_id)
                yield entry

    def _lines(self, *marks: str) -> Iterator[bytes]:
        wanted = [mark.encode() for mark in marks]
        try:
            with self._path.open("rb") as file:
                yield from (line for line in file if all(mark in line for mark in wanted))
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._problem("read", error) from error

    def _rewrite(self, change: Callable[[bytes], bytes | None]) -> None:
        """Put a changed copy in the place of the file; the caller holds the lock."""
        changed: Iterable[bytes | None] = (change(line) for line in self._lines())
        try:
            with tempfile.NamedTemporaryFile(
                "wb", dir=self._path.parent, prefix=".journal", suffix=".tmp", delete=False
            ) as copy:
                temporary = Path(copy.name)
                try:
                    copy.writelines(line for line in changed if line is not None)
                    copy.flush()
                    os.fsync(copy.fileno())
                    temporary.replace(self._path)
                except BaseException:
                    temporary.unlink(missing_ok=True)
                    raise
        except OSError as error:
            raise self._problem("written", error) from error

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """A descriptor to append with."""
        try:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
            descriptor = os.open(self._path, flags, 0o600)
            try:
                yield descriptor
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._problem("written", error) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among all processes; the lock has a file of its own, as the journal's changes."""
        import fcntl  # not on Windows, where there are no private clusters that would write

        try:
            make_private(self._path.parent)
            lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._problem("written", error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _problem(self, done: str, error: OSError) -> JournalError:
        return JournalError(
            f"the journal {self._path} cannot be {done}: {error.strerror}",
            advice="set XDG_DATA_HOME to a folder you may write to",
        )


def _line(entry: JournalEntry) -> bytes:
    return entry.model_dump_json(exclude_computed_fields=True).encode() + b"\n"


def _marks(**fields: str | None) -> list[str]:
    """What a line with these values holds, to pass over others without reading them."""
    return [f"{json.dumps(key)}:{json.dumps(v)}" for key, v in fields.items() if v is not None]


def _run_id(line: bytes) -> str | None:
    try:
        content = json.loads(line)
    except ValueError:
        return None
    return content.get("run_id") if isinstance(content, dict) else None


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
