"""Which split an identity belongs to: by keyed hash, so that a new identity moves no other."""

from collections.abc import Sequence

from transforms.keyed import keyed_fraction

SPLITS = ("train", "val", "test")


def split_of(identity: str, seed: int, fractions: Sequence[tuple[str, float]]) -> str:
    """The split of an identity; all of its images go there.

    Args:
        identity: its name.
        seed: the run's seed.
        fractions: (split, share of the identities) in order; the shares sum to 1.
    """
    place = keyed_fraction(seed, "split", identity)
    reached = 0.0
    for name, fraction in fractions:
        reached += fraction
        if place < reached:
            return name
    # The sum of the shares may fall short of 1 by a rounding error.
    return next(name for name, fraction in reversed(fractions) if fraction > 0)
