import struct
from pathlib import Path

import numpy as np
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

MAGIC = struct.pack("<I", 0xCED7230A)


def frame(payload: bytes) -> bytes:
    """Frames of one record, the payload split where the magic number lies at a multiple of 4."""
    parts, start = [], 0
    for position in range(0, len(payload) - len(payload) % 4, 4):
        if payload[position : position + 4] == MAGIC:
            parts.append(payload[start:position])
            start = position + 4
    parts.append(payload[start:])
    out = b""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        kind = (3 if last else 2) if number else (0 if last else 1)
        out += MAGIC + struct.pack("<I", kind << 29 | len(part)) + part + bytes(-len(part) % 4)
    return out


def image(label: float, data: bytes, index: int = 0) -> bytes:
    return struct.pack("<IfQQ", 0, label, index, 0) + data


def labels(values: list[float], data: bytes = b"") -> bytes:
    return (
        struct.pack("<IfQQ", len(values), 0, 0, 0) + struct.pack(f"<{len(values)}f", *values) + data
    )


def write(root: Path, payloads: list[bytes], keys: list[int] | None = None) -> list[int]:
    """Writes both files and returns the offsets of the records."""
    offsets, rec = [], b""
    for payload in payloads:
        offsets.append(len(rec))
        rec += frame(payload)
    (root / "train.rec").write_bytes(rec)
    keys = list(range(len(payloads))) if keys is None else keys
    lines = "".join(f"{key}\t{offset}\n" for key, offset in zip(keys, offsets, strict=True))
    (root / "train.idx").write_text(lines)
    return offsets


def insightface(labeled: list[tuple[int, bytes]]) -> list[bytes]:
    """The layout of insightface: a header, the images, and a range of images for each identity."""
    first = len(labeled) + 1
    identities = sorted({label for label, _ in labeled})
    ranges = [labels([1, first]) for _ in identities]
    images = [image(label, data, i + 1) for i, (label, data) in enumerate(labeled)]
    return [labels([first, first + len(identities)]), *images, *ranges]


def listed(root: Path) -> list[Ref]:
    source = RecordIO(str(root))
    return [ref for task in source.tasks() for ref in source.refs(task)]


def metadata(refs: list[Ref]) -> dict[str, tuple[str | None, str]]:
    assert len({ref.image_id for ref in refs}) == len(refs)
    return {ref.image_id: (ref.identity, ref.reason) for ref in refs}


IMAGES = [(0, b"first"), (0, b"second!"), (7, b"third picture"), (10_571, MAGIC + b"abc" * 9)]
GOOD = {
    "train.rec/1": ("0", None),
    "train.rec/2": ("0", None),
    "train.rec/3": ("7", None),
    "train.rec/4": ("10571", None),
}


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


def paths_of(root: Path) -> dict[str, str | None]:
    refs = [ref for ref in listed(root) if ref.path == "train.rec"]
    return {ref.image_id: dict(ref.attributes).get("path") for ref in refs}


FROM = [f"{label:07d}/{number}.jpg" for number, (label, _) in enumerate(IMAGES)]


@pytest.mark.parametrize("per_task", [1, 2, 3, 100])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_insightfaces_list_gives_the_path_of_each_image(tmp_path, monkeypatch, per_task, end):
    monkeypatch.setattr(recordio, "_RECORDS_PER_TASK", per_task)
    write(tmp_path, insightface(IMAGES))
    lines = [f"1\t{path}\t{label}" for path, (label, _) in zip(FROM, IMAGES, strict=True)]
    (tmp_path / "train.lst").write_bytes("".join(line + end for line in lines).encode())
    assert metadata(listed(tmp_path)) == GOOD
    assert paths_of(tmp_path) == {f"train.rec/{i + 1}": path for i, path in enumerate(FROM)}


@pytest.mark.parametrize("per_task", [1, 2, 100])
@pytest.mark.parametrize("keys", [[0, 1, 2, 3], [7, 2, 9, 4]])
def test_im2recs_list_gives_the_path_of_each_image(tmp_path, monkeypatch, per_task, keys):
    monkeypatch.setattr(recordio, "_RECORDS_PER_TASK", per_task)
    write(tmp_path, [image(label, data) for label, data in IMAGES], keys)
    lines = [
        f"{key}\t{float(label)}\t{path}\n"
        for key, path, (label, _) in zip(keys, FROM, IMAGES, strict=True)
    ]
    # im2rec leaves an unreadable file out of the records, but not out of the list.
    lines.insert(2, "99\t4\tunreadable.jpg\n")
    (tmp_path / "train.lst").write_text("".join(lines))
    expected = {f"train.rec/{key}": path for key, path in zip(keys, FROM, strict=True)}
    assert paths_of(tmp_path) == expected


def test_a_shuffled_list_whose_record_0_begins_a_task_keeps_its_paths(tmp_path, monkeypatch):
    monkeypatch.setattr(recordio, "_RECORDS_PER_TASK", 2)
    write(tmp_path, [image(label, data) for label, data in IMAGES], [7, 2, 0, 4])
    lines = [
        f"{key}\t{float(label)}\t{path}\n"
        for key, path, (label, _) in zip([7, 2, 0, 4], FROM, IMAGES, strict=True)
    ]
    (tmp_path / "train.lst").write_text("".join(lines))
    assert list(paths_of(tmp_path).values()) == FROM


def test_a_line_truncated_before_its_path_gives_no_path(tmp_path):
    write(tmp_path, [image(label, data) for label, data in IMAGES[:2]], [7, 2])
    (tmp_path / "train.lst").write_text(f"7\t0\t{FROM[0]}\n2\t0\t")
    assert paths_of(tmp_path) == {"train.rec/7": FROM[0], "train.rec/2": None}


def test_a_line_with_another_label_than_the_record_gives_no_path(tmp_path):
    write(tmp_path, insightface(IMAGES))
    lines = [f"1\t{path}\t{label}\n" for path, (label, _) in zip(FROM, IMAGES, strict=True)]
    lines[1] = "1\tother.jpg\t5\n"
    (tmp_path / "train.lst").write_text("".join(lines))
    assert metadata(listed(tmp_path)) == GOOD
    assert list(paths_of(tmp_path).values()) == [FROM[0], None, *FROM[2:]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "line 1 of train.lst is not an index, a label and a path"),
        (b"a.jpg\n", "line 1 of train.lst is not an index, a label and a path"),
        (b"0\t\xff\t0\n", "line 1 of train.lst is not"),
        (b"7\t0\ta.jpg\n", "train.lst has no line of record 3"),
        (b"0\t0\ta.jpg\n" + b"x" * 10_000, "train.lst has no line of record 3"),
    ],
)
def test_a_list_of_another_format_has_a_row_and_is_not_used(tmp_path, monkeypatch, text, message):
    monkeypatch.setattr(recordio, "_RECORDS_PER_TASK", 3)
    write(tmp_path, insightface(IMAGES))
    (tmp_path / "train.lst").write_bytes(text)
    found = metadata(listed(tmp_path))
    reason = found.pop("train.lst")[1]
    assert reason.startswith(message)
    assert reason.endswith("; it was not used")
    assert found == GOOD
    assert set(paths_of(tmp_path).values()) == {None}


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
