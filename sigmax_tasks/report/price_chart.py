"""The price chart: candles, averages, bands, levels, the position ahead, volume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from sigmax_tasks.candles import CandleRow
from sigmax_tasks.models.decision import Action
from sigmax_tasks.report.numbers import hours_text, percent, price
from sigmax_tasks.report.price_model import PricePanel
from sigmax_tasks.report.svg import Drawing, Scale, number_text, polyline, round_values, spread

_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Frame:
    """Sizes of one rendering in units of the picture. ``inside``: axis values inside the plot."""

    width: float
    candles: int
    left: float
    right: float
    price_height: float
    volume_height: float
    font: float
    inside: bool

    top = 12.0
    gap = 12.0
    axis = 24.0

    @property
    def plot_right(self) -> float:
        return self.width - self.right

    @property
    def price_bottom(self) -> float:
        return self.top + self.price_height

    @property
    def volume_top(self) -> float:
        return self.price_bottom + self.gap

    @property
    def volume_bottom(self) -> float:
        return self.volume_top + self.volume_height

    @property
    def height(self) -> float:
        return self.volume_bottom + self.axis


WIDE = Frame(1120, 160, 72, 184, 350, 74, 12, inside=False)
NARROW = Frame(360, 60, 2, 112, 250, 50, 11, inside=True)


def price_chart(panel: PricePanel, frame: Frame, key: str) -> Markup:
    """``key`` names the candle data that the page's script reads for the cross-hair."""
    return _PriceChart(panel, frame).draw(key)


def tag_price(value: float, like: float, *, short: bool) -> str:
    """A price for a label; short ones of large prices have no decimals."""
    return f"{value:,.0f}" if short and like >= 1000 else price(value, like=like)


def compact(value: float) -> str:
    """``95.3 k``, ``1.2 M``: three digits are enough to compare."""
    for size, word in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{word}"
    return f"{value:.3g}"


