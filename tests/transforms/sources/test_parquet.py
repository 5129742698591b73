import json
import pickle
import struct
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.core.errors import UsageError
from facemill.transforms.images.limits import MAX_BYTES
from facemill.transforms.sources.base import Ref, Unreadable
from facemill.transforms.sources.parquet import ParquetTables
from tests.reasons import because

_STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def _images(*images: bytes | None) -> pa.Array:
    return pa.array(
        [None if image is None else {"bytes": image, "path": "x.jpg"} for image in images], _STRUCT
    )


def _class_label(name: str, names: list[str]) -> dict[str, str]:
    features = {"image": {"_type": "Image"}, name: {"names": names, "_type": "ClassLabel"}}
    return {"huggingface": json.dumps({"info": {"features": features}})}


def _listed(root, **options) -> list[Ref]:
    source = ParquetTables(str(root), **options)
    return [ref for task in source.tasks() for ref in source.refs(task)]


def _read(root, refs, **options) -> list[bytes | Unreadable]:
    return list(ParquetTables(str(root), **options).read(refs))


def test_rows_of_all_files_with_their_bytes_in_any_order(tmp_path):
    (tmp_path / "data").mkdir()
    images = [bytes([number]) * (number * 37) for number in range(25)]
    table = pa.table({"image": _images(*images), "label": [f"id{n // 4}" for n in range(25)]})
    pq.write_table(table, tmp_path / "data" / "train-00000-of-00001.parquet", row_group_size=10)
    pq.write_table(
        pa.table({"img": [b"a", b"b"], "extra": [b"", b""], "identity": [3, None]}),
        tmp_path / "b.parquet",
    )
    source = pickle.loads(pickle.dumps(ParquetTables(str(tmp_path))))
    assert source.tasks() == ["b.parquet", "data/train-00000-of-00001.parquet"]
    refs = [ref for task in source.tasks() for ref in source.refs(task)]
    assert [(ref.image_id, ref.identity, ref.reason) for ref in refs] == [
        ("b.parquet/0", "3", None),
        ("b.parquet/1", None, None),
        *((f"data/train-00000-of-00001.parquet/{n}", f"id{n // 4}", None) for n in range(25)),
    ]
    everything = [b"a", b"b", *images]
    assert list(source.read(refs)) == everything
    assert list(source.read(refs[::-1])) == everything[::-1]
    some = [5, 6, 6, 15, 14, 3, 26, 0, 12, 13]
    assert list(source.read([refs[n] for n in some])) == [everything[n] for n in some]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: list(source.read(refs)), range(8))) == [everything] * 8


def test_the_input_can_be_one_table(tmp_path):
    for name in ("a", "b"):
        pq.write_table(pa.table({"image": _images(name.encode())}), tmp_path / f"{name}.parquet")
    refs = _listed(tmp_path / "b.parquet")
    assert [ref.image_id for ref in refs] == ["b.parquet/0"]
    assert _read(tmp_path / "b.parquet", refs) == [b"b"]


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd"])
@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_images_are_read_from_any_binary_type_and_codec(tmp_path, codec, kind):
    table = pa.table({"photo": pa.array([b"a" * 5000, b"b"], kind), "person": ["x", "y"]})
    pq.write_table(table, tmp_path / "a.parquet", compression=codec)
    refs = _listed(tmp_path)
    assert [ref.identity for ref in refs] == ["x", "y"]
    assert _read(tmp_path, refs) == [b"a" * 5000, b"b"]


