"""How limits of an outside service are written."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

_ONE_LIMIT = r"[1-9][0-9]{0,8} ?(/|per) ?([1-9][0-9]{0,5} ?)?(second|minute|hour|day)s?"
LimitText = Annotated[str, Field(pattern=rf"^{_ONE_LIMIT}(; ?{_ONE_LIMIT}){{0,3}}$")]
"""Limits in the notation of the limits library: ``5/second``, ``10 per 6 seconds; 300/hour``."""
