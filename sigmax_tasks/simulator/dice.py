"""Random numbers by place instead of by turn.

A draw depends only on a key and an index, so any stretch of a series can be made on its own and is
always the same. The mixing function is SplitMix64 (Steele, Lea, Flood 2014).
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Keys = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def key(*parts: object) -> np.uint64:
    """A stream's key from its name; the same parts give the same key on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return np.uint64(int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big"))


def uniform(stream: np.uint64 | Keys, index: Integers) -> Floats:
    """Uniform draws in the open interval (0, 1), one for each index."""
    state = np.asarray(index).astype(np.uint64) * _GOLDEN + np.asarray(stream)
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    state ^= state >> np.uint64(31)
    draws: Floats = ((state >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return draws


def normal(stream: np.uint64 | Keys, index: Integers) -> Floats:
    """Standard normal draws (Box and Muller 1958)."""
    doubled = np.asarray(index) * 2
    radius = np.sqrt(-2.0 * np.log(uniform(stream, doubled)))
    draws: Floats = radius * np.cos(2.0 * np.pi * uniform(stream, doubled + 1))
    return draws


def one_uniform(stream: np.uint64, index: int) -> float:
    return float(uniform(stream, np.array([index], dtype=np.int64))[0])


def one_normal(stream: np.uint64, index: int) -> float:
    return float(normal(stream, np.array([index], dtype=np.int64))[0])
