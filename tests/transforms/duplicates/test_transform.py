import numpy as np

from facemill.transforms.core.row_ids import BASE, NEW, chunk_number, row_ids_of
from facemill.transforms.duplicates.transform import _by_pixels, _ExactGroups
from facemill.transforms.scan.scan_chunk import UNUSABLE, USABLE, Scanned


def scanned(origin: int, usable: list[int], unusable: list[int]) -> Scanned:
    """A chunk of images with numbers as their pixel hashes, 0 for unknown pixels."""
    number = chunk_number(origin, 0, 0)
    row_ids = row_ids_of(number, len(usable) + len(unusable))
    good, bad = np.zeros(len(usable), USABLE), np.zeros(len(unusable), UNUSABLE)
    good["pixels"][:, 0], bad["pixels"][:, 0] = usable, unusable
    good["row_id"], bad["row_id"] = row_ids[: len(usable)], row_ids[len(usable) :]
    return Scanned(number, len(row_ids), good, np.empty((len(good), 0), np.uint8), unusable=bad)


def test_equal_pixels_are_found_among_images_without_thumbnails_too():
    base, new = scanned(BASE, [5], [7, 7, 0, 9, 9, 5, 0]), scanned(NEW, [7, 8, 5], [])
    parts = [data for one in (base, new) for _, data in _by_pixels(one, 10)]
    unique, edges = _ExactGroups().process((0, parts))
    # Only usable images are searched further, one of each group of equal pixels.
    found = unique.array
    assert found["usable"].all()
    assert sorted(found["pixels"][:, 0].tolist()) == [5, 7, 8]
    pixels = {
        row_id: value
        for one in (base, new)
        for rows in (one.usable, one.unusable)
        for row_id, value in zip(
            rows["row_id"].tolist(), rows["pixels"][:, 0].tolist(), strict=True
        )
    }
    pairs = edges.value.array
    edges_of_pixels = [[pixels[row_id] for row_id in pair] for pair in pairs.tolist()]
    # A group of excluded images alone has no edges: the images have their outcomes already.
    assert sorted(edges_of_pixels) == [[5, 5], [5, 5], [7, 7], [7, 7]]
    assert set(pairs[:, 0].tolist()) <= set(found["row_id"].tolist())
