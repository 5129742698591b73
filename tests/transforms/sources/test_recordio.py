import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.core.errors import UsageError
from facemill.transforms.images.limits import MAX_BYTES
from facemill.transforms.sources import recordio
from facemill.transforms.sources.base import Ref, Unreadable
from facemill.transforms.sources.reading import too_large
from facemill.transforms.sources.recordio import RecordIO
from tests.reasons import because
from tests.transforms.sources.recordio_files import (
    GOOD,
    IMAGES,
    MAGIC,
    image,
    insightface,
    labels,
    listed,
    metadata,
    write,
)


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("per_task", [1, 3, 100])
def test_images_of_insightfaces_layout_are_listed_and_read(
    tmp_path, monkeypatch, indexed, per_task
):
    monkeypatch.setattr(recordio, "_RECORDS_PER_TASK", per_task)
    write(tmp_path, insightface(IMAGES))
    (tmp_path / "property").write_text("10572,112,112")
    if not indexed:
        (tmp_path / "train.idx").unlink()
    refs = listed(tmp_path)
    assert metadata(refs) == GOOD
    assert {ref.path for ref in refs} == {"train.rec"}
    source = RecordIO(str(tmp_path))
    assert list(source.read(refs[::-1])) == [data for _, data in IMAGES][::-1]


def test_the_index_divides_the_records_into_tasks(tmp_path, monkeypatch):
    monkeypatch.setattr(recordio, "_RECORDS_PER_TASK", 3)
    write(tmp_path, insightface(IMAGES))
    assert len(RecordIO(str(tmp_path)).tasks()) == 3


@settings(deadline=None, max_examples=60)
@given(
    payloads=st.lists(
        st.lists(st.sampled_from([MAGIC, b"a", b"bc", b"\x0a#\xd7\xce", b"0123"]), max_size=12),
        min_size=1,
        max_size=6,
    )
)
def test_an_image_that_contains_the_magic_number_is_read_back(tmp_path_factory, payloads):
    root = tmp_path_factory.mktemp("rec")
    labeled = [(i, b"".join(parts)) for i, parts in enumerate(payloads)]
    write(root, insightface(labeled))
    refs = listed(root)
    assert list(RecordIO(str(root)).read(refs)) == [data for _, data in labeled]


def test_a_header_that_contains_the_magic_number_is_read_back(tmp_path):
    number = struct.unpack("<I", MAGIC)[0]
    write(tmp_path, [image(5, b"picture", index=number), image(6, b"next", index=number << 32)])
    refs = listed(tmp_path)
    assert [ref.identity for ref in refs] == ["5", "6"]
    assert list(RecordIO(str(tmp_path)).read(refs)) == [b"picture", b"next"]


def test_the_first_of_several_labels_is_the_identity(tmp_path):
    write(tmp_path, [labels([3, 0.5, 0.25], b"picture"), labels([4], b"one"), labels([9])])
    refs = listed(tmp_path)
    assert metadata(refs) == {"train.rec/0": ("3", None), "train.rec/1": ("4", None)}
    assert list(RecordIO(str(tmp_path)).read(refs)) == [b"picture", b"one"]


def test_shuffled_numbers_of_the_index_are_kept(tmp_path):
    write(tmp_path, [image(1, b"a"), image(2, b"b"), image(3, b"c")], keys=[5, 0, 9])
    assert metadata(listed(tmp_path)) == {
        "train.rec/5": ("1", None),
        "train.rec/0": ("2", None),
        "train.rec/9": ("3", None),
    }


@pytest.mark.parametrize("label", [float("nan"), float("inf"), -2.0, 0.5])
def test_a_label_that_is_no_whole_number_from_0_on_has_a_reason(tmp_path, label):
    write(tmp_path, [image(1, b"a"), image(label, b"b")])
    found = metadata(listed(tmp_path))
    assert found["train.rec/0"] == ("1", None)
    assert found["train.rec/1"] == (
        None,
        f"its label is {label:g}, not a whole number from 0 on",
    )


