"""Which pairs of images are confirmed as one photo, by kind of copy and of different photos.

Claims: at least 0.98 of the copies of each kind are found; no two photos of LFW within 22 bits and
none of its moments are confirmed; of ORL's pairs within 22 bits at most four are, of faces drawn
with open and with closed eyes at most 2 %. Fainter movements are not told apart.

    OMP_NUM_THREADS=1 FACEMILL_DATA=... python -m benchmarks.confirmation

Prints the two tables of docs/duplicates.md, "Confirmation", in about a minute. Pairs are given,
not searched; of photos of 128x128, as they are and not cropped, where a row says nothing else.
Crops and mirror images are compared as the nearest variant too, as `thorough` does.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from facemill.pipelines.synthesize.faces.faces import encode_jpeg, render, render_scene
from facemill.pipelines.synthesize.faces.features import EXPRESSIONS
from facemill.pipelines.synthesize.faces.scene import draw_scene
from facemill.transforms.duplicates import confirm
from facemill.transforms.duplicates.local_evidence import sized
from facemill.transforms.images import crop_variants, perceptual_hash
from facemill.transforms.images.decode import decode
from facemill.transforms.images.resize import center_square

SEED = 20
LFW, ORL, DRAWN = 150, 100, 60
# LFW's pairs within the first number are one photo each, by eye; of those within the second the
# others are different photos.
ONE_PHOTO_BITS, NEAR_BITS = 13, 22
MOMENTS = (
    ("George_W_Bush", 375, 376),
    ("Ron_Dittemore", 2, 4),
    ("George_W_Bush", 207, 208),
    ("Mireya_Moscoso", 2, 3),
)
SMALL_SIDES = (20, 24, 32, 48, 64)
# What is added to the weights of a drawn face's expression, by title of the row. A smile of 0.8
# puts the corners of the mouth 1.6 to 2 % of the side higher.
EXPRESSION_CHANGES = {
    "drawn faces with the mouth opened": ({"open": 0.6}, {"open": 0.4, "smile": 0.5}),
    "with closed eyes": ({"lids": -0.9},),
    "with the corners of the mouth a little higher or lower": ({"smile": 0.8}, {"smile": -0.8}),
}

Change = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class View:
    """What the comparison reads of an image: uint8 [64, 64], uint8 [128, 128] and window hashes."""

    thumbnail: np.ndarray
    crop: np.ndarray
    windows: np.ndarray


Pairs = list[tuple[View, View]]


def view(pixels: np.ndarray) -> View:
    """Of RGB pixels."""
    thumbnail = perceptual_hash.grey_thumbnail(perceptual_hash.small(pixels))
    crop = sized(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
    return View(thumbnail, crop, crop_variants.thumbnail_windows(thumbnail))


def compared(pairs: Pairs, variants: np.ndarray | None = None) -> confirm.Comparison:
    """The comparison of all pairs, as whole images or as variants of their first images."""
    first, second = zip(*pairs, strict=True)
    return confirm.compare(
        np.stack([one.thumbnail for one in first]),
        np.stack([one.thumbnail for one in second]),
        np.zeros(len(pairs), np.int64) if variants is None else variants,
        lambda some: ([first[row].crop for row in some], [second[row].crop for row in some]),
    )


def as_variants(pairs: Pairs) -> confirm.Comparison:
    """The comparison with variants: of each pair the best of three."""
    tries = [compared(pairs)]
    for ends in (pairs, [(second, first) for first, second in pairs]):
        nearest = [crop_variants.nearest_variants(a.windows, b.windows, 1)[0] for a, b in ends]
        tries.append(compared(ends, np.array(nearest)))
    best = np.argmax([one.similarity for one in tries], axis=0), np.arange(len(pairs))
    names = "similarity", "correlation", "closely"
    return confirm.Comparison(*(np.array([getattr(t, n) for t in tries])[best] for n in names))


def saved(quality: int) -> Change:
    return lambda pixels: decode(encode_jpeg(np.ascontiguousarray(pixels), quality)).pixels


def of_side(side: int, quality: int = 92) -> Change:
    return lambda pixels: saved(quality)(
        cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    )


def gain(factor: float) -> Change:
    return lambda pixels: saved(95)(np.clip(pixels * factor, 0, 255).astype(np.uint8))


def cut(share: float) -> Change:
    """Removes that share of each side, evenly at both ends."""

    def change(pixels: np.ndarray) -> np.ndarray:
        ends = [slice(round(n * share / 2), round(n * (1 - share / 2))) for n in pixels.shape[:2]]
        return saved(95)(pixels[tuple(ends)])

    return change


def changed(photos: list[np.ndarray], *changes: tuple[Change, Change]) -> Pairs:
    """Each photo after the one change and after the other."""
    return [(view(one(photo)), view(other(photo))) for one, other in changes for photo in photos]


def near_hashes(files: list[Path], bits: int) -> list[tuple[int, Path, Path]]:
    """The pairs whose hashes differ in so many bits at most, with that number."""
    hashes = b"".join(perceptual_hash.dct_hash(read(file)) for file in files)
    words = np.frombuffer(hashes, np.uint64).reshape(len(files), -1)
    found = []
    for row in range(len(files)):
        distances = np.bitwise_count(words[row] ^ words[row + 1 :]).sum(axis=1)
        for other in np.flatnonzero(distances <= bits):
            found.append((int(distances[other]), files[row], files[row + 1 + other]))
    return found


def read(file: Path) -> np.ndarray:
    return decode(file.read_bytes()).pixels


def views(pairs: list[tuple[Path, Path]], change: Change = np.asarray) -> Pairs:
    return [(view(change(read(a))), view(change(read(b)))) for a, b in pairs]


def one_small(pairs: list[tuple[Path, Path]], side: int) -> Pairs:
    """Each pair twice, with the one or the other image made smaller."""
    small = of_side(side)
    return [
        (view(read(one)), view(small(read(other))))
        for pair in pairs
        for one, other in (pair, pair[::-1])
    ]


def other_expressions(*changes: dict[str, float]) -> Pairs:
    """Each drawn face, with nothing before it, and the same with another expression."""
    found = []
    for identity in range(DRAWN):
        scene = dataclasses.replace(draw_scene(SEED, identity, 0), covering="")
        first = view(render_scene(SEED, identity, scene, 250))
        for change in changes:
            expression = scene.expression.copy()
            for name, value in change.items():
                expression[1 + EXPRESSIONS.index(name)] += value
            # Lids of -1 are closed.
            other = dataclasses.replace(scene, expression=np.maximum(expression, -0.9))
            found.append((first, view(render_scene(SEED, identity, other, 250))))
    return found


def copies_row(title: str, pairs: Pairs, variants: bool = False) -> None:
    found = (as_variants if variants else compared)(pairs)
    difference = 1 - found.similarity
    shares = f"{found.same().mean():.3g} | {found.closely.mean():.2g}"
    highest = f"{np.quantile(difference, 0.95):.3f} | {difference.max():.3f}"
    print(f"| {title} | {shares} | {highest} |", flush=True)


def different_row(title: str, pairs: Pairs) -> None:
    found = compared(pairs)
    lowest = 1 - found.similarity.max()
    print(f"| {title} | {found.same().sum()} of {len(pairs)} | {lowest:.3f} |", flush=True)


def main() -> None:
    cv2.setNumThreads(1)
    data = Path(os.environ.get("FACEMILL_DATA", ""))
    lfw, orl = sorted(data.glob("lfw/images/*/*.jpg")), sorted(data.glob("orl/*/*.pgm"))
    if not lfw or not orl:
        sys.exit(f"{data} must hold lfw/images and orl, and does not: set FACEMILL_DATA")
    rng = np.random.default_rng(SEED)
    some_lfw = [read(lfw[number]) for number in rng.permutation(len(lfw))[:LFW]]
    some_orl = [read(orl[number]) for number in rng.permutation(len(orl))[:ORL]]
    drawn = [render(SEED, identity, 0, 250) for identity in range(DRAWN)]
    near = near_hashes(lfw, NEAR_BITS)
    _copies(some_lfw, some_orl, drawn, [pair for bits, *pair in near if bits <= ONE_PHOTO_BITS])
    others = [(first, second) for bits, first, second in near if bits > ONE_PHOTO_BITS]
    _different(others, data, [(first, second) for _, first, second in near_hashes(orl, NEAR_BITS)])


def _copies(
    lfw: list[np.ndarray], orl: list[np.ndarray], drawn: list[np.ndarray], own: list[list[Path]]
) -> None:
    def plain(*changes: Change) -> list[tuple[Change, Change]]:
        return [(np.asarray, change) for change in changes]

    def smaller(side: int, *sides: int) -> list[tuple[Change, Change]]:
        return [(of_side(large), of_side(side)) for large in sides]

    print("| copies | found | left to step 2 | 95 % | highest |\n|" + " --- |" * 5)
    copies_row("LFW: JPEG quality 50, quality 30", changed(lfw, *plain(saved(50), saved(30))))
    copies_row("half size; darker (0.7)", changed(lfw, *plain(of_side(125), gain(0.7))))
    copies_row("mirrored", changed(lfw, *plain(lambda pixels: pixels[:, ::-1])), variants=True)
    copies_row("brightness +20 %, clipped", changed(lfw, *plain(gain(1.2))))
    copies_row("crops of 5 % and 10 %", changed(lfw, *plain(cut(0.05), cut(0.1))), variants=True)
    copies_row("copies of 40 px", changed(lfw, *plain(of_side(40))))
    copies_row("copies of 24 px", changed(lfw, *plain(of_side(24))))
    copies_row("a copy of 24 px of one of 48 px", changed(lfw, *smaller(24, 48)))
    coarser = changed(lfw, (of_side(32), of_side(32, 60)))
    copies_row("one of 32 px at quality 92 and at 60", coarser)
    small = plain(saved(50), of_side(46), of_side(32), of_side(24))
    copies_row("ORL: quality 50, 46 px, 32 px, 24 px", changed(orl, *small))
    copies_row("drawn faces: 32 px of 64 px", changed(drawn, *smaller(32, 64)))
    copies_row("32 px of 112 px, of 250 px", changed(drawn, *smaller(32, 112, 250)))
    copies_row("24 px of 48 px, of 112 px, of 250 px", changed(drawn, *smaller(24, 48, 112, 250)))
    copies_row(f"the {len(own)} pairs of LFW that are one photo", views([(a, b) for a, b in own]))


def _different(lfw: list[tuple[Path, Path]], data: Path, orl: list[tuple[Path, Path]]) -> None:
    def file(name: str, number: int) -> Path:
        return data / "lfw" / "images" / name / f"{name}_{number:04d}.jpg"

    moments = [(file(name, first), file(name, second)) for name, first, second in MOMENTS]

    def as_ingest_crops(pixels: np.ndarray) -> np.ndarray:
        return saved(95)(center_square(pixels, 112, 1.0))

    print("\n| different photos | confirmed | lowest |\n|" + " --- |" * 3)
    different_row("LFW: pairs within 22 bits", views(lfw))
    different_row("four pairs of LFW's moments", views(moments))
    small = [pair for side in SMALL_SIDES for pair in one_small(moments, side)]
    different_row("the same, one of the two at 20 to 64 px", small)
    different_row("ORL: pairs within 22 bits", views(orl))
    different_row("the same, cropped as ingest does", views(orl, as_ingest_crops))
    for side in (48, 32, 24):
        different_row(f"the same, one of the two at {side} px", one_small(orl, side))
    for title, changes in EXPRESSION_CHANGES.items():
        different_row(title, other_expressions(*changes))


if __name__ == "__main__":
    main()
