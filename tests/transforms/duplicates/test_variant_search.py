import apache_beam as beam
import numpy as np
import pytest

from facemill.transforms.duplicates import banding, variant_search
from facemill.transforms.duplicates.candidates import PAIR
from facemill.transforms.duplicates.variant_search import VariantPairs, part_bits
from facemill.transforms.images import crop_variants
from facemill.transforms.scan.scan_chunk import USABLE, Scanned
from tests.transforms.duplicates.searching import hash_rows, pairs_of

COUNT = 300


def scanned_chunks(rows: np.ndarray, seed: int) -> list[Scanned]:
    """Scanned chunks of HASH rows, with windows that are near some of the hashes."""
    rng = np.random.default_rng(seed)
    usable = np.zeros(len(rows), USABLE)
    usable["row_id"], usable["fingerprint"] = rows["row_id"], rows["fingerprint"]
    like = rows["fingerprint"][rng.integers(0, len(rows), (len(rows), crop_variants.WINDOWS))]
    flips = rng.random((len(rows), crop_variants.WINDOWS, 128)) < 0.04
    windows = (like ^ np.packbits(flips, axis=2)).reshape(len(rows), -1)
    return [
        Scanned(number, len(part), usable[part], windows[part])
        for number, part in enumerate(np.array_split(rng.permutation(len(rows)), 6))
    ]


# All hashes on one worker; then groups by no, some and all bits of the values of bands.
@pytest.mark.slow
@pytest.mark.parametrize(("together", "per_group"), [(COUNT, 1), (1, 10**6), (1, 300), (1, 1)])
def test_variant_pairs_do_not_depend_on_how_workers_divide_the_search(
    together, per_group, tmp_path, monkeypatch
):
    monkeypatch.setattr(variant_search, "_VARIANTS_PER_GROUP", per_group)
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
    usable, windows = (
        np.concatenate([getattr(one, name) for one in chunks]) for name in ("usable", "windows")
    )
    order = np.argsort(usable["row_id"])
    order = order[np.isin(usable["row_id"][order], rows["row_id"])]
    queries = crop_variants.queries(usable["fingerprint"][order], windows[order])
    cross, variant = banding.cross_pairs(queries, np.arange(len(rows)), rows["fingerprint"])
    expected = np.zeros(len(cross), PAIR)
    expected["first"], expected["second"] = rows["row_id"][cross].T
    expected["variant"] = variant
    asked = queries[cross[:, 0], variant - 1]
    expected["distance"] = banding.distances(asked, rows["fingerprint"][cross[:, 1]])
    assert len(expected) > COUNT
    assert pairs.tolist() == np.sort(expected).tolist()


def test_groups_of_variants_stay_bounded_in_a_large_collection():
    assert part_bits(1 << 21, 1 << 21) is None
    for total in ((1 << 21) + 1, 10**7, 10**8, 10**9):
        bits = part_bits(total, 1 << 21)
        assert total * crop_variants.MIRROR / 2**bits <= variant_search._VARIANTS_PER_GROUP
    assert part_bits(10**12, 1 << 21) == banding.BAND_BITS
