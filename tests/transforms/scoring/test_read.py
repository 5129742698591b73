import dataclasses
import io
import os

import numpy as np
import pytest
from PIL import Image

from transforms import tfrecord
from transforms.decode import MAX_BYTES
from transforms.records import Record
from transforms.scoring.read import read
from transforms.scoring.rows import Failure, Source
from transforms.standardize import encode_jpeg, standardize
from transforms.synthetic.faces import render

PIXELS = render(1, 1, 1, 48)


def source(path: str, **more) -> Source:
    return Source(path, None, path, **more)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "a").mkdir()
    Image.fromarray(PIXELS).save(tmp_path / "a" / "1.png")
    return tmp_path


@pytest.mark.parametrize(("size", "fraction"), [(48, 1.0), (32, 1.0), (32, 0.7)])
def test_a_photo_becomes_what_a_record_would_hold(root, size, fraction):
    expected = standardize(PIXELS, size, fraction).encoded
    assert read(str(root), source("a/1.png"), size, fraction) == expected


def _shard(root, encoded: bytes) -> list[int]:
    record = Record("a/1.png", "a", encoded, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    other = dataclasses.replace(record, image_id="a/0.png", encoded=encode_jpeg(PIXELS[::-1]))
    with (root / "part.tfrecord").open("wb") as stream:
        places = tfrecord.write(stream, [other.to_example(), record.to_example()])
    return [offset for offset, _ in places]


def test_a_record_of_the_models_size_is_not_encoded_again(root):
    encoded = encode_jpeg(PIXELS)
    offset = _shard(root, encoded)[1]
    assert read(str(root), source("part.tfrecord", offset=offset), 48, 0.5) == encoded


def test_a_record_of_another_size_is_made_to_fit(root):
    offset = _shard(root, encode_jpeg(PIXELS))[1]
    encoded = read(str(root), source("part.tfrecord", offset=offset), 32, 1.0)
    assert np.asarray(Image.open(io.BytesIO(encoded))).shape == (32, 32, 3)


def test_a_reason_of_the_listing_is_kept(root):
    given = source("a/1.png", reason="its name is not valid UTF-8")
    assert read(str(root), given, 48, 1.0) == Failure("a/1.png", "a/1.png", given.reason)


def _make_large(path: str) -> None:
    with open(path, "wb") as stream:
        stream.truncate(MAX_BYTES + 1)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: None, "cannot be read: No such file"),
        (os.mkfifo, "not a regular file"),
        (os.mkdir, "not a regular file"),
        (_make_large, f"file of {MAX_BYTES + 1} bytes is above the limit"),
        (lambda path: open(path, "wb").close(), "empty file"),
        (lambda path: os.symlink(path, path), "cannot be read: Too many levels"),
    ],
    ids=["absent", "a pipe", "a folder", "too large", "empty", "a circle"],
)
def test_what_cannot_be_read_is_a_failure_with_a_reason(root, make, told):
    make(str(root / "a" / "2.jpg"))
    failure = read(str(root), source("a/2.jpg"), 48, 1.0)
    assert isinstance(failure, Failure)
    assert (failure.image_id, failure.source) == ("a/2.jpg", "a/2.jpg")
    assert told in failure.reason


def test_a_damaged_record_is_a_failure_with_a_reason(root):
    offset = _shard(root, b"no JPEG")[1]
    failure = read(str(root), source("part.tfrecord", offset=offset), 48, 1.0)
    assert "not an image" in failure.reason
    failure = read(str(root), source("part.tfrecord", offset=offset + 1), 48, 1.0)
    assert "must be a whole TFRecord file" in failure.reason
