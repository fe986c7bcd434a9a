"""Fundamentals: what a network earns and holds, against what the market pays for it.

- Annual fees and revenue = 30-day total x 365 / 30 (7-day, then 24-hour totals where that is all).
- P/F = market capitalisation / annual fees, P/S = the same / annual revenue (Token Terminal's and
  DefiLlama's definitions); MC/TVL = market capitalisation / total value locked.
- Fee momentum = annualised 7-day over 30-day fees, less 1; TVL change over 7 and 30 days.
- Dilution = (maximum or else total supply) / circulating supply - 1: coins still to come; the
  speed at which they come is not public here. FDV/MC says the same in prices.
- Developer activity: commits in four weeks, where the provider counts them (a fork or a second
  repository is not seen: weak evidence).
The zones are our judgement on logarithmic scales: young networks trade at any multiple, so the
reliabilities stay low.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sigmax_tasks.models.observations import DataNeed, Measures, Observation
from sigmax_tasks.models.research import Finding, ResearchInputs
from sigmax_tasks.research.lookup import (
    between,
    find_measure,
    find_series,
    fraction_change,
    is_of_the_future,
    plausible,
)
from sigmax_tasks.research.scoring import InsufficientDataError, Notebook, squash

GECKO, LLAMA = "coingecko", "defillama"
RATIO_TRUST = 0.25
PERIODS = (("total30d_usd", 30.0), ("total7d_usd", 7.0), ("total24h_usd", 1.0))

# (log10 of the ratio, polarity)
PRICE_TO_FEES = ((1.0, 0.4), (1.7, 0.15), (2.3, 0.0), (3.0, -0.25), (4.0, -0.4))
PRICE_TO_SALES = ((1.3, 0.4), (2.0, 0.15), (2.6, 0.0), (3.3, -0.25), (4.3, -0.4))
CAP_TO_TVL = ((-0.3, 0.4), (0.0, 0.25), (0.6, 0.0), (1.0, -0.15), (1.5, -0.3))
# (coins to come as a fraction of those in circulation, polarity)
DILUTION = ((0.0, 0.15), (0.1, 0.05), (0.3, -0.05), (1.0, -0.3), (3.0, -0.5))
# (commits in four weeks, polarity)
COMMITS = ((0.0, -0.3), (10.0, -0.1), (50.0, 0.05), (200.0, 0.25))


@dataclass(frozen=True)
class Earnings:
    """Annualised USD of one kind, the days it was counted over, and where it stands."""

    annual_usd: float
    days: float
    observation: Observation
    momentum: float | None


def needs(symbol: str, watchlist: tuple[str, ...]) -> tuple[DataNeed, ...]:  # noqa: ARG001 (common signature)
    """The coin's profile, and of its chain or protocol TVL, fees and revenue."""
    return (
        DataNeed(source=GECKO, kind="measures", name="coin_profile", symbol=symbol),
        DataNeed(source=LLAMA, kind="series", name="chain_tvl", symbol=symbol, limit=120),
        DataNeed(source=LLAMA, kind="measures", name="fees", symbol=symbol),
        DataNeed(source=LLAMA, kind="measures", name="revenue", symbol=symbol),
    )


def research(inputs: ResearchInputs) -> Finding:
    """Raises InsufficientDataError where no number speaks of the asset's fundamentals."""
    book = Notebook(inputs)
    _write_profile(book)
    _write_tvl(book)
    _write_earnings(book)
    _write_dilution(book)
    _write_developers(book)
    if not book.metrics:
        raise InsufficientDataError(f"no fundamental data about {inputs.symbol} are public")
    absent = [
        title
        for metric, title in (
            ("price_to_fees", "P/F"),
            ("price_to_sales", "P/S"),
            ("cap_to_tvl", "MC/TVL"),
            ("dilution", "dilution"),
            ("commits_4_weeks", "developer activity"),
        )
        if book.value(metric) is None
    ]
    absent.append("NVT (no public transfer volume)")
    book.labels["unavailable"] = ", ".join(absent)
    return book.finding(_summary(book), strength_factor=1.0 - 0.1 * (len(absent) - 1))


def earnings_of(inputs: ResearchInputs, kind: str) -> Earnings | None:
    """Fees or revenue (``kind``), by the longest period the provider gives."""
    for observation in inputs.observations:
        data, lineage = observation.data, observation.lineage
        if (
            lineage.source != LLAMA
            or not isinstance(data, Measures)
            or data.symbol not in (None, inputs.symbol)
            or is_of_the_future(observation, inputs.as_of)
            or _kind_of(data.subject, lineage.endpoint) != kind
        ):
            continue
        for name, days in PERIODS:
            total = data.get(name)
            if total is not None and plausible(total) and total >= 0:
                week = data.get("total7d_usd")
                momentum = (
                    fraction_change(week / 7.0, total / days)
                    if week is not None and plausible(week) and days == 30.0
                    else None
                )
                return Earnings(total * 365.0 / days, days, observation, momentum)
    return None


def _kind_of(subject: str, endpoint: str) -> str:
    return "revenue" if "revenue" in f"{subject} {endpoint}".lower() else "fees"


def _write_profile(book: Notebook) -> None:
    for name, unit in (
        ("market_cap_usd", "USD"),
        ("fully_diluted_valuation_usd", "USD"),
        ("volume_24h_usd", "USD"),
        ("circulating_supply", "coins"),
        ("ath_change_percent", "percent"),
    ):
        found = find_measure(book.inputs, GECKO, name)
        if found:
            book.measure(name, found[0], unit, found[1])
    cap, volume = _profile(book, "market_cap_usd"), _profile(book, "volume_24h_usd")
    if cap and volume:
        book.measure("turnover_24h", volume[0] / cap[0], "fraction", cap[1])
    diluted = _profile(book, "fully_diluted_valuation_usd")
    if cap and diluted:
        book.measure("fdv_to_cap", diluted[0] / cap[0], "ratio", cap[1])


