import numpy as np

from facemill.transforms.core.grouping import join
from facemill.transforms.core.row_ids import BASE, NEW, chunk_number, row_ids_of
from facemill.transforms.duplicates.transform import CANDIDATE, _by_pixels, _ExactGroups
from facemill.transforms.scan.scan_chunk import UNUSABLE, USABLE, Scanned


def scanned(origin: int, usable: list[int], unusable: list[int]) -> Scanned:
    """Images whose pixels are told by numbers, 0 where they are not known."""
    number = chunk_number(origin, 0, 0)
    row_ids = row_ids_of(number, len(usable) + len(unusable))
    good, bad = np.zeros(len(usable), USABLE), np.zeros(len(unusable), UNUSABLE)
    good["pixels"][:, 0], bad["pixels"][:, 0] = usable, unusable
    good["row_id"], bad["row_id"] = row_ids[: len(usable)], row_ids[len(usable) :]
    return Scanned(number, len(row_ids), good, np.empty((len(good), 0), np.uint8), unusable=bad)


def test_equal_pixels_meet_where_there_is_no_thumbnail_either():
    old, new = scanned(BASE, [5], [7, 7, 0, 9, 9, 5, 0]), scanned(NEW, [7, 8, 5], [])
    parts = [data for one in (old, new) for _, data in _by_pixels(one, 10)]
    unique, edges = _ExactGroups().process((0, parts))
    # Only what can be confirmed is searched further: of each picture one.
    found = join([unique], CANDIDATE)
    assert found["usable"].all()
    assert sorted(found["pixels"][:, 0].tolist()) == [5, 7, 8]
    pixels = {
        row_id: value
        for one in (old, new)
        for rows in (one.usable, one.unusable)
        for row_id, value in zip(
            rows["row_id"].tolist(), rows["pixels"][:, 0].tolist(), strict=True
        )
    }
    pairs = np.frombuffer(edges.value, np.uint64).reshape(-1, 2)
    told = [[pixels[row_id] for row_id in pair] for pair in pairs.tolist()]
    # Nothing of what a dataset set aside alone: whatever becomes of that was told.
    assert sorted(told) == [[5, 5], [5, 5], [7, 7], [7, 7]]
    assert set(pairs[:, 0].tolist()) <= set(found["row_id"].tolist())
