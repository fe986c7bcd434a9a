"""How many variants were tried on the same data: every evaluation is counted, by itself.

A ledger in the data folder, one JSON line for each. The deflated Sharpe ratio needs their number,
and who counts by hand forgets some.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sigmax_tasks.errors import EvaluationError
from sigmax_tasks.whole_file import make_private

_MOST_BYTES = 50_000_000


@dataclass(frozen=True)
class Variant:
    """``data`` is the hash of recordings, symbols and span; ``variant`` that of what was decided.

    ``sharpe`` is per step, None where nothing varied.
    """

    data: str
    variant: str
    sharpe: float | None


def note_variant(path: Path, new: Variant) -> tuple[int, float | None]:
    """Write it down, once, and give how many there are on its data, and the variance of theirs.

    The variance is that of the Sharpe ratios per step, None for less than two.
    """
    known = {(v.data, v.variant): v for v in _read(path)}
    if (new.data, new.variant) not in known:
        line = json.dumps({"data": new.data, "variant": new.variant, "sharpe": new.sharpe})
        try:
            make_private(path.parent)
            with path.open("a", encoding="utf-8") as ledger:
                ledger.write(f"{line}\n")
        except OSError as error:
            raise EvaluationError(f"{path} cannot be written: {error.strerror}") from error
    known[new.data, new.variant] = new
    mine = [v for v in known.values() if v.data == new.data]
    ratios = [v.sharpe for v in mine if v.sharpe is not None]
    return len(mine), float(np.var(ratios, ddof=1)) if len(ratios) > 1 else None


def _read(path: Path) -> list[Variant]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise EvaluationError(
                f"{path} is larger than {_MOST_BYTES:,} bytes", advice="move it away"
            )
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}") from error
    found = []
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            found.append(Variant(values["data"], values["variant"], values["sharpe"]))
        except (ValueError, KeyError, TypeError) as error:
            raise EvaluationError(
                f"{path} line {number} is not a variant", advice="mend the line or remove it"
            ) from error
    return found
