"""XML and CSV of strangers: no document types, no entities, no more parts than can be needed."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from sigmax_tasks.sources.call import Call

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_TAGS: Final = 200_000
"""A parsed element takes some hundred bytes, however short its tag."""
MAX_LINE: Final = 10_000
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")


def parse_xml(call: Call, body: bytes) -> Element:
    """The root element; :class:`BadPayloadError` for anything that is not harmless XML."""
    # Local: only runs that read XML pay for its libraries.
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    if not body.strip():
        raise call.bad("empty body")
    if body.count(b"<") > MAX_TAGS:
        raise call.bad(f"XML of more than {MAX_TAGS} tags")
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except DefusedXmlException as error:
        raise call.bad("it declares a document type or entities") from error
    except (ParseError, ValueError, LookupError) as error:
        raise call.bad("not well-formed XML") from error
    return root


def csv_rows(call: Call, text: str) -> Iterator[list[str]]:
    """The lines that hold anything, as fields; :class:`BadPayloadError` for what is no CSV."""
    start = text[:200].lstrip()[:1]
    if start in {"<", "{"}:
        what = "page of HTML" if start == "<" else "message"
        raise call.bad(f"a {what} in place of CSV")
    lines = csv.reader(_lines(call, text))
    while True:
        try:
            line = next(lines, None)
        except csv.Error as error:
            raise call.bad(f"not CSV: {error}") from error
        if line is None:
            return
        if line:
            yield line


def _lines(call: Call, text: str) -> Iterator[str]:
    """One at a time, so that a long text is not held twice."""
    for found in _LINE.finditer(text):
        if found.end() - found.start() > MAX_LINE:
            raise call.bad(f"a line of more than {MAX_LINE} characters")
        yield found.group()
