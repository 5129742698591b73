import json
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from facemill.transforms.core.errors import UsageError
from facemill.transforms.images.limits import MAX_BYTES
from facemill.transforms.sources.base import Ref, Unreadable
from facemill.transforms.sources.manifest import Manifest
from tests.reasons import because
from tests.transforms.sources.manifest_files import listed_in, write_manifest

_TEN = tuple(float(number) for number in range(10))


def _one(tmp_path, row: dict) -> Ref:
    (ref,) = listed_in(write_manifest(tmp_path / "m.jsonl", [row]))
    return ref


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_rows_are_listed_and_read_in_order(tmp_path, suffix):
    (tmp_path / "ada").mkdir()
    for name in ("ada/1.jpg", "ada/2.jpg", "3.jpg"):
        (tmp_path / name).write_bytes(name.encode() * 99)
    rows = [
        {"path": "ada/2.jpg", "identity": "ada", "split": "test", "camera": "b", "age": "41"},
        {"path": "./ada//1.jpg", "identity": "ada", "split": None, "camera": "a", "age": None},
        {"path": "missing.jpg", "identity": None, "split": "train", "camera": None, "age": None},
        {"path": "3.jpg", "identity": "7", "split": "val", "camera": "a", "age": "5"},
    ]
    path = write_manifest(tmp_path / f"m{suffix}", rows)
    source = pickle.loads(pickle.dumps(Manifest(path)))
    assert source.tasks() == [f"m{suffix}"]
    refs = list(source.refs(f"m{suffix}"))
    assert refs == [
        Ref(
            "ada/2.jpg",
            "ada",
            "ada/2.jpg",
            split="test",
            attributes=(("age", "41"), ("camera", "b")),
        ),
        Ref("ada/1.jpg", "ada", "ada/1.jpg", attributes=(("camera", "a"),)),
        Ref("missing.jpg", None, "missing.jpg", split="train"),
        Ref("3.jpg", "7", "3.jpg", split="val", attributes=(("age", "5"), ("camera", "a"))),
    ]
    results = [
        b"ada/2.jpg" * 99,
        b"ada/1.jpg" * 99,
        Unreadable(because("cannot be read: No such file or directory")),
        b"3.jpg" * 99,
    ]
    assert list(source.read(refs)) == results
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: list(source.read(refs)), range(16))) == [results] * 16


def test_paths_are_relative_to_the_given_root(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.jpg").write_bytes(b"one")
    path = write_manifest(tmp_path / "m.csv", [{"file": "1.jpg", "label": "ada"}])
    source = Manifest(path, str(tmp_path / "images"))
    refs = list(source.refs("m.csv"))
    assert [(ref.image_id, ref.identity) for ref in refs] == [("1.jpg", "ada")]
    assert list(source.read(refs)) == [b"one"]


def test_the_first_name_of_a_column_counts_even_if_its_value_is_empty(tmp_path):
    ref = _one(tmp_path, {"image": "i.jpg", "path": "p.jpg", "label": "l", "identity": None})
    assert (ref.image_id, ref.identity) == ("p.jpg", None)
    assert ref.attributes == (("image", "i.jpg"), ("label", "l"))


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../x.jpg", "a/../../x.jpg", "a/..", "..", "s3://bucket/x.jpg", "file:///x"],
)
def test_a_path_outside_the_root_has_a_row_with_a_reason(tmp_path, path):
    ref = _one(tmp_path, {"path": path, "identity": "ada"})
    assert ref.image_id == "m.jsonl/line 1"
    assert ref.reason == f"leads outside the root folder: {path}"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (None, "names no path"),
        ("", "names no path"),
        (7, "its path must be a text, got a int"),
        ("\ud800.jpg", "its path is not valid UTF-8"),
        ("a\0.jpg", "its path holds a null byte"),
    ],
)
def test_an_invalid_path_has_a_row_with_a_reason(tmp_path, path, reason):
    ref = _one(tmp_path, {"path": path})
    assert (ref.image_id, ref.reason) == ("m.jsonl/line 1", reason)