def _profile(book: Notebook, name: str) -> tuple[float, Observation] | None:
    """A number of the profile where it is above zero."""
    found = find_measure(book.inputs, GECKO, name)
    return found if found and found[0] > 0 else None


def _write_tvl(book: Notebook) -> None:
    points = find_series(book.inputs, LLAMA, "chain_tvl")
    if points is None:
        return
    observation = points.observation
    book.measure("tvl_usd", points.last, "USD", observation)
    week = fraction_change(points.last, points.days_ago(7, 2))
    month = fraction_change(points.last, points.days_ago(30, 3))
    book.measure("tvl_change_7d", week, "fraction", observation)
    if book.measure("tvl_change_30d", month, "fraction", observation) and month is not None:
        book.argue(
            "tvl_trend",
            f"Value locked {_usd(points.last)}, {month:+.1%} in 30 days",
            observation,
            polarity=squash(month, 0.3),
            reliability=0.3,
            metric_names=("tvl_usd", "tvl_change_7d", "tvl_change_30d"),
            observed_at=points.last_time,
        )
    cap = _profile(book, "market_cap_usd")
    if cap and points.last > 0:
        _write_ratio(
            book,
            "cap_to_tvl",
            f"MC/TVL {cap[0] / points.last:.1f}: {_usd(cap[0])} over {_usd(points.last)} locked",
            cap[0] / points.last,
            CAP_TO_TVL,
            (cap[1], observation),
        )


def _write_earnings(book: Notebook) -> None:
    cap = _profile(book, "market_cap_usd")
    for kind, ratio, title, anchors in (
        ("fees", "price_to_fees", "P/F", PRICE_TO_FEES),
        ("revenue", "price_to_sales", "P/S", PRICE_TO_SALES),
    ):
        earned = earnings_of(book.inputs, kind)
        if earned is None:
            continue
        observation = earned.observation
        book.measure(f"annual_{kind}_usd", earned.annual_usd, "USD", observation)
        if kind == "fees" and earned.momentum is not None:
            book.measure("fee_momentum", earned.momentum, "fraction", observation)
            book.argue(
                "fee_momentum",
                f"Fees of the last 7 days run {earned.momentum:+.0%} against the last 30",
                observation,
                polarity=squash(earned.momentum, 0.5),
                reliability=0.25,
                metric_names=("fee_momentum",),
            )
        if cap and earned.annual_usd > 0:
            value = cap[0] / earned.annual_usd
            _write_ratio(
                book,
                ratio,
                f"{title} {value:,.0f}: {_usd(cap[0])} over {_usd(earned.annual_usd)} annual {kind}"
                f" (from {earned.days:.0f} d)",
                value,
                anchors,
                (cap[1], observation),
            )


def _write_ratio(
    book: Notebook,
    name: str,
    claim: str,
    value: float,
    anchors: tuple[tuple[float, float], ...],
    observations: tuple[Observation, ...],
) -> None:
    if value > 0 and book.measure(name, value, "ratio", *observations):
        book.argue(
            name,
            claim,
            *observations,
            polarity=between(anchors, math.log10(value)),
            reliability=RATIO_TRUST,
            metric_names=(name,),
        )


def _write_dilution(book: Notebook) -> None:
    circulating = _profile(book, "circulating_supply")
    final = _profile(book, "max_supply") or _profile(book, "total_supply")
    if not circulating or not final:
        return
    dilution = max(0.0, final[0] / circulating[0] - 1.0)
    capped = _profile(book, "max_supply") is not None
    book.labels["supply"] = "capped" if capped else "uncapped"
    book.measure("dilution", dilution, "fraction", circulating[1])
    book.argue(
        "dilution",
        f"Coins still to come: {dilution:.1%} of those in circulation"
        + ("" if capped else " (no maximum supply is set)"),
        circulating[1],
        polarity=between(DILUTION, dilution),
        reliability=0.3 if capped else 0.15,
        metric_names=("dilution",),
    )


def _write_developers(book: Notebook) -> None:
    commits = find_measure(book.inputs, GECKO, "commit_count_4_weeks")
    for name in ("stars", "forks"):
        found = find_measure(book.inputs, GECKO, name)
        if found:
            book.measure(f"developer_{name}", found[0], "count", found[1])
    if commits and commits[0] >= 0:
        book.measure("commits_4_weeks", commits[0], "count", commits[1])
        book.argue(
            "developers",
            f"{commits[0]:.0f} commits to the main repository in four weeks",
            commits[1],
            polarity=between(COMMITS, commits[0]),
            reliability=0.15,
            metric_names=("commits_4_weeks",),
        )


def _usd(value: float) -> str:
    for limit, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if abs(value) >= limit:
            return f"${value / limit:,.2f}{letter}"
    return f"${value:,.0f}"


def _summary(book: Notebook) -> str:
    parts = [
        f"{title} {value:,.1f}"
        for metric, title in (
            ("price_to_fees", "P/F"),
            ("price_to_sales", "P/S"),
            ("cap_to_tvl", "MC/TVL"),
        )
        if (value := book.value(metric)) is not None
    ]
    for metric, title in (("tvl_change_30d", "TVL 30 d"), ("dilution", "dilution")):
        if (value := book.value(metric)) is not None:
            parts.append(f"{title} {value:+.1%}")
    return "Fundamentals: " + ("; ".join(parts) or "only market figures") + "."
