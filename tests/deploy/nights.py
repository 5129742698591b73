"""A collection that changes between two nights, and what is to be found after each."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from facemill.transforms.dataset import artifact
from facemill.transforms.faces.crop import CropConfig
from facemill.transforms.images.resize import encode_jpeg
from tests import embedding_sets
from tests.transforms.scoring import handmade

FIRST, SECOND = "2026-11-25", "2026-11-26"
PHOTOS, NEW, REPLACED, REMOVED = 120, 100, 10, 5


def draw(path: Path, seed: int) -> None:
    """A photo whose mean color depends on the seed."""
    color = np.random.default_rng(seed).integers(40, 200, 3)
    path.write_bytes(encode_jpeg(np.full((20, 20, 3), color, np.uint8)))


def prepare(root: Path) -> None:
    """Writes `model`, `photos` of the first night, and a `gallery` of three people."""
    for name in ("model", "photos"):
        (root / name).mkdir(parents=True)
    handmade.write_model(root / "model", CropConfig(16, "none"))
    for number in range(PHOTOS):
        draw(root / "photos" / f"{number:03d}.jpg", number)
    vectors = np.eye(3, handmade.SIZE, dtype=np.float32)
    embedding_sets.write(root / "gallery", ["x", "y", "z"], vectors, model_id="means")


def next_day(root: Path) -> None:
    """Adds, replaces and removes photos."""
    photos = root / "photos"
    for number in range(NEW):
        draw(photos / f"new{number:03d}.jpg", 1_000 + number)
    for number in range(REPLACED):
        draw(photos / f"{number:03d}.jpg", 2_000 + number)
    for number in range(PHOTOS - REMOVED, PHOTOS):
        (photos / f"{number:03d}.jpg").unlink()


def settings(root: Path, command: str) -> dict[str, str]:
    """The variables of `night.env` for this collection."""
    return {
        "FACEMILL": command,
        "PHOTOS": str(root / "photos"),
        "MODEL": str(root / "model"),
        "OUTPUT": str(root / "out"),
        "GALLERY": str(root / "gallery"),
        "SCORE_OPTIONS": "--workers 1",
        "MATCH_OPTIONS": "--threshold 0.4 --workers 1",
    }


def check_first(root: Path) -> None:
    """Checks what the first night wrote."""
    assert _counts(root, "embeddings", FIRST)["scored"] == PHOTOS
    assert _counts(root, "matches", FIRST)["probes"] == PHOTOS


def check_second(root: Path) -> None:
    """Checks what the second night wrote, and that the first is as it was."""
    check_first(root)
    counts = _counts(root, "embeddings", SECOND)
    assert counts["scored"] == NEW + REPLACED
    assert counts["unchanged"] == PHOTOS - REPLACED - REMOVED
    assert counts["removed"] == REMOVED
    gone = pq.read_table(root / "out" / "embeddings" / SECOND / "removed").column("image_id")
    assert sorted(gone.to_pylist()) == [f"{n:03d}.jpg" for n in range(PHOTOS - REMOVED, PHOTOS)]
    assert _counts(root, "matches", SECOND)["probes"] == NEW + REPLACED
    assert (root / "out" / "matches" / SECOND / "report.html").is_file()
    for name in ("score", "match"):
        status = json.loads((root / "out" / "status" / f"{name}.json").read_text())
        assert (status["command"], status["state"], status["exit_code"]) == (name, "done", 0)


def _counts(root: Path, kind: str, night: str) -> dict[str, int]:
    path = root / "out" / kind / night
    manifest = json.loads((path / "manifest.json").read_text())
    artifact.verify_files(str(path), manifest)
    counts: dict[str, int] = manifest["counts"]
    return counts
