"""Technical analysis: indicators, levels, patterns, trend and regime of one market.

Works on 4h candles, on daily ones where those are missing. Its metrics also carry what the risk
step needs later: last close, ATR, volatility, value at risk, expected shortfall, drawdown, volume.
Prices of the same moment from several venues are compared: their median and how far they lie apart.
"""

from __future__ import annotations

import statistics

from sigmax_tasks.models.observations import DataNeed, Observation, Ticker
from sigmax_tasks.models.research import Finding, ResearchInputs
from sigmax_tasks.research import readings
from sigmax_tasks.research.candlesticks import candle_patterns
from sigmax_tasks.research.indicators import (
    Indicators,
    indicators_of,
    trend_score,
    trend_word,
)
from sigmax_tasks.research.levels import price_levels, split_levels
from sigmax_tasks.research.scoring import InsufficientDataError, Notebook
from sigmax_tasks.research.series import (
    LIMIT_1D,
    LIMIT_1H,
    LIMIT_4H,
    CandleSeries,
    daily_series,
    find_candles,
    realised_volatility,
    tail_losses,
    volume_ratio,
)

MIN_ROWS = 30
QUOTE = "quote currency"
FRACTION = "fraction of price"


def needs(symbol: str, watchlist: tuple[str, ...]) -> tuple[DataNeed, ...]:  # noqa: ARG001 (common signature)
    """4h candles above all; daily and hourly ones, daily volumes, and prices of several venues."""

    def candles(source: str, timeframe: str, limit: int, *, required: bool = False) -> DataNeed:
        return DataNeed(
            source=source,
            kind="candles",
            name=timeframe,
            symbol=symbol,
            limit=limit,
            required=required,
        )

    return (
        candles("price_data", "4h", LIMIT_4H, required=True),
        candles("price_data", "1d", LIMIT_1D),
        candles("price_data", "1h", LIMIT_1H),
        candles("volume_data", "1d", LIMIT_1D),
        DataNeed(source="price_data", kind="ticker", symbol=symbol, cross_check=True),
    )


def research(inputs: ResearchInputs) -> Finding:
    """The technical finding; InsufficientDataError under 30 candles of 4h and of 1d."""
    daily = find_candles(inputs, "price_data", "1d")
    primary = _primary(inputs, daily)
    found = indicators_of(primary)
    notes = Notebook(inputs)
    notes.labels["primary_timeframe"] = primary.timeframe
    _measure_indicators(notes, primary, found)
    _measure_risk(notes, primary, daily)
    _compare_venues(notes)
    _label(notes, found)
    patterns = candle_patterns(primary)
    if patterns:
        notes.labels["candle_patterns"] = "; ".join(p.text for p in patterns[:6])
    levels = price_levels(primary, found.atr or 0.0)
    supports, resistances = split_levels(levels, found.close)
    for word, side in (("support", supports), ("resistance", resistances)):
        for number, level in enumerate(side[:3], start=1):
            notes.measure(f"{word}_{number}", level.price, QUOTE, primary.observation)
            notes.measure(f"{word}_{number}_touches", level.touches, "count", primary.observation)

    readings.read_trend(notes, primary, found)
    readings.read_direction(notes, primary, found)
    readings.read_rsi(notes, primary, found)
    readings.read_macd(notes, primary, found)
    readings.read_bollinger(notes, primary, found)
    readings.read_obv(notes, primary, found)
    readings.read_patterns(notes, primary, patterns)
    readings.read_levels(notes, primary, found, supports, resistances)
    _read_other_timeframes(notes, inputs, primary, found, daily)
    strength = 0.3 if not found.moves else 0.85 if notes.labels["volatility"] == "high" else 1.0
    return notes.finding(_summary(inputs.symbol, notes), strength_factor=strength)


