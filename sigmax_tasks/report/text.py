"""Text for people, as the parts of the report import it."""

from __future__ import annotations

from sigmax_tasks.plain_text import clean_text

__all__ = ["clean_text"]
