"""A tiny collection: its fingerprint, splits, positions and outcomes never change silently."""

from pathlib import Path

import numpy as np
import pytest

from tests.pipelines.ingest.ingesting import check, ingest, manifest_of

pytestmark = pytest.mark.slow


# Sums of (image_id, SHA-256 of the file); `--append-to` compares with those of earlier datasets.
FINGERPRINT = "cffa42a14d97e69e17fcdb56a88df4deaef232476df2400774a2915dc5e879af"
# Outcome, split and position in the split's only shard.
ROWS = {
    "id0/0.ppm": ("kept", "train", 5),
    "id0/1.ppm": ("kept", "train", 7),
    "id0/2.ppm": ("kept", "train", 6),
    "id0/copy.ppm": ("duplicate", None, None),
    "id1/0.ppm": ("kept", "train", 8),
    "id1/1.ppm": ("kept", "train", 3),
    "id1/2.ppm": ("kept", "train", 2),
    "id1/broken.ppm": ("rejected", None, None),
    "id2/0.ppm": ("kept", "train", 4),
    "id2/1.ppm": ("kept", "train", 0),
    "id2/2.ppm": ("kept", "train", 1),
    "id3/0.ppm": ("kept", "val", 1),
    "id3/1.ppm": ("kept", "val", 3),
    "id3/2.ppm": ("kept", "val", 4),
    "id4/0.ppm": ("kept", "val", 2),
    "id4/1.ppm": ("kept", "val", 0),
    "id4/2.ppm": ("kept", "val", 5),
}


def _write_ppm(path: Path, number: int) -> None:
    """An image made by integer arithmetic, in a format that needs no encoder."""
    row, column, channel = np.ogrid[:48, :48, :3]
    parts = (row * row * (number + 1), column * (column // 7 + number) * (channel + 2))
    pixels = ((sum(parts) + row * column // (number + 3)) % 256).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"P6 48 48 255\n" + pixels.tobytes())


def test_golden_dataset(tmp_path):
    photos = tmp_path / "photos"
    for identity in range(5):
        for image in range(3):
            _write_ppm(photos / f"id{identity}" / f"{image}.ppm", 3 * identity + image)
    # A duplicate and a file that cannot be read.
    _write_ppm(photos / "id0" / "copy.ppm", 0)
    (photos / "id1" / "broken.ppm").write_bytes(b"P6")
    ingest(photos, tmp_path / "dataset")
    rows = check(tmp_path / "dataset")
    assert manifest_of(tmp_path / "dataset")["source"]["fingerprint"] == FINGERPRINT
    found = {name: (row["outcome"], row["split"], row["position"]) for name, row in rows.items()}
    assert found == ROWS
