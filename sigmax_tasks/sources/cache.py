"""Answers that all tasks, runs and workers share: where they are kept, and what they still prove.

An answer is kept under what was asked of whom: data mode, base address, key, the provider's
settings, and the need without its source and length. The address holds the as-of time of simulated
and replayed data, so nothing leaks from one time to another; a replayed answer is shared within its
run only, because a folder of recordings may change behind the same address. A longer answer serves
a shorter need.

In live mode the clock goes on between the fetch and the reading, and the workers' clocks differ by
seconds. So what is read is checked again against the reader's own clock: nothing from its future,
no candle that has not closed yet. And an answer with candles is old as soon as one more has closed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from sigmax_tasks import clock
from sigmax_tasks.candles import TIMEFRAME_SECONDS, bucket_start_ms
from sigmax_tasks.clock import RunClock
from sigmax_tasks.errors import (
    BadPayloadError,
    NotOfferedError,
    PermanentSourceError,
    SourceError,
)
from sigmax_tasks.models.observations import Candles, DataNeed, Observation
from sigmax_tasks.redact import redact
from sigmax_tasks.settings.sources import SourceSettings
from sigmax_tasks.sources.bulk import Scope
from sigmax_tasks.sources.call import Call, newest_time
from sigmax_tasks.sources.candidates import cut
from sigmax_tasks.sources.pages import packed, unpacked

_FORM: Final = 2
"""Counts up when the form of an entry changes, so that old and new workers keep apart."""


class Refusal(BaseModel):
    """Why a request for many things brought nothing for one of them: what error, and its words."""

    model_config = ConfigDict(frozen=True)
    error: Literal["not_offered", "bad_payload"]
    problem: str

    @classmethod
    def of(cls, error: SourceError) -> Self:
        kind: Literal["not_offered", "bad_payload"] = (
            "not_offered" if isinstance(error, NotOfferedError) else "bad_payload"
        )
        return cls(error=kind, problem=redact(error.problem).text)

    def error_of(self, provider_id: str) -> PermanentSourceError:
        kind = NotOfferedError if self.error == "not_offered" else BadPayloadError
        return kind(provider_id, self.problem)

    @classmethod
    def unpacked(cls, text: str) -> Self | None:
        """None for what is no refusal of ours."""
        try:
            return cls.model_validate_json(text)
        except ValidationError:
            return None


class Entry(BaseModel):
    """One kept answer. ``by`` is the flight that fetched it, ``limit`` what was asked for."""

    model_config = ConfigDict(frozen=True)
    by: str
    limit: int
    observation: Observation

    def packed(self, most_bytes: int) -> str | None:
        """Compressed JSON as text; None where that is larger than ``most_bytes``."""
        return packed(self, most_bytes)

    @classmethod
    def unpacked(cls, text: str) -> Self | None:
        """None for what is no entry of ours."""
        return unpacked(cls, text)


@dataclass(frozen=True)
class Flight:
    """A request on its way; who would make the same one waits for it."""

    provider_id: str
    key: str

    @property
    def value_key(self) -> str:
        """Where what it brings is kept."""
        return f"sigmax:cache:{self.provider_id}:{self.key}"


@dataclass(frozen=True)
class Wish:
    """A need asked of one provider, and how old an answer may be. ``key`` is what is shared."""

    provider_id: str
    key: str
    need: DataNeed
    call: Call
    ttl_seconds: float
    stale_seconds: float
    keep_seconds: float

    @property
    def value_key(self) -> str:
        return self.flight.value_key

    @property
    def flight(self) -> Flight:
        """The request for this alone."""
        return Flight(self.provider_id, self.key)

    @property
    def refusal_key(self) -> str:
        """Where it is kept that this was asked for with others, in vain; Redis drops it in time."""
        return f"{self.value_key}:refused"

    def fresh(self, entry: Entry) -> Observation | None:
        """The kept answer for this wish, if it is fresh."""
        age = age_seconds(entry.observation)
        if age > self.ttl_seconds or self._one_more_candle(entry.observation):
            return None
        return self.usable(entry)

    def stale(self, entry: Entry) -> Observation | None:
        """The kept answer for this wish, if it may stand in for a failed one."""
        if age_seconds(entry.observation) > max(self.stale_seconds, self.ttl_seconds):
            return None
        return self.usable(entry)

    def usable(self, entry: Entry) -> Observation | None:
        """The kept answer as the reader's clock allows it; None if it is too short or too new."""
        if entry.limit < self.need.limit:
            return None
        found = as_known_at(entry.observation, self.call.clock, self.call.tolerance_ms)
        if found is None:
            return None
        now = self.call.clock.now()
        lineage = found.lineage.model_copy(
            update={
                "source": self.need.source,
                "cross_check": self.need.cross_check,
                "cache_hit": True,
                "cache_age_seconds": round(age_seconds(found), 3),
                "observed_at": min(found.lineage.observed_at, now),
            }
        )
        return Observation(lineage=lineage, data=cut(found.data, self.need.limit))

    def _one_more_candle(self, observation: Observation) -> bool:
        if not self.call.live or not isinstance(observation.data, Candles):
            return False
        seconds = TIMEFRAME_SECONDS.get(observation.data.timeframe)
        if seconds is None:
            return True
        fetched_ms = int(observation.lineage.fetched_at.timestamp() * 1000)
        return bucket_start_ms(self.call.now_ms, seconds) > bucket_start_ms(fetched_ms, seconds)


