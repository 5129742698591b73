"""The lists of identities to include in a run and to exclude from it."""

from dataclasses import dataclass, field

import numpy as np

from facemill.transforms.core.keyed import keyed_hash

NO_IDENTITY = 0


def identity_key(seed: int, identity: str | None) -> int:
    """The hash that represents an identity in all decisions and draws its split; 0 for None.

    Args:
        seed: the run's seed.
        identity: in the form that everything compares, see `identity_names`, or None.
    """
    return NO_IDENTITY if identity is None else keyed_hash(seed, "split", identity)


@dataclass(frozen=True)
class IdentityFilter:
    """Identities to include and to exclude, by their keys.

    Attributes:
        include: uint64, keys of the identities to keep, in increasing order; None for all.
        exclude: uint64, keys of the identities to exclude, in increasing order.
    """

    include: np.ndarray | None = None
    exclude: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))

    def excluded(self, identities: np.ndarray) -> np.ndarray:
        """Which keys are of excluded identities: bool [N] of uint64 [N]."""
        return (identities != NO_IDENTITY) & _among(self.exclude, identities)

    def not_included(self, identities: np.ndarray) -> np.ndarray:
        """Which keys are not of included identities, or are NO_IDENTITY: bool [N] of uint64 [N]."""
        if self.include is None:
            return np.zeros(len(identities), bool)
        return ~_among(self.include, identities)

    def left_out(self, identities: np.ndarray) -> np.ndarray:
        """Which keys are of identities that either list leaves out: bool [N] of uint64 [N]."""
        has_identity = identities != NO_IDENTITY
        return has_identity & (self.excluded(identities) | self.not_included(identities))


def _among(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which wanted keys are among the sorted `keys`: bool [N]. Fast for few in a long list."""
    if not len(keys):
        return np.zeros(len(wanted), bool)
    return keys[np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)] == wanted