def _primary(inputs: ResearchInputs, daily: CandleSeries | None) -> CandleSeries:
    four_hours = find_candles(inputs, "price_data", "4h")
    for series in (four_hours, daily):
        if series is not None and len(series) >= MIN_ROWS:
            return series
    counts = ", ".join(
        f"{len(series) if series is not None else 0} of {name}"
        for name, series in (("4h", four_hours), ("1d", daily))
    )
    raise InsufficientDataError(
        f"technical analysis of {inputs.symbol} needs {MIN_ROWS} closed candles, there are {counts}"
    )


def _measure_indicators(notes: Notebook, series: CandleSeries, found: Indicators) -> None:
    for name, value, unit in (
        ("last_close", found.close, QUOTE),
        ("rsi_14", found.rsi, "index 0-100"),
        ("macd", found.macd, QUOTE),
        ("macd_signal", found.macd_signal, QUOTE),
        ("macd_hist", found.macd_hist, QUOTE),
        ("bollinger_upper", found.bollinger_upper, QUOTE),
        ("bollinger_middle", found.bollinger_middle, QUOTE),
        ("bollinger_lower", found.bollinger_lower, QUOTE),
        ("bollinger_percent_b", found.percent_b, "fraction of the band"),
        ("bollinger_bandwidth", found.bandwidth, "fraction of the middle band"),
        ("bollinger_bandwidth_percentile", found.bandwidth_percentile, "fraction of history"),
        ("ema_20", found.ema_20, QUOTE),
        ("ema_50", found.ema_50, QUOTE),
        ("ema_200", found.ema_200, QUOTE),
        ("sma_50", found.sma_50, QUOTE),
        ("sma_200", found.sma_200, QUOTE),
        ("atr_14", found.atr, QUOTE),
        ("atr_14_fraction", found.atr_fraction, FRACTION),
        ("atr_percentile", found.atr_percentile, "fraction of history"),
        ("adx_14", found.adx, "index 0-100"),
        ("plus_di_14", found.plus_di, "index 0-100"),
        ("minus_di_14", found.minus_di, "index 0-100"),
        ("obv_slope", found.obv_slope, "mean candle volumes a candle"),
        ("trend_score", trend_score(found), "score -1 to 1"),
        ("candles_used", float(found.rows), "count"),
    ):
        notes.measure(name, value, unit, series.observation)


def _measure_risk(notes: Notebook, primary: CandleSeries, daily: CandleSeries | None) -> None:
    """Volatility, tail losses, drawdown and volume from daily candles, else from the primary's."""
    days = daily if daily is not None and len(daily) >= MIN_ROWS else daily_series(primary)
    steady = days if days is not None and len(days) > 20 else primary
    notes.measure(
        "realised_volatility_annual",
        realised_volatility(steady),
        "fraction a year",
        steady.observation,
    )
    high = float(primary.highs[primary.times >= _ninety_days_before(primary)].max())
    sources = [primary.observation]
    if days is not None:
        losses = tail_losses(days.closes)
        if losses is not None:
            notes.measure("value_at_risk_95_1d", losses[0], FRACTION, days.observation)
            notes.measure("expected_shortfall_95_1d", losses[1], FRACTION, days.observation)
        high = max(high, float(days.highs[-90:].max()))
        if days.observation is not primary.observation:
            sources.append(days.observation)
    notes.measure("drawdown_from_90d_high", 1.0 - primary.last_close / high, FRACTION, *sources)
    volumes = find_candles(notes.inputs, "volume_data", "1d") or days
    ratio = volume_ratio(volumes.volumes) if volumes is not None else None
    if ratio is not None and volumes is not None:
        notes.measure("volume_ratio", ratio[0], "times the 30 d median", volumes.observation)


