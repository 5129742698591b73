"""Shards written through groups of chunks on a store equal those written from a disk."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facemill.transforms import storage
from facemill.transforms.core.errors import NotSharedError
from facemill.transforms.core.row_ids import NEW, chunk_number, row_ids_of
from facemill.transforms.dataset.image_metadata import METADATA
from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.scan.staging import write_chunk
from facemill.transforms.shards import regroup
from facemill.transforms.shards.rows import PLACED, RECORD, PlacedRows, RecordRows
from facemill.transforms.shards.transform import shard_name
from facemill.transforms.shards.write_shard import write_shard

few = settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def stage(folders: list[str], chunks: list[int], seed: int) -> np.ndarray:
    """Writes chunks of random records and returns the row ids of usable ones."""
    draw = np.random.default_rng(seed)
    usable = []
    for number, count in enumerate(chunks):
        chunk = chunk_number(NEW, number, 0)
        # The first row of a chunk is usable, others may be not; a record may be empty.
        records = [draw.bytes(draw.integers(0, 90)) for _ in range(count)]
        gone = draw.random(count) < 0.3
        gone[0] = False
        thumbnail = np.zeros((64, 64), np.uint8)
        pixels = [
            None if missing else (thumbnail, record)
            for missing, record in zip(gone, records, strict=True)
        ]
        rows = [{"image_id": f"{number}/{row}"} for row in range(count)]
        metadata = METADATA.empty_table().from_pylist(rows, METADATA)
        for folder in folders:
            write_chunk(folder, chunk, metadata, pixels)
        usable.append(row_ids_of(chunk, count)[~gone])
    return np.concatenate(usable)


def plan(row_ids: np.ndarray, shards: int, seed: int) -> np.ndarray:
    """RECORD rows of 1 to 3 copies of each image, in any order."""
    draw = np.random.default_rng(seed)
    copies = draw.integers(1, 4, len(row_ids))
    records = np.zeros(copies.sum(), RECORD)
    records["row_id"] = np.repeat(row_ids, copies)
    starts = np.repeat(np.cumsum(copies) - copies, copies)
    records["copy"] = np.arange(len(records)) - starts
    records["shard"] = draw.integers(0, shards, len(records))
    records["rank"] = draw.integers(0, 2**63, len(records))
    records["weight"] = draw.random(len(records))
    return draw.permutation(records)


def regrouped(staging: str, records: np.ndarray, shards: int) -> tuple[dict[str, np.ndarray], int]:
    """The PLACED records of each shard, and the number of groups."""
    groups = regroup.groups_of(records, len(records))
    parts: dict[str, list[PlacedRows]] = {}
    numbers = np.unique(groups).tolist()
    for group in numbers:
        mine = records[groups == group]
        # A shard's records of a group come in several elements.
        given = [
            (shard_name("train", shard, shards), RecordRows.of(part))
            for shard in np.unique(mine["shard"]).tolist()
            for part in np.array_split(mine[mine["shard"] == shard], 2)
        ]
        for name, placed in regroup.regroup(staging, group, given[::-1]):
            parts.setdefault(name, []).append(placed)
    return {name: PlacedRows.join(some[::-1]) for name, some in parts.items()}, len(numbers)


@pytest.mark.moderate
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=6),
    st.integers(1, 4),
    st.integers(1, 60),
    st.booleans(),
    st.integers(0, 999),
)
@few
def test_shards_of_a_store_have_the_bytes_of_those_of_a_disk(
    store, tmp_path_factory, chunks, shards, in_a_group, weighted, seed
):
    disk, there = tmp_path_factory.mktemp("disk"), store.new_root()
    (disk / "staging").mkdir()
    staging = f"{there}/staging"
    records = plan(stage([str(disk / "staging"), staging], chunks, seed), shards, seed)
    storage.touch(f"{there}/running")
    here, output = OutputFiles(str(disk)), OutputFiles(there, f"{there}/running")
    before = store.proxy.counts.total
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regroup, "_RECORDS_IN_A_GROUP", in_a_group)
        placed, groups = regrouped(staging, records, shards)
    for name, rows in placed.items():
        assert rows.dtype == PLACED
        mine = records[records["shard"] == int(name.split("-")[1])]
        local = write_shard(str(disk / "staging"), here, name, mine, weighted)
        remote = write_shard(staging, output, name, rows, weighted)
        assert remote.receipt == local.receipt
        assert remote.positions.tobytes() == local.positions.tobytes()
        assert storage.read_bytes(output.path(name)) == (disk / name).read_bytes()
    assert sum(map(len, placed.values())) == len(records)
    # Of a shard: whether the run goes on, the write, and the read above.
    requests = len(chunks) + groups + groups * len(placed) + 3 * len(placed)
    assert store.proxy.counts.total - before <= requests


def test_a_large_part_is_read_by_several_requests(store, monkeypatch):
    staging = store.new_root()
    records = plan(stage([staging], [30, 30], 1), 2, 1)
    placed, _ = regrouped(staging, records, 2)
    expected = {name: regroup.read_placed(staging, rows) for name, rows in placed.items()}
    monkeypatch.setattr(regroup, "_REQUEST_BYTES", 200)
    before = store.proxy.counts.requests["GET"]
    for name, rows in placed.items():
        assert regroup.read_placed(staging, rows) == expected[name]
    assert store.proxy.counts.requests["GET"] - before > 4


def test_a_group_that_is_written_twice_has_the_same_bytes(store):
    staging = store.new_root()
    records = plan(stage([staging], [9, 9], 2), 3, 2)
    found = []
    for rows in (records, records[::-1]):
        regrouped(staging, rows, 3)
        names = [name for name in storage.names(staging) if name.startswith("regrouped-")]
        found.append([storage.read_bytes(f"{staging}/{name}") for name in names])
    assert found[0] == found[1]


def test_chunks_stay_together_in_their_group():
    row_ids = np.concatenate([row_ids_of(chunk_number(NEW, task, 0), 20) for task in range(40)])
    records = np.zeros(len(row_ids), RECORD)
    records["row_id"] = row_ids
    groups = regroup.groups_of(records, 100_000).reshape(40, 20)
    assert (groups == groups[:, :1]).all()
    assert len(np.unique(groups)) > 5
    assert groups.max() < 13


def test_missing_chunks_and_groups_are_reported(store):
    staging = store.new_root()
    records = plan(stage([staging], [9], 3), 1, 3)
    ((name, rows),) = regrouped(staging, records, 1)[0].items()
    storage.remove(staging)
    with pytest.raises(NotSharedError):
        regroup.read_placed(staging, rows)
    with pytest.raises(NotSharedError):
        list(regroup.regroup(staging, 0, [(name, RecordRows.of(records))]))
