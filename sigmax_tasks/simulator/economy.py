"""Simulated economic series, the yield curve and listed instruments, linked to the crypto market.

Each series is a mean-reverting walk (in logs for prices) around a growing level, moved a little
by the market factor of the same day; the numbers are invented, their size and calendar are those
of the real series. American holidays are blank, as they are on FRED.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import numpy as np

from sigmax_tasks.simulator import dice
from sigmax_tasks.simulator.dice import Floats
from sigmax_tasks.simulator.holidays import bond_holidays, holidays
from sigmax_tasks.simulator.prices import DAY_MS, EPOCH_MS, PriceEngine
from sigmax_tasks.simulator.publication import published_at
from sigmax_tasks.simulator.world import Bar, Bars, Observation, UnknownNameError, YieldCurve

_EPOCH_DAY: Final = date(2019, 1, 1)
_OPEN_MS: Final = 14 * 3_600_000 + 30 * 60_000
_CLOSE_MS: Final = 21 * 3_600_000


@dataclass(frozen=True, slots=True)
class Series:
    """`growth` per year (in logs, or units), `noise` per day, `link` times the market factor."""

    level: float
    growth: float
    pull: float
    noise: float
    link: float
    logs: bool
    calendar: str
    decimals: int


def _s(*row: float | bool | str) -> Series:
    level, growth, pull, noise, link, logs, calendar, decimals = row
    return Series(
        float(level),
        float(growth),
        float(pull),
        float(noise),
        float(link),
        bool(logs),
        str(calendar),
        int(decimals),
    )


SERIES: Final = MappingProxyType(
    {
        "DGS2": _s(3.6, 0, 0.004, 0.045, 0.05, False, "business", 2),
        "DGS10": _s(3.8, 0, 0.004, 0.045, 0.05, False, "business", 2),
        "DGS30": _s(4.0, 0, 0.004, 0.04, 0.04, False, "business", 2),
        "FEDFUNDS": _s(3.5, 0, 0.002, 0.02, 0, False, "monthly", 2),
        "T10YIE": _s(2.3, 0, 0.01, 0.02, 0.1, False, "business", 2),
        "VIXCLS": _s(18, 0, 0.03, 0.045, -0.9, True, "business", 2),
        "SP500": _s(2900, 0.09, 0.003, 0.008, 0.12, True, "business", 2),
        "NASDAQCOM": _s(7600, 0.12, 0.003, 0.01, 0.16, True, "business", 2),
        "DTWEXBGS": _s(115, 0.005, 0.004, 0.0025, -0.03, True, "business", 4),
        "DCOILWTICO": _s(70, 0, 0.006, 0.018, 0.05, True, "business", 2),
        "RRPONTSYD": _s(400, 0, 0.004, 0.03, 0, True, "business", 3),
        "WALCL": _s(7_200_000, 0, 0.002, 0.001, 0, True, "wednesday", 0),
        "WTREGEN": _s(600_000, 0, 0.01, 0.02, 0, True, "wednesday", 0),
        "ICSA": _s(225_000, 0, 0.03, 0.015, 0, True, "saturday", 0),
        "STLFSI4": _s(-0.2, 0, 0.02, 0.04, -0.4, False, "friday", 4),
        "CPIAUCSL": _s(252, 0.03, 0.01, 0.0003, 0, True, "monthly", 3),
        "CPILFESL": _s(260, 0.031, 0.01, 0.0002, 0, True, "monthly", 3),
        "PCEPILFE": _s(103, 0.026, 0.01, 0.0002, 0, True, "monthly", 3),
        "UNRATE": _s(4.1, 0, 0.01, 0.03, 0, False, "monthly", 1),
        "PAYEMS": _s(150_000, 0.012, 0.01, 0.0002, 0, True, "monthly", 0),
        "M2SL": _s(14_500, 0.06, 0.01, 0.0004, 0, True, "monthly", 1),
        "UMCSENT": _s(80, 0, 0.01, 0.012, 0.05, True, "monthly", 1),
        "GDP": _s(21_000, 0.05, 0.01, 0.0004, 0, True, "quarterly", 3),
        "GOLD": _s(1500, 0.08, 0.004, 0.008, 0.01, True, "business", 2),
        "DOLLAR": _s(100, 0.004, 0.004, 0.004, -0.04, True, "business", 3),
        "JUNK": _s(80, 0, 0.006, 0.003, 0.04, True, "business", 2),
        "EURO": _s(1.1, 0, 0.004, 0.0035, 0.03, True, "business", 4),
    }
)
_NOT_ON_FRED: Final = frozenset({"GOLD", "DOLLAR", "JUNK", "EURO"})
_EURO_MS: Final = 15 * 3_600_000
"""The ECB publishes its reference rates at about 16:00 in Frankfurt."""
_YEARLY: Final = MappingProxyType(
    {
        ("WLD", "NY.GDP.MKTP.KD.ZG"): "GDP",
        ("USA", "NY.GDP.MKTP.KD.ZG"): "GDP",
        ("USA", "FP.CPI.TOTL.ZG"): "CPIAUCSL",
    }
)
_YEAR_PUBLISHED_DAYS: Final = 200
_STOCKS: Final = frozenset({"SP500", "NASDAQCOM", "VIXCLS"})
_SPREADS: Final = MappingProxyType({"T10Y2Y": ("DGS10", "DGS2"), "T10Y3M": ("DGS10", "FEDFUNDS")})

# symbol: source series, factor, name, kind, daily shares
INSTRUMENTS: Final = MappingProxyType(
    {
        "^GSPC": ("SP500", 1.0, "S&P 500", "INDEX", 4e9),
        "^IXIC": ("NASDAQCOM", 1.0, "NASDAQ Composite", "INDEX", 5e9),
        "^VIX": ("VIXCLS", 1.0, "CBOE Volatility Index", "INDEX", 0.0),
        "^TNX": ("DGS10", 1.0, "CBOE Interest Rate 10 Year T No", "INDEX", 0.0),
        "DX-Y.NYB": ("DOLLAR", 1.0, "US Dollar Index", "INDEX", 0.0),
        "GC=F": ("GOLD", 1.0, "Gold Futures", "FUTURE", 2e5),
        "GLD": ("GOLD", 0.0925, "SPDR Gold Shares", "ETF", 8e6),
        "SPY": ("SP500", 0.0998, "SPDR S&P 500", "ETF", 7e7),
        "QQQ": ("NASDAQCOM", 0.0251, "Invesco QQQ Trust", "ETF", 4e7),
        "TLT": ("DGS30", 0.0, "iShares 20+ Year Treasury Bond ETF", "ETF", 3e7),
        "UUP": ("DOLLAR", 0.27, "Invesco DB US Dollar Index Bullish Fund", "ETF", 1e6),
        "HYG": ("JUNK", 1.0, "iShares iBoxx $ High Yield Corporate Bond ETF", "ETF", 3e7),
    }
)

# tag of the Treasury document: years to maturity
_MATURITIES: Final = MappingProxyType(
    {
        "BC_1MONTH": 1 / 12,
        "BC_1_5MONTH": 0.125,
        "BC_2MONTH": 2 / 12,
        "BC_3MONTH": 0.25,
        "BC_4MONTH": 4 / 12,
        "BC_6MONTH": 0.5,
        "BC_1YEAR": 1.0,
        "BC_2YEAR": 2.0,
        "BC_3YEAR": 3.0,
        "BC_5YEAR": 5.0,
        "BC_7YEAR": 7.0,
        "BC_10YEAR": 10.0,
        "BC_20YEAR": 20.0,
        "BC_30YEAR": 30.0,
    }
)


class Economy:
    """Economic context of one seed; what it returns is cut at the moment asked about."""

    def __init__(self, engine: PriceEngine) -> None:
        self._engine = engine
        self._walk = lru_cache(maxsize=None)(self._make_walk)

    def series(self, series_id: str, now_ms: int) -> list[Observation]:
        if series_id in _NOT_ON_FRED or (series_id not in SERIES and series_id not in _SPREADS):
            raise UnknownNameError(series_id)
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        calendar = SERIES[series_id].calendar if series_id in SERIES else "business"
        decimals = SERIES[series_id].decimals if series_id in SERIES else 2
        resting = holidays if series_id in _STOCKS else bond_holidays
        rows = []
        for number in range(day_of(now_ms) + 1):
            day = _EPOCH_DAY + timedelta(days=number)
            if not _in_calendar(day, calendar) or published_at(series_id, day) > now:
                continue
            blank = calendar == "business" and day in resting(day.year)
            value = None if blank else round(self.value(series_id, number), decimals)
            rows.append(Observation(day.isoformat(), value))
        return rows

    def exchange_rate(self, base: str, quote: str, now_ms: int) -> list[Observation]:
        """Reference rates of EUR and USD on business days, from 15:00 UTC of their day on."""
        if {base, quote} != {"EUR", "USD"}:
            raise UnknownNameError(f"{base}/{quote}")
        rows = []
        for number in range(day_of(now_ms) + 1):
            day = _EPOCH_DAY + timedelta(days=number)
            if day.weekday() < 5 and EPOCH_MS + number * DAY_MS + _EURO_MS <= now_ms:
                dollars = self.value("EURO", number)
                value = round(dollars if base == "EUR" else 1.0 / dollars, 5)
                rows.append(Observation(day.isoformat(), value))
        return rows

    def yearly(self, country: str, indicator: str, now_ms: int) -> list[Observation]:
        """Growth of a whole year's mean over the one before, public half a year after its end."""
        source = _YEARLY.get((country, indicator))
        if source is None:
            raise UnknownNameError(f"{country}/{indicator}")
        rows = []
        year = _EPOCH_DAY.year + 1
        while day_of(now_ms) >= _days_to(year + 1) + _YEAR_PUBLISHED_DAYS:
            walk = self._walk(source)
            before, this = (
                float(np.mean(walk[_days_to(y) : _days_to(y + 1)])) for y in (year - 1, year)
            )
            rows.append(Observation(str(year), round((this / before - 1.0) * 100.0, 6)))
            year += 1
        return rows

    def value(self, series_id: str, number: int) -> float:
        if series_id in _SPREADS:
            first, second = _SPREADS[series_id]
            return round(self.value(first, number), 2) - round(self.value(second, number), 2)
        return float(self._walk(series_id)[number])

    def yield_curve(self, now_ms: int) -> list[YieldCurve]:
        """Business days, each from 21:00 UTC of its own day on."""
        rows = []
        for number in range(day_of(now_ms) + 1):
            day = _EPOCH_DAY + timedelta(days=number)
            visible = EPOCH_MS + number * DAY_MS + _CLOSE_MS <= now_ms
            if day.weekday() >= 5 or day in bond_holidays(day.year) or not visible:
                continue
            known = (
                float(self.value("FEDFUNDS", number)) + 0.1,
                self.value("DGS2", number),
                self.value("DGS10", number),
                self.value("DGS30", number),
            )
            at = np.interp(list(_MATURITIES.values()), [0.08, 2.0, 10.0, 30.0], known).tolist()
            yields = {tag: round(v, 2) for tag, v in zip(_MATURITIES, at, strict=True)}
            rows.append(YieldCurve(day.isoformat(), yields))
        return rows

    def bars(self, symbol: str, now_ms: int) -> Bars:
        """Daily bars up to today's running one, which exists from 14:30 UTC of a trading day on."""
        if symbol not in INSTRUMENTS:
            raise UnknownNameError(symbol)
        source, factor, name, kind, shares = INSTRUMENTS[symbol]
        stream = dice.key(self._engine.seed, "bars", symbol)
        bars: list[Bar] = []
        previous: float | None = None
        today = day_of(now_ms)
        stamp = np.arange(today + 1, dtype=np.int64)
        gaps, reach = dice.normal(stream, stamp).tolist(), dice.uniform(stream, -1 - stamp).tolist()
        for number in range(today + 1):
            day = _EPOCH_DAY + timedelta(days=number)
            into = now_ms - EPOCH_MS - number * DAY_MS
            if day.weekday() >= 5 or day in holidays(day.year) or into < _OPEN_MS:
                continue
            close = _instrument_price(symbol, factor, self.value(source, number))
            start = close if previous is None else previous
            open_ = start + (close - start) * 0.3 * min(abs(gaps[number]), 1.5)
            previous = close
            part = min((into - _OPEN_MS) / (_CLOSE_MS - _OPEN_MS), 1.0)
            now = open_ + (close - open_) * part
            width = (abs(close - start) * 0.4 + close * 0.002) * (0.2 + reach[number]) * part
            seconds = (EPOCH_MS + number * DAY_MS + _OPEN_MS) // 1000
            if part >= 1.0 and reach[number] < 1 / 70:
                bars.append(Bar(seconds, None, None, None, None, None))
                continue
            high, low = max(open_, now) + width, min(open_, now) - width
            volume = shares * (0.6 + reach[number]) * (1.0 + abs(gaps[number])) * part
            if part < 1.0:
                volume = 0.0
            bars.append(Bar(seconds, open_, high, low, now, float(int(volume))))
        return Bars(symbol, name, kind, bars)

    def _make_walk(self, series_id: str) -> Floats:
        spec = SERIES[series_id]
        stamp = np.arange(self._engine.days, dtype=np.int64)
        step = spec.noise * dice.normal(dice.key(self._engine.seed, "economy", series_id), stamp)
        step = step + spec.link * self._engine.factor[: self._engine.days]
        state, walk = 0.0, []
        for move in step.tolist():
            state = state * (1.0 - spec.pull) + move
            walk.append(state)
        trend = spec.growth * stamp / 365.25
        if spec.logs:
            values: Floats = spec.level * np.exp(trend + np.array(walk))
            return values
        raw: Floats = spec.level + trend + np.array(walk)
        return raw if series_id == "STLFSI4" else np.maximum(raw, 0.05)


def day_of(now_ms: int) -> int:
    return (now_ms - EPOCH_MS) // DAY_MS


def _in_calendar(day: date, calendar: str) -> bool:
    match calendar:
        case "business":
            return day.weekday() < 5
        case "wednesday":
            return day.weekday() == 2
        case "friday":
            return day.weekday() == 4
        case "saturday":
            return day.weekday() == 5
        case "monthly":
            return day.day == 1
        case _:
            return day.day == 1 and day.month in (1, 4, 7, 10)


def _instrument_price(symbol: str, factor: float, value: float) -> float:
    if symbol == "TLT":
        return 95.0 * float(np.exp(-0.16 * (value - 4.2)))
    return value * factor


def _days_to(year: int) -> int:
    """Day number of the first of January of `year`."""
    return (date(year, 1, 1) - _EPOCH_DAY).days
