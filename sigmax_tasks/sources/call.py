"""One attempt at one provider: what an adapter is given, and how it hands back what it learned.

An adapter is ``fetch(need: DataNeed, call: Call) -> Observation``. It asks through ``call.get`` or
``call.get_json`` and ends with ``call.observe``, which builds the lineage and refuses anything that
lies in the future of the run's clock. It does not know the data mode: only ``base_url`` differs.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from sigmax_planner.models import DataMode
from sigmax_tasks import clock
from sigmax_tasks.candles import timeframe_seconds
from sigmax_tasks.clock import Deadline, RunClock, monotonic
from sigmax_tasks.errors import BadPayloadError, NotOfferedError
from sigmax_tasks.models.observations import (
    Candles,
    DataNeed,
    FearGreed,
    FundingRates,
    Lineage,
    Observation,
    Payload,
    Series,
    Texts,
    Trades,
)
from sigmax_tasks.settings.sources import ProviderSettings, SeriesEntry, SourceSettings
from sigmax_tasks.sources.answers import Answer
from sigmax_tasks.sources.gate import Gate, Lane, Visit
from sigmax_tasks.sources.http import Budget, Exchange, Meter

DAY_MS: Final = 86_400_000
_Model = TypeVar("_Model", bound=BaseModel)


@dataclass
class Call:
    """Everything one attempt needs. ``series`` is set for needs of kind ``series``.

    ``deadline`` is that of the attempt; it moves, up to ``latest``, by the time its requests wait
    at the gate and by what is done :meth:`off_the_clock`. ``patience_seconds`` is how long each may
    wait for the provider's limits.
    ``endpoint`` stands in the lineage in place of the path and query that were asked, where those
    asked for much else.
    """

    provider_id: str
    provider: ProviderSettings
    options: BaseModel
    base_url: str
    settings: SourceSettings
    http: Exchange
    meter: Meter
    clock: RunClock
    deadline: Deadline
    data_mode: DataMode
    max_response_bytes: int
    series: SeriesEntry | None = None
    stopped: Callable[[], bool] = lambda: False
    gate: Gate | None = None
    latest: Deadline | None = None
    patience_seconds: float = math.inf
    endpoint: str = ""
    began: float = field(default_factory=monotonic)
    answers: list[Answer] = field(default_factory=list)

    @property
    def now_ms(self) -> int:
        return self.clock.now_ms

    @property
    def tolerance_ms(self) -> int:
        """How far ahead of the run's clock a time may lie: clocks differ, replays do not."""
        live = self.data_mode is DataMode.LIVE and self.clock.as_of is None
        return round(self.settings.live_skew_seconds * 1000) if live else 0

    @property
    def budget(self) -> Budget:
        return Budget(
            provider=self.provider_id,
            deadline=self.deadline,
            max_bytes=min(self.provider.max_response_bytes, self.max_response_bytes),
            meter=self.meter,
            stopped=self.stopped,
            visit=self._visit,
            latest=self.latest,
            patience_seconds=self.patience_seconds,
            extend=self._extend,
        )

    @property
    def live(self) -> bool:
        return self.data_mode is DataMode.LIVE

    @property
    def lane(self) -> Lane | None:
        """Where its requests queue up with those of all workers; None without a gate."""
        if self.gate is None:
            return None
        return self.gate.lane(self.provider_id, self.base_url, self.key_value(), live=self.live)

    def begin(self) -> None:
        """It asks from now on: until now it waited for somebody else's fetch, or asked in vain."""
        self.began = monotonic()
        self.answers.clear()
        latest = self.latest or self.deadline
        self.deadline = Deadline(min(self.began + self.provider.timeout_seconds, latest.at))

    @contextmanager
    def off_the_clock(self) -> Iterator[None]:
        """What is done here, or waited for, is not the provider's time, but that of the task."""
        began = monotonic()
        try:
            yield
        finally:
            self._extend(monotonic() - began)

    def _visit(self, endpoint: str) -> Visit | None:
        lane = self.lane
        if self.gate is None or lane is None:
            return None
        return self.gate.visit(lane, endpoint)

    def _extend(self, seconds: float) -> Deadline:
        latest = self.latest or self.deadline
        self.deadline = Deadline(min(self.deadline.at + seconds, latest.at))
        return self.deadline

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Answer:
        """GET ``base_url + path``; the answer is remembered for the lineage."""
        asked = {name: str(value) for name, value in (params or {}).items()}
        query = "&".join(f"{name}={value}" for name, value in asked.items())
        headers: dict[str, str] = {}
        sent = dict(asked)
        key, secret = self.provider.key, self.key_value()
        if key is not None and secret is not None:
            place = headers if key.place == "header" else sent
            place[key.name] = secret
        elif key is not None and key.required:
            raise self.not_offered(f"{path} without the key in {key.env}, sent in live mode only")
        answer = self.http.exchange(
            self.budget,
            "GET",
            self.base_url + path,
            endpoint=f"{path}?{query}" if query else path,
            params=sent,
            headers=headers,
        )
        self.answers.append(answer)
        return answer

    def get_json(self, path: str, params: Mapping[str, str | int] | None = None) -> Any:
        return self.get(path, params).json()

    def get_model(
        self, model: type[_Model], path: str, params: Mapping[str, str | int] | None = None
    ) -> _Model:
        """The answer as ``model``; :class:`BadPayloadError` where it does not fit."""
        return self.parse(model, self.get_json(path, params))

    def parse(self, model: type[_Model], data: object) -> _Model:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            raise bad_payload(self.provider_id, error) from error

    def key_value(self) -> str | None:
        """The provider's key, in live mode only: no other server may see it."""
        if self.provider.key is None or self.data_mode is not DataMode.LIVE:
            return None
        return os.environ.get(self.provider.key.env) or None

    def base_coin(self, need: DataNeed) -> str:
        """``BTC`` of ``BTC/USDT``; :class:`NotOfferedError` for a market-wide need."""
        if need.symbol is None:
            raise self.not_offered(f"{need.label} without a symbol")
        return need.symbol.partition("/")[0]

    def not_offered(self, what: str) -> NotOfferedError:
        return NotOfferedError(self.provider_id, f"not offered: {what}")

    def bad(self, problem: str) -> BadPayloadError:
        return BadPayloadError(self.provider_id, problem)

    def series_entry(self) -> SeriesEntry:
        if self.series is None:
            raise self.not_offered("this kind of series")
        return self.series

    def observe_series(self, need: DataNeed, points: Sequence[tuple[int, float]]) -> Observation:
        """A :class:`Series` of the newest ``need.limit`` points, sorted and without duplicates."""
        rows = tidy_points(points)[-need.limit :]
        if not rows:
            raise self.bad(f"no finished value of {self.series_entry().id}")
        data = Series(
            name=need.name, unit=self.series_entry().unit, symbol=need.symbol, rows=tuple(rows)
        )
        return self.observe(need, data)

    def observe(
        self,
        need: DataNeed,
        data: Payload,
        observed_at: datetime | None = None,
        answers: Sequence[Answer] | None = None,
    ) -> Observation:
        """The observation with its lineage.

        ``observed_at`` is when the newest thing in it was true; None takes it from the rows, or
        the run's clock for data without times. Raises :class:`BadPayloadError` when anything in it
        is later than the run's clock: no adapter can look ahead.
        """
        used = self.answers if answers is None else answers
        if not used:
            raise self.bad("no answer was received")
        now = self.clock.now()
        newest = observed_at or newest_time(data) or now
        ahead_ms = (newest - now).total_seconds() * 1000
        if ahead_ms > self.tolerance_ms:
            raise self.bad(
                f"holds a value of {newest:%Y-%m-%d %H:%M:%S} UTC, "
                f"{ahead_ms / 1000:.0f} s in the future of the run's clock"
            )
        digest = hashlib.sha256()
        for answer in used:
            digest.update(answer.body)
        more = f" (+{len(used) - 1} more)" if len(used) > 1 else ""
        lineage = Lineage(
            observation_id=observation_id(need, self.provider_id),
            source=need.source,
            kind=need.kind,
            name=need.name,
            provider=self.provider_id,
            endpoint=self.endpoint or used[0].endpoint + more,
            symbol=need.symbol,
            observed_at=min(newest, now),
            fetched_at=clock.now(),
            payload_sha256=digest.hexdigest(),
            payload_bytes=sum(len(answer.body) for answer in used),
            data_mode=self.data_mode,
            simulated=self.data_mode is DataMode.SIMULATED,
        )
        return Observation(lineage=lineage, data=data)


