"""What providers said, typed: market data, text, series, and where each came from.

Numbers are floats in the unit the field names; times are UTC, ``*_ms`` are unix milliseconds.
Rows are ascending in time and free of duplicates.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sigmax_planner.models import DataMode, Message, Symbol, UtcTime

CandleRow = tuple[int, float, float, float, float, float]
"""open_time_ms, open, high, low, close (quote currency), volume (base currency)."""


class Lineage(Message):
    """Where one observation came from. ``observation_id`` is unique in its task and repeatable.

    ``source``, ``kind`` and ``name`` are those of the :class:`DataNeed` it fills, as is
    ``cross_check``.
    """

    observation_id: str
    source: str
    kind: str
    name: str = ""
    provider: str
    endpoint: str
    symbol: Symbol | None = None
    observed_at: UtcTime
    fetched_at: UtcTime
    payload_sha256: str
    payload_bytes: int = Field(ge=0)
    cache_hit: bool = False
    cache_age_seconds: float = 0.0
    data_mode: DataMode
    simulated: bool
    cross_check: bool = False


class Candles(Message):
    """Closed candles of one time frame, oldest first; the running candle is never in it."""

    kind: Literal["candles"] = "candles"
    symbol: Symbol
    timeframe: str
    rows: tuple[CandleRow, ...] = Field(min_length=1)


class Ticker(Message):
    """Last price and best quotes, in the quote currency."""

    kind: Literal["ticker"] = "ticker"
    symbol: Symbol
    last: float = Field(gt=0)
    bid: float | None = Field(default=None, gt=0)
    ask: float | None = Field(default=None, gt=0)
    base_volume_24h: float | None = Field(default=None, ge=0)
    change_24h_fraction: float | None = None


class OrderBook(Message):
    """(price, base amount) levels, best first, both sides non-empty and not crossed."""

    kind: Literal["order_book"] = "order_book"
    symbol: Symbol
    bids: tuple[tuple[float, float], ...] = Field(min_length=1)
    asks: tuple[tuple[float, float], ...] = Field(min_length=1)


class Trades(Message):
    """(time_ms, price, base amount, taker side) of recent trades."""

    kind: Literal["trades"] = "trades"
    symbol: Symbol
    rows: tuple[tuple[int, float, float, Literal["buy", "sell"]], ...] = Field(min_length=1)


class FundingRates(Message):
    """(time_ms, rate) of a perpetual future; the rate is a fraction per funding interval."""

    kind: Literal["funding"] = "funding"
    symbol: Symbol
    interval_hours: float = Field(gt=0)
    rows: tuple[tuple[int, float], ...] = Field(min_length=1)


class FearGreed(Message):
    """(time_ms, index 0 to 100), one a day."""

    kind: Literal["fear_greed"] = "fear_greed"
    rows: tuple[tuple[int, Annotated[float, Field(ge=0, le=100)]], ...] = Field(min_length=1)
    classification: str | None = None


class TextItem(Message):
    """One headline or post. Untrusted text: shown escaped, never executed or obeyed."""

    outlet: str
    title: str = Field(max_length=500)
    body: str = Field(default="", max_length=2000)
    url: str = Field(default="", max_length=500)
    published_at: UtcTime


class Texts(Message):
    """Headlines (``channel`` news) or posts (``channel`` social), newest last."""

    kind: Literal["texts"] = "texts"
    channel: Literal["news", "social"]
    items: tuple[TextItem, ...] = Field(min_length=1)


class Series(Message):
    """(time_ms, value) of one daily, weekly or monthly series. ``unit`` as the field's standard."""

    kind: Literal["series"] = "series"
    name: str
    unit: str
    symbol: Symbol | None = None
    rows: tuple[tuple[int, float], ...] = Field(min_length=1)


class Measure(Message):
    """One number with its unit."""

    name: str
    value: float
    unit: str


class Measures(Message):
    """Single numbers of one answer (coin profile, fee recommendation, protocol totals)."""

    kind: Literal["measures"] = "measures"
    subject: str
    symbol: Symbol | None = None
    values: tuple[Measure, ...] = Field(min_length=1)

    def get(self, name: str) -> float | None:
        """The value of that name, None where the provider gave none."""
        return next((m.value for m in self.values if m.name == name), None)


Payload = Annotated[
    Candles | Ticker | OrderBook | Trades | FundingRates | FearGreed | Texts | Series | Measures,
    Field(discriminator="kind"),
]


class Observation(Message):
    """One answer of a provider with its lineage."""

    lineage: Lineage
    data: Payload


class DataNeed(Message):
    """One thing a research task wants to know.

    ``source`` is a data source of the catalogue, ``kind`` the payload kind, ``name`` what of that
    kind: the time frame of candles, the metric or series id, else "". ``symbol`` None means
    market-wide. ``limit`` is the number of rows wanted. Where ``required``, the task fails
    without it; otherwise the gap is stated and the task goes on. A ``cross_check`` only compares
    what other needs gave: it makes research neither more complete nor fresher, and its absence
    is stated once without counting as a gap.
    """

    source: str
    kind: str
    name: str = ""
    symbol: Symbol | None = None
    limit: int = Field(default=1, ge=1, le=5000)
    required: bool = False
    cross_check: bool = False

    @property
    def label(self) -> str:
        """Short text for a person, like ``candles 4h of BTC/USDT``."""
        parts = [self.kind, self.name] if self.name else [self.kind]
        if self.symbol:
            parts.append(f"of {self.symbol}")
        return " ".join(parts)


class Missing(Message):
    """A need that no provider could fill, and why. ``cross_check`` as in :class:`DataNeed`."""

    source: str
    need: str
    reason: str
    cross_check: bool = False
