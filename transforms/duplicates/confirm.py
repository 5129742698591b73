"""Confirmation of candidates: one photo twice, two photos that are alike, or different photos.

Thumbnails are registered first, which discards most candidates at little cost. The few pairs that
correlate are compared closely, by the larger grey crops. Pairs that pass the first test only are
alike: photos of one moment or one session, which are reported and kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from facemill.transforms.dataset.records import from_example
from facemill.transforms.duplicates.budget import compare_within_budget, owners
from facemill.transforms.duplicates.candidates import PAIR
from facemill.transforms.duplicates.choices import COPY_DIFFERENCE
from facemill.transforms.duplicates.crowds import likeness
from facemill.transforms.duplicates.local_evidence import local_difference, sized
from facemill.transforms.duplicates.registration import (
    ALIGNED,
    CLEAR,
    CLEAR_IF_ALIGNED,
    HOPELESS,
    register,
)
from facemill.transforms.images import crop_variants, perceptual_hash
from facemill.transforms.images.decode import decode
from facemill.transforms.scan.staging import StagingReader

# Least similarity of copies where the caller gives none, see docs/duplicates.md.
MIN_SIMILARITY = 1 - COPY_DIFFERENCE
# Below this, a close comparison leaves no doubt. Between two copies of one photo the similarity can
# be lower than between each and the photo.
_NO_DOUBT = 0.65
# Where an image of a cluster may be cut or mirrored, so many variants of each of a pair are tried.
_TRIED = 3
# Least correlation of thumbnails that are alike.
MIN_ALIKE = 0.975


@dataclass(frozen=True, slots=True)
class Comparison:
    """How N pairs compare.

    Attributes:
        similarity: float64 [N] in [0, 1], one minus the largest local difference; 0 for pairs that
            the thumbnails discarded.
        correlation: float64 [N] in [-1, 1], of the registered thumbnails.
        closely: bool [N], whether thumbnails could not decide, so that the crops were compared.
        least: least similarity of copies.
    """

    similarity: np.ndarray
    correlation: np.ndarray
    closely: np.ndarray
    least: float = MIN_SIMILARITY

    def same(self) -> np.ndarray:
        """Whether each pair is one photo: bool [N]."""
        return self.similarity >= self.least

    def refuted(self) -> np.ndarray:
        """Whether only a close comparison showed that the photos are different: bool [N]."""
        return self.closely & (self.similarity < min(_NO_DOUBT, self.least))

    def alike(self) -> np.ndarray:
        """Whether each pair is alike without being one photo: bool [N]."""
        return ~self.same() & (self.correlation >= MIN_ALIKE)


def same_photo(first: np.ndarray, second: np.ndarray, variant: np.ndarray) -> np.ndarray:
    """Whether the second image is a copy of the given variant of the first: bool [N].

    Args: see `similarity`.
    """
    return similarity(first, second, variant) >= MIN_SIMILARITY


def similarity(first: np.ndarray, second: np.ndarray, variant: np.ndarray) -> np.ndarray:
    """Similarity of the second images and the given variants of the first, see `Comparison`.

    Args:
        first: uint8 [N, S, S], grey; best of 128 pixels or more.
        second: uint8 [N, S, S].
        variant: integers [N], indices into `crop_variants.FRAMES`; 0 for the whole image.
    """
    small = _thumbnails(first), _thumbnails(second)
    return compare(*small, variant, lambda some: (first[some], second[some])).similarity


def compare(
    first: np.ndarray,
    second: np.ndarray,
    variant: np.ndarray,
    crops: Callable[[np.ndarray], tuple[Sequence[np.ndarray], Sequence[np.ndarray]]],
    least: float = MIN_SIMILARITY,
) -> Comparison:
    """Compares pairs by thumbnails, and those that may be copies by crops.

    Args:
        first: uint8 [N, 64, 64], see `perceptual_hash.grey_thumbnail`.
        second: uint8 [N, 64, 64].
        variant: integers [N], indices into `crop_variants.FRAMES`; 0 for the whole image.
        crops: grey crops of some of the pairs, given by their positions: two sequences of uint8
            [S, S], of any sizes.
        least: least similarity of copies.
    """
    variant = np.asarray(variant)
    found = register(first, second, variant)
    difference = found.difference
    clear = np.where(found.correlation >= ALIGNED, CLEAR_IF_ALIGNED, CLEAR)
    # Crops decide what thumbnails would decide against a stricter limit.
    clear = np.minimum(clear, 1 - least)
    closely = (difference > clear) & (difference < HOPELESS)
    some = np.flatnonzero(closely)
    if len(some):
        mirrored = crop_variants.MIRRORED[variant[some]]
        for index, one, other, mirror in zip(some, *crops(some), mirrored, strict=True):
            one = one[:, ::-1] if mirror else one
            difference[index] = local_difference(one, other, found.maps[index])
    return Comparison(1 - difference, found.correlation, closely, least)


def compare_staged(
    staging: StagingReader, pairs: np.ndarray, least: float = MIN_SIMILARITY
) -> Comparison:
    """Compares staged images, see `compare`.

    Args:
        staging: of the run.
        pairs: PAIR [N].
        least: least similarity of copies.
    """
    return _Staged(staging, pairs, least).compare(np.arange(len(pairs)))


def staged_similarity(
    staging: StagingReader,
    pairs: Sequence[tuple[int, int]],
    thorough: bool,
    least: float = MIN_SIMILARITY,
) -> np.ndarray:
    """Similarities of staged images, see `Comparison`: float64 [N].

    Args:
        staging: of the run.
        pairs: row ids.
        thorough: whether either of the two may be the mirror image or a crop of the other.
        least: least similarity of copies; pairs below it are compared as variants.
    """
    rows = np.zeros(len(pairs), PAIR)
    if not len(pairs):
        return np.empty(0)
    # The search registers the image with the smaller row id to the other one, and so is it here.
    rows["first"], rows["second"] = np.sort(np.array(pairs, np.uint64), axis=1).T
    found = compare_staged(staging, rows, least).similarity
    low = np.flatnonzero(found < least) if thorough else ()
    tried = _nearest_variants(staging, rows[low]) if len(low) else []
    for again in tried:
        left = np.flatnonzero(found[low] < least)
        values = compare_staged(staging, again[left], least).similarity
        found[low[left]] = np.maximum(found[low[left]], values)
    return found


def _nearest_variants(staging: StagingReader, rows: np.ndarray) -> list[np.ndarray]:
    """PAIR rows with the variants by which each pair is compared: PAIR [N] for each trial."""
    ends = [staging.thumbnails(rows[end]) for end in ("first", "second")]
    windows = [[crop_variants.thumbnail_windows(one) for one in end] for end in ends]
    tried = []
    for swapped in (False, True):
        asking, found = reversed(windows) if swapped else windows
        variants = [
            crop_variants.nearest_variants(one, other, _TRIED)
            for one, other in zip(asking, found, strict=True)
        ]
        for variant in np.array(variants).T:
            again = rows.copy()
            if swapped:
                again["first"], again["second"] = rows["second"], rows["first"]
            again["variant"] = variant
            tried.append(again)
    return tried


def confirm_staged(
    staging: StagingReader, pairs: np.ndarray, least: float = MIN_SIMILARITY
) -> tuple[Comparison, np.ndarray]:
    """Compares candidates until the budgets of their owners are used up, see `budget`.

    Args:
        staging: of the run.
        pairs: PAIR [N], with all pairs of their owners, in the order of `budget.nearest`.
        least: least similarity of copies.

    Returns:
        (the comparison, with zeros for pairs that were not compared; bool [N], which were).
    """
    staged = _Staged(staging, pairs, least)
    zeros = np.zeros(len(pairs)), np.zeros(len(pairs)), np.zeros(len(pairs), bool)
    found = Comparison(*zeros, least)

    def compared(some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        part = staged.compare(some)
        found.similarity[some], found.correlation[some] = part.similarity, part.correlation
        found.closely[some] = part.closely
        return part.same(), part.refuted()

    return found, compare_within_budget(pairs, compared, staged.likeness())


def crowd_likeness(pairs: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The likeness of pairs of crowded owners, NaN for all other pairs and for variants.

    Args:
        pairs: PAIR [N] in the order of `budget.nearest`.
        first: uint8 [N, 64, 64], the thumbnails of their first images.
        second: uint8 [N, 64, 64].

    Returns:
        float64 [N], see `crowds.likeness`.
    """
    found = np.full(len(pairs), np.nan)
    whole = np.flatnonzero(pairs["variant"] == 0)
    owner = owners(pairs[whole])
    found[whole] = likeness(first[whole], second[whole], owner, owner == pairs["first"][whole])
    return found


