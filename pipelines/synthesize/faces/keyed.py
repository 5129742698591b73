"""Random numbers that depend on a key alone, never on the order in which they are asked for."""

from __future__ import annotations

import numpy as np

IDENTITY, IMAGE, COUNT, PLAN, PAIRS = range(1, 6)
"""What the numbers are for; two purposes never share a stream."""


def generator(seed: int, purpose: int, first: int = 0, second: int = 0) -> np.random.Generator:
    """Returns the generator of one key.

    The key of the Philox counter generator (Salmon et al., 2011, "Parallel random numbers: as easy
    as 1, 2, 3") is the four numbers themselves, so any worker can make any image on its
    own.

    Args:
        seed: 0 to 2**64 - 1.
        purpose: One of the constants above.
        first: Usually an identity's index, 0 to 2**32 - 1.
        second: Usually an image's index, 0 to 2**28 - 1.
    """
    key = np.array([seed, purpose << 60 | first << 28 | second], np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def uniforms(seed: int, purpose: int, first: int, second: int, count: int) -> np.ndarray:
    """Returns `count` float64 numbers in [0, 1) of one key."""
    return generator(seed, purpose, first, second).random(count)
