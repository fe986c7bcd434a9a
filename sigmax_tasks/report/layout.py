"""Building blocks of the views: grids, headed blocks, lists, bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sigmax_tasks.report.text import clean_text

_BAR_CELLS = 10


def grid(columns: int) -> Table:
    """A table without lines; long text folds inside its column."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(columns):
        table.add_column(overflow="fold")
    return table


def plain_table(*, gap: int = 2) -> Table:
    """A table with a dim head and no lines, ``gap`` spaces between columns."""
    return Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="dim")


def indented(content: RenderableType) -> RenderableType:
    return Padding(content, (0, 0, 0, 2))


def block(name: str, content: RenderableType, *, note: str = "") -> list[RenderableType]:
    """An empty line, a heading, the content."""
    return [Text(), Text.assemble((name, "bold"), (f"  {note}" if note else "", "dim")), content]


def bullets(name: str, lines: Sequence[str], style: str = "bold") -> list[RenderableType]:
    """A headed list of outside text; nothing for no lines."""
    if not lines:
        return []
    table = grid(2)
    for line in lines:
        table.add_row("-", Text(clean_text(line)))
    return [Text(), Text(name, style=style), indented(table)]


class Bar:
    """A share in [0, 1] as ten cells; ``#`` where the terminal has no block characters."""

    def __init__(self, share: float) -> None:
        self._cells = round(min(1.0, max(0.0, share)) * _BAR_CELLS)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        full, empty = ("#", ".") if options.ascii_only else ("\u2588", "\u2591")
        yield Text.assemble(
            (full * self._cells, "cyan"), (empty * (_BAR_CELLS - self._cells), "dim")
        )

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(_BAR_CELLS, _BAR_CELLS)
