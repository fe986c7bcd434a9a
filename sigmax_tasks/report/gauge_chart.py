"""Validation as ring gauges: a share of the ring is filled, the threshold is a notch in it."""

from __future__ import annotations

import math

from markupsafe import Markup

from sigmax_tasks.report.svg import Drawing, number_text

_OPENING = 90.0  # degrees at the bottom that the ring leaves free


def gauge(share: float, label: str, *, threshold: float | None = None, good: bool) -> Markup:
    """``share`` from 0 to 1; ``good`` is its colour."""
    size, middle, radius = 132.0, 66.0, 52.0
    picture = Drawing(size, 134, f"{label} {share:.4f}", class_="gauge")
    picture.path(_arc(middle, radius, 0.0, 1.0), class_="ring")
    if share > 0:
        state = "good" if good else "poor"
        picture.path(_arc(middle, radius, 0.0, min(1.0, share)), class_=f"ring filled {state}")
    if threshold is not None:
        inner, outer = (_point(middle, r, threshold) for r in (radius - 9, radius + 9))
        picture.line(*inner, *outer, class_="notch")
    picture.text(
        middle, middle + 6, f"{share:.2f}", class_="figure", text_anchor="middle", font_size=26
    )
    picture.text(middle, 128, label, class_="name", text_anchor="middle", font_size=13)
    return picture.markup()


def _point(middle: float, radius: float, share: float) -> tuple[float, float]:
    turn = math.radians(90.0 + _OPENING / 2 + share * (360.0 - _OPENING))
    return middle + radius * math.cos(turn), middle + radius * math.sin(turn)


def _arc(middle: float, radius: float, start: float, end: float) -> str:
    x1, y1 = _point(middle, radius, start)
    x2, y2 = _point(middle, radius, end)
    large = 1 if (end - start) * (360.0 - _OPENING) > 180.0 else 0
    r = number_text(radius)
    return (
        f"M{number_text(x1)} {number_text(y1)}"
        f"A{r} {r} 0 {large} 1 {number_text(x2)} {number_text(y2)}"
    )
