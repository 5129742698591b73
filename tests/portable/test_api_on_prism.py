"""The API's transforms on a portable runner, which chooses the bundles."""

from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from facemill.beam import FindDuplicates, ReadImages
from tests.api.conftest import photo

pytestmark = pytest.mark.portable


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Three identities with five photos each, of which some are copies and one is empty."""
    root = tmp_path_factory.mktemp("api") / "photos"
    for identity in range(3):
        folder = root / f"id{identity}"
        folder.mkdir(parents=True)
        for image in range(4):
            (folder / f"{image}.png").write_bytes(photo(identity, image))
        small = photo(identity, 1, 40, "JPEG", quality=85)
        (folder / "small.jpg").write_bytes(small)
    (root / "id1" / "conflict.png").write_bytes(photo(0, 2))
    (root / "id2" / "empty.jpg").write_bytes(b"")
    return root


def rows(photos: Path, folder: Path, flags: list[str]) -> list[str]:
    """Rows of FindDuplicates as text, sorted."""
    folder.mkdir()
    with beam.Pipeline(options=PipelineOptions(flags)) as pipeline:
        _ = (
            pipeline
            | ReadImages(photos)
            | FindDuplicates(temp_location=folder / "temp")
            | beam.Map(lambda row: "\t".join(map(str, row)))
            | beam.io.WriteToText(str(folder / "rows"))
        )
    assert list((folder / "temp").iterdir()) == []
    parts = (part.read_text("utf-8").splitlines() for part in folder.glob("rows-*"))
    return sorted(line for part in parts for line in part)


def test_duplicates_are_the_same_as_on_the_local_runner(photos, tmp_path, prism_flags):
    local = rows(photos, tmp_path / "local", ["--runner=FnApiRunner"])
    assert [line.split("\t")[1] for line in local].count("duplicate") == 3
    assert sum("conflict" in line.split("\t")[1] for line in local) == 2
    assert rows(photos, tmp_path / "prism", prism_flags) == local
