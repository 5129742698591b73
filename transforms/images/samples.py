"""Samples of 16 bits: which of their values is white.

Infrared and depth cameras give 10 or 12 bits, and write them into the low bits of 16. Their high
bytes are a black image.
"""

import numpy as np

# 14 bits are not guessed: a dark photo of 16 bits has such samples too.
_GUESSED_BITS = (8, 10, 12)
_FULL_BITS = 16


def bits_in_use(brightest: int, stated: int | None) -> int:
    """How many bits white has, from 8 to 16.

    Args:
        brightest: the largest sample of the image.
        stated: the number of bits that the file states, or None. A file can state fewer bits and
            yet store them as 16 (PNG demands it), so larger samples outweigh the statement.
    """
    if stated is not None and 8 <= stated < _FULL_BITS and brightest < 1 << stated:
        return stated
    return next((bits for bits in _GUESSED_BITS if brightest < 1 << bits), _FULL_BITS)


def to_bytes(samples: np.ndarray, bits: int) -> np.ndarray:
    """Keeps the highest 8 of the bits in use.

    Args:
        samples: of integers, any shape.
        bits: from 8 to 16.

    Returns:
        uint8, of the same shape; larger samples become 255.
    """
    return np.minimum(samples >> (bits - 8), 255).astype(np.uint8)
