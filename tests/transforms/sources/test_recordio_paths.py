"""Paths of RecordIO images from the list beside the records."""

from pathlib import Path

import pytest

from facemill.transforms.sources import recordio
from tests.transforms.sources.recordio_files import (
    GOOD,
    IMAGES,
    image,
    insightface,
    listed,
    metadata,
    write,
)


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
