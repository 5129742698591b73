import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from transforms import tfrecord
from transforms.errors import RunError
from transforms.framing import Look, frame
from transforms.records import Record
from transforms.scoring.read import Reader
from transforms.scoring.rows import Failure
from transforms.sources.base import Ref
from transforms.sources.dataset import DatasetRecords
from transforms.sources.folders import Folders
from transforms.standardize import encode_jpeg
from transforms.synthetic.faces import render

PIXELS = render(1, 1, 1, 48)


def read(reader: Reader, refs: list[Ref]) -> list[bytes | Failure]:
    with ThreadPoolExecutor(2) as pool:
        return list(reader.read(refs, pool))


def ref(path: str, **more) -> Ref:
    return Ref(path, None, path, **more)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "a").mkdir()
    Image.fromarray(PIXELS).save(tmp_path / "a" / "1.png")
    return tmp_path


@pytest.mark.parametrize(
    "look", [Look(48), Look(32), Look(32, "center", 0.7), Look(32, "none", 0.7)]
)
def test_a_photo_becomes_what_a_record_would_hold(root, look):
    (framed,) = frame(look, [PIXELS], [None])
    (found,) = read(Reader(Folders(str(root)), look), [ref("a/1.png")])
    assert found == encode_jpeg(framed.pixels)


def test_order_is_kept_and_failures_stand_where_their_images_would(root):
    (root / "a" / "2.jpg").write_bytes(b"")
    refs = [
        ref("a/1.png"),
        ref("a/2.jpg"),
        ref("a/absent.jpg"),
        ref("a/3.jpg", reason="a bad name"),
        *[ref("a/1.png")] * 40,
    ]
    found = read(Reader(Folders(str(root)), Look(32)), refs)
    good = found[0]
    assert isinstance(good, bytes)
    reasons = [one.reason for one in found if isinstance(one, Failure)]
    assert reasons == ["empty file", "cannot be read: No such file or directory", "a bad name"]
    assert [one for one in found if not isinstance(one, Failure)] == [good] * 41
    assert (found[1].image_id, found[1].source) == ("a/2.jpg", "a/2.jpg")


def record_at(offset: int) -> Ref:
    return Ref("a/1.png", None, "part.tfrecord", offset=offset)


def _dataset(root, encoded: bytes) -> tuple[DatasetRecords, int]:
    records = [
        Record(f"a/{number}.png", "a", data, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
        for number, data in enumerate((encode_jpeg(PIXELS[::-1]), encoded))
    ]
    with (root / "part.tfrecord").open("wb") as stream:
        places = tfrecord.write(stream, [record.to_example() for record in records])
    return DatasetRecords(str(root), {"files": [], "splits": {}}), places[1][0]


def test_a_record_of_the_models_size_is_not_encoded_again(root):
    encoded = encode_jpeg(PIXELS)
    source, offset = _dataset(root, encoded)
    look = Look(48, "center", 0.5)
    assert read(Reader(source, look), [record_at(offset)]) == [encoded]


def test_a_record_of_another_size_is_resized_and_not_cropped_again(root):
    source, offset = _dataset(root, encode_jpeg(PIXELS))
    look = Look(32, "center", 0.5)
    (encoded,) = read(Reader(source, look), [record_at(offset)])
    pixels = np.asarray(Image.open(io.BytesIO(encoded))).astype(int)
    assert pixels.shape == (32, 32, 3)
    (whole,) = frame(Look(32), [PIXELS], [None])
    assert np.abs(pixels - whole.pixels).mean() < 6


def test_a_damaged_record_is_a_failure_with_a_reason(root):
    source, offset = _dataset(root, b"no JPEG")
    (failure,) = read(Reader(source, Look(48)), [record_at(offset)])
    assert "not an image" in failure.reason


def test_a_damaged_shard_ends_the_run(root):
    source, offset = _dataset(root, encode_jpeg(PIXELS))
    with pytest.raises(RunError, match="must be a whole TFRecord file"):
        read(Reader(source, Look(48)), [record_at(offset + 1)])
