"""The part of the run store that knows the progress of a run: events are told and read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, cast

from sigmax_tasks import clock
from sigmax_tasks.models.events import ProgressEvent
from sigmax_tasks.store_pool import PoolStore

FEW_STREAMS = 10
GATHER_SECONDS = 0.02


class EventStore(PoolStore):
    """The stream of each run."""

    def add_event(self, event: ProgressEvent) -> None:
        """Tell about a step of an open run; the stream keeps the time to live it was made with."""
        self._redis.xadd(
            f"sigmax:ev:{event.run_id}",
            {"e": self._event(event)},
            maxlen=self._runtime.engine.event_stream_max_length,
            approximate=True,
            nomkstream=True,
        )

    def read_events(
        self, positions: Mapping[str, str], block_seconds: float
    ) -> list[ProgressEvent]:
        """Events behind the given stream ids, by run id; waits up to ``block_seconds`` for one.

        Of many runs they come some at a time: to wait for a stream costs both sides something.
        """
        if len(positions) > FEW_STREAMS:
            clock.sleep(min(GATHER_SECONDS, block_seconds))
        streams = {f"sigmax:ev:{run_id}": last for run_id, last in positions.items()}
        answer = self._redis.xread(
            cast("dict[Any, Any]", streams), count=500, block=max(1, int(block_seconds * 1000))
        )
        events = []
        for _, entries in _stream_entries(answer):
            for event_id, fields in entries:
                facts = json.loads(fields["e"])
                events.append(ProgressEvent.model_validate({**facts, "event_id": event_id}))
        return events

    @staticmethod
    def _event(event: ProgressEvent) -> str:
        return event.model_dump_json(exclude_defaults=True, exclude={"event_id"})

    @staticmethod
    def _event_at(event: ProgressEvent, at: datetime) -> str:
        """As if it had been made at that moment; short, for it is what a next task waits for."""
        timeless = event.model_dump_json(exclude_defaults=True, exclude={"event_id", "at"})
        return f'{timeless[:-1]},"at":"{at.isoformat()}"}}'


def _stream_entries(answer: object) -> Iterable[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """(stream, entries) pairs of an XREAD answer, in both forms the client library gives."""
    if not answer:
        return ()
    if isinstance(answer, Mapping):
        return [
            (name, parts[0] if parts and isinstance(parts[0], list) else parts)
            for name, parts in answer.items()
        ]
    return cast("list[tuple[str, list[tuple[str, dict[str, str]]]]]", answer)
