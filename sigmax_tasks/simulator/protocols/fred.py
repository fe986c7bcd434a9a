"""FRED's keyless CSV and the Treasury's yield curve document."""

from __future__ import annotations

import re
from typing import Final

from sigmax_tasks.simulator.protocols.reply import Reply, Request, iso, text_reply, unknown_path
from sigmax_tasks.simulator.world import UnknownNameError, World

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_SERIES: Final = re.compile(r"[A-Z0-9]{1,30}")
_TREASURY_PATH: Final = "/resource-center/data-chart-center/interest-rates/pages/xml"
_SERVICES: Final = "http://schemas.microsoft.com/ado/2007/08/dataservices"


def answer(world: World, request: Request) -> Reply:
    if request.path != "/graph/fredgraph.csv":
        return unknown_path(request)
    series_id = request.text("id")
    since, until = request.text("cosd"), request.text("coed")
    if not _SERIES.fullmatch(series_id):
        return _missing()
    for bound in (since, until):
        if bound and not _DATE.fullmatch(bound):
            return text_reply("<html><body>Bad Request</body></html>", "text/html", 400)
    try:
        rows = world.economic_series(series_id)
    except UnknownNameError:
        return _missing()
    lines = [f"observation_date,{series_id}"]
    lines += [
        f"{row.date},{'' if row.value is None else _number(row.value)}"
        for row in rows
        if (not since or row.date >= since) and (not until or row.date <= until)
    ]
    return text_reply("\n".join(lines) + "\n", "application/csv")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) > 1000 else repr(value)


def _missing() -> Reply:
    return text_reply("<html><body><h1>404 Not Found</h1></body></html>", "text/html", 404)


def answer_treasury(world: World, request: Request) -> Reply:
    if request.path != _TREASURY_PATH:
        return unknown_path(request)
    if request.text("data") != "daily_treasury_yield_curve":
        return text_reply("<html><body>Page not found</body></html>", "text/html", 404)
    month, year = request.text("field_tdr_date_value_month"), request.text("field_tdr_date_value")
    prefix = f"{month[:4]}-{month[4:6]}" if month else year
    entries = []
    for number, row in enumerate(world.yield_curve()):
        if prefix and row.date.startswith(prefix):
            fields = "".join(
                f'<d:{tag} m:type="Edm.Double">{value:.2f}</d:{tag}>'
                for tag, value in (
                    *row.yields.items(),
                    ("BC_30YEARDISPLAY", row.yields["BC_30YEAR"]),
                )
            )
            entries.append(
                "<entry><id>https://home.treasury.gov/resource-center/data-chart-center/"
                "interest-rates/pages/xml-item?data=daily_treasury_yield_curve&amp;id="
                f'{number}</id><title type="text"></title><updated>{iso(world.now_ms, 0)}</updated>'
                '<author><name /></author><content type="application/xml"><m:properties>'
                f'<d:Id m:type="Edm.Int32">{number}</d:Id>'
                f'<d:NEW_DATE m:type="Edm.DateTime">{row.date}T00:00:00</d:NEW_DATE>'
                f"{fields}</m:properties></content></entry>"
            )
    text = (
        '<?xml version="1.0" encoding="utf-8" standalone="yes" ?>\n'
        f'<feed xml:base="https://home.treasury.gov{_TREASURY_PATH}" xmlns:d="{_SERVICES}" '
        f'xmlns:m="{_SERVICES}/metadata" xmlns="http://www.w3.org/2005/Atom">'
        '<title type="text">DailyTreasuryYieldCurveRateData</title>'
        f"<updated>{iso(world.now_ms, 0)}</updated>{''.join(entries)}</feed>"
    )
    return text_reply(text, "text/xml; charset=UTF-8")
