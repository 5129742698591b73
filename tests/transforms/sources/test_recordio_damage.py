"""Damaged RecordIO files."""

import struct

import numpy as np
import pytest

from facemill.transforms.sources import recordio
from facemill.transforms.sources.recordio import RecordIO
from tests.transforms.sources.recordio_files import (
    GOOD,
    IMAGES,
    image,
    insightface,
    listed,
    metadata,
    write,
)


@pytest.mark.parametrize("indexed", [True, False])
def test_a_damaged_frame_fails_only_its_own_image(tmp_path, indexed):
    offsets = write(tmp_path, insightface(IMAGES))
    data = bytearray((tmp_path / "train.rec").read_bytes())
    data[offsets[2]] ^= 0xFF
    (tmp_path / "train.rec").write_bytes(data)
    if not indexed:
        (tmp_path / "train.idx").unlink()
    reason = f"no record begins at byte {offsets[2]} of train.rec: wrong magic number"
    assert metadata(listed(tmp_path)) == {**GOOD, "train.rec/2": (None, reason)}


@pytest.mark.parametrize("extra", [48, 1 << 20])
def test_a_wrong_length_hides_no_other_image(tmp_path, extra):
    offsets = write(tmp_path, insightface(IMAGES))
    data = bytearray((tmp_path / "train.rec").read_bytes())
    length = struct.unpack_from("<I", data, offsets[1] + 4)[0]
    struct.pack_into("<I", data, offsets[1] + 4, length + extra)
    (tmp_path / "train.rec").write_bytes(data)
    found = metadata(listed(tmp_path))
    assert "wrong length" in found["train.rec/1"][1] or "cut off" in found["train.rec/1"][1]
    assert {key: found[key] for key in found if key != "train.rec/1"} == {
        key: GOOD[key] for key in GOOD if key != "train.rec/1"
    }


def test_complete_records_of_a_truncated_file_are_listed(tmp_path):
    offsets = write(tmp_path, insightface(IMAGES))
    data = (tmp_path / "train.rec").read_bytes()
    (tmp_path / "train.rec").write_bytes(data[: offsets[3] + 20])
    found = metadata(listed(tmp_path))
    assert found["train.rec/1"] == ("0", None)
    assert found["train.rec/2"] == ("0", None)
    assert found["train.rec/3"][1].startswith(f"record at byte {offsets[3]} of train.rec is cut")
    assert "which is not between" in found["train.idx"][1]
    assert found["train.rec"] == (None, "file holds 4 records where its first announces 8")


def test_records_that_the_index_lacks_are_found(tmp_path):
    offsets = write(tmp_path, insightface(IMAGES))
    lines = (tmp_path / "train.idx").read_text().splitlines(keepends=True)
    (tmp_path / "train.idx").write_text("".join(lines[2:4]))
    assert metadata(listed(tmp_path)) == {
        f"train.rec/at-{offsets[1]}": ("0", None),
        "train.rec/2": ("0", None),
        "train.rec/3": ("7", None),
        f"train.rec/at-{offsets[4]}": ("10571", None),
    }


def test_an_index_that_points_into_a_record_hides_no_image(tmp_path, monkeypatch):
    monkeypatch.setattr(recordio, "_RECORDS_PER_TASK", 1)
    offsets = write(tmp_path, [image(1, b"a" * 40), image(2, b"b" * 40), image(3, b"c" * 40)])
    (tmp_path / "train.idx").write_text(f"0\t0\n1\t{offsets[1] + 8}\n2\t{offsets[2]}\n")
    assert metadata(listed(tmp_path)) == {
        "train.rec/0": ("1", None),
        f"train.rec/at-{offsets[1]}": ("2", None),
        "train.rec/1": (
            None,
            f"no record begins at byte {offsets[1] + 8} of train.rec: wrong magic number",
        ),
        "train.rec/2": ("3", None),
    }


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        ("0\t0\n1\t9999999\n", "line 2 of train.idx gives offset 9999999"),
        ("0\t0\n1\t0\n", "line 2 of train.idx gives offset 0"),
        ("0\t0\none\t32\n", "line 2 of train.idx is not a number, a tab and an offset"),
        ("0\t0\n1\t-4\n", "line 2 of train.idx is not a number, a tab and an offset"),
        ("1\t0\n0\t40\n1\t44\n", "train.idx names record 1 more than once"),
        ("", "train.idx is empty"),
        ("9" * 100_000, "line 1 of train.idx is not a number, a tab and an offset"),
    ],
)
def test_a_damaged_index_has_a_row_and_is_not_used(tmp_path, index, reason):
    write(tmp_path, insightface(IMAGES))
    (tmp_path / "train.idx").write_text(index)
    found = metadata(listed(tmp_path))
    assert found.pop("train.idx")[1].startswith(reason)
    assert found == GOOD


def test_a_record_without_header_or_with_too_many_labels_has_a_reason(tmp_path):
    bad = struct.pack("<IfQQ", 1_000_000, 0, 0, 0) + b"ab"
    write(tmp_path, [b"short", bad, image(1, b"x")])
    assert metadata(listed(tmp_path)) == {
        "train.rec/0": (None, "record of 5 bytes is shorter than its header"),
        "train.rec/1": (None, "record of 26 bytes announces 1000000 labels"),
        "train.rec/2": ("1", None),
    }


def test_a_changed_byte_raises_no_error_and_fails_only_its_record(tmp_path):
    payloads = insightface([(i, bytes([65 + i]) * (20 + i)) for i in range(12)])
    offsets = write(tmp_path, payloads)
    whole = (tmp_path / "train.rec").read_bytes()
    random = np.random.default_rng(5)
    source = RecordIO(str(tmp_path))
    for _ in range(200):
        position = int(random.integers(len(whole)))
        data = bytearray(whole)
        data[position] ^= int(random.integers(1, 256))
        (tmp_path / "train.rec").write_bytes(data)
        refs = listed(tmp_path)
        hit = max(i for i, offset in enumerate(offsets) if offset <= position)
        sound = {f"train.rec/{i}" for i in range(1, 13) if i != hit}
        assert sound <= {ref.image_id for ref in refs if not ref.reason}
        usable = [ref for ref in refs if not ref.reason]
        assert all(isinstance(item, bytes) for item in source.read(usable))
