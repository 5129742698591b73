"""Chunks, which the listing passes to the scan. No Beam here: worker processes import this."""

import pickle
import zlib
from dataclasses import dataclass

from facemill.transforms.sources.base import Ref


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some references, packed: a runner may hold all of them in memory before they are scanned.

    Attributes:
        number: the number of the chunk, see `transforms.core.row_ids`.
        count: how many references.
        packed: the references, pickled and compressed; see `refs`.
        passed_over: how many images were listed since the previous chunk and left out, because the
            base has them.
    """

    number: int
    count: int
    packed: bytes
    passed_over: int = 0

    @classmethod
    def of(cls, number: int, refs: list[Ref], passed_over: int = 0) -> "Chunk":
        """Packs references into a chunk."""
        return cls(number, len(refs), zlib.compress(pickle.dumps(refs), 1), passed_over)

    @property
    def refs(self) -> list[Ref]:
        """The references."""
        return pickle.loads(zlib.decompress(self.packed))
