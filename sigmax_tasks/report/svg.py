"""Writes SVG: elements, scales, round axis values, labels that keep clear of each other.

Colours are CSS classes of the page, so that one drawing serves the light and the dark theme and
the printer. Text and attributes are escaped by ElementTree; control characters are taken out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET  # writes only, reads nothing

from markupsafe import Markup

from sigmax_tasks.report.text import clean_text

Number = float | int
Attribute = str | float | int


def number_text(value: Number) -> str:
    """Up to two decimals: a hundredth of a pixel is enough, and keeps pages small."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


class Drawing:
    """One picture of ``width`` x ``height`` units. ``title`` is what a screen reader says.

    Attribute names are given as in Python: ``class_``, ``text_anchor``.
    """

    def __init__(
        self, width: Number, height: Number, title: str, *, class_: str = "", stretch: bool = False
    ) -> None:
        self.width, self.height = width, height
        self._root = ET.Element(
            "svg",
            {
                "viewBox": f"0 0 {number_text(width)} {number_text(height)}",
                "role": "img",
                "aria-label": clean_text(title),
            },
        )
        if class_:
            self._root.set("class", class_)
        if stretch:
            self._root.set("preserveAspectRatio", "none")
        self._open = [self._root]

    def add(self, tag: str, /, **attributes: Attribute) -> ET.Element:
        """An element inside the open group."""
        element = ET.SubElement(self._open[-1], tag)
        for name, value in attributes.items():
            key = name.rstrip("_")
            text = value if isinstance(value, str) else number_text(value)
            element.set(key if key == "viewBox" else key.replace("_", "-"), clean_text(text))
        return element

    def begin(self, **attributes: Attribute) -> None:
        """Open a group."""
        self._open.append(self.add("g", **attributes))

    def end(self) -> None:
        """Close the group that was opened last."""
        self._open.pop()

    def rect(
        self, x: Number, y: Number, width: Number, height: Number, **attributes: Attribute
    ) -> ET.Element:
        return self.add("rect", x=x, y=y, width=max(0, width), height=max(0, height), **attributes)

    def line(
        self, x1: Number, y1: Number, x2: Number, y2: Number, **attributes: Attribute
    ) -> ET.Element:
        return self.add("line", x1=x1, y1=y1, x2=x2, y2=y2, **attributes)

    def path(self, d: str, **attributes: Attribute) -> None:
        """A path; its data may be long and are not shortened."""
        if d:
            self.add("path", **attributes).set("d", d)

    def text(self, x: Number, y: Number, words: str, **attributes: Attribute) -> None:
        self.add("text", x=x, y=y, **attributes).text = clean_text(words)

    def clip(self, name: str, x: Number, y: Number, width: Number, height: Number) -> None:
        """Define the rectangle ``url(#name)`` for ``clip_path``."""
        self._open.append(self.add("clipPath", id=name))
        self.rect(x, y, width, height)
        self._open.pop()

    def note(self, element: ET.Element, words: str) -> None:
        """What a pointer that rests on the element is told."""
        ET.SubElement(element, "title").text = clean_text(words, limit=1000)

    def markup(self) -> Markup:
        text = ET.tostring(self._root, encoding="unicode", short_empty_elements=True)
        return Markup(text)  # noqa: S704  # every text and attribute went through ElementTree


@dataclass(frozen=True)
class Scale:
    """A straight line through (``low``, ``start``) and (``high``, ``end``)."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high - self.low
        share = (value - self.low) / span if span else 0.5
        return self.start + share * (self.end - self.start)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high

    def clamp(self, value: float) -> float:
        """The place of the nearest value that is on the scale."""
        return self(min(self.high, max(self.low, value)))


def round_values(low: float, high: float, about: int) -> tuple[float, ...]:
    """Multiples of 1, 2 or 5 x 10^n inside [low, high], close to ``about`` of them."""
    span = high - low
    if not span > 0 or about < 1:
        return (low,)
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple(i * step for i in range(first, last + 1))


def polyline(points: Sequence[tuple[float, float] | None]) -> str:
    """Path data; None is a break in the line."""
    parts = []
    drawing = False
    for point in points:
        if point is None:
            drawing = False
            continue
        parts.append(f"{'L' if drawing else 'M'}{number_text(point[0])} {number_text(point[1])}")
        drawing = True
    return "".join(parts)


def spread(places: Sequence[float], gap: float, low: float, high: float) -> tuple[float, ...]:
    """The places moved as little as needed to be ``gap`` apart and inside [low, high].

    They keep their order. Where there are too many for the room, they share it evenly.
    """
    count = len(places)
    if count == 0:
        return ()
    order = sorted(range(count), key=lambda i: (places[i], i))
    gap = min(gap, (high - low) / max(1, count - 1))
    # Clusters of labels that touch are centred on the mean of the places they stand for.
    clusters: list[list[float]] = []  # [sum of places, number, top]
    for index in order:
        clusters.append([places[index], 1.0, places[index]])
        while len(clusters) > 1:
            upper, lower = clusters[-2], clusters[-1]
            if upper[2] + upper[1] * gap <= lower[2] + 1e-9:
                break
            total, number = upper[0] + lower[0], upper[1] + lower[1]
            top = total / number - gap * (number - 1) / 2
            clusters[-2:] = [[total, number, top]]
        last = clusters[-1]
        last[2] = min(max(last[2], low), high - gap * (last[1] - 1))
    moved: list[float] = []
    for _, number, top in clusters:
        moved += [top + gap * i for i in range(int(number))]
    floor = high
    for i in range(count - 1, -1, -1):
        moved[i] = min(moved[i], floor)
        floor = moved[i] - gap
    result = [0.0] * count
    for place, index in zip(moved, order, strict=True):
        result[index] = place
    return tuple(result)
