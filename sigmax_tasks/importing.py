"""Importing much at once, such as at the start of a command or a worker."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def much_is_imported() -> Iterator[None]:
    """Keeps the garbage collector away from what the block imports.

    Modules stay to the end: looking through them while they are loaded takes a tenth of their time,
    and once more as long when the interpreter leaves.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
