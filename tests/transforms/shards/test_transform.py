import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.core.errors import RunError
from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.core.row_ids import NEW, chunk_number, row_ids_of
from facemill.transforms.dataset import tfrecord
from facemill.transforms.dataset.image_metadata import METADATA
from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.dataset.records import AUGMENTATION_SEED, WEIGHT, Record, decode_example
from facemill.transforms.dataset.split_names import FOLDERS
from facemill.transforms.scan.staging import write_chunk
from facemill.transforms.selection.decisions import DECISION, EXCLUDED, DecisionRows
from facemill.transforms.shards import transform
from facemill.transforms.shards.rows import RECORD, RecordRows
from facemill.transforms.shards.transform import plan_records, shard_count, shard_name
from facemill.transforms.shards.write_shard import write_shard

quick = settings(deadline=None, max_examples=80)
CHUNK = chunk_number(NEW, 0, 0)


def decisions(copies: list[int]) -> np.ndarray:
    rows = np.zeros(len(copies), DECISION)
    rows["row_id"] = row_ids_of(CHUNK, len(copies))
    rows["order"] = [keyed_hash(1, "order", str(row)) for row in range(len(copies))]
    rows["copies"] = copies
    rows["weight"] = np.arange(len(copies)) + 1
    return rows


@given(st.lists(st.integers(1, 30), max_size=40), st.integers(1, 16))
@quick
def test_every_copy_has_one_record_and_a_rank_of_its_own(copies, count):
    rows = decisions(copies)
    records = plan_records(rows, count, 0.5)
    assert records.dtype == RECORD
    wanted = {
        (row_id, copy)
        for row_id, number in zip(rows["row_id"].tolist(), copies, strict=True)
        for copy in range(number)
    }
    assert len(records) == len(wanted) == sum(copies)
    assert set(zip(records["row_id"].tolist(), records["copy"].tolist(), strict=True)) == wanted
    assert len(set(records["rank"].tolist())) == len(records)
    assert records["shard"].max(initial=0) < count
    weights = dict(zip(rows["row_id"].tolist(), rows["weight"].tolist(), strict=True))
    for record in records:
        assert record["weight"] == pytest.approx(weights[record["row_id"].item()] / 2)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=20), st.randoms(use_true_random=False))
@quick
def test_the_plan_does_not_depend_on_the_order_of_rows(copies, random):
    rows = decisions(copies)
    order = list(range(len(rows)))
    random.shuffle(order)
    one, other = (np.sort(plan_records(some, 4, 1.0)) for some in (rows, rows[order]))
    assert one.tobytes() == other.tobytes()


def test_more_copies_do_not_move_earlier_copies():
    few, many = (plan_records(decisions([number] * 9), 16, 1.0) for number in (2, 5))
    assert set(few.tolist()) < set(many.tolist())


def test_copies_of_one_image_are_spread_over_many_shards():
    records = plan_records(decisions([64]), 16, 1.0)
    assert len(set(records["shard"].tolist())) > 12


def test_the_number_of_shards_grows_with_the_records():
    counts = [shard_count(records) for records in range(0, 400_000, 97)]
    assert counts == sorted(counts)
    assert shard_count(0) == 0
    assert shard_count(1) == shard_count(500) == 1
    assert shard_count(501) == 2
    assert shard_count(8_000) == shard_count(160_000) == 16
    assert shard_count(160_001) == 17
    for records in (1, 999, 20_000, 1_000_000, 10_000_000):
        assert records / shard_count(records) <= 10_000


def test_names_of_shards_include_the_version():
    assert shard_name("train", 3, 16) == "train/part-00003-of-00016.tfrecord"
    assert shard_name("val", 0, 1, 2) == "val/part-00000-of-00001.v2.tfrecord"