def test_a_link_that_leads_outside_is_not_followed(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "root-2").mkdir()
    (tmp_path / "root-2" / "x.jpg").write_bytes(b"secret")
    (root / "inside.jpg").write_bytes(b"inside")
    (root / "good.jpg").symlink_to("inside.jpg")
    (root / "bad.jpg").symlink_to("../secret.jpg")
    (root / "folder").symlink_to("../root-2")
    (root / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(root / "pipe.jpg")
    (root / "sub").mkdir()
    names = ["good.jpg", "bad.jpg", "folder/x.jpg", "pipe.jpg", "sub"]
    path = write_manifest(root / "m.csv", [{"path": name} for name in names])
    (tmp_path / "link").symlink_to("root")
    for base in (None, root, tmp_path / "link"):
        source = Manifest(path, None if base is None else str(base))
        assert list(source.read(list(source.refs("m.csv")))) == [
            b"inside",
            Unreadable(because("leads outside the root folder")),
            Unreadable(because("leads outside the root folder")),
            Unreadable(because("is not a file")),
            Unreadable(because("is not a file")),
        ]
    (loop,) = source.read([Ref("loop.jpg", None, "loop.jpg")])
    assert isinstance(loop, Unreadable)


def test_a_file_above_the_limit_is_not_read(tmp_path):
    with open(tmp_path / "a.jpg", "wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    (result,) = Manifest(str(tmp_path / "m.csv")).read([Ref("a.jpg", None, "a.jpg")])
    assert result.reason == f"file of {MAX_BYTES + 1} bytes is above the limit of {MAX_BYTES}"


def test_a_repeated_path_has_a_row_with_a_reason(tmp_path):
    paths = ["a.jpg", "b.jpg", "./a.jpg", "a.jpg", "m.csv/line 7", ""]
    refs = listed_in(
        write_manifest(tmp_path / "m.csv", [{"path": path, "n": "1"} for path in paths])
    )
    again = "its path comes on an earlier row already: a.jpg"
    assert [(ref.image_id, ref.reason) for ref in refs] == [
        ("a.jpg", None),
        ("b.jpg", None),
        ("m.csv/line 4", again),
        ("m.csv/line 5", again),
        ("m.csv/line 7", None),
        ("m.csv/line 7#2", "names no path"),
    ]


@pytest.mark.parametrize(
    ("columns", "landmarks"),
    [
        ({"landmarks": list(range(10))}, _TEN),
        ({"landmarks": json.dumps(_TEN)}, _TEN),
        ({"landmarks": None}, None),
        (
            {
                f"{point}_{axis}": str(number)
                for number, (point, axis) in enumerate(
                    (point, axis)
                    for point in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
                    for axis in "xy"
                )
            },
            _TEN,
        ),
        ({"left_eye_x": None, "right_mouth_y": ""}, None),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_landmarks_are_read_from_a_list_json_or_columns(tmp_path, columns, landmarks, suffix):
    (ref,) = listed_in(write_manifest(tmp_path / f"m{suffix}", [{"path": "a.jpg", **columns}]))
    assert (ref.landmarks, ref.attributes, ref.reason) == (landmarks, (), None)


@pytest.mark.parametrize(
    "columns",
    [
        {"landmarks": list(range(9))},
        {"landmarks": [1] * 9 + [None]},
        {"landmarks": [1] * 9 + [float("nan")]},
        {"landmarks": [1] * 9 + [10**400]},
        {"landmarks": "1 2 3 4 5 6 7 8 9 10"},
        {"landmarks": "[" * 100_000},
        {"landmarks": 7},
        {"left_eye_x": 3.5},
    ],
)
def test_bad_landmarks_have_a_row_with_a_reason(tmp_path, columns):
    ref = _one(tmp_path, {"path": "a.jpg", "identity": "ada", **columns})
    assert (ref.image_id, ref.identity, ref.landmarks) == ("a.jpg", "ada", None)
    assert ref.reason.startswith("its landmarks must be 10 finite numbers, got ")
    assert len(ref.reason) < 300


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"split": "dev"}, "its split must be train, val, test or nothing, got dev"),
        ({"split": 1}, "its split must be train, val, test or nothing, got 1"),
        ({"split": ["train"]}, "its split must be train, val, test or nothing, got ['train']"),
        ({"identity": [1]}, "its identity must be a text or a whole number, got a list"),
        ({"camera": "\ud800"}, "its attribute is not valid UTF-8"),
    ],
)
def test_other_bad_values_have_a_row_with_a_reason(tmp_path, columns, reason):
    ref = _one(tmp_path, {"path": "a.jpg", **columns})
    assert (ref.image_id, ref.split, ref.reason) == ("a.jpg", None, reason)