Adapter = Callable[[DataNeed, Call], Observation]


def observation_id(need: DataNeed, provider: str) -> str:
    return f"{need.kind}:{provider}:{need.symbol or 'market'}:{need.name}"


def newest_time(data: Payload) -> datetime | None:
    """When the newest row was complete; None for data that carry no times of their own."""
    match data:
        case Candles(rows=rows, timeframe=timeframe):
            return from_ms(max(row[0] for row in rows) + timeframe_seconds(timeframe) * 1000)
        case Trades(rows=trades):
            return from_ms(max(row[0] for row in trades))
        case FundingRates(rows=points) | FearGreed(rows=points) | Series(rows=points):
            return from_ms(max(row[0] for row in points))
        case Texts(items=items):
            return max(item.published_at for item in items)
        case _:
            return None


def from_ms(time_ms: int) -> datetime:
    """Aware UTC; ValueError beyond the years a datetime can hold."""
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(f"{time_ms} is not a time in milliseconds") from error


def tidy_points(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Oldest first, one value per time; of equal times the last one given counts."""
    return sorted(dict(points).items())


def drop_unfinished_days(
    points: Sequence[tuple[int, float]], now_ms: int
) -> list[tuple[int, float]]:
    """Without the running day of a daily series stamped 00:00 UTC, and without what is later.

    Points beyond the end of the running day are kept: refusing those is the look-ahead guard's.
    """
    today = now_ms - now_ms % DAY_MS
    return [point for point in points if not today <= point[0] < today + DAY_MS]


def bad_payload(provider: str, error: ValidationError) -> BadPayloadError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"][:6])
    return BadPayloadError(provider, f"not the promised form: {place}: {first['msg']}")
