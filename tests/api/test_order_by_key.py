import random
from pathlib import Path

import numpy as np
import pytest
from apache_beam import coders
from apache_beam.pvalue import TaggedOutput

from facemill.beam import Image, find_duplicates, order_by_key
from facemill.beam.order_by_key import RowsToOrder, RowsWithWindows
from facemill.transforms.core.row_ids import chunk_of, row_of
from facemill.transforms.faces.crop import CropConfig
from facemill.transforms.images.crop_variants import WINDOW_BYTES
from facemill.transforms.scan.staging import StagingReader, read_metadata


@pytest.mark.parametrize("kind", [RowsToOrder, RowsWithWindows])
def test_rows_are_equal_after_encoding_and_decoding(kind):
    rows = kind(np.random.default_rng(1).bytes(5 * kind.dtype.itemsize))
    coder = coders.registry.get_coder(kind)
    decoded = coder.decode(coder.encode(rows))
    assert coder.is_deterministic()
    assert decoded == rows
    assert len(decoded) == 5
    width = {RowsToOrder: 0, RowsWithWindows: WINDOW_BYTES}[kind]
    assert decoded.array["windows"].shape == (5, width)


def numbered(folder: Path, elements: list[Image], batch: int) -> dict[int, tuple[str, bytes]]:
    """Key and thumbnail of each usable image by row id, scanned in batches of the given size."""
    staging = str(folder)
    (folder / order_by_key.UNORDERED).mkdir(parents=True)
    groups: dict[int, list[RowsToOrder]] = {}
    for start in range(0, len(elements), batch):
        scan = find_duplicates._Scan(staging, CropConfig(), windows=False, workers=1)
        scan.start_bundle()
        waiting = [list(scan.process(one)) for one in elements[start : start + batch]]
        assert not any(waiting)
        for output in scan.finish_bundle():
            if not isinstance(output, TaggedOutput):
                for group, rows in order_by_key._by_key(output.value, len(elements)):
                    groups.setdefault(group, []).append(rows)
    found = {}
    with StagingReader(staging) as reader:
        for group in groups.items():
            for scanned in order_by_key._order(group, staging):
                keys = read_metadata(staging, scanned.chunk, ["image_id"])["image_id"].to_pylist()
                for row_id in scanned.usable["row_id"].tolist():
                    (thumbnail,) = reader.thumbnails([row_id])
                    found[row_id] = keys[row_of(row_id)], thumbnail.tobytes()
    return found


def test_row_ids_depend_on_the_keys_and_not_on_bundles(collection, tmp_path, monkeypatch):
    monkeypatch.setattr(order_by_key, "_ROWS_PER_GROUP", 5)
    elements = [Image(*one) for one in collection.items()]
    expected = numbered(tmp_path / "0", elements, len(elements))
    assert len(expected) == len(collection) - 2  # two are no images
    assert len({chunk_of(row_id) for row_id in expected}) > 1
    for number, batch in enumerate((1, 4), 1):
        random.Random(number).shuffle(elements)
        assert numbered(tmp_path / str(number), elements, batch) == expected
