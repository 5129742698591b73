"""Whether the photos of a held-out set are framed like those of the input, as far as sizes tell.

Copies that are cut differently are the ones that `near` misses. Two collections that cut the
same photos differently mostly have other proportions or other sizes, and these are known of every
photo already.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

COLUMNS = ("width", "height")

# Proportions and sizes that differ by these factors or more are told. A window of 5 % less at one
# end changes the proportions by that much.
_ASPECT, _PIXELS = 1.05, 2.0
# Medians are of classes of this many to a factor of two, so that memory does not grow.
_CLASSES = 64


@dataclass(frozen=True)
class Framing:
    """The usual photo of a collection.

    Attributes:
        aspect: median of width / height.
        pixels: median of width * height.
    """

    aspect: float
    pixels: float

    def __str__(self) -> str:
        """As `1.00 and 62,000 pixels`, with two digits."""
        return f"{self.aspect:.2f} and {float(f'{self.pixels:.2g}'):,.0f} pixels"


@dataclass(frozen=True)
class Framings:
    """How the photos of the input and of the held-out set are framed.

    Attributes:
        mine: of the input.
        theirs: of the held-out set.
        thorough: whether the run looked for crops.
    """

    mine: Framing
    theirs: Framing
    thorough: bool

    @property
    def differ(self) -> bool:
        """Whether proportions or sizes differ."""
        return (
            _factor(self.mine.aspect, self.theirs.aspect) >= _ASPECT
            or _factor(self.mine.pixels, self.theirs.pixels) >= _PIXELS
        )

    @property
    def words(self) -> str | None:
        """What that means for the search, in a sentence; None if nothing differs."""
        if not self.differ:
            return None
        missed = (
            "copies that are cut by more than 10 % at an end may be missed"
            if self.thorough
            else "copies that are framed differently may be missed; --dedup thorough looks for "
            "crops"
        )
        return (
            "photos of the held-out set have another shape or size (median width / height "
            f"{self.theirs}) than those of the input ({self.mine}): {missed}"
        )


def median_framing(tables: Iterable[pa.Table]) -> Framing | None:
    """The framing of a collection, the same for any order of its photos.

    Args:
        tables: with COLUMNS, null for photos that cannot be decoded.

    Returns:
        The medians, to half a percent; None if there is no photo.
    """
    aspects: Counter[int] = Counter()
    pixels: Counter[int] = Counter()
    for table in tables:
        rows = table.filter(pc.and_(pc.is_valid(table["width"]), pc.is_valid(table["height"])))
        width, height = (rows[name].to_numpy().astype(np.float64) for name in COLUMNS)
        for counts, values in ((aspects, width / height), (pixels, width * height)):
            classes, times = np.unique(
                np.rint(_CLASSES * np.log2(values)).astype(np.int64), return_counts=True
            )
            counts.update(dict(zip(classes.tolist(), times.tolist(), strict=True)))
    if not aspects:
        return None
    return Framing(_median(aspects), _median(pixels))


def _median(counts: Counter[int]) -> float:
    """The lower median of values that are counted by class."""
    left = (counts.total() + 1) // 2
    for one in sorted(counts):
        left -= counts[one]
        if left <= 0:
            break
    return float(2 ** (one / _CLASSES))


def _factor(one: float, other: float) -> float:
    return max(one / other, other / one)
