import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from transforms import tfrecord
from transforms.errors import RunError
from transforms.index import SCHEMA
from transforms.records import Record, from_example
from transforms.sources.base import Ref
from transforms.sources.dataset import DatasetRecords

# image_id, identity, outcome, split, place in its shard
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
    rows, shards = [], {}
    for number, (image_id, identity, outcome, split, position) in enumerate(ROWS):
        row = dict.fromkeys(SCHEMA.names)
        row |= {"image_id": image_id, "identity": identity, "outcome": outcome, "split": split}
        row |= {"pixel_sha256": f"{number:064x}", "position": position}
        row["attributes"] = [("age", "20s")] if number == 0 else []
        if split:
            row["shard"] = shard_of(split)
            record = Record(image_id, identity or "", jpeg(number), (1.0,) * 3, (1.0,) * 3)
            shards.setdefault(split, {})[position] = record.to_example()
        rows.append(row)
    for name, some in (("part-00001", rows[:3]), ("part-00000", rows[3:])):
        (tmp_path / "index").mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(some, SCHEMA), tmp_path / f"index/{name}.parquet")
    for split, payloads in shards.items():
        (tmp_path / split).mkdir()
        with (tmp_path / shard_of(split)).open("wb") as stream:
            tfrecord.write(stream, [payloads[place] for place in sorted(payloads)])
    return tmp_path


@pytest.fixture
def source(root):
    names = ["index/part-00001.parquet", "report.html", "index/part-00000.parquet"]
    return DatasetRecords(
        str(root),
        {
            "files": [{"path": name} for name in names],
            "splits": {"train": {"shards": [shard_of("train")]}},
        },
    )


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
    assert {ref.reason for ref in refs} == {""}


def test_each_is_read_from_its_record(source):
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
    with pytest.raises(RunError, match="must be readable"):
        refs_of(source)


def test_a_shard_that_lost_records_ends_the_run(root, source):
    path = root / shard_of("train")
    with path.open("rb+") as stream:
        (*_, (last, _)) = tfrecord.scan(stream)
        stream.truncate(last)
    with pytest.raises(RunError, match="must hold the record 1 that its index names"):
        refs_of(source)


def test_a_manifest_that_leads_elsewhere_is_refused(root):
    with pytest.raises(RunError, match="must lie under it"):
        DatasetRecords(str(root), {"files": [], "splits": {"train": {"shards": ["../x"]}}})


def test_a_small_dataset_of_ingest_is_read_whole(tiny_dataset):
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
