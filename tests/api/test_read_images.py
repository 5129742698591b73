import apache_beam as beam
import pytest
from apache_beam import coders

from facemill.beam import Image, ReadImages
from facemill.transforms.core.errors import UsageError
from facemill.transforms.sources.folders import Folders
from tests.api.running import gathered


def read(*given, **named) -> dict[str, Image]:
    found = gathered(lambda pipeline: pipeline | ReadImages(*given, **named))
    assert all(isinstance(one, Image) for one in found)
    rows = {one.image_id: one for one in found}
    assert len(rows) == len(found)
    return rows


def test_every_photo_has_a_row_with_its_bytes_and_identity(folder, collection):
    rows = read(folder)
    assert {key: row.data for key, row in rows.items()} == collection
    assert {row.identity for row in rows.values()} == {f"id{number}" for number in range(6)}
    assert {row.reason for row in rows.values()} == {None}


def test_a_source_object_gives_the_rows_of_its_format(folder):
    assert read(Folders(str(folder))) == read(str(folder), format="folders")


def test_a_photo_that_cannot_be_read_has_a_reason_and_no_bytes(tmp_path):
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "gone.jpg").symlink_to("/does/not/exist.jpg")
    (tmp_path / "ada" / "there.jpg").write_bytes(b"content")
    (tmp_path / "nobody.jpg").write_bytes(b"content")
    rows = read(tmp_path)
    assert rows["ada/gone.jpg"].data is None
    assert "leads out of the input" in rows["ada/gone.jpg"].reason
    assert rows["ada/there.jpg"] == Image("ada/there.jpg", b"content", "ada")
    assert rows["nobody.jpg"] == Image("nobody.jpg", b"content")


def test_a_row_is_equal_after_encoding_and_decoding():
    coder = coders.registry.get_coder(Image)
    assert isinstance(coder, coders.RowCoder)
    for row in (
        Image("a", b"b"),
        Image("a", None, "ada", "cannot be read", (1.0,) * 10, "unreadable"),
    ):
        decoded = coder.decode(coder.encode(row))
        assert isinstance(decoded, Image)
        assert decoded[:4] == row[:4]
        assert decoded.reason_code == row.reason_code
        assert row.landmarks is None or list(decoded.landmarks) == list(row.landmarks)


def test_a_dataset_as_photos_is_a_usage_error(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(UsageError, match=r"read a dataset with facemill.load_dataset\.$"):
        ReadImages(tmp_path)


def test_a_source_object_with_a_format_is_a_usage_error(folder):
    with pytest.raises(UsageError, match="Folders came with some"):
        ReadImages(Folders(str(folder)), format="folders")


def test_an_absent_collection_is_an_error_when_the_pipeline_is_built(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        beam.Pipeline() | ReadImages(tmp_path / "absent")
