"""Keyed hashes: every random choice follows from a seed and a key, never from the order of work."""

import hashlib

import numpy as np

_BITS = 64


def keyed_hash(seed: int, purpose: str, key: str) -> int:
    """A hash in [0, 2**64) of `key`, independent between seeds and between purposes.

    Args:
        seed: the run's seed, any non-negative integer.
        purpose: the choice that the hash is for ("split", "shard", ...).
        key: the image_id or identity.
    """
    digest = hashlib.blake2b(digest_size=_BITS // 8, person=purpose.encode("ascii"))
    digest.update(str(seed).encode("ascii") + b"\0")
    digest.update(key.encode("utf-8"))
    return int.from_bytes(digest.digest(), "big")


def splitmix64(hashes: np.ndarray, salt: int) -> np.ndarray:
    """Further hashes of hashes, independent between salts.

    The finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, figure 17) is a bijection, so
    different hashes stay different.

    Args:
        hashes: uint64 [N].
        salt: number of the further hash, 0 or more.
    """
    with np.errstate(over="ignore"):
        z = hashes + np.uint64((salt + 1) * 0x9E3779B97F4A7C15 % (1 << 64))
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
