"""Correlation: how far this market is its own, and what its leaders' moves mean for it.

Daily log returns against BTC, ETH and the watchlist, each pair on the days both have. The score
rests on relative strength and on the leaders' last moves times beta; both are modest evidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from sigmax_tasks.models.observations import DataNeed, Observation
from sigmax_tasks.models.research import Finding, ResearchInputs
from sigmax_tasks.research.comovement import (
    LeadLag,
    aligned_closes,
    beta,
    lead_lag,
    pearson,
    rolling_beta,
    spearman,
)
from sigmax_tasks.research.scoring import (
    InsufficientDataError,
    Notebook,
    sample_reliability,
    squash,
)
from sigmax_tasks.research.series import (
    FLAT,
    LIMIT_1D,
    CandleSeries,
    FloatArray,
    find_candles,
    log_returns,
)

LEADERS: Final = ("BTC", "ETH")
WINDOWS_DAYS: Final = (30, 90)
ROLLING_BETA_DAYS: Final = 30
ROLLING_SPAN_DAYS: Final = 180
STRENGTH_DAYS: Final = 30
LEADER_MOVE_DAYS: Final = 3
MIN_PAIRS: Final = 20
MAX_PEERS: Final = 12
LEADER_QUOTE: Final = "USDT"


def peers(symbol: str, watchlist: tuple[str, ...]) -> tuple[str, ...]:
    """BTC and ETH in the symbol's quote currency, then the watchlist; not the symbol, at most 12.

    A leader that is itself the quote currency (BTC in ETH/BTC) is taken in USDT.
    """
    base, _, quote = symbol.partition("/")
    wanted = [
        f"{leader}/{quote if leader != quote else LEADER_QUOTE}"
        for leader in LEADERS
        if leader != base
    ]
    named = dict.fromkeys((*wanted, *watchlist))
    return tuple(name for name in named if name != symbol)[:MAX_PEERS]


def needs(symbol: str, watchlist: tuple[str, ...]) -> tuple[DataNeed, ...]:
    """Own daily candles, and those of the peers where there are any."""
    return tuple(
        DataNeed(
            source="price_data",
            kind="candles",
            name="1d",
            symbol=name,
            limit=LIMIT_1D,
            required=name == symbol,
        )
        for name in (symbol, *peers(symbol, watchlist))
    )


def research(inputs: ResearchInputs) -> Finding:
    """The correlation finding.

    InsufficientDataError without own daily candles, or without a peer that shares 21 days.
    """
    own = find_candles(inputs, "price_data", "1d")
    if own is None:
        raise InsufficientDataError(f"correlation of {inputs.symbol} needs its own daily candles")
    notes = Notebook(inputs)
    named = peers(inputs.symbol, inputs.watchlist)
    compared: list[str] = []
    for peer in named:
        other = find_candles(inputs, "price_data", "1d", peer)
        if other is None:
            continue
        pair = _pair(own, other, _tag(peer, compared))
        if pair is not None:
            compared.append(peer)
            _compare(notes, pair)
    if not compared:
        raise InsufficientDataError(
            f"correlation of {inputs.symbol} needs {MIN_PAIRS + 1} days in common with one of "
            f"{', '.join(named)}"
        )
    notes.labels["compared_with"] = ", ".join(compared)
    if len(compared) < len(named):
        notes.labels["not_compared"] = ", ".join(name for name in named if name not in compared)
    _read_strength_among_all(notes, compared)
    return notes.finding(_summary(inputs.symbol, notes, compared))


def _tag(peer: str, earlier: list[str]) -> str:
    """``btc``, or ``btc_usdc`` where that base has already been compared in another quote."""
    base, _, quote = peer.partition("/")
    taken = any(name.partition("/")[0] == base for name in earlier)
    return f"{base}_{quote}".lower() if taken else base.lower()


@dataclass(frozen=True)
class _Pair:
    """Daily log returns of this market and a peer on the days both have, oldest first."""

    peer: str
    tag: str
    own: Observation
    other: Observation
    mine: FloatArray
    theirs: FloatArray

    @property
    def observations(self) -> tuple[Observation, Observation]:
        return self.own, self.other

    @property
    def recent(self) -> tuple[FloatArray, FloatArray]:
        return self.mine[-WINDOWS_DAYS[-1] :], self.theirs[-WINDOWS_DAYS[-1] :]


def _pair(own: CandleSeries, other: CandleSeries, tag: str) -> _Pair | None:
    mine, theirs = aligned_closes(own, other)
    if mine.size <= MIN_PAIRS:
        return None
    return _Pair(
        other.symbol,
        tag,
        own.observation,
        other.observation,
        log_returns(mine),
        log_returns(theirs),
    )


def _compare(notes: Notebook, pair: _Pair) -> None:
    tag, both = pair.tag, pair.observations
    for window in WINDOWS_DAYS:
        if pair.mine.size < min(window, 3 * MIN_PAIRS):
            continue
        a, b = pair.mine[-window:], pair.theirs[-window:]
        notes.measure(f"correlation_{tag}_{window}d", pearson(a, b), "Pearson -1 to 1", *both)
        notes.measure(f"spearman_{tag}_{window}d", spearman(a, b), "Spearman -1 to 1", *both)
    lag = lead_lag(*pair.recent)
    if lag is not None:
        notes.measure(f"lead_lag_{tag}_days", lag.lag, "days, above 0 it leads us", *both)
        notes.measure(f"lead_lag_{tag}_correlation", lag.correlation, "Pearson -1 to 1", *both)
        notes.measure(f"lead_lag_{tag}_bound", lag.bound, "Pearson 0 to 1", *both)
        if lag.significant:
            verb = "leads" if lag.lag > 0 else "follows"
            notes.labels[f"lead_lag_{tag}"] = (
                f"{pair.peer} {verb} by {abs(lag.lag)} d ({lag.correlation:+.2f})"
            )
    _measure_relative_strength(notes, pair)
    if pair.peer.partition("/")[0] in LEADERS:
        _read_leader(notes, pair, lag)


def _measure_relative_strength(notes: Notebook, pair: _Pair) -> None:
    """Own less other log return over 30 days, plain and over the usual size of that gap."""
    gaps = pair.mine - pair.theirs
    span = gaps[-STRENGTH_DAYS:]
    total = float(span.sum())
    usual = float(np.std(gaps[-90:], ddof=1)) * math.sqrt(span.size)
    scaled = total / usual if usual > FLAT else 0.0
    name, both = f"relative_strength_{pair.tag}_30d", pair.observations
    notes.measure(name, total, "log return", *both)
    notes.measure(f"{name}_scaled", scaled, "usual sizes of the gap", *both)


def _read_leader(notes: Notebook, pair: _Pair, lag: LeadLag | None) -> None:
    """Beta and its range, and what the leader's last days times beta make of this market.

    Where the leader leads by k days, beta is that of k days later and its last k days count; else
    its last 3 days at the beta of the same day, trusted as far as the correlation goes.
    """
    tag, both, (mine, theirs) = pair.tag, pair.observations, pair.recent
    slope = beta(mine, theirs)
    if slope is None:
        return
    notes.measure(f"beta_{tag}_90d", slope, "ratio", *both)
    rolling = rolling_beta(
        pair.mine[-ROLLING_SPAN_DAYS:], pair.theirs[-ROLLING_SPAN_DAYS:], ROLLING_BETA_DAYS
    )
    if rolling.size:
        notes.measure(f"beta_{tag}_30d", float(rolling[-1]), "ratio", *both)
        notes.measure(f"beta_{tag}_30d_low", float(rolling.min()), "ratio", *both)
        notes.measure(f"beta_{tag}_30d_high", float(rolling.max()), "ratio", *both)
    span, trust, note = LEADER_MOVE_DAYS, 0.12 * (pearson(mine, theirs) or 0.0) ** 2, ""
    if lag is not None and lag.significant and lag.lag > 0:
        span, trust, note = lag.lag, 0.2, f", and it leads by {lag.lag} d"
        slope = beta(mine[span:], theirs[:-span]) or 0.0
        notes.measure(f"beta_{tag}_leading", slope, "ratio", *both)
    move = float(theirs[-span:].sum())
    implied = slope * move
    usual = float(np.std(mine, ddof=1)) * math.sqrt(span)
    notes.measure(f"implied_move_{tag}", implied, "log return", *both)
    notes.argue(
        f"leader_{tag}",
        f"{pair.peer} moved {math.expm1(move):+.1%} in {span} d; at beta {slope:.2f} that is "
        f"{math.expm1(implied):+.1%} here{note}",
        *both,
        polarity=squash(implied / usual if usual > FLAT else 0.0, 1.5),
        reliability=trust * sample_reliability(mine.size, 30),
        metric_names=(f"beta_{tag}_90d", f"beta_{tag}_leading", f"implied_move_{tag}"),
    )


def _read_strength_among_all(notes: Notebook, compared: list[str]) -> None:
    """Relative strength against all peers: the median of the scaled gaps, and how many it beat."""
    found = [metric for metric in notes.metrics if metric.name.endswith("_30d_scaled")]
    if not found:
        return
    values = [metric.value for metric in found]
    middle = float(np.median(values))
    ahead = sum(value > 0 for value in values)
    ids = {key for metric in found for key in metric.observation_ids}
    cited = [o for o in notes.inputs.observations if o.lineage.observation_id in ids]
    notes.measure("relative_strength_30d_scaled", middle, "usual sizes of the gap", *cited)
    notes.labels["relative_strength"] = (
        "strong" if middle > 0.5 else "weak" if middle < -0.5 else "in line"
    )
    notes.argue(
        "relative_strength",
        f"over {STRENGTH_DAYS} days ahead of {ahead} of {len(values)} compared markets "
        f"({', '.join(compared[:4])}{', ...' if len(compared) > 4 else ''}), median gap "
        f"{middle:+.2f} of its usual size",
        *cited,
        polarity=squash(middle, 1.5),
        reliability=0.2 * sample_reliability(len(values), 1),
        metric_names=[metric.name for metric in found] + ["relative_strength_30d_scaled"],
    )


def _summary(symbol: str, notes: Notebook, compared: list[str]) -> str:
    parts = []
    for leader in LEADERS:
        share = notes.value(f"correlation_{leader.lower()}_90d")
        slope = notes.value(f"beta_{leader.lower()}_90d")
        if share is not None and slope is not None:
            parts.append(f"correlation {share:+.2f} and beta {slope:.2f} to {leader} over 90 d")
    strength = notes.labels.get("relative_strength")
    if strength is not None:
        parts.append(f"relative strength {strength} among {len(compared)} markets")
    leads = [text for key, text in notes.labels.items() if key.startswith("lead_lag_")]
    return f"{symbol}: " + "; ".join(parts + leads[:2]) + "."