def test_image_column_and_label_column_select_the_columns(tmp_path):
    columns = {"image": _images(b"face"), "full": [b"full"], "label": [1], "who": ["ada"]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    options = {"image_column": "full", "label_column": "who"}
    (ref,) = _listed(tmp_path, **options)
    assert ref.identity == "ada"
    assert _read(tmp_path, [ref], **options) == [b"full"]
    assert _read(tmp_path, [ref]) == [b"face"]


def test_numbers_of_a_class_label_stand_for_its_names(tmp_path):
    table = pa.table({"image": _images(*[b"x"] * 5), "label": [1, 0, -1, None, 2]})
    table = table.replace_schema_metadata(_class_label("label", ["ada", "eve"]))
    pq.write_table(table, tmp_path / "a.parquet")
    refs = _listed(tmp_path)
    assert [ref.identity for ref in refs] == ["eve", "ada", None, None, None]
    assert [ref.reason for ref in refs] == [
        *[None] * 4,
        "its label 2 is not one of the 2 classes",
    ]


@pytest.mark.parametrize(
    "metadata", [b"{", b"[]", b'{"info": 1}', b'{"info": {"features": {"label": {"names": 3}}}}']
)
def test_metadata_without_a_class_label_is_ignored(tmp_path, metadata):
    table = pa.table({"image": _images(b"x"), "label": [1]})
    table = table.replace_schema_metadata({"huggingface": metadata})
    pq.write_table(table, tmp_path / "a.parquet")
    assert [ref.identity for ref in _listed(tmp_path)] == ["1"]


@pytest.mark.parametrize(
    ("labels", "identities"),
    [
        (pa.array([1.0, float("nan"), None]), ["1", None, None]),
        (pa.array([" ada ", "", None]), [" ada ", None, None]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.array([b"a", b"b", b"c"]), ["a", "b", "c"]),
        (pa.array([-1, 0, -1]), [None, "0", None]),
        (pa.array([-1.0, 0.0, None]), [None, "0", None]),
    ],
)
def test_labels_of_any_text_or_number_type_are_converted(tmp_path, labels, identities):
    pq.write_table(
        pa.table({"image": _images(b"a", b"b", b"c"), "label": labels}),
        tmp_path / "a.parquet",
    )
    refs = _listed(tmp_path)
    assert [(ref.identity, ref.reason) for ref in refs] == [(one, None) for one in identities]


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (pa.array([True]), "must be a text or a whole number, got a bool"),
        (pa.array([0.5]), "must be a text or a whole number, got a float"),
        (pa.array([[1]]), "must be a text or a whole number, got a list"),
        (pa.array([b"\xff"]), "its label is not valid UTF-8"),
        (pa.array([b"\xff"]).view(pa.string()), "its label is not valid UTF-8"),
    ],
)
def test_a_bad_label_has_a_row_with_a_reason(tmp_path, label, reason):
    pq.write_table(pa.table({"image": _images(b"x"), "label": label}), tmp_path / "a.parquet")
    (ref,) = _listed(tmp_path)
    assert (ref.image_id, ref.identity) == ("a.parquet/0", None)
    assert reason in ref.reason


def test_a_row_without_image_is_unreadable(tmp_path):
    table = pa.table({"image": _images(None, b"x", None), "label": [1, 2, 3]})
    pq.write_table(table, tmp_path / "a.parquet")
    pq.write_table(
        pa.table({"image": pa.array([{"bytes": None, "path": "elsewhere.jpg"}], _STRUCT)}),
        tmp_path / "b.parquet",
    )
    pq.write_table(pa.table({"image": pa.array([None], pa.binary())}), tmp_path / "c.parquet")
    none = Unreadable(because("its row holds no image"))
    absent = Unreadable(
        because(
            "its row holds no bytes, and the file of its path cannot be read: No such file or "
            "directory"
        )
    )
    assert _read(tmp_path, _listed(tmp_path)) == [none, b"x", none, absent, none]


@pytest.mark.slow
def test_an_image_above_the_limit_is_unreadable(tmp_path):
    table = pa.table({"image": [b"x", bytes(MAX_BYTES + 1), b"y"]})
    pq.write_table(table, tmp_path / "a.parquet")
    first, large, last = _read(tmp_path, _listed(tmp_path))
    assert (first, last) == (b"x", b"y")
    assert large == Unreadable(
        because(f"file of {MAX_BYTES + 1} bytes is above the limit of {MAX_BYTES}")
    )


