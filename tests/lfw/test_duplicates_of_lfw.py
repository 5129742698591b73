"""The duplicate search on LFW: it finds the known label errors, and no two photos of one moment."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from facemill.transforms.duplicates import banding, confirm
from facemill.transforms.duplicates.local_evidence import sized
from facemill.transforms.images import crop_variants, perceptual_hash
from facemill.transforms.images.decode import decode
from tests import needs

AREA = cv2.INTER_AREA

pytestmark = [pytest.mark.slow, pytest.mark.lfw]

ERRATA = {
    ("Bart_Hendricks_0001", "Ricky_Ray_0001"),
    ("Carlos_Beltran_0001", "Raul_Ibanez_0001"),
    ("Emmy_Rossum_0001", "Eva_Amurri_0001"),
}
# Pairs that a search must find: different sharpness, and black corners that differ.
FOUND = {
    *ERRATA,
    ("Andrew_Caldecott_0001", "Andrew_Gilligan_0001"),
    ("Gabrielle_Rose_0001", "Martha_Bowen_0002"),
    ("George_W_Bush_0168", "George_W_Bush_0171"),
    ("George_W_Bush_0407", "George_W_Bush_0409"),
}
# All pairs that the search reports. By eye, each is one photo, framed or encoded differently.
SAME_PHOTO = {
    *FOUND,
    ("Ari_Fleischer_0006", "Ari_Fleischer_0011"),
    ("George_W_Bush_0016", "George_W_Bush_0039"),
    ("George_W_Bush_0130", "George_W_Bush_0206"),
    ("George_W_Bush_0177", "George_W_Bush_0194"),
    ("George_W_Bush_0235", "George_W_Bush_0261"),
    ("Julianne_Moore_0001", "Julianne_Moore_0008"),
    ("Julie_Gerberding_0004", "Julie_Gerberding_0006"),
    ("Leslie_Ann_Woodward_0001", "Leslie_Ann_Woodward_0002"),
    ("Prince_Willem-Alexander_0002", "Prince_Willem-Alexander_0003"),
    ("Renee_Zellweger_0010", "Renee_Zellweger_0013"),
    ("Serena_Williams_0002", "Serena_Williams_0016"),
    ("Serena_Williams_0029", "Serena_Williams_0031"),
}


@pytest.fixture(scope="module")
def images() -> list[Path]:
    return sorted((needs.data() / "lfw" / "images").glob("*/*.jpg"))


@pytest.mark.parametrize("every", [12, pytest.param(1, marks=pytest.mark.long)])
def test_the_errata_and_only_reviewed_pairs_are_found(images: list[Path], every: int) -> None:
    """Of all photos of whoever is in such a pair, and one in `every` of the others."""
    persons = {stem.rpartition("_")[0] for pair in SAME_PHOTO for stem in pair}
    images = [
        path for at, path in enumerate(images) if at % every == 0 or path.parent.name in persons
    ]
    assert len(images) > 13_000 / every
    smalls = [perceptual_hash.small(decode(path.read_bytes()).pixels) for path in images]
    joined = b"".join(perceptual_hash.dct_hash(small) for small in smalls)
    hashes = np.frombuffer(joined, np.uint8).reshape(len(images), -1)
    joined = b"".join(crop_variants.window_hashes(small) for small in smalls)
    windows = np.frombuffer(joined, np.uint8).reshape(len(images), -1)
    thumbnails = np.stack([perceptual_hash.grey_thumbnail(small) for small in smalls])

    def crop(row: int) -> np.ndarray:
        pixels = decode(images[row].read_bytes()).pixels
        return sized(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))

    def confirmed(pairs: np.ndarray, variant: np.ndarray) -> set[tuple[str, str]]:
        ends = pairs[:, 0], pairs[:, 1]
        right = confirm.compare(
            *(thumbnails[rows] for rows in ends),
            variant,
            lambda some: tuple([crop(row) for row in rows[some]] for rows in ends),
        ).same()
        rows = np.sort(pairs[right], axis=1).tolist()
        return {(images[first].stem, images[second].stem) for first, second in rows}

    pairs = banding.near_pairs(hashes)
    near = confirmed(pairs, np.zeros(len(pairs), np.int64))
    assert near >= FOUND
    assert near <= SAME_PHOTO
    asking, found = crop_variants.asking(windows), crop_variants.found(windows)
    hits = banding.cross_pairs(asking, np.arange(len(hashes)), found)
    ends = np.stack([hits[end] for end in ("first", "second")], axis=1).astype(np.int64)
    cross = confirmed(ends, hits["variant"])
    assert FOUND <= cross <= SAME_PHOTO


# The most similar pairs of two photos of one moment.
TWO_PHOTOS = [
    ("Ron_Dittemore_0002", "Ron_Dittemore_0004"),
    ("George_W_Bush_0372", "George_W_Bush_0376"),
    ("Mireya_Moscoso_0002", "Mireya_Moscoso_0003"),
    ("Arminio_Fraga_0003", "Arminio_Fraga_0004"),
]


@pytest.mark.parametrize("side", [64, 32, 24])
def test_a_small_copy_matches_its_photo_and_not_the_other_of_that_moment(
    images: list[Path], side: int
) -> None:
    by_name = {path.stem: path for path in images}
    first, second = (
        [decode(by_name[pair[index]].read_bytes()).pixels for pair in TWO_PHOTOS]
        for index in (0, 1)
    )

    def crops(images: list[np.ndarray]) -> np.ndarray:
        return np.stack([sized(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY)) for one in images])

    def shrunk(images: list[np.ndarray]) -> np.ndarray:
        return crops([cv2.resize(one, (side, side), interpolation=AREA) for one in images])

    no_variant = np.zeros(len(TWO_PHOTOS), np.int64)
    for one, other in ((first, second), (second, first)):
        assert confirm.same_photo(crops(one), shrunk(one), no_variant).all()
        assert not confirm.same_photo(crops(one), shrunk(other), no_variant).any()
