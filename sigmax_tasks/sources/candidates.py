"""Which providers can be asked for which need, in which order; no I/O."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sigmax_planner.models import DataMode, Symbol
from sigmax_tasks.models.observations import (
    Candles,
    DataNeed,
    FearGreed,
    FundingRates,
    Observation,
    OrderBook,
    Payload,
    Series,
    Texts,
    Trades,
)
from sigmax_tasks.settings.sources import SeriesEntry, SourceSettings
from sigmax_tasks.sources.call import observation_id
from sigmax_tasks.sources.registry import Provider

_ABOUT_A_SYMBOL: Final = frozenset({"candles", "ticker", "order_book", "trades", "funding"})


@dataclass(frozen=True)
class Candidate:
    """A provider to ask, for a series under its own name. ``label`` is unique in its lookup."""

    provider_id: str
    label: str
    series: SeriesEntry | None = None


@dataclass(frozen=True)
class Lookup:
    """One thing to find: the first candidate that answers is enough.

    ``spare`` says that other lookups look for the same elsewhere, so that this one may fail.
    """

    need: DataNeed
    candidates: tuple[Candidate, ...]
    spare: bool = False


@dataclass(frozen=True)
class Wanted:
    """Needs that one answer can serve. ``asked`` is the longest of them."""

    asked: DataNeed
    needs: tuple[DataNeed, ...]


def group(
    needs: Sequence[DataNeed], symbol: Symbol, settings: SourceSettings
) -> tuple[Wanted, ...]:
    """The needs without repetition, those with the same answer together, in their order.

    Two needs have the same answer if kind, name, symbol and the providers and their order agree;
    series are kept apart by their source. A need about a market without a symbol is about
    ``symbol``.
    """
    groups: dict[tuple[object, ...], list[DataNeed]] = {}
    for need in dict.fromkeys(needs):
        full = need
        if need.symbol is None and need.kind in _ABOUT_A_SYMBOL:
            full = need.model_copy(update={"symbol": symbol})
        source = settings.data_sources.get(need.source)
        key: tuple[object, ...] = (full.kind, full.name, full.symbol, full.cross_check)
        key += (source.providers, source.combine) if source is not None else (need.source,)
        if need.kind == "series":
            key += (need.source,)
        members = groups.setdefault(key, [])
        if full not in members:
            members.append(full)
    return tuple(
        Wanted(max(members, key=lambda need: need.limit), tuple(members))
        for members in groups.values()
    )


def candidates_of(
    want: Wanted,
    settings: SourceSettings,
    providers: Mapping[str, Provider],
    data_mode: DataMode,
    environ: Mapping[str, str] | None = None,
) -> list[Lookup]:
    """The lookups of a want: one, or one per provider where a source combines them all.

    A cross-check has one lookup for each provider of the source's ``cross_check``. Where all are
    combined, the first lookup goes on to the source's ``fallback``.

    Without providers the list is empty. Providers that lack a key they require are left out, unless
    there is no other.
    """
    need = want.asked
    source = settings.data_sources.get(need.source)
    if source is None:
        return []
    found: list[tuple[str, SeriesEntry | None]]
    if need.kind == "series":
        entries = settings.series.get(need.source, {}).get(need.name, ())
        found = [
            (entry.provider, entry)
            for entry in entries
            if entry.provider in source.providers and entry.covers(need.symbol)
        ]
    else:
        asked = source.cross_check if need.cross_check else source.providers
        found = [(name, None) for name in asked]
    able = [(name, entry) for name, entry in found if _gives(providers[name], need.kind)]
    keyed = [pair for pair in able if _has_key(providers[pair[0]], data_mode, environ)]
    able = keyed or able
    names = [name for name, _ in able]
    chosen = tuple(
        Candidate(name, _label(name, entry, names.count(name) > 1), entry) for name, entry in able
    )
    if need.cross_check:
        return [Lookup(need, (candidate,), spare=len(chosen) > 1) for candidate in chosen]
    if source.combine == "all":
        spare = tuple(
            Candidate(name, name)
            for name in source.fallback
            if need.kind != "series"
            and _gives(providers[name], need.kind)
            and _has_key(providers[name], data_mode, environ)
        )
        return [
            Lookup(
                need,
                (candidate, *spare) if number == 0 else (candidate,),
                spare=len(chosen) > 1,
            )
            for number, candidate in enumerate(chosen)
        ]
    return [Lookup(need, chosen)] if chosen else []


def _gives(provider: Provider, kind: str) -> bool:
    return provider.family.kinds is None or kind in provider.family.kinds


def _has_key(provider: Provider, data_mode: DataMode, environ: Mapping[str, str] | None) -> bool:
    key = provider.settings.key
    if key is None or not key.required:
        return True
    env = os.environ if environ is None else environ
    return data_mode is DataMode.LIVE and bool(env.get(key.env))


def _label(name: str, entry: SeriesEntry | None, twice: bool) -> str:
    return f"{name} {entry.id}" if entry is not None and twice else name


def share_out(observation: Observation, want: Wanted) -> list[Observation]:
    """One observation for each need of the want, under its source and cut to its length."""
    found = []
    for need in want.needs:
        lineage = observation.lineage.model_copy(
            update={
                "source": need.source,
                "observation_id": observation_id(need, observation.lineage.provider),
                "cross_check": need.cross_check,
            }
        )
        found.append(Observation(lineage=lineage, data=cut(observation.data, need.limit)))
    return found


def cut(data: Payload, limit: int) -> Payload:
    """The newest ``limit`` rows (the best levels of each side of a book)."""
    match data:
        case OrderBook():
            update: dict[str, object] = {"bids": data.bids[:limit], "asks": data.asks[:limit]}
        case Texts():
            update = {"items": data.items[-limit:]}
        case Candles() | Trades() | FundingRates() | FearGreed() | Series():
            update = {"rows": data.rows[-limit:]}
        case _:
            return data
    return data.model_copy(update=update)
