import gzip
import pickle
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
import tensorflow as tf

from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset import tfrecord
from facemill.transforms.images.limits import MAX_BYTES
from facemill.transforms.sources.base import Ref, Unreadable
from facemill.transforms.sources.registry import guess
from facemill.transforms.sources.tfrecords import TFRecords
from tests.reasons import because


def _example(**features) -> bytes:
    example = tf.train.Example()
    for name, value in features.items():
        feature = example.features.feature[name]
        values = value if isinstance(value, list) else [value]
        if values and isinstance(values[0], bytes):
            feature.bytes_list.value.extend(values)
        elif values and isinstance(values[0], float):
            feature.float_list.value.extend(values)
        elif values:
            feature.int64_list.value.extend(values)
    return example.SerializeToString(deterministic=True)


def _write(path, *examples: bytes) -> bytes:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            writer.write(example)
    return path.read_bytes()


def _listed(root) -> list[Ref]:
    source = TFRecords(str(root))
    return [ref for task in source.tasks() for ref in source.refs(task)]


def test_records_of_all_files_with_their_bytes_in_order(tmp_path):
    (tmp_path / "more").mkdir()
    _write(tmp_path / "more" / "lfw.tfrecord-00000-of-00001", _example(image=b"four", label=7))
    _write(
        tmp_path / "a.TFRecords",
        _example(**{"image/encoded": b"one", "image/filename": b"ada/1.jpg", "identity": b"ada"}),
        _example(**{"image_raw": b"two" * 999, "image/id": b"x-2", "image/class/label": -3}),
        _example(**{"encoded": b"three", "image/id": 12, "weight": 0.5}),
    )
    source = pickle.loads(pickle.dumps(TFRecords(str(tmp_path))))
    assert source.tasks() == ["a.TFRecords", "more/lfw.tfrecord-00000-of-00001"]
    refs = [ref for task in source.tasks() for ref in source.refs(task)]
    assert [(ref.image_id, ref.identity, ref.reason) for ref in refs] == [
        ("a.TFRecords/ada/1.jpg", "ada", None),
        ("a.TFRecords/x-2", "-3", None),
        ("a.TFRecords/12", None, None),
        ("more/lfw.tfrecord-00000-of-00001/0", "7", None),
    ]
    images = [b"one", b"two" * 999, b"three", b"four"]
    assert list(source.read(refs)) == images
    assert list(source.read(refs[::-1])) == images[::-1]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: list(source.read(refs)), range(16))) == [images] * 16


@pytest.mark.parametrize(
    ("features", "identity"),
    [
        ({"label": 5, "image/class/label": 4, "image/class/text": b"t", "identity": b"i"}, "i"),
        ({"label": 5, "image/class/label": 4, "image/class/text": b"t"}, "t"),
        ({"label": 5, "image/class/label": 4, "image/class/text": b" "}, "4"),
        ({"label": b"5", "identity": []}, "5"),
        ({"name": b"n"}, "n"),
        ({"name": b"n.jpg"}, None),
        ({"name": b"n.jpg", "image/source_id": 7}, "7"),
        ({"image/source_id": b"000001.jpg"}, None),
        ({"label": -1}, None),
        ({"label": 5, "image/class/label": -1}, "5"),
    ],
)
def test_the_first_identity_feature_with_a_value_counts(tmp_path, features, identity):
    _write(tmp_path / "a.tfrecord", _example(**{"image/encoded": b"", **features}))
    (ref,) = _listed(tmp_path)
    assert (ref.identity, ref.reason) == (identity, None)


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        (b"no example", "damaged record: "),
        (_example(), "holds none of the features image/encoded, image, image_raw, encoded; it has"),
        (_example(pixels=b"", width=1), "it has pixels, width"),
        (_example(image=[b"a", b"b"]), "its image must be one encoded image, got 2 values"),
        (_example(image=[1.0]), "its image must be one encoded image"),
        (_example(image=b"", label=[1, 2]), "its label must be one text or whole number"),
        (_example(image=b"", label=1.0), "its label must be one text or whole number"),
        (_example(image=b"", identity=b"\xff"), "its identity is not valid UTF-8"),
        (_example(**{"image": b"", "image/id": b"\xff"}), "its image/id is not valid UTF-8"),
    ],
)
def test_a_record_that_cannot_be_used_has_a_reason_and_its_neighbors_are_listed(
    tmp_path, example, reason
):
    good = _example(image=b"good", label=1)
    _write(tmp_path / "a.tfrecord", good, example, good)
    refs = _listed(tmp_path)
    assert [ref.image_id for ref in refs] == [f"a.tfrecord/{number}" for number in range(3)]
    assert [bool(ref.reason) for ref in refs] == [False, True, False]
    assert reason in refs[1].reason
    for result in TFRecords(str(tmp_path)).read(refs[1:2]):
        assert isinstance(result, bytes | Unreadable)


