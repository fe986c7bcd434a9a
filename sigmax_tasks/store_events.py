"""The part of the run store that knows the progress of a run: events are told and read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, cast

from sigmax_tasks import clock
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.store_pool import PoolStore

_STREAM = "sigmax:ev:"
FEW_STREAMS = 10
GATHER_SECONDS = 0.02
SETTLE_SECONDS = 0.008
"""How long news of one moment are let come: that is when tasks begin, who follows can wait."""
_OF_THE_END = tuple(
    f'"kind":"{kind.value}"'
    for kind in (EventKind.RUN_FINALIZING, EventKind.RUN_FINISHED, EventKind.RUN_CANCELLED)
)


class EventStore(PoolStore):
    """The stream of each run."""

    def add_event(self, event: ProgressEvent) -> None:
        """Tell about a step of an open run; the stream keeps the time to live it was made with."""
        self._redis.xadd(
            f"{_STREAM}{event.run_id}",
            {"e": self._event(event)},
            maxlen=self._runtime.engine.event_stream_max_length,
            approximate=True,
            nomkstream=True,
        )

    def read_events(
        self, positions: Mapping[str, str], block_seconds: float
    ) -> list[ProgressEvent]:
        """Events behind the given stream ids, by run id; waits up to ``block_seconds`` for one.

        They come some at a time, for to look at each by itself keeps workers from starting tasks;
        but what tells of the end of a run comes at once where few are followed.
        """
        if len(positions) > FEW_STREAMS:
            clock.sleep(min(GATHER_SECONDS, block_seconds))
        news = self._news(positions, max(1, int(block_seconds * 1000)))
        if news and len(positions) <= FEW_STREAMS and not _tell_of_an_end(news):
            clock.sleep(min(SETTLE_SECONDS, block_seconds))
            news += self._news({**positions, **{run_id: last for run_id, last, _ in news}}, None)
        return [
            ProgressEvent.model_validate({**json.loads(text), "event_id": event_id})
            for _, event_id, text in news
        ]

    def _news(
        self, positions: Mapping[str, str], block_milliseconds: int | None
    ) -> list[tuple[str, str, str]]:
        """(run id, event id, event) each; without ``block_milliseconds`` those that are there."""
        streams = {f"{_STREAM}{run_id}": last for run_id, last in positions.items()}
        answer = self._redis.xread(
            cast("dict[Any, Any]", streams), count=500, block=block_milliseconds
        )
        return [
            (stream.removeprefix(_STREAM), event_id, fields["e"])
            for stream, entries in _stream_entries(answer)
            for event_id, fields in entries
        ]

    @staticmethod
    def _event(event: ProgressEvent) -> str:
        return event.model_dump_json(exclude_defaults=True, exclude={"event_id"})

    @staticmethod
    def _event_at(event: ProgressEvent, at: datetime) -> str:
        """As if it had been made at that moment; short, for it is what a next task waits for."""
        timeless = event.model_dump_json(exclude_defaults=True, exclude={"event_id", "at"})
        return f'{timeless[:-1]},"at":"{at.isoformat()}"}}'


def _tell_of_an_end(news: Iterable[tuple[str, str, str]]) -> bool:
    return any(kind in text for _, _, text in news for kind in _OF_THE_END)


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