class _PriceChart:
    def __init__(self, panel: PricePanel, frame: Frame) -> None:
        self.panel, self.frame = panel, frame
        self.first = max(0, len(panel.rows) - frame.candles)
        self.rows = panel.rows[self.first :]
        ahead = panel.horizon_ms / panel.slot_ms if panel.stop is not None else 0.0
        # The position ahead is drawn to the scale of time, in at most a quarter of the plot.
        self.ahead = min(ahead, max(6.0, len(self.rows) * 0.3))
        self.cut = ahead > self.ahead
        slots = len(self.rows) + self.ahead + 1.5
        self.slot = (frame.plot_right - frame.left) / slots
        self.prices = self._price_scale()
        top = max((row[5] for row in self.rows), default=0.0)
        self.volumes = Scale(0.0, top or 1.0, frame.volume_bottom, frame.volume_top)
        self.picture = Drawing(
            frame.width,
            frame.height,
            f"{panel.symbol} candles of {panel.timeframe} with indicators, levels and volume",
            class_="chart",
        )

    def draw(self, key: str) -> Markup:
        picture, frame = self.picture, self.frame
        self._price_axis()
        self._time_axis()
        clip = f"clip-{key}-{int(frame.width)}"
        width = frame.plot_right - frame.left
        # Lines that leave the range of prices end at the edge of the plot.
        picture.clip(clip, frame.left, frame.top, width, frame.price_height)
        picture.begin(clip_path=f"url(#{clip})")
        self._band()
        self._position()
        self._levels()
        self._averages()
        self._candles()
        picture.end()
        self._volume()
        self._as_of()
        self._tags()
        self._cross_hair(key)
        return picture.markup()

    def _price_scale(self) -> Scale:
        panel, frame = self.panel, self.frame
        marks = [v for v in (panel.entry, panel.stop, panel.target) if v is not None]
        low = min([row[3] for row in self.rows] + marks)
        high = max([row[2] for row in self.rows] + marks)
        room = (high - low) * 0.04 or abs(high) * 0.01 or 1.0
        return Scale(low - room, high + room, frame.price_bottom, frame.top)

    def _x(self, place: float) -> float:
        """Place 0 is the left edge of the first candle."""
        return self.frame.left + place * self.slot

    def _middle(self, index: int) -> float:
        return self._x(index + 0.5)

    def _price_axis(self) -> None:
        frame, picture = self.frame, self.picture
        for value in round_values(self.prices.low, self.prices.high, 6 if not frame.inside else 5):
            y = self.prices(value)
            picture.line(frame.left, y, frame.plot_right, y, class_="grid")
            words = _axis_price(value, self.prices.high - self.prices.low)
            if frame.inside:
                picture.text(frame.left + 2, y - 3, words, class_="axis", font_size=frame.font - 1)
            else:
                picture.text(
                    frame.left - 8,
                    y + 4,
                    words,
                    class_="axis",
                    text_anchor="end",
                    font_size=frame.font,
                )

    def _time_axis(self) -> None:
        frame, picture = self.frame, self.picture
        for index, words in _time_labels(self.rows, self.slot, 62 if frame.inside else 84):
            x = self._middle(index)
            picture.line(x, frame.top, x, frame.volume_bottom, class_="grid")
            picture.text(
                x,
                frame.volume_bottom + 16,
                words,
                class_="axis",
                text_anchor="middle",
                font_size=frame.font,
            )

    def _points(self, values: Sequence[float | None]) -> list[tuple[float, float] | None]:
        return [
            None if value is None else (self._middle(i), self.prices(value))
            for i, value in enumerate(values[self.first :])
        ]

    def _band(self) -> None:
        upper = [p for p in self._points(self.panel.upper) if p is not None]
        lower = [p for p in self._points(self.panel.lower) if p is not None]
        if not upper:
            return
        picture = self.picture
        picture.begin(class_="line-bollinger")
        picture.path(f"{polyline([*upper, *reversed(lower)])}Z", class_="band")
        picture.path(polyline(upper), class_="band-edge")
        picture.path(polyline(lower), class_="band-edge")
        picture.end()

    def _averages(self) -> None:
        for average in self.panel.averages:
            self.picture.path(
                polyline(self._points(average.values)), class_=f"average line-{average.key}"
            )

    def _levels(self) -> None:
        for level in self.panel.levels:
            if self.prices.holds(level.price):
                y = self.prices(level.price)
                self.picture.line(
                    self.frame.left, y, self.frame.plot_right, y, class_=f"level {level.side}"
                )

    def _position(self) -> None:
        panel, picture = self.panel, self.picture
        if panel.entry is None:
            return
        entry = self.prices(panel.entry)
        picture.line(self.frame.left, entry, self.frame.plot_right, entry, class_="mark entry")
        start = self._x(self._as_of_place())
        width = min(self.ahead * self.slot, self.frame.plot_right - start)
        for value, side in ((panel.target, "target"), (panel.stop, "stop")):
            if value is None:
                continue
            y = self.prices(value)
            picture.rect(start, min(y, entry), width, abs(y - entry), class_=f"zone {side}")
            picture.line(start, y, self.frame.plot_right, y, class_=f"mark {side}")

    def _candles(self) -> None:
        body = max(1.0, min(11.0, self.slot * 0.68))
        paths: dict[str, list[str]] = {"up": [], "down": []}
        for i, row in enumerate(self.rows):
            _, opened, high, low, closed, _ = row
            x = self._middle(i)
            top, bottom = self.prices(max(opened, closed)), self.prices(min(opened, closed))
            bottom = max(bottom, top + 0.8)
            side = "up" if closed >= opened else "down"
            left = number_text(x - body / 2)
            paths[side].append(
                f"M{number_text(x)} {number_text(self.prices(high))}"
                f"V{number_text(self.prices(low))}"
                f"M{left} {number_text(top)}h{number_text(body)}"
                f"V{number_text(bottom)}h-{number_text(body)}Z"
            )
        for side, parts in paths.items():
            self.picture.path("".join(parts), class_=f"candle {side}")

    def _volume(self) -> None:
        frame, picture = self.frame, self.picture
        body = max(1.0, min(11.0, self.slot * 0.68))
        paths: dict[str, list[str]] = {"up": [], "down": []}
        for i, row in enumerate(self.rows):
            y = self.volumes(row[5])
            side = "up" if row[4] >= row[1] else "down"
            paths[side].append(
                f"M{number_text(self._middle(i) - body / 2)} {number_text(frame.volume_bottom)}"
                f"V{number_text(y)}h{number_text(body)}V{number_text(frame.volume_bottom)}Z"
            )
        for side, parts in paths.items():
            picture.path("".join(parts), class_=f"volume {side}")
        picture.line(
            frame.left, frame.volume_bottom, frame.plot_right, frame.volume_bottom, class_="base"
        )
        words = f"volume, {self.panel.base}" if not frame.inside else "volume"
        x = frame.plot_right + 8
        picture.text(x, frame.volume_top + 10, words, class_="axis", font_size=frame.font)
        picture.text(
            x,
            frame.volume_top + 10 + frame.font * 1.3,
            f"max {compact(self.volumes.high)}",
            class_="axis",
            font_size=frame.font,
        )

    def _as_of_place(self) -> float:
        """In candles from the left edge; between the last close and the edge of the plot."""
        place = (self.panel.as_of_ms - self.rows[-1][0]) / self.panel.slot_ms
        return len(self.rows) - 1 + min(max(place, 1.0), 1.5)

    def _as_of(self) -> None:
        frame, panel = self.frame, self.panel
        x = self._x(self._as_of_place())
        self.picture.line(x, frame.top, x, frame.volume_bottom, class_="as-of")
        labels = [(x - 4, "as of", "end")]
        if panel.stop is not None:
            end = min(x + self.ahead * self.slot, frame.plot_right)
            words = "horizon" if self.cut else f"+{hours_text(panel.horizon_ms / 3_600_000)}"
            wide_enough = end - x >= 62
            labels.append((end, words, "end") if wide_enough else (end + 6, words, "start"))
        for place, words, anchor in labels:
            self.picture.text(
                place,
                frame.volume_bottom + 16,
                words,
                class_="axis strong",
                text_anchor=anchor,
                font_size=frame.font,
            )

    def _tags(self) -> None:
        panel, frame = self.panel, self.frame
        like = self.rows[-1][4]
        short = frame.inside or like >= 10_000
        tags: list[tuple[float, str, str]] = []
        word = "ref." if panel.action is Action.HOLD else "entry"
        for value, name, side in (
            (panel.entry, word, "entry"),
            (panel.stop, "stop", "stop"),
            (panel.target, "target", "target"),
        ):
            if value is None:
                continue
            words = f"{name} {tag_price(value, like, short=short)}"
            if not frame.inside and side != "entry" and panel.entry:
                words += f"  {percent(value / panel.entry - 1, signed=True)}"
            tags.append((value, words, side))
        for level in panel.levels:
            if self.prices.holds(level.price):
                words = f"{level.name} {tag_price(level.price, like, short=short)}"
                if not frame.inside and level.touches is not None:
                    words += f"  {level.touches} x"
                tags.append((level.price, words, level.side))
        height = frame.font + 6
        places = spread(
            [self.prices(value) for value, _, _ in tags],
            height + 2,
            frame.top + height / 2,
            frame.price_bottom - height / 2,
        )
        x = frame.plot_right + 12
        for (value, words, side), y in zip(tags, places, strict=True):
            self.picture.path(
                polyline([(frame.plot_right, self.prices(value)), (x, y)]), class_=f"lead {side}"
            )
            self.picture.rect(
                x, y - height / 2, frame.width - x, height, rx=3, class_=f"tag {side}"
            )
            self.picture.text(
                x + 5, y + frame.font * 0.36, words, class_=f"tag-text {side}", font_size=frame.font
            )

    def _cross_hair(self, key: str) -> None:
        frame, picture = self.frame, self.picture
        picture.line(
            frame.left,
            frame.top,
            frame.left,
            frame.volume_bottom,
            class_="cross",
            visibility="hidden",
        )
        picture.rect(
            frame.left,
            frame.top,
            frame.plot_right - frame.left,
            frame.volume_bottom - frame.top,
            class_="touch",
            data_candles=key,
            data_left=frame.left,
            data_slot=f"{self.slot:.5f}",
            data_first=self.first,
            data_count=len(self.rows),
            data_width=frame.width,
        )


