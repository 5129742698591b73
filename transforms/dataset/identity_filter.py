"""Which identities a run is about, as its lists of names say."""

from dataclasses import dataclass, field

import numpy as np

from facemill.transforms.core.keyed import keyed_hash

NO_IDENTITY = 0


def identity_key(seed: int, identity: str | None) -> int:
    """The hash that stands for an identity's name in all decisions, and draws its split."""
    return NO_IDENTITY if identity is None else keyed_hash(seed, "split", identity)


@dataclass(frozen=True)
class IdentityFilter:
    """Lists of identities.

    Attributes:
        include: uint64, keys of the only identities to keep, in increasing order; None for all.
        exclude: uint64, keys of identities to leave out, in increasing order.
    """

    include: np.ndarray | None = None
    exclude: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))

    def excluded(self, identities: np.ndarray) -> np.ndarray:
        """Which of the keys are of identities to leave out: bool [N] of uint64 [N]."""
        return (identities != NO_IDENTITY) & _among(self.exclude, identities)

    def not_included(self, identities: np.ndarray) -> np.ndarray:
        """Which of the keys are not of those to keep, nobody's too: bool [N] of uint64 [N]."""
        if self.include is None:
            return np.zeros(len(identities), bool)
        return ~_among(self.include, identities)

    def left_out(self, identities: np.ndarray) -> np.ndarray:
        """Which of the keys are of somebody whom the lists leave out: bool [N] of uint64 [N]."""
        somebody = identities != NO_IDENTITY
        return somebody & (self.excluded(identities) | self.not_included(identities))


def _among(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Whether each is one of the keys, which are sorted: a few are looked up in a long list."""
    if not len(keys):
        return np.zeros(len(wanted), bool)
    return keys[np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)] == wanted
