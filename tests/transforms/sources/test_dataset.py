import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset import artifact, tfrecord
from facemill.transforms.dataset.records import Record, from_example
from facemill.transforms.shards.index import SCHEMA
from facemill.transforms.sources.base import Ref
from facemill.transforms.sources.dataset import DatasetRecords, verify_dataset

# image_id, identity, outcome, split, position in its shard
ROWS = [
    ("a/1.jpg", "a", "kept", "train", 1),
    ("a/2.jpg", "a", "duplicate", None, None),
    ("a/3.jpg", "a", "kept", "train", 0),
    ("b/1.jpg", "b", "kept", "val", 0),
    ("b/2.jpg", "b", "conflict", "quarantine", 0),
    ("c/1.jpg", None, "kept", "unlabeled", 0),
]


def shard_of(split: str) -> str:
    return f"{split}/part-00000-of-00001.tfrecord"


def jpeg(seed: int) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def root(tmp_path):
    rows, shards, files = [], {}, []
    for number, (image_id, identity, outcome, split, position) in enumerate(ROWS):
        row = dict.fromkeys(SCHEMA.names)
        row |= {"image_id": image_id, "identity": identity, "outcome": outcome, "split": split}
        row |= {"pixel_sha256": f"{number:064x}"}
        if outcome != "kept":
            row |= {"reason": "same pixels", "reason_code": "same_pixels"}
        row["attributes"] = [("age", "20s")] if number == 0 else []
        if split:
            row["shard"] = shard_of(split)
            record = Record(image_id, identity or "", jpeg(number), (1.0,) * 3, (1.0,) * 3)
            shards.setdefault(split, {})[position] = (row, record.to_example())
        rows.append(row)
    for split, found in shards.items():
        (tmp_path / split).mkdir()
        with (tmp_path / shard_of(split)).open("wb") as stream:
            ordered = [found[index] for index in sorted(found)]
            positions = tfrecord.write(stream, [payload for _, payload in ordered])
        for (row, _), (offset, _) in zip(ordered, positions, strict=True):
            row["offset"] = offset
    for name, some in (("part-00001", rows[:3]), ("part-00000", rows[3:])):
        (tmp_path / "index").mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(some, SCHEMA), tmp_path / f"index/{name}.parquet")
        files.append(artifact.file_entry(str(tmp_path), f"index/{name}.parquet"))
    (tmp_path / "report.html").write_bytes(b"")
    files.append(artifact.file_entry(str(tmp_path), "report.html"))
    splits = {"train": {"shards": [shard_of("train")]}}
    (tmp_path / "manifest.json").write_text(json.dumps({"files": files, "splits": splits}))
    return tmp_path


@pytest.fixture
def source(root):
    return source_of(root)


def source_of(root) -> DatasetRecords:
    return DatasetRecords(str(root), json.loads((root / "manifest.json").read_text()))


def write_index(root, name: str, rows: list[dict], schema=SCHEMA) -> DatasetRecords:
    """The source of the dataset after one part of its index got other rows."""
    pq.write_table(pa.Table.from_pylist(rows, schema), root / name)
    manifest = json.loads((root / "manifest.json").read_text())
    others = [entry for entry in manifest["files"] if entry["path"] != name]
    manifest["files"] = [*others, artifact.file_entry(str(root), name)]
    (root / "manifest.json").write_text(json.dumps(manifest))
    return source_of(root)


def refs_of(source: DatasetRecords) -> list[Ref]:
    return [ref for task in source.tasks() for ref in source.refs(task)]


def test_kept_images_are_listed_once_shard_by_shard(source):
    assert source.tasks() == ["index/part-00000.parquet", "index/part-00001.parquet"]
    refs = refs_of(source)
    assert [ref.image_id for ref in refs] == ["c/1.jpg", "b/1.jpg", "a/3.jpg", "a/1.jpg"]
    assert [ref.split for ref in refs] == [None, "val", "train", "train"]
    assert [ref.identity for ref in refs] == [None, "b", "a", "a"]
    assert [int(ref.pixel_sha256, 16) for ref in refs] == [5, 3, 2, 0]
    assert refs[3].attributes == (("age", "20s"),)
    assert {ref.reason for ref in refs} == {None}


def test_exclusions_are_listed_for_the_given_outcomes_only(root, source):
    manifest = json.loads((root / "manifest.json").read_text())
    every = DatasetRecords(str(root), manifest, ("duplicate", "conflict"))
    kept, listed_refs = refs_of(source), refs_of(every)
    assert [ref for ref in listed_refs if not ref.outcome] == kept
    excluded = {ref.image_id: ref for ref in listed_refs if ref.outcome}
    assert set(excluded) == {"a/2.jpg", "b/2.jpg"}
    one = excluded["a/2.jpg"]
    # It has no record, but an identity and the hash of its pixels.
    assert (one.outcome, one.reason, one.identity) == ("duplicate", "same pixels", "a")
    assert int(one.pixel_sha256, 16) == 1
    some = refs_of(DatasetRecords(str(root), manifest, ("conflict",)))
    assert [ref.image_id for ref in some if ref.outcome] == ["b/2.jpg"]