def test_repeated_keys_get_different_image_ids(tmp_path):
    _write(
        tmp_path / "a.tfrecord",
        *(_example(**{"image": name, "image/id": name}) for name in (b"x", b"x", b"x#2", b"1")),
        _example(image=b"last"),
    )
    refs = _listed(tmp_path)
    assert [ref.image_id.partition("/")[2] for ref in refs] == ["x", "x#2", "x#2#2", "1", "4"]


def test_a_wrong_crc_of_the_data_fails_only_its_record(tmp_path):
    example = _example(image=b"good", label=1)
    data = bytearray(_write(tmp_path / "a.tfrecord", *[example] * 3))
    frame = len(data) // 3
    data[frame + 20] ^= 1
    (tmp_path / "a.tfrecord").write_bytes(data)
    refs = _listed(tmp_path)
    assert [ref.reason for ref in refs] == [
        None,
        "damaged record: the CRC of a record does not fit",
        None,
    ]
    assert list(TFRecords(str(tmp_path)).read(refs)) == [
        b"good",
        Unreadable(refs[1].reason),
        b"good",
    ]


@pytest.mark.parametrize(
    ("change", "listed", "what"),
    [
        (lambda data, frame: data[: frame + 5], 1, "it ends inside a header"),
        (lambda data, frame: data[: frame + 20], 1, "it ends inside a record"),
        (lambda data, frame: data[: 2 * frame - 1], 1, "it ends inside a record"),
        (lambda data, frame: data[:frame] + b"\1" + data[frame + 1 :], 1, tfrecord.BAD_LENGTH),
        (lambda data, frame: b"\x1f\x8b" + data, 0, "decompress it"),
        (lambda data, frame: gzip.compress(data), 0, "decompress it"),
        (lambda data, frame: zlib.compress(data), 0, "decompress it"),
    ],
)
def test_a_damaged_file_has_a_row_after_its_complete_records(tmp_path, change, listed, what):
    example = _example(image=b"good", label=1)
    data = _write(tmp_path / "a.tfrecord.gz", example, example, example)
    (tmp_path / "a.tfrecord.gz").write_bytes(change(data, len(data) // 3))
    *refs, rest = _listed(tmp_path)
    assert [ref.reason for ref in refs] == [None] * listed
    assert (rest.image_id, rest.identity) == ("a.tfrecord.gz", None)
    assert what in rest.reason
    assert str(tmp_path) not in rest.reason


def test_a_record_whose_length_looks_like_gzip_is_read(tmp_path):
    size = 0x8B1F
    example = _example(image=b"x" * (size - len(_example(image=b"x" * size)) + size))
    assert len(example) == size
    assert _write(tmp_path / "a.tfrecord", example)[:2] == b"\x1f\x8b"
    assert [ref.reason for ref in _listed(tmp_path)] == [None]


def test_an_empty_shard_has_no_rows(tmp_path):
    _write(tmp_path / "a.tfrecord")
    assert _listed(tmp_path) == []


def test_a_record_above_the_limit_has_a_reason_and_is_never_read(tmp_path):
    length = MAX_BYTES + (1 << 20) + 1
    start = _header(length)
    example = tfrecord.frame(_example(image=b"good"))
    with open(tmp_path / "a.tfrecord", "wb") as stream:
        stream.write(start)
        stream.seek(len(start) + length + tfrecord.FOOTER_BYTES)
        stream.write(example)
    big, good = _listed(tmp_path)
    assert big.reason == f"file of {length} bytes is above the limit of {MAX_BYTES}"
    assert list(TFRecords(str(tmp_path)).read([big, good])) == [Unreadable(big.reason), b"good"]


def _header(length: int) -> bytes:
    """The header of a record of that length; its CRC is the footer of a record of its 8 bytes."""
    raw = length.to_bytes(8, "little")
    return raw + tfrecord.frame(raw)[-tfrecord.FOOTER_BYTES :]


def test_a_file_that_changed_since_it_was_listed_is_unreadable(tmp_path):
    _write(tmp_path / "a.tfrecord", _example(image=b"good"))
    source = TFRecords(str(tmp_path))
    (ref,) = source.refs("a.tfrecord")
    _write(tmp_path / "a.tfrecord", _example(label=1))
    assert "holds none of the features" in next(iter(source.read([ref]))).reason
    (tmp_path / "a.tfrecord").write_bytes(b"")
    assert list(source.read([ref])) == [
        Unreadable(because("damaged record: no record starts at byte 0"))
    ]
    (tmp_path / "a.tfrecord").unlink()
    missing = Unreadable(because("cannot be read: No such file or directory"))
    assert list(source.read([ref])) == [missing]
    assert [listed.reason for listed in source.refs("a.tfrecord")] == [missing.reason]


def test_an_input_without_files_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match=r"`input` must be a directory that holds \*\.tfrecord"):
        TFRecords(str(tmp_path)).tasks()


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        *((name, True) for name in ("a.tfrecord", "a.tfrec", "a.record", "a.tfrecords")),
        *((f"a.tfrecord{end}", True) for end in ("-00000-of-00002", ".gz", "_1")),
        *((f"a.tfrecord{end}", False) for end in (".idx", ".json", "x")),
        *((name, False) for name in ("a.rec", "record", "a.recording", "records.txt")),
    ],
)
def test_names_of_shards_are_known_here_and_where_the_format_is_guessed(tmp_path, name, holds):
    assert TFRecords.holds_images(name) == holds
    if not name.endswith((".idx", ".json")):
        (tmp_path / name.upper()).write_bytes(b"")
        expected = "casia-rec" if name == "a.rec" else "tfrecord" if holds else "folders"
        assert guess(str(tmp_path)) == expected


def test_features_are_chosen_by_options_and_guesses_are_told(tmp_path):
    record = _example(
        **{"image": b"i", "image_raw": b"r", "image/source_id": 7, "who": 8, "n": b"k"}
    )
    _write(tmp_path / "a.tfrec", record)
    source = TFRecords(str(tmp_path))
    tasks = source.tasks()
    assert [(one.code.value, one.taken, one.passed_over) for one in source.guesses(tasks)] == [
        ("image_column", ("image",), ("image_raw",)),
        ("label_column", ("image/source_id",), ()),
    ]
    source = TFRecords(str(tmp_path), "image_raw", "who", "n")
    (ref,) = source.refs(*source.tasks())
    assert (ref.image_id, ref.identity) == ("a.tfrec/k", "8")
    assert list(source.read([ref])) == [b"r"]
    for parameter in ("image_column", "label_column", "key"):
        with pytest.raises(UsageError, match=f"`{parameter}` must be a feature of the records"):
            TFRecords(str(tmp_path), **{parameter: "none"}).tasks()
