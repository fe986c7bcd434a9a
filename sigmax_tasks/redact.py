"""Takes secrets out of text before it is shown or logged."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")


def redact_url(text: str) -> str:
    """``redis://:secret@host/0`` -> ``redis://***@host/0``; any number of addresses in the text."""
    return _CREDENTIALS.sub("***@", text)
