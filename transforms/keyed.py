"""Keyed hashes: where chance is wanted, it follows from a seed and a key, never from order."""

import hashlib

_BITS = 64


def keyed_hash(seed: int, purpose: str, key: str) -> int:
    """A hash in [0, 2**64) of `key`, independent between seeds and between purposes.

    Args:
        seed: the run's seed, any non-negative integer.
        purpose: what is decided by it ("split", "shard", ...).
        key: the image_id or identity.
    """
    digest = hashlib.blake2b(digest_size=_BITS // 8, person=purpose.encode("ascii"))
    digest.update(str(seed).encode("ascii") + b"\0")
    digest.update(key.encode("utf-8"))
    return int.from_bytes(digest.digest(), "big")


def keyed_fraction(seed: int, purpose: str, key: str) -> float:
    """`keyed_hash` as a uniform number in [0, 1)."""
    return (keyed_hash(seed, purpose, key) >> 11) / (1 << 53)
