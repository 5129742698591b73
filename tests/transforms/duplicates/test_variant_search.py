import apache_beam as beam
import numpy as np
import pytest

from facemill.transforms.duplicates import banding, variant_search
from facemill.transforms.duplicates.candidates import PAIR
from facemill.transforms.duplicates.variant_search import VariantPairs, part_bits
from facemill.transforms.images import crop_variants
from facemill.transforms.scan.scan_chunk import USABLE, Scanned
from tests.transforms.duplicates.searching import hash_rows, pairs_of

COUNT = 100


def scanned_chunks(rows: np.ndarray, seed: int) -> list[Scanned]:
    """Scanned chunks of HASH rows, with windows that are near some of the hashes."""
    rng = np.random.default_rng(seed)
    usable = np.zeros(len(rows), USABLE)
    usable["row_id"], usable["fingerprint"] = rows["row_id"], rows["fingerprint"]
    count = crop_variants.ASKING + crop_variants.FOUND
    like = rows["fingerprint"][rng.integers(0, len(rows), (len(rows), count))]
    flips = rng.random((len(rows), count, 128)) < 0.04
    windows = (like ^ np.packbits(flips, axis=2)).reshape(len(rows), -1)
    return [
        Scanned(number, len(part), usable[part], windows[part])
        for number, part in enumerate(np.array_split(rng.permutation(len(rows)), 6))
    ]


# What images are found in on one worker; then groups by no and by some bits of values of bands.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("together", "images", "windows"),
    [(COUNT, 40, 1), (1, 40, 10**7), (1, 1 << 15, 600)],
)
def test_variant_pairs_do_not_depend_on_how_workers_divide_the_search(
    together, images, windows, tmp_path, monkeypatch
):
    monkeypatch.setattr(variant_search, "_IMAGES_PER_GROUP", images)
    monkeypatch.setattr(variant_search, "_WINDOWS_PER_GROUP", windows)
    rows = hash_rows(2, COUNT)
    chunks = scanned_chunks(rows, 3)
    # Of images with equal pixels one is searched, so only its variants are looked up.
    rows = rows[np.random.default_rng(4).random(COUNT) < 0.8]
    parts = np.array_split(rows, 5)
    pairs = pairs_of(
        tmp_path,
        parts,
        COUNT,
        lambda pipeline, total: VariantPairs(
            pipeline | "Scanned" >> beam.Create(chunks), total, together
        ),
    )
    rows = rows[np.argsort(rows["row_id"])]
    usable, hashed = (
        np.concatenate([getattr(one, name) for one in chunks]) for name in ("usable", "windows")
    )
    order = np.argsort(usable["row_id"])
    order = order[np.isin(usable["row_id"][order], rows["row_id"])]
    asking, found = crop_variants.asking(hashed[order]), crop_variants.found(hashed[order])
    hits = banding.cross_pairs(asking, np.arange(len(rows)), found)
    expected = np.zeros(len(hits), PAIR)
    for end in ("first", "second"):
        expected[end] = rows["row_id"][hits[end]]
    expected["variant"], expected["distance"] = hits["variant"], hits["distance"]
    assert len(expected) > COUNT
    assert pairs.tolist() == np.sort(expected).tolist()


def test_groups_of_windows_stay_bounded_in_a_large_collection():
    assert part_bits(1 << 20, 1 << 20) is None
    for total in ((1 << 20) + 1, 10**7, 10**8):
        bits = part_bits(total, 1 << 20)
        windows = total * 2 * crop_variants.ASKING
        assert windows / 2**bits <= variant_search._WINDOWS_PER_GROUP
    assert part_bits(10**12, 1 << 20) == banding.BAND_BITS