class _Staged:
    """Compares pairs of staged images; an image with many candidates is decoded once."""

    def __init__(self, staging: StagingReader, pairs: np.ndarray, least: float) -> None:
        self._staging, self._pairs, self._least = staging, pairs, least
        both = staging.thumbnails(np.concatenate([pairs["first"], pairs["second"]]))
        self._thumbnails = both[: len(pairs)], both[len(pairs) :]
        self._crops: dict[int, np.ndarray] = {}

    def likeness(self) -> np.ndarray:
        return crowd_likeness(self._pairs, *self._thumbnails)

    def compare(self, some: np.ndarray) -> Comparison:
        first, second = (thumbnails[some] for thumbnails in self._thumbnails)
        variant = self._pairs["variant"][some]
        return compare(first, second, variant, lambda few: self._crops_of(some[few]), self._least)

    def _crops_of(self, some: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        ends = [self._pairs[name][some].tolist() for name in ("first", "second")]
        wanted = [row for row in dict.fromkeys(ends[0] + ends[1]) if row not in self._crops]
        self._staging.prefetch(wanted)
        self._crops.update((row, _grey(self._staging.record(row))) for row in wanted)
        first, second = ([self._crops[row] for row in end] for end in ends)
        return first, second


def _grey(record: bytes) -> np.ndarray:
    """The crop of a record: uint8 [S, S], not larger than the comparison needs."""
    pixels = cv2.cvtColor(decode(from_example(record).encoded).pixels, cv2.COLOR_RGB2GRAY)
    return sized(pixels)


def _thumbnails(images: np.ndarray) -> np.ndarray:
    side = perceptual_hash.SMALL_SIDE
    if images.shape[1:] == (side, side):
        return images
    found = [perceptual_hash.small(one) for one in images]
    return np.stack(found) if found else np.empty((0, side, side), np.uint8)