def test_only_train_records_have_their_weight_scaled():
    rows = decisions([1, 1])
    rows["weight"], rows["split"] = 1.0, [FOLDERS.index("train"), FOLDERS.index("val")]
    found = {
        name.split("/")[0]: part.array["weight"].tolist()
        for name, part in transform._by_shard(DecisionRows.of(rows), {0: 1, 1: 1}, 4.0, 1)
    }
    assert found == {"train": [4.0], "val": [1.0]}


def test_only_kept_images_are_written():
    rows = decisions([1, 2, 3])
    rows["reason"][1] = EXCLUDED
    assert transform._folder_sizes(DecisionRows.of(rows)) == [(0, 4)]
    (part,) = [part for _, part in transform._by_shard(DecisionRows.of(rows), {0: 4}, 1.0, 1)]
    row_ids = part.array["row_id"].tolist()
    assert sorted(row_ids) == sorted([rows["row_id"][0].item()] + 3 * [rows["row_id"][2].item()])


def record(row: int) -> Record:
    return Record(f"a/{row}", "a", b"jpeg%d" % row, (1.0, 2.0, 3.0), (1.0, 4.0, 9.0))


@pytest.fixture
def staging(tmp_path):
    pixels = [(np.zeros((64, 64), np.uint8), record(row).to_example()) for row in range(6)]
    metadata = METADATA.empty_table().from_pylist(
        [{"image_id": f"a/{n}"} for n in range(6)], METADATA
    )
    (tmp_path / "staging").mkdir()
    write_chunk(str(tmp_path / "staging"), CHUNK, metadata, pixels)
    return str(tmp_path / "staging")


def test_a_shard_is_not_written_on_a_machine_that_does_not_see_the_output(tmp_path, staging):
    records = plan_records(decisions([1, 1]), 1, 1.0)
    with pytest.raises(RunError, match="`output` must be on storage that all workers see"):
        write_shard(
            staging,
            OutputFiles(str(tmp_path / ".work-1")),
            shard_name("train", 0, 1),
            records,
            False,
        )
    assert not (tmp_path / ".work-1").exists()


@pytest.mark.parametrize("weighted", [False, True])
def test_a_shard_has_its_records_by_rank_and_reports_their_positions(tmp_path, staging, weighted):
    records = plan_records(decisions([1, 3, 1, 1, 2, 1]), 1, 1.0)
    name = shard_name("train", 0, 1)
    (tmp_path / "out").mkdir()
    written = []
    for parts in ([records], [records[5:], records[:5]]):
        writer = transform._WriteShard(staging, OutputFiles(str(tmp_path / "out")), weighted, 1)
        writer.start_bundle()
        receipt, positions = list(writer.process((name, map(RecordRows.of, parts))))
        assert list(writer.finish_bundle()) == []
        data = (tmp_path / "out" / name).read_bytes()
        written.append((data, positions))
        assert receipt.value == {
            "path": name,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "records": 9,
        }
    assert written[0] == written[1]
    assert [path.name for path in (tmp_path / "out" / "train").iterdir()] == [name.split("/")[1]]
    with (tmp_path / "out" / name).open("rb") as stream:
        found = [decode_example(payload) for payload in tfrecord.read(stream)]
        starts = [offset for offset, _ in tfrecord.scan(stream)]
    ranked = records[np.argsort(records["rank"])]
    for features, planned in zip(found, ranked, strict=True):
        row = int(planned["row_id"]) & 0xFFF
        copy = int(planned["copy"])
        assert features["image/id"] == b"a/%d" % row
        assert features.get(AUGMENTATION_SEED) == ([copy] if copy else None)
        assert features.get(WEIGHT) == ([row + 1.0] if weighted else None)
    positions = written[0][1].array
    # One for each image: of its first copy.
    assert len(positions) == 6
    for one in positions:
        features = found[one["position"]]
        assert features["image/id"] == b"a/%d" % (int(one["row_id"]) & 0xFFF)
        assert AUGMENTATION_SEED not in features
        assert (one["folder"], one["shard"], one["shards"]) == (0, 0, 1)
        assert one["offset"] == starts[one["position"]]
