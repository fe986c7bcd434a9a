"""Makes text from the outside harmless and short enough to show on one line."""

from __future__ import annotations

import re
import unicodedata

# Terminal sequences as a whole (colour, cursor, title, links), so that no rest of one is left.
_SEQUENCES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|$)"  # OSC ... BEL or ST
    r"|\x1b[PX^_].*?(?:\x1b\\|$)"  # DCS, SOS, PM, APC ... ST
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI
    r"|\x1b[ -/]*[0-~]?",  # all other escapes
    re.DOTALL,
)


def clean_text(text: object, *, limit: int = 400) -> str:
    """One line without terminal sequences, control, format and surrogate characters.

    White space of any kind becomes single spaces; what is over ``limit`` characters ends in
    ``...``. Categories Cc, Cf, Cs and Co go: these hold escapes, direction overrides, zero-width
    characters and private glyphs.
    """
    spaced = " ".join(_SEQUENCES.sub("", str(text)).split())
    kept = "".join(c for c in spaced if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co"})
    kept = " ".join(kept.split())
    return kept if len(kept) <= limit else f"{kept[: limit - 3].rstrip()}..."