@pytest.mark.parametrize(
    ("code", "listed"),
    [
        ("identity_too_small", True),
        ("attribute_too_large", True),
        ("two_splits", True),
        ("excluded_identity", False),
        ("identity_not_included", False),
        ("held_out_identity", False),
        ("held_out_same_pixels", False),
        ("held_out_near_duplicate", False),
    ],
)
def test_images_dropped_by_a_list_or_a_held_out_set_are_not_listed(root, code, listed):
    # A test set of some identities of a collection must leave the others for training.
    name = "index/part-00001.parquet"
    rows = pq.read_table(root / name).to_pylist()
    rows[1] |= {"outcome": "dropped", "reason_code": code}
    write_index(root, name, rows)
    manifest = json.loads((root / "manifest.json").read_text())
    refs = refs_of(DatasetRecords(str(root), manifest, ("dropped",)))
    excluded = [ref.image_id for ref in refs if ref.outcome]
    assert excluded == ["a/2.jpg"] * listed


def test_quarantined_images_are_read_on_request(root):
    manifest = json.loads((root / "manifest.json").read_text())
    source = DatasetRecords(str(root), manifest, ("duplicate", "conflict"), quarantined=True)
    refs = refs_of(source)
    assert [ref.image_id for ref in refs if ref.outcome] == ["a/2.jpg"]
    (quarantined_ref,) = [ref for ref in refs if ref.image_id == "b/2.jpg"]
    assert (quarantined_ref.reason, quarantined_ref.split) == (None, None)
    assert list(source.read([quarantined_ref])) == [jpeg(4)]


def test_each_image_is_read_from_its_record_in_any_order(source):
    refs = refs_of(source)
    assert list(source.read(refs)) == [jpeg(5), jpeg(3), jpeg(2), jpeg(0)]
    assert list(source.read(refs[::-1])) == [jpeg(0), jpeg(2), jpeg(3), jpeg(5)]


def test_a_damaged_or_absent_shard_ends_the_run(root, source):
    refs = refs_of(source)
    path = root / shard_of("train")
    data = bytearray(path.read_bytes())
    data[refs[2].offset + 60] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(RunError, match="CRC of a record does not fit"):
        list(source.read(refs))
    assert list(source.read(refs[:2] + refs[3:])) == [jpeg(5), jpeg(3), jpeg(0)]
    path.unlink()
    with pytest.raises(RunError, match=r"train/part-00000-of-00001\.tfrecord must be readable"):
        list(source.read(refs))


def test_a_shard_that_lost_records_ends_the_run(root, source):
    path = root / shard_of("train")
    with path.open("rb+") as stream:
        (*_, (last, _)) = tfrecord.scan(stream)
        stream.truncate(last)
    with pytest.raises(RunError, match=f"no record starts at byte {last}"):
        list(source.read(refs_of(source)))


def test_a_shard_of_another_dataset_ends_the_run(root, source):
    other = Record("z/1.jpg", "z", jpeg(9), (1.0,) * 3, (1.0,) * 3)
    with (root / shard_of("val")).open("wb") as stream:
        tfrecord.write(stream, [other.to_example()])
    with pytest.raises(RunError, match=r"must hold b/1\.jpg at byte 0.*but holds z/1\.jpg"):
        list(source.read(refs_of(source)))


def test_listing_opens_no_shard(root, source):
    for path in root.glob("*/*.tfrecord"):
        path.unlink()
    assert len(refs_of(source)) == 4


def test_a_changed_or_absent_index_ends_the_run(root, source):
    path = root / "index/part-00001.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(
        RunError, match=r"part-00001\.parquet must have the SHA-256 of its manifest"
    ):
        refs_of(source)
    path.unlink()
    with pytest.raises(RunError, match=r"index/part-00001\.parquet must be readable"):
        refs_of(source)


def test_an_index_that_names_a_path_outside_or_lacks_a_column_ends_the_run(root):
    name = "index/part-00001.parquet"
    row = {**dict.fromkeys(SCHEMA.names), "image_id": "x", "outcome": "kept", "split": "train"}
    away = {**row, "shard": "../elsewhere.tfrecord", "offset": 0}
    with pytest.raises(RunError, match=r"must lie under it, got '\.\./elsewhere"):
        refs_of(write_index(root, name, [away]))
    schema = SCHEMA.remove(SCHEMA.get_field_index("offset"))
    with pytest.raises(RunError, match="lacks offset; write the dataset again"):
        refs_of(write_index(root, name, [row], schema))


def test_all_files_of_a_dataset_on_a_disk_are_verified(root, tiny_dataset):
    verify_dataset(str(tiny_dataset), json.loads((tiny_dataset / "manifest.json").read_bytes()))
    manifest = json.loads((root / "manifest.json").read_text())
    verify_dataset(str(root), manifest)
    (root / "report.html").write_bytes(b"more")
    with pytest.raises(RunError, match=r"report\.html must have the SHA-256 of its manifest"):
        verify_dataset(str(root), manifest)


def test_a_manifest_that_names_a_path_outside_is_refused(root):
    with pytest.raises(RunError, match="must lie under it"):
        DatasetRecords(str(root), {"files": [], "splits": {"train": {"shards": ["../x"]}}})


def test_every_record_of_an_ingested_dataset_is_read(tiny_dataset):
    manifest = json.loads((tiny_dataset / "manifest.json").read_bytes())
    source = DatasetRecords(str(tiny_dataset), manifest)
    refs = refs_of(source)
    assert len(refs) == len({ref.image_id for ref in refs}) == manifest["counts"]["kept"]
    expected = {}
    for path in tiny_dataset.glob("*/part-*.tfrecord"):
        with path.open("rb") as stream:
            for payload in tfrecord.read(stream):
                record = from_example(payload)
                expected[record.image_id] = record.encoded
    assert dict(zip([ref.image_id for ref in refs], source.read(refs), strict=True)) == expected