def as_known_at(
    observation: Observation, run_clock: RunClock, tolerance_ms: int
) -> Observation | None:
    """Without candles that have not closed by ``run_clock``; None for what lies in its future."""
    data = observation.data
    now_ms = run_clock.now_ms
    if isinstance(data, Candles):
        seconds = TIMEFRAME_SECONDS.get(data.timeframe)
        if seconds is None:
            return None
        closed = tuple(row for row in data.rows if row[0] + seconds * 1000 <= now_ms)
        if not closed:
            return None
        if len(closed) < len(data.rows):
            data = data.model_copy(update={"rows": closed})
            return Observation(lineage=observation.lineage, data=data)
        return observation
    newest = newest_time(data) or observation.lineage.observed_at
    ahead_ms = (newest - run_clock.now()).total_seconds() * 1000
    return observation if ahead_ms <= tolerance_ms else None


def age_seconds(observation: Observation, now: datetime | None = None) -> float:
    """Seconds since the real fetch, at least 0."""
    moment = now or clock.now()
    return max(0.0, (moment - observation.lineage.fetched_at).total_seconds())


class Wishes:
    """Makes wishes under one set of settings. Answers of other variants are not shared."""

    def __init__(self, settings: SourceSettings, variant: str = "") -> None:
        self._settings = settings
        self._variant = variant
        tables = settings.model_dump(
            mode="json", include={"quote_alternatives", "coin_ids", "chains", "protocols"}
        )
        self._tables = _digest(tables)

    def wish(self, need: DataNeed, call: Call, world: str) -> Wish:
        """``world`` keeps answers apart that their addresses do not tell apart."""
        settings, name = self._settings, call.provider_id
        source = settings.data_sources[need.source]
        key = _digest(
            {
                "room": self._room(call, world),
                "series": call.series.model_dump(mode="json") if call.series else None,
                "need": [need.kind, need.name, need.symbol, need.cross_check],
            }
        )
        users = [s for s in settings.data_sources.values() if name in s.all_providers]
        keep = max(
            settings.cache.lease_seconds,
            *(max(s.ttl_of(need.kind), s.stale_if_error_seconds) for s in users),
        )
        return Wish(
            provider_id=name,
            key=key,
            need=need,
            call=call,
            ttl_seconds=source.ttl_of(need.kind),
            stale_seconds=source.stale_if_error_seconds,
            keep_seconds=keep,
        )

    def flight(self, scope: Scope, call: Call, world: str) -> Flight:
        """The request for all of ``scope``."""
        asked = [scope.what, *scope.symbols]
        return Flight(
            call.provider_id, _digest({"room": self._room(call, world), "together": asked})
        )

    def _room(self, call: Call, world: str) -> str:
        """What must be the same for an answer to be shared, whatever was asked."""
        shaping = call.provider.model_dump(mode="json", include={"adapter", "options", "key"})
        return _digest(
            {
                "form": _FORM,
                "mode": call.data_mode.value,
                "world": world,
                "variant": self._variant,
                "address": call.base_url,
                "secret": call.key_value() or "",
                "provider": [call.provider_id, shaping],
                "tables": self._tables,
            }
        )


def _digest(facts: Mapping[str, Any]) -> str:
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
