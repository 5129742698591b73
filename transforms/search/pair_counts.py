"""Every pair of a set of embeddings, counted by score: blocks of rows against blocks.

A set of n images has n (n - 1) / 2 pairs, too many to keep. So scores are counted in a fine grid
of whole numbers, which add up to the same sums in any order.

A score does not depend on the block that it is computed in, nor on the machine. Its vectors are
rounded to multiples of 2 ** -26. Their products are multiples of 2 ** -52, and each sum of products
of two vectors of length 1 is less than 2, so float64 holds all of them exactly.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from facemill.transforms.scoring.embeddings import EmbeddingSet, Slice, unit

# Scores from -1 to 1 in steps of 2 ** -19.
BINS = 1 << 20
IDENTITY = "identity"
_UNIT = float(1 << 26)
# Rows of a block: their scores with those of another take 32 MB.
_BLOCK = 2048
# Blocks that one task compares with a block, which it reads once.
_STRIP = 16


@dataclass(frozen=True)
class Grid:
    """Steps of scores; lower scores are counted in the first, higher ones in the last.

    Attributes:
        lowest: score at which the first of BINS steps begins, a multiple of 2 ** -52.
        step: width of each, a power of two.
    """

    lowest: float = -1.0
    step: float = 2 / BINS


@dataclass(frozen=True)
class PairCounts:
    """How many pairs have each score.

    Attributes:
        genuine: int64 [BINS], pairs of one identity; the last is the highest score.
        impostor: int64 [BINS], the other pairs.
    """

    genuine: np.ndarray
    impostor: np.ndarray

    @classmethod
    def zero(cls) -> "PairCounts":
        """Of no pairs."""
        return cls(np.zeros(BINS, np.int64), np.zeros(BINS, np.int64))

    def add(self, other: "PairCounts") -> None:
        """Adds the counts of other pairs to these."""
        np.add(self.genuine, other.genuine, out=self.genuine)
        np.add(self.impostor, other.impostor, out=self.impostor)

    def to_bytes(self) -> bytes:
        """The bins that are filled: their number, then int64 of bin, genuine and impostor pairs."""
        filled = np.flatnonzero(self.genuine + self.impostor)
        return (
            np.stack([filled, self.genuine[filled], self.impostor[filled]]).astype("<i8").tobytes()
        )

    def add_bytes(self, data: bytes) -> None:
        """Adds what `to_bytes` wrote."""
        filled, genuine, impostor = np.frombuffer(data, "<i8").reshape(3, -1)
        self.genuine[filled] += genuine
        self.impostor[filled] += impostor


@dataclass(frozen=True)
class NamedRows:
    """Embeddings of images that have an identity.

    Attributes:
        vectors: float64 [N, D], as `exact` gives them.
        identities: string [N].
    """

    vectors: np.ndarray
    identities: pa.Array


def exact(vectors: np.ndarray) -> np.ndarray:
    """Vectors whose inner products float64 holds exactly: float64 [N, D].

    Args:
        vectors: float [N, D], of length 1; each number changes by 2 ** -27 at most.
    """
    return np.rint(vectors.astype(np.float64) * _UNIT) / _UNIT


def count_pairs(left: NamedRows, right: NamedRows | None = None, grid: Grid = Grid()) -> PairCounts:
    """The scores of each row of one block with each row of another.

    Args:
        left: N rows.
        right: M other rows; None for each pair of `left`, once.
        grid: in which scores are counted.
    """
    other = left if right is None else right
    counts = PairCounts.zero()
    if not len(left.vectors) or not len(other.vectors):
        return counts
    both = pa.concat_arrays([left.identities, other.identities]).dictionary_encode()
    codes = both.indices.to_numpy()
    same = codes[: len(left.vectors), None] == codes[None, len(left.vectors) :]
    scores = left.vectors @ other.vectors.T
    scores -= grid.lowest
    scores /= grid.step
    bins = np.clip(scores, 0, BINS - 1, out=scores).astype(np.int64)
    if right is None:
        once = np.triu(np.ones(same.shape, bool), 1)
        same, bins = same[once], bins[once]
    counts.genuine[:] = np.bincount(bins[same], minlength=BINS)
    counts.impostor[:] = np.bincount(bins.ravel(), minlength=BINS) - counts.genuine
    return counts


@dataclass(frozen=True)
class PairPlan:
    """How all pairs of a set are divided into tasks; small, for every step of a job.

    Attributes:
        embeddings: the set.
        rows: of each part.
        block: rows of a block.
        strip: blocks that a task compares with one.
        grid: in which scores are counted.
    """

    embeddings: EmbeddingSet
    rows: tuple[int, ...]
    block: int = _BLOCK
    strip: int = _STRIP
    grid: Grid = Grid()

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return -(-sum(self.rows) // self.block)

    def tasks(self) -> list[tuple[int, int]]:
        """(block, first of the blocks from it on that it is compared with) of each task."""
        return [
            (block, first)
            for block in range(self.blocks)
            for first in range(block, self.blocks, self.strip)
        ]

    def read(self, block: int) -> NamedRows:
        """The rows of a block that have an identity.

        Raises:
            RunError: a part differs from the manifest, or an embedding is not finite or all zeros.
        """
        vectors, names = [np.zeros((0, self.embeddings.size))], [pa.array([], pa.string())]
        for one in self.embeddings.blocks(self._slices(block), (IDENTITY,)):
            identities = one.table[IDENTITY].combine_chunks()
            kept = np.array([bool(name) for name in identities.to_pylist()], bool)
            vectors.append(exact(unit(one.vectors, self.embeddings.path))[kept])
            names.append(identities.filter(pa.array(kept)))
        return NamedRows(np.concatenate(vectors), pa.concat_arrays(names))

    def count(self, task: tuple[int, int]) -> PairCounts:
        """The pairs of a task, see `tasks`."""
        block, first = task
        counts = PairCounts.zero()
        left = self.read(block)
        for other in range(first, min(first + self.strip, self.blocks)):
            right = None if other == block else self.read(other)
            counts.add(count_pairs(left, right, self.grid))
        return counts

    def _slices(self, block: int) -> Iterator[Slice]:
        start, stop = block * self.block, (block + 1) * self.block
        first = 0
        for part, rows in enumerate(self.rows):
            inside = Slice(part, max(0, start - first), min(rows, stop - first))
            if inside.start < inside.stop:
                yield inside
            first += rows


def count_tasks(
    plan: PairPlan, tasks: Iterable[tuple[int, int]], threads: int
) -> Iterator[PairCounts]:
    """The counts of each task, in their order; a few tasks are counted at a time.

    Args:
        plan: of the pairs.
        tasks: of the plan.
        threads: that count.
    """
    waiting = []
    with ThreadPoolExecutor(threads) as pool:
        for task in tasks:
            waiting.append(pool.submit(plan.count, task))
            # Each result takes 16 MB, so few may wait.
            if len(waiting) > threads:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()
