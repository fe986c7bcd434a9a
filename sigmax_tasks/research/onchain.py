"""On-chain metrics: use of the network, mining, exchange flows, valuation by MVRV.

- Use: mean of 7 days over mean of 30 days, less 1, of active addresses, transactions and fees.
- Mining (proof of work only): the same of the hash rate; difficulty is stated.
- Exchange net flow: (inflow - outflow) / (inflow + outflow) over 7 days; coins that move onto
  exchanges can be sold there.
- MVRV = market value over realised value: below 1 holders are at a loss in the mean, above 3.7
  tops have formed (Mahmudov and Puell 2018).
- NVT = market capitalisation over the daily transfer volume in USD (mean of 28 days; Woo 2017),
  only where a provider gives the series ``transfer_volume_usd``.
Daily values count as known one day after their date.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from sigmax_tasks.models.observations import DataNeed, Measures
from sigmax_tasks.models.research import Finding, ResearchInputs
from sigmax_tasks.research.lookup import (
    Points,
    base_of,
    between,
    find_measure,
    find_series,
    fraction_change,
    freshness,
    is_of_the_future,
)
from sigmax_tasks.research.scoring import InsufficientDataError, Notebook, squash

SOURCE = "onchain"
ROWS = 120
LAG_DAYS = 1.0
FREE_DAYS, HALF_LIFE_DAYS = 3.0, 4.0
FLOW_SCALE = 0.03
PROOF_OF_WORK = frozenset({"BTC", "LTC", "DOGE", "BCH", "ETC", "XMR", "ZEC", "DASH", "KAS", "RVN"})
FEE_RATES = frozenset({"BTC", "ETH"})
MINING_SERIES = ("hash_rate", "difficulty")
COMMON_SERIES = (
    "active_addresses",
    "transactions",
    "fees",
    "mvrv",
    "exchange_inflow",
    "exchange_outflow",
)
MVRV_ANCHORS = (
    (0.8, 0.6),
    (1.0, 0.45),
    (1.5, 0.15),
    (2.2, 0.0),
    (3.0, -0.3),
    (3.7, -0.55),
    (5.0, -0.7),
)
NVT_ANCHORS = ((30.0, 0.3), (60.0, 0.1), (95.0, 0.0), (150.0, -0.3), (200.0, -0.4))
"""The NVT signal is commonly read as dear above 150 and cheap below 45; counted softly."""


@dataclass(frozen=True)
class Usage:
    """A series judged by its 7-day mean against its 30-day mean; ``scale`` gives tanh(1)."""

    name: str
    title: str
    scale: float
    trust: float


USAGES: tuple[Usage, ...] = (
    Usage("active_addresses", "Active addresses", 0.10, 0.45),
    Usage("transactions", "Transactions", 0.10, 0.35),
    Usage("fees", "Fees paid", 0.60, 0.20),
    Usage("hash_rate", "Hash rate", 0.08, 0.25),
)


def wanted_series(symbol: str) -> tuple[str, ...]:
    """Series that make sense for that asset: mining ones for proof of work only."""
    mined = base_of(symbol) in PROOF_OF_WORK
    return COMMON_SERIES + (MINING_SERIES if mined else ())


def needs(symbol: str, watchlist: tuple[str, ...]) -> tuple[DataNeed, ...]:  # noqa: ARG001 (common signature)
    """Per asset; fee rates of the network exist for BTC and ETH only."""
    series = tuple(
        DataNeed(source=SOURCE, kind="series", name=name, symbol=symbol, limit=ROWS)
        for name in wanted_series(symbol)
    )
    rates = (
        (DataNeed(source=SOURCE, kind="measures", name="fee_rates", symbol=symbol),)
        if base_of(symbol) in FEE_RATES
        else ()
    )
    return (
        *series,
        *rates,
        DataNeed(source="coingecko", kind="measures", name="coin_market", symbol=symbol),
        DataNeed(source="coingecko", kind="measures", name="global"),
    )


def research(inputs: ResearchInputs) -> Finding:
    """Raises InsufficientDataError where no on-chain series and no profile says anything."""
    book = Notebook(inputs)
    for usage in USAGES:
        _write_usage(book, usage)
    for write in (_write_difficulty, _write_flows, _write_mvrv, _write_nvt, _write_fee_rates):
        write(book)
    _write_context(book)
    if not book.metrics:
        raise InsufficientDataError(f"no on-chain data about {inputs.symbol} are public")
    wanted = wanted_series(inputs.symbol)
    there = [name for name in wanted if _series(book, name) is not None]
    book.labels["availability"] = f"{len(there)} of {len(wanted)} series"
    absent = [name for name in wanted if name not in there]
    if absent:
        book.labels["unavailable"] = ", ".join(absent)
    if base_of(inputs.symbol) not in PROOF_OF_WORK:
        book.labels["not_applicable"] = ", ".join(MINING_SERIES)
    return book.finding(
        _summary(book, len(there), len(wanted)), strength_factor=len(there) / len(wanted)
    )


def _series(book: Notebook, name: str) -> Points | None:
    return find_series(book.inputs, SOURCE, name, lag_days=LAG_DAYS)


def _fresh(book: Notebook, points: Points) -> float:
    return freshness(points.age_days(book.inputs.as_of), FREE_DAYS, HALF_LIFE_DAYS)


def _write_usage(book: Notebook, usage: Usage) -> None:
    points = _series(book, usage.name)
    if points is None:
        return
    observation = points.observation
    book.measure(usage.name, points.last, points.unit, observation)
    week, month = points.mean_of_days(7), points.mean_of_days(30)
    change = None if week is None or month is None else fraction_change(week, month)
    metric = f"{usage.name}_7d_vs_30d"
    if change is None or not book.measure(metric, change, "fraction", observation):
        return
    book.argue(
        usage.name,
        f"{usage.title}: mean of 7 days {change:+.1%} against 30 days"
        f" (last {_compact(points.last)} {points.unit} on {points.last_time:%Y-%m-%d})",
        observation,
        polarity=squash(change, usage.scale),
        reliability=usage.trust * _fresh(book, points),
        metric_names=(metric, usage.name),
        observed_at=points.last_time,
    )


def _write_difficulty(book: Notebook) -> None:
    points = _series(book, "difficulty")
    if points is not None:
        before = points.days_ago(30, 3)
        book.measure("difficulty", points.last, points.unit, points.observation)
        book.measure(
            "difficulty_change_30d",
            fraction_change(points.last, before),
            "fraction",
            points.observation,
        )


def _write_flows(book: Notebook) -> None:
    inflow, outflow = _series(book, "exchange_inflow"), _series(book, "exchange_outflow")
    if inflow is None or outflow is None:
        return
    ins, outs = inflow.mean_of_days(7), outflow.mean_of_days(7)
    if ins is None or outs is None or ins < 0 or outs < 0 or ins + outs <= 0:
        return
    share = (ins - outs) / (ins + outs)
    pair = (inflow.observation, outflow.observation)
    book.measure("exchange_net_flow_7d", 7 * (ins - outs), inflow.unit, *pair)
    book.measure("exchange_net_flow_share", share, "fraction", *pair)
    book.argue(
        "exchange_net_flow",
        f"Exchange net flow of 7 days {_compact(7 * (ins - outs))} {inflow.unit}"
        f" ({share:+.1%} of all that moved; {'onto' if share > 0 else 'off'} exchanges)",
        *pair,
        polarity=-squash(share, FLOW_SCALE),
        reliability=0.4 * min(_fresh(book, inflow), _fresh(book, outflow)),
        metric_names=("exchange_net_flow_7d", "exchange_net_flow_share"),
        observed_at=min(inflow.last_time, outflow.last_time),
    )


def _write_mvrv(book: Notebook) -> None:
    points = _series(book, "mvrv")
    if points is None or points.last <= 0:
        return
    zone = mvrv_zone(points.last)
    book.measure("mvrv", points.last, "ratio", points.observation)
    book.labels["mvrv"] = zone
    book.argue(
        "mvrv",
        f"MVRV {points.last:.2f} ({zone}; below 1 cheap, above 3.7 dear)",
        points.observation,
        polarity=between(MVRV_ANCHORS, points.last),
        reliability=0.4 * _fresh(book, points),
        metric_names=("mvrv",),
        observed_at=points.last_time,
    )


def mvrv_zone(value: float) -> str:
    """Below 1 undervalued, to 2.2 fair, to 3.7 warm, above overvalued."""
    for limit, zone in ((1.0, "undervalued"), (2.2, "fair"), (3.7, "warm")):
        if value < limit:
            return zone
    return "overvalued"


def _write_nvt(book: Notebook) -> None:
    cap = find_measure(book.inputs, "coingecko", "market_cap_usd")
    volume = _series(book, "transfer_volume_usd")
    daily = volume.mean_of_days(28) if volume else None
    if cap is None or volume is None or daily is None or daily <= 0 or cap[0] <= 0:
        return
    nvt = cap[0] / daily
    book.measure("nvt", nvt, "ratio", cap[1], volume.observation)
    book.argue(
        "nvt",
        f"NVT {nvt:.0f}: market capitalisation over daily transfer volume (mean of 28 days)",
        cap[1],
        volume.observation,
        polarity=between(NVT_ANCHORS, nvt),
        reliability=0.25 * _fresh(book, volume),
        metric_names=("nvt",),
    )


def _write_fee_rates(book: Notebook) -> None:
    for observation in book.inputs.observations:
        data = observation.data
        if (
            observation.lineage.source == SOURCE
            and isinstance(data, Measures)
            and data.symbol in (None, book.inputs.symbol)
            and not is_of_the_future(observation, book.inputs.as_of)
        ):
            for measure in data.values:
                name = f"fee_rate_{measure.name}"
                if book.value(name) is None:
                    book.measure(name, measure.value, measure.unit, observation)


def _write_context(book: Notebook) -> None:
    for name, unit in (("market_cap_usd", "USD"), ("volume_24h_usd", "USD")):
        found = find_measure(book.inputs, "coingecko", name)
        if found:
            book.measure(name, found[0], unit, found[1])
    dominance = find_measure(book.inputs, "coingecko", "btc_dominance_percent")
    if dominance:
        book.measure("btc_dominance_percent", dominance[0], "percent", dominance[1])
    cap, total = (
        find_measure(book.inputs, "coingecko", name)
        for name in ("market_cap_usd", "total_market_cap_usd")
    )
    if cap and total and total[0] > 0:
        book.measure("market_share", cap[0] / total[0], "fraction", cap[1], total[1])
    change = find_measure(book.inputs, "coingecko", "market_cap_change_24h_percent")
    if change:
        book.measure("market_cap_change_24h_percent", change[0], "percent", change[1])
        book.argue(
            "market_cap",
            f"Capitalisation of the whole market {change[0]:+.1f} % in 24 hours",
            change[1],
            polarity=squash(change[0], 6.0),
            reliability=0.12,
            metric_names=("market_cap_change_24h_percent",),
        )


def _compact(value: float) -> str:
    size = abs(value)
    for limit, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= limit:
            return f"{value / limit:,.2f}{letter}"
    return f"{value:,.2f}"


def _summary(book: Notebook, there: int, wanted: int) -> str:
    parts: list[str] = []
    show: tuple[tuple[str, str, Callable[[float], str]], ...] = (
        ("active_addresses_7d_vs_30d", "active addresses", "{:+.1%} (7 d vs 30 d)".format),
        ("hash_rate_7d_vs_30d", "hash rate", "{:+.1%}".format),
        ("exchange_net_flow_share", "exchange net flow", "{:+.1%} of moved".format),
        ("mvrv", "MVRV", "{:.2f}".format),
    )
    for metric, title, form in show:
        value = book.value(metric)
        if value is not None and math.isfinite(value):
            parts.append(f"{title} {form(value)}")
    told = "; ".join(parts) or "only context"
    return f"On-chain ({there} of {wanted} series): {told}."
