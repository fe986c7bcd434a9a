"""The scheduler of ``celery -A sigmax_tasks beat``.

Celery's own keeps pickles in a database in the current folder, which a second beat on the machine
breaks. This one keeps the time of each entry's last message as JSON in the data folder; a missing
or odd file only means that missed times are not noticed.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from celery.beat import Scheduler

from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.timetable import check_source_root
from sigmax_tasks.whole_file import make_private

logger = logging.getLogger(__name__)


class FileScheduler(Scheduler):  # type: ignore[misc]  # Celery is untyped
    """Beat's table with the last times in a file: ``--schedule``, or ``beat_schedule_filename``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._path = Path(kwargs["schedule_filename"])
        super().__init__(*args, **kwargs)

    @property
    def info(self) -> str:
        return f"    . state -> {self._path}"

    def setup_schedule(self) -> None:
        """Check what is to run, then go on from the last times. Ends the process on an error."""
        table = self.app.conf.beat_schedule
        try:
            for name, entry in table.items():
                asked = entry.get("kwargs", {})
                if asked.get("entry", {}).get("data") == "simulated":
                    check_source_root(name, asked.get("source_root"))
        except ConfigurationError as error:
            raise SystemExit(f"sigmax: error: {error}") from error
        super().setup_schedule()
        last_times = self._read()
        for name, entry in self.schedule.items():
            known = last_times.get(name)
            # Another expression has other times: what it missed is not known.
            if known is not None and known[0] == repr(entry.schedule):
                entry.last_run_at = known[1]
        self.sync()

    def sync(self) -> None:
        """Write the state; a disk that cannot be written to costs only missed times."""
        content = json.dumps(
            {
                name: [repr(entry.schedule), entry.last_run_at.isoformat()]
                for name, entry in self.schedule.items()
            }
        )
        try:
            make_private(self._path.parent)
            with tempfile.NamedTemporaryFile(
                "w", dir=self._path.parent, prefix=".beat", suffix=".tmp", delete=False
            ) as file:
                file.write(content)
            os.replace(file.name, self._path)  # noqa: PTH105  # both are names here
        except OSError as error:
            logger.warning("beat cannot write its state to %s: %s", self._path, error.strerror)

    def _read(self) -> dict[str, tuple[str, datetime]]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            found = {
                str(name): (str(schedule), datetime.fromisoformat(at))
                for name, (schedule, at) in content.items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            logger.warning("the state of beat in %s cannot be read: %s", self._path, error)
            return {}
        return {name: known for name, known in found.items() if known[1].tzinfo is not None}