def _axis_price(value: float, span: float) -> str:
    decimals = max(0, min(10, 1 - math.floor(math.log10(span)))) if span > 0 else 2
    return f"{value:,.{decimals if span < 50 else 0}f}"


def _time_labels(rows: Sequence[CandleRow], slot: float, room: float) -> list[tuple[int, str]]:
    """(candle, words) where a day, a month or a year begins, at least ``room`` units apart."""
    moments = [datetime.fromtimestamp(row[0] / 1000, UTC) for row in rows]
    days = (rows[-1][0] - rows[0][0]) / _DAY_MS
    if days > 100:
        starts = [i for i, m in enumerate(moments) if i and m.month != moments[i - 1].month]
        words = [f"{m:%Y}" if m.month == 1 else f"{m:%b}" for m in moments]
    elif days > 2:
        starts = [i for i, m in enumerate(moments) if i and m.date() != moments[i - 1].date()]
        words = [f"{m.day} {m:%b}" for m in moments]
    else:
        starts = list(range(1, len(rows)))
        words = [f"{m:%H:%M}" for m in moments]
    if not starts:
        starts = [0]
    apart = (starts[-1] - starts[0]) / max(1, len(starts) - 1) * slot
    step = max(1, math.ceil(room / apart)) if apart else 1
    kept = list(reversed(starts[::-1][::step]))
    last = len(rows) - 66 / slot  # the label of as-of stands there
    return [(i, words[i]) for i in kept if room / 3 / slot <= i <= last or len(kept) == 1]
