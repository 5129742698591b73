"""Which copy of a photo is nearest to the original, by their crops.

The measures of a verdict are exact: one pixel of area, or a hundredth of sharpness, decides. Copies
differ by so little for no reason: a watermark makes a copy sharper, and a border larger. So what
differs by little is made equal here, and then compared by what others of the cluster show.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from facemill.transforms.core.row_ids import NEW
from facemill.transforms.dataset.records import from_example
from facemill.transforms.duplicates.verdicts import Member
from facemill.transforms.images.decode import decode
from facemill.transforms.scan.staging import StagingReader

# Copies whose crops are read; of more the others are compared by area and sharpness alone.
MOST = 64

# A copy is grey if its colorfulness is less than this share of the most colorful one's, which has
# to be a color photo.
_GREY_SHARE, _COLORED = 0.3, 8.0
# Areas and sharpnesses that lie closer to the greatest are equal to it; shares of it.
_SAME_AREA, _SAME_DETAIL, _SAME_AGREEMENT = 0.97, 0.9, 0.003
# A copy has a border if flat margins take this share more of it than of another copy.
_BORDER = 0.02
_TILES = 8
# Variance of a Laplacian in a tile without texture; keeps shares of it finite.
_NOISE = 4.0
# A tile is marked if it is that much sharper than in the least sharp copy; a copy of which most
# tiles are is a sharper copy and has no mark.
_MARKED, _MOST_MARKED = 1.25, 0.5
# A copy has fewer bytes than another below this share of them. A mark makes a tile at least that
# many times sharper; compression makes it up to four times sharper.
_FEWER_BYTES, _STRONG_MARK = 0.97, 8.0
# Compression adds less detail than this to the median tile (1.3 times at quality 50). A copy with
# more than that has the detail of the photo, and the denser one was blurred or made smaller.
_MOST_ADDED = 1.35
# Tiles are compared of crops that show the same frame.
_SAME_FRAME = 0.95


@dataclass(frozen=True)
class _Seen:
    """The crop of one copy.

    Attributes:
        grey: float32 [64, 64], mean 0 and norm 1; zeros for a flat crop.
        tiles: float32 [8, 8], variance of the Laplacian in each tile.
    """

    grey: np.ndarray
    tiles: np.ndarray

    def oriented_like(self, other: "_Seen") -> np.ndarray:
        """The tiles, mirrored if the crop is a mirror image of the other one."""
        mirrored = (self.grey[:, ::-1] * other.grey).sum() > (self.grey * other.grey).sum()
        return self.tiles[:, ::-1] if mirrored else self.tiles


def compared(members: Sequence[Member], staging: str) -> list[Member]:
    """The members of a component with what their crops say of them, in the same order.

    Only new images are compared: a base's and a held-out set's are representatives as they are.

    Args:
        members: duplicates of each other.
        staging: the staging folder.
    """
    if any(one.origin != NEW for one in members):
        return list(members)
    distinct: dict[str, Member] = {}
    for one in sorted(members, key=lambda one: (-one.area, -one.sharpness, one.image_id)):
        if one.earlier_verdict is None:
            distinct.setdefault(one.pixel_sha256, one)
    if len(distinct) < 2:
        return list(members)
    copies = list(distinct.values())
    seen = _crops(staging, [one.row_id for one in copies[:MOST]])
    found = dict(zip(distinct, preferences(copies, seen), strict=True))
    return [
        replace(
            found[one.pixel_sha256],
            row_id=one.row_id,
            image_id=one.image_id,
            identity=one.identity,
            attributes=one.attributes,
        )
        if one.pixel_sha256 in found
        else one
        for one in members
    ]


def preferences(copies: Sequence[Member], crops: Sequence[np.ndarray]) -> list[Member]:
    """The members with what compares them, from `grey` to `marks`, and a rounded area.

    Args:
        copies: members with different pixels.
        crops: of the first of them, uint8 [S, S, 3].
    """
    most_colorful = max(one.colorfulness for one in copies)
    areas = [one.area * (1 - one.border) for one in copies]
    least_border = min(one.border for one in copies)
    result = [
        replace(
            one,
            area=round(max(areas) if area >= _SAME_AREA * max(areas) else area),
            grey=most_colorful >= _COLORED and one.colorfulness < _GREY_SHARE * most_colorful,
            bordered=one.border > least_border + _BORDER,
        )
        for one, area in zip(copies, areas, strict=True)
    ]
    seen = [_see(crop) for crop in crops]
    alike = np.array([[float((a.grey * b.grey).sum()) for b in seen] for a in seen])
    first = min(map(_by_size, result[: len(seen)]), default=None)
    # Sharpness and marks of a copy that is set aside by its size say nothing of the others'.
    equal = [index for index, one in enumerate(result[: len(seen)]) if _by_size(one) == first]
    if len(equal) < 2:
        return result
    agreements = (alike.sum(axis=1) - alike.diagonal())[equal] / (len(seen) - 1)
    agreements = _rounded_up(agreements, agreements.max() - _SAME_AGREEMENT)
    tiles = np.stack([seen[index].oriented_like(seen[equal[0]]) for index in equal]) + _NOISE
    details = np.median(tiles / np.exp(np.log(tiles).mean(axis=0)), axis=(1, 2))
    coarse = _coarse([result[index] for index in equal], tiles, details)
    details = np.where(coarse, 0.0, details)
    details = _rounded_up(details, details.max() * _SAME_DETAIL)
    # A copy with less detail everywhere would make that of all others look like marks.
    last = (details == details.max()) & (agreements == agreements[details == details.max()].max())
    for place, index in enumerate(equal):
        same_frame = (alike[index][equal] >= _SAME_FRAME) & last
        same_frame[place] = True
        marked = float((tiles[place] > _MARKED * tiles[same_frame].min(axis=0)).mean())
        result[index] = replace(
            result[index],
            coarse=bool(coarse[place]),
            detail=float(details[place]),
            agreement=float(agreements[place]),
            marks=marked if marked < _MOST_MARKED else 0.0,
        )
    return result


def _coarse(copies: Sequence[Member], tiles: np.ndarray, details: np.ndarray) -> np.ndarray:
    """Whether each copy has no less detail than another in fewer bytes: bool [N].

    Detail of a photo costs bytes, so that is what coarse compression adds at the edges of its
    blocks. A denser copy with a mark proves nothing, nor does one with much less detail.

    Args:
        copies: of one size.
        tiles: float32 [N, 8, 8], variance of the Laplacian in each tile.
        details: float [N], see `Member`.
    """
    coarse = np.zeros(len(copies), bool)
    for here, one in enumerate(copies):
        for there, other in enumerate(copies):
            coarse[here] |= (
                0 < one.density < _FEWER_BYTES * other.density
                and one.suffix == other.suffix
                and details[there] <= details[here] < _MOST_ADDED * details[there]
                and bool((tiles[there] < _STRONG_MARK * tiles[here]).all())
            )
    return coarse


def _by_size(one: Member) -> tuple[bool, int, bool]:
    return one.grey, -one.area, one.bordered


def _rounded_up(values: np.ndarray, least: float) -> np.ndarray:
    """Makes values from `least` on equal to the greatest."""
    return np.where(values >= least, values.max(), values)


def _crops(staging: str, row_ids: Iterable[int]) -> list[np.ndarray]:
    wanted = list(row_ids)
    with StagingReader(staging) as reader:
        reader.prefetch(wanted)
        return [decode(from_example(reader.record(row_id)).encoded).pixels for row_id in wanted]


def _see(crop: np.ndarray) -> _Seen:
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    laplacian = cv2.Laplacian(grey, cv2.CV_32F)
    mean, square = (
        cv2.resize(values, (_TILES, _TILES), interpolation=cv2.INTER_AREA)
        for values in (laplacian, laplacian**2)
    )
    small = cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= small.mean()
    norm = float(np.linalg.norm(small))
    return _Seen(small / norm if norm > 1 else small * 0, square - mean**2)