def test_an_absolute_path_under_the_root_is_accepted(tmp_path):
    (tmp_path / "in").mkdir()
    rows = [{"path": f"{tmp_path}/in/1.jpg"}, {"path": f"{tmp_path}/out/1.jpg"}]
    inside, outside = listed_in(write_manifest(tmp_path / "m.csv", rows), tmp_path / "in")
    assert (inside.image_id, inside.path, inside.reason) == ("1.jpg", "1.jpg", None)
    assert outside.reason == f"leads outside the root folder: {tmp_path}/out/1.jpg"
    (climbing,) = listed_in(write_manifest(tmp_path / "m.csv", [{"path": f"{tmp_path}/in/../x"}]))
    assert climbing.reason.startswith("leads outside the root folder")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_rows_with_an_image_id_may_repeat_a_path(tmp_path, suffix):
    rows = [
        {"path": "g.jpg", "identity": "ada", "image_id": "g/left"},
        {"path": "g.jpg", "identity": "bob", "image_id": "g/right"},
        {"path": "g.jpg", "identity": "eve", "image_id": "g/right"},
        {"path": "g.jpg", "identity": "eve", "image_id": None},
        {"path": "g.jpg", "identity": "fay", "image_id": ""},
    ]
    refs = listed_in(write_manifest(tmp_path / f"m{suffix}", rows))
    assert [(ref.identity, ref.path, ref.attributes) for ref in refs] == [
        (row["identity"], "g.jpg", ()) for row in rows
    ]
    third, fifth = (ref.image_id for ref in (refs[2], refs[4]))
    assert [ref.image_id for ref in refs] == ["g/left", "g/right", third, "g.jpg", fifth]
    assert third.startswith(f"m{suffix}/")
    assert fifth.startswith(f"m{suffix}/")
    assert [ref.reason for ref in refs] == [
        *(None, None, "its image_id comes on an earlier row already: g/right"),
        *(None, "its path comes on an earlier row already: g.jpg"),
    ]


@pytest.mark.parametrize("value", [7, "a\0b", ["a"], "\ud800"])
def test_a_bad_image_id_has_a_row_with_a_reason(tmp_path, value):
    ref = _one(tmp_path, {"path": "a.jpg", "image_id": value})
    assert (ref.image_id, ref.path) == ("m.jsonl/line 1", "a.jpg")
    assert ref.reason.startswith("its image_id ")


def test_attributes_of_any_type_become_text(tmp_path):
    row = {"path": "a.jpg", "z": 1.5, "b": True, "l": [1, "é"], "i": 7, "n": None}
    ref = _one(tmp_path, row)
    assert ref.attributes == (("b", "true"), ("i", "7"), ("l", '[1, "é"]'), ("z", "1.5"))


def test_a_damaged_row_has_a_reason_and_its_neighbors_are_listed(tmp_path):
    path = tmp_path / "m.csv"
    path.write_bytes(b'path,n\na.jpg,1\nb.jpg\nc.jpg,"1"2\n\xff.jpg,1\nd.jpg,1\n')
    assert [(ref.image_id, bool(ref.reason)) for ref in listed_in(path)] == [
        ("a.jpg", False),
        ("m.csv/line 3", True),
        ("m.csv/line 4", True),
        ("m.csv/line 5", True),
        ("d.jpg", False),
    ]


def test_a_manifest_truncated_after_the_launch_ends_in_a_row_with_a_reason(tmp_path):
    path = write_manifest(tmp_path / "m.parquet", [{"path": f"{n}.jpg"} for n in range(10)])
    source = Manifest(path)
    source.tasks()
    (tmp_path / "m.parquet").write_bytes(b"PAR1")
    (ref,) = source.refs("m.parquet")
    assert ref.image_id == "m.parquet"
    assert ref.reason.startswith("cannot be read from row 0 on: ")
    os.remove(path)
    (ref,) = source.refs("m.parquet")
    assert ref.reason == "cannot be read: No such file or directory"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("m.xls", b"path\n", r"must be a manifest that ends in \.csv, \.tsv, \.jsonl, \.parquet"),
        ("m.csv", b"", "has no header"),
        ("m.csv", b"image_file,identity\n", "has image_file, identity; add one"),
        ("m.csv", b"\xffpath\n", "has a header that is not UTF-8"),
        ("m.jsonl", b'{"url": "x"}\n', "with a column path, file or image, but .* has url"),
        ("m.parquet", b"", "is no Parquet file"),
        ("m.csv", None, "No such file or directory"),
    ],
)
def test_a_file_that_is_no_manifest_is_a_usage_error(tmp_path, name, data, message):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError, match=message):
        Manifest(str(tmp_path / name)).tasks()


def test_rows_of_files_that_were_never_meant_as_images_are_ignored(tmp_path):
    names = ("a/1.jpg", "a/.DS_Store", "a/1.txt", "a/1")
    path = write_manifest(tmp_path / "m.csv", [{"path": name, "identity": "ada"} for name in names])
    found = {
        ref.image_id: (ref.identity, ref.reason and ref.reason.code) for ref in listed_in(path)
    }
    assert found == {
        "a/1.jpg": ("ada", None),
        "a/.DS_Store": (None, "system_file"),
        "a/1.txt": (None, "sidecar_file"),
        "a/1": ("ada", None),
    }
