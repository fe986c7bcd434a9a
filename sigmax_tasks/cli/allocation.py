"""The allocation over the decisions of one command."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from itertools import chain

from sigmax_tasks.client import Client
from sigmax_tasks.errors import RunNotFoundError
from sigmax_tasks.models.allocation import Allocation
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.settings import Settings


def prepare_allocation() -> None:
    """Import what shares out: a second of scikit-learn that is better spent while workers work."""
    importlib.import_module("sigmax_tasks.stages.allocate")


def allocation_of(client: Client, settings: Settings, records: Sequence[RunRecord]) -> Allocation:
    """Reads the candles that the runs with a position were given; a run without counts as such.

    Raises :class:`AllocationError`.
    """
    # scikit-learn and scipy; a decision on one symbol shares nothing.
    from sigmax_tasks.stages.allocate import allocate, daily_closes

    closes = {}
    for record in records:
        symbol = record.decision.symbol
        if record.decision.size_fraction <= 0:
            continue
        try:
            dossier = client.dossier(record.run_id)
        except RunNotFoundError:  # cancelled or expired meanwhile; the allocation says so
            continue
        closes[symbol] = daily_closes(symbol, chain.from_iterable(dossier.observations.values()))
    return allocate([record.decision for record in records], closes, settings.decision)
