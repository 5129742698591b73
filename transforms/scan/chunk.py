"""What travels from the listing to the scan. No Beam here: worker processes import this module."""

import pickle
import zlib
from dataclasses import dataclass

from facemill.transforms.sources.base import Ref


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some references, packed: between listing and scan all of them may be in memory at once.

    Attributes:
        number: of the chunk, see `transforms.core.row_ids`.
        count: how many references.
        packed: see `refs`.
        passed_over: how many images were listed since the chunk before and are in no chunk, since
            a dataset that is added to has them.
    """

    number: int
    count: int
    packed: bytes
    passed_over: int = 0

    @classmethod
    def of(cls, number: int, refs: list[Ref], passed_over: int = 0) -> "Chunk":
        """A chunk of these references."""
        return cls(number, len(refs), zlib.compress(pickle.dumps(refs), 1), passed_over)

    @property
    def refs(self) -> list[Ref]:
        """The references."""
        return pickle.loads(zlib.decompress(self.packed))