def _compare_venues(notes: Notebook) -> None:
    """Each venue's price; from two on their median and (highest - lowest) / median."""
    inputs = notes.inputs
    quotes: dict[str, tuple[float, Observation]] = {}
    for observation in inputs.observations:
        data, lineage = observation.data, observation.lineage
        if isinstance(data, Ticker) and lineage.cross_check and data.symbol == inputs.symbol:
            quotes.setdefault(lineage.provider, (data.last, observation))
    for provider, (price, observation) in quotes.items():
        notes.measure(f"venue_price_{provider}", price, QUOTE, observation)
    if len(quotes) < 2:
        return
    prices = [price for price, _ in quotes.values()]
    cited = [observation for _, observation in quotes.values()]
    middle = statistics.median(prices)
    spread = (max(prices) - min(prices)) / middle
    notes.measure("venue_median_price", middle, QUOTE, *cited)
    notes.measure("venue_spread_fraction", spread, "fraction of the median", *cited)
    notes.labels["venues"] = f"{len(quotes)} within {spread:.2%}"


def _ninety_days_before(series: CandleSeries) -> int:
    return series.closed_at_ms - 90 * 86_400_000


def _label(notes: Notebook, found: Indicators) -> None:
    notes.labels["trend"] = trend_word(found)
    if found.adx is not None:
        trending = found.adx >= readings.TRENDING_ADX
        ranging = found.adx < 20 and notes.labels["trend"] == "sideways"
        notes.labels["regime"] = "trending" if trending else "ranging" if ranging else "mixed"
    else:
        notes.labels["regime"] = "unknown"
    place = found.atr_percentile
    if not found.moves:
        notes.labels["volatility"] = "none"
    elif place is None:
        notes.labels["volatility"] = "unknown"
    else:
        notes.labels["volatility"] = "low" if place < 0.2 else "high" if place > 0.85 else "normal"


def _read_other_timeframes(
    notes: Notebook,
    inputs: ResearchInputs,
    primary: CandleSeries,
    found: Indicators,
    daily: CandleSeries | None,
) -> None:
    """The daily trend as the bigger picture, the hourly one as the last word."""
    hourly = find_candles(inputs, "price_data", "1h")
    for series, short_name, trust in (
        (daily, "higher_timeframe", 0.4),
        (hourly, "lower_timeframe", 0.15),
    ):
        if series is None or series is primary or len(series) < MIN_ROWS:
            continue
        other = indicators_of(series)
        score = trend_score(other)
        if score is None:
            continue
        frame = series.timeframe
        notes.measure(f"trend_score_{frame}", score, "score -1 to 1", series.observation)
        notes.measure(f"rsi_14_{frame}", other.rsi, "index 0-100", series.observation)
        notes.measure(f"atr_14_{frame}", other.atr, QUOTE, series.observation)
        words = (trend_word(found), trend_word(other))
        verdict = (
            "open" if "sideways" in words else "agrees" if words[0] == words[1] else "disagrees"
        )
        notes.labels[short_name] = f"{frame} {words[1]}, {verdict}"
        notes.argue(
            short_name,
            f"{frame} trend {words[1]} (score {score:+.2f}) beside a {primary.timeframe} trend "
            f"{words[0]}",
            series.observation,
            polarity=score,
            reliability=trust * readings.history_factor(other.rows),
            metric_names=(f"trend_score_{frame}", f"rsi_14_{frame}"),
        )


def _summary(symbol: str, notes: Notebook) -> str:
    labels = notes.labels
    parts = [
        f"{symbol} {labels['primary_timeframe']}: trend {labels['trend']}, {labels['regime']}"
        + _shown(notes, "adx_14", " (ADX {:.0f})")
        + _shown(notes, "rsi_14", ", RSI {:.0f}"),
        f"volatility {labels['volatility']}"
        + _shown(notes, "realised_volatility_annual", " ({:.0%} a year)"),
    ]
    for name in ("support_1", "resistance_1"):
        value = notes.value(name)
        if value is not None:
            parts.append(f"{name[:-2]} {readings.price_text(value)}")
    if labels["primary_timeframe"] != "4h":
        parts.append("no usable 4h candles")
    return "; ".join(parts) + "."


def _shown(notes: Notebook, name: str, form: str) -> str:
    value = notes.value(name)
    return "" if value is None else form.format(value)