def test_a_first_table_without_images_is_an_error_and_a_later_one_a_row(tmp_path):
    pq.write_table(pa.table({"url": ["a.jpg"]}), tmp_path / "b.parquet")
    message = r"but b\.parquet has no column of images among url; name them by `image_column`"
    with pytest.raises(UsageError, match=message):
        ParquetTables(str(tmp_path)).tasks()
    pq.write_table(pa.table({"image": _images(b"x"), "n": [1]}), tmp_path / "a.parquet")
    assert [(ref.image_id, ref.reason) for ref in _listed(tmp_path)] == [
        ("a.parquet/0", None),
        ("b.parquet", "has no column of images"),
    ]
    for options, message in (
        ({"image_column": "photo"}, "has no column of images photo"),
        ({"image_column": "n"}, "has a column n of int64, not of encoded images"),
        ({"label_column": "who"}, "has no column who of labels"),
    ):
        with pytest.raises(UsageError, match=message):
            ParquetTables(str(tmp_path), **options).tasks()


def test_an_input_without_tables_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match=r"`input` must be a directory that holds \*\.parquet"):
        ParquetTables(str(tmp_path)).tasks()


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", b"no table" * 100, b"PAR1" + b"\xff" * 99 + b"PAR1"]
)
def test_a_file_that_is_no_table_has_one_row_with_a_reason(tmp_path, data):
    (tmp_path / "a.parquet").write_bytes(data)
    (ref,) = _listed(tmp_path)
    assert (ref.image_id, ref.identity) == ("a.parquet", None)
    assert ref.reason.startswith("damaged table: ")
    assert "\n" not in ref.reason
    assert str(tmp_path) not in ref.reason


def test_damage_fails_only_the_rest_of_its_row_group(tmp_path):
    images = [bytes([number]) * 3000 for number in range(12)]
    pq.write_table(
        pa.table({"image": _images(*images), "label": range(12)}),
        tmp_path / "a.parquet",
        row_group_size=4,
        use_dictionary=False,
        compression="none",
        data_page_size=3000,
        write_batch_size=1,
    )
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    # The length before the image's bytes in its page.
    start = data.index(struct.pack("<I", 3000) + images[5][:99])
    data[start : start + 4] = b"\xff\xff\xff\x7f"
    (tmp_path / "a.parquet").write_bytes(data)
    results = _read(tmp_path, _listed(tmp_path))
    assert results[:5] == images[:5]
    assert results[8:] == images[8:]
    assert len({result.reason for result in results[5:8]}) == 1
    assert results[5].reason.startswith("damaged table: ")


def test_a_file_that_changed_since_it_was_listed_is_unreadable(tmp_path):
    pq.write_table(pa.table({"image": [b"a", b"b"]}), tmp_path / "a.parquet")
    refs = _listed(tmp_path)
    pq.write_table(pa.table({"image": [b"c"]}), tmp_path / "a.parquet")
    assert _read(tmp_path, refs) == [b"c", Unreadable(because("its file has no row 1 anymore"))]
    (tmp_path / "a.parquet").unlink()
    missing = Unreadable(because("cannot be read: No such file or directory"))
    assert _read(tmp_path, refs) == [missing, missing]
    assert [ref.reason for ref in ParquetTables(str(tmp_path)).refs("a.parquet")] == [
        missing.reason
    ]


@settings(deadline=None, max_examples=60)
@given(changes=st.lists(st.tuples(st.integers(0, 1 << 30), st.integers(0, 255)), min_size=1))
def test_no_damage_raises_an_error(tmp_path_factory, changes):
    root = tmp_path_factory.mktemp("tables")
    table = pa.table({"image": _images(*[b"x" * 50] * 6), "label": [str(n) for n in range(6)]})
    pq.write_table(table, root / "a.parquet", row_group_size=3)
    data = bytearray((root / "a.parquet").read_bytes())
    for position, value in changes:
        data[position % len(data)] = value
    (root / "a.parquet").write_bytes(data)
    try:
        refs = _listed(root)
    except UsageError:
        return
    assert refs
    assert len({ref.image_id for ref in refs}) == len(refs)
    good = [ref for ref in refs if not ref.reason]
    assert len(_read(root, good)) == len(good)
