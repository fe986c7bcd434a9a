"""How several decisions share the equity, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from sigmax_tasks.models.allocation import Allocation
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.report.layout import indented, plain_table
from sigmax_tasks.report.numbers import percent
from sigmax_tasks.report.text import clean_text


def allocation_view(allocation: Allocation, records: Sequence[RunRecord]) -> RenderableType:
    """The positions that are taken, with what each would get alone, and the arithmetic."""
    head = Text.assemble(
        ("Allocation", "bold"), f"  {percent(allocation.total_fraction)} of equity"
    )
    if allocation.volatility_annual is not None:
        head.append(f", volatility {percent(allocation.volatility_annual)} a year")
    table = plain_table()
    table.add_column("symbol", no_wrap=True, max_width=16, overflow="ellipsis")
    table.add_column("action", no_wrap=True)
    for name in ("alone", "allocated", "of total"):
        table.add_column(name, justify="right", no_wrap=True)
    for record in records:
        decision = record.decision
        share = allocation.share_of(decision.symbol)
        if share is not None and decision.size_fraction > 0:
            table.add_row(
                Text(decision.symbol),
                decision.action.value,
                percent(decision.size_fraction),
                percent(share.fraction),
                percent(share.of_total),
            )
    parts: list[RenderableType] = [Text(), head]
    if table.row_count:
        parts.append(indented(table))
    parts += [Text(f"  {clean_text(step)}", style="dim") for step in allocation.steps]
    return Group(*parts)