@pytest.mark.parametrize("label", [0.0, -0.0])
def test_a_label_of_zero_is_an_identity_whatever_its_sign(tmp_path, label):
    write(tmp_path, [image(label, b"a")])
    assert metadata(listed(tmp_path)) == {"train.rec/0": ("0", None)}


def test_a_label_of_minus_one_is_no_identity(tmp_path):
    write(tmp_path, [image(1, b"a"), image(-1, b"b")])
    assert metadata(listed(tmp_path)) == {"train.rec/0": ("1", None), "train.rec/1": (None, None)}


@pytest.mark.parametrize("by_name", [True, False])
def test_a_pair_of_files_with_another_name_is_read(tmp_path, by_name):
    write(tmp_path, insightface(IMAGES))
    for suffix in ("rec", "idx"):
        (tmp_path / f"train.{suffix}").rename(tmp_path / f"casia.{suffix}")
    if by_name:
        (tmp_path / "other.rec").write_bytes(b"")
    source = RecordIO(str(tmp_path / "casia.rec" if by_name else tmp_path))
    refs = [ref for task in source.tasks() for ref in source.refs(task)]
    expected = {name.replace("train", "casia"): found for name, found in GOOD.items()}
    assert metadata(refs) == expected
    assert {ref.path for ref in refs} == {"casia.rec"}
    assert list(source.read(refs)) == [data for _, data in IMAGES]


def test_one_of_several_pairs_of_files_must_be_named(tmp_path):
    for name in ("a.rec", "b.rec"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UsageError, match=r"one file \.rec, got a\.rec, b\.rec in .*; name one"):
        RecordIO(str(tmp_path)).tasks()
    # The usual name takes precedence.
    write(tmp_path, insightface(IMAGES))
    assert metadata(listed(tmp_path)) == GOOD


def test_a_label_beyond_the_announced_identities_has_a_reason(tmp_path):
    write(tmp_path, insightface(IMAGES))
    (tmp_path / "property").write_text("8,112,112\n")
    message = "its label 10571 is not one of the 8 that property announces"
    assert metadata(listed(tmp_path)) == {**GOOD, "train.rec/4": (None, message)}


@pytest.mark.parametrize("text", ["", "8", "8,112", "a,b,c", "-1,112,112", "9" * 1000])
def test_a_bad_property_file_has_a_row_and_is_not_used(tmp_path, text):
    write(tmp_path, insightface(IMAGES))
    (tmp_path / "property").write_text(text)
    reason = "is not a number of identities, a height and a width; labels were not compared with it"
    assert metadata(listed(tmp_path)) == {**GOOD, "property": (None, reason)}


def test_read_checks_the_record_again_and_the_limit(tmp_path):
    write(tmp_path, [image(1, b"a" * 10), image(2, b"b" * 10)])
    refs = listed(tmp_path)
    large = Ref("train.rec/5", "1", "train.rec", 0, MAX_BYTES + 1)
    data = bytearray((tmp_path / "train.rec").read_bytes())
    data[0] ^= 1
    (tmp_path / "train.rec").write_bytes(data)
    source = RecordIO(str(tmp_path))
    assert list(source.read([large, *refs])) == [
        Unreadable(too_large(MAX_BYTES + 1, "record")),
        Unreadable(because("train.rec was changed while the job ran")),
        b"b" * 10,
    ]
    (tmp_path / "train.rec").unlink()
    assert (
        list(source.read(refs))
        == [Unreadable(because("cannot be read: No such file or directory"))] * 2
    )


def test_an_input_without_records_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match=r"must hold train\.rec"):
        RecordIO(str(tmp_path)).tasks()
    (tmp_path / "train.rec").write_bytes(b"")
    with pytest.raises(UsageError, match="is empty"):
        RecordIO(str(tmp_path)).tasks()


def test_a_file_of_another_format_has_one_row(tmp_path):
    (tmp_path / "train.rec").write_bytes(b"\x89PNG" + bytes(100))
    assert metadata(listed(tmp_path)) == {
        "train.rec/0": (None, "no record begins at byte 0 of train.rec: wrong magic number")
    }
