"""What pictures of bars in rows have in common: a row per name, and one scale under all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element  # writes only, reads nothing

from sigmax_tasks.report.svg import Drawing, Scale, round_values

_NARROW = 560
_BAR = {True: 14.0, False: 16.0}
_EDGE = 24.0


@dataclass(frozen=True)
class RowSizes:
    """Of a row, of what is left free beside the bars, and above and below them."""

    row: float
    left: float
    right: float
    margin: float


class RowChart:
    """A picture of ``count`` rows, narrow up to the width of a telephone.

    A name stands before its bar, or above it where the picture is narrow. Rows are counted from 0.
    """

    def __init__(
        self, title: str, width: float, count: int, *, narrow: RowSizes, wide: RowSizes
    ) -> None:
        self.narrow: Final = width < _NARROW
        self.sizes: Final = narrow if self.narrow else wide
        self.font: Final = 11 if self.narrow else 13
        self.top: Final = self.sizes.margin
        self.foot: Final = self.top + self.sizes.row * count
        self.picture: Final = Drawing(width, self.foot + self.sizes.margin, title, class_="chart")

    def scale(self, low: float, high: float) -> Scale:
        """From ``low`` to ``high`` over the width that bars have."""
        return Scale(low, high, self.sizes.left, self.picture.width - self.sizes.right)

    def grid(self, scale: Scale, words: Callable[[float], str], *, base: bool = False) -> None:
        """Lines at round values with ``words`` below; ``base`` marks the line of zero."""
        for value in round_values(scale.low, scale.high, 4 if self.narrow else 8):
            x = scale(value)
            kind = "base" if base and abs(value) < 1e-9 else "grid"
            self.picture.line(x, self.top, x, self.foot, class_=kind)
            beyond = x > self.picture.width - _EDGE
            self.picture.text(
                x,
                self.foot + 16,
                words(value),
                class_="axis",
                text_anchor="start" if x < _EDGE else "end" if beyond else "middle",
                font_size=self.font - 1,
            )

    def row(self, number: int) -> float:
        """Where a row begins."""
        return self.top + number * self.sizes.row

    def line_of(self, number: int) -> float:
        """Where the words beside a bar stand."""
        return self.row(number) + self.sizes.row / 2 + 4

    def name(self, number: int, words: str, *, strong: bool = False) -> None:
        above, kind = self.row(number) + 13, "name strong" if strong else "name"
        if self.narrow:
            self.picture.text(self.sizes.left, above, words, class_=kind, font_size=self.font)
            return
        self.picture.text(
            self.sizes.left - 14,
            self.line_of(number),
            words,
            class_=kind,
            text_anchor="end",
            font_size=self.font,
        )

    def bar(self, number: int, start: float, end: float, kinds: Iterable[str]) -> Element:
        """A bar between two places on the scale."""
        height = _BAR[self.narrow]
        y = self.row(number) + self.sizes.row / 2 - (1 if self.narrow else height / 2)
        return self.picture.rect(
            min(start, end), y, abs(end - start), height, rx=2, class_=" ".join(kinds)
        )
