import os

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.core.errors import RunError
from facemill.transforms.core.row_ids import BASE, CHUNK, HELD_OUT, NEW, chunk_number, row_ids_of
from facemill.transforms.dataset.image_metadata import METADATA
from facemill.transforms.scan import staging
from facemill.transforms.scan.staging import (
    MetadataReader,
    StagingReader,
    identities_of,
    images_staged,
    read_metadata,
    row_ids_of_names,
    write_chunk,
)

# The record of each image, or None if it is not usable.
contents = st.lists(st.none() | st.binary(max_size=300), min_size=1, max_size=20)


def thumbnail(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (64, 64), np.uint8)


def metadata(count: int) -> pa.Table:
    rows = [{"image_id": f"a/{row}.jpg", "reason": "", "width": row} for row in range(count)]
    return pa.Table.from_pylist(rows, METADATA)


def write(folder, chunk: int, records: list[bytes | None]) -> None:
    pixels = [
        None if record is None else (thumbnail(row), record) for row, record in enumerate(records)
    ]
    write_chunk(str(folder), chunk, metadata(len(records)), pixels)


@pytest.mark.moderate
@given(contents, st.sampled_from([NEW, BASE, HELD_OUT]), st.integers(0, 2**29))
@settings(deadline=None, max_examples=50)
def test_staged_data_is_read_back_by_row_id(tmp_path_factory, records, origin, task):
    folder = tmp_path_factory.mktemp("staging")
    chunk = chunk_number(origin, task, 3)
    write(folder, chunk, records)
    usable = [row for row, record in enumerate(records) if record is not None]
    row_ids = row_ids_of(chunk, len(records))
    # In any order, and more than once.
    rows = [*reversed(usable), *usable]
    with StagingReader(str(folder)) as reader:
        assert [reader.record(row_ids[row]) for row in rows] == [records[row] for row in rows]
        found = reader.thumbnails(row_ids[rows])
    assert found.shape == (len(rows), 64, 64)
    for row, one in zip(rows, found, strict=True):
        np.testing.assert_array_equal(one, thumbnail(row))
    table = read_metadata(str(folder), chunk)
    assert table.schema == METADATA
    assert table.equals(metadata(len(records)))
    assert read_metadata(str(folder), chunk, ["width"]).column_names == ["width"]


def test_every_row_of_a_full_chunk_is_read_back(tmp_path):
    records = [b"%d" % row for row in range(CHUNK)]
    write(tmp_path, 5, records)
    with StagingReader(str(tmp_path)) as reader:
        assert [reader.record(row_id) for row_id in row_ids_of(5, CHUNK)] == records


def test_the_limit_bounds_the_number_of_open_files(tmp_path):
    chunks = [chunk_number(NEW, task, 0) for task in range(12)]
    for chunk in chunks:
        write(tmp_path, chunk, [b"%d" % chunk])

    def open_files() -> int:
        links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
        targets = [os.readlink(link) for link in links if os.path.lexists(link)]
        return sum(target.startswith(str(tmp_path)) for target in targets)

    most = 0
    with StagingReader(str(tmp_path), limit=3) as reader:
        for chunk in [*chunks, *chunks, *reversed(chunks)]:
            assert reader.record(row_ids_of(chunk, 1)[0]) == b"%d" % chunk
            most = max(most, open_files())
        assert most == 3
    assert open_files() == 0


@pytest.mark.parametrize("length", [0, 100, CHUNK * 12 + 50, -1])
def test_a_truncated_file_of_records_is_an_error_in_one_sentence(tmp_path, length):
    write(tmp_path, 5, [b"record" * 20, None, b"last" * 10])
    (path,) = tmp_path.glob("*.records")
    data = path.read_bytes()
    path.write_bytes(data[:length])
    with (
        StagingReader(str(tmp_path)) as reader,
        pytest.raises(RunError, match=r"must hold \d+ bytes at \d+, got \d+; .*run the command"),
    ):
        reader.record(row_ids_of(5, 3)[2])


def test_only_images_of_the_input_count_as_progress(tmp_path):
    assert images_staged(str(tmp_path / "absent")) == 0
    write(tmp_path, chunk_number(NEW, 0, 0), [b"", None, b""])
    write(tmp_path, chunk_number(NEW, 7, 1), [b"", b""])
    # A chunk that a runner scans twice counts once.
    write(tmp_path, chunk_number(NEW, 7, 1), [b"", b""])
    write(tmp_path, chunk_number(BASE, 0, 0), [b""] * 9)
    write(tmp_path, chunk_number(HELD_OUT, 0, 0), [b""] * 9)
    assert images_staged(str(tmp_path)) == 5


def test_a_failed_write_leaves_no_file(tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device", target)

    monkeypatch.setattr(staging.os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path, 5, [b""])
    assert not list(tmp_path.iterdir())


def test_a_missing_staging_folder_is_an_error_and_is_not_made(tmp_path):
    error = "`output` must be on storage that all workers see"
    # The parent folder may exist, made by another program.
    with pytest.raises(RunError, match=error):
        write(tmp_path / "staging", 5, [b""])
    assert not list(tmp_path.iterdir())
    with pytest.raises(RunError, match=error):
        read_metadata(str(tmp_path / "staging"), 5)
    with StagingReader(str(tmp_path / "staging")) as reader, pytest.raises(RunError, match=error):
        reader.record(row_ids_of(5, 1)[0])


def test_image_metadata_is_read_by_row_id(tmp_path):
    for chunk in (3, 4):
        write(tmp_path, chunk, [b""] * 4)
    reader = MetadataReader(str(tmp_path), ("image_id", "width"))
    assert reader.row(row_ids_of(4, 4)[2]) == {"image_id": "a/2.jpg", "width": 2}
    assert reader.row(row_ids_of(3, 4)[0]) == {"image_id": "a/0.jpg", "width": 0}


def test_usable_images_of_a_reference_set_are_found_by_name(tmp_path):
    base_chunks = [chunk_number(BASE, task, 0) for task in range(2)]
    write(tmp_path, chunk_number(NEW, 0, 0), [b"x"] * 3)
    write(tmp_path, chunk_number(HELD_OUT, 0, 0), [b"x"] * 3)
    named = metadata(4).to_pylist()
    named[2]["reason"] = "of which there are no pixels"
    for number, rows in zip(base_chunks, (named[:1], named[1:]), strict=True):
        records = [(thumbnail(0), b"x")] * len(rows)
        write_chunk(str(tmp_path), number, pa.Table.from_pylist(rows, METADATA), records)
    wanted = ["a/0.jpg", "a/2.jpg", "a/3.jpg", "a/9.jpg"]
    found = row_ids_of_names(str(tmp_path), BASE, wanted)
    assert found == {
        "a/0.jpg": row_ids_of(base_chunks[0], 1)[0],
        "a/3.jpg": row_ids_of(base_chunks[1], 3)[2],
    }
    held_out = row_ids_of(chunk_number(HELD_OUT, 0, 0), 1)[0]
    assert row_ids_of_names(str(tmp_path), HELD_OUT, ["a/0.jpg"]) == {"a/0.jpg": held_out}
    assert row_ids_of_names(str(tmp_path / "absent"), BASE, []) == {}


def test_identities_of_one_origin_are_those_of_all_its_images(tmp_path):
    for number, names in (
        (chunk_number(HELD_OUT, 0, 0), ["ada", None, "bob"]),
        (chunk_number(HELD_OUT, 2, 0), ["bob", "eve"]),
        (chunk_number(NEW, 0, 0), ["zoe"]),
    ):
        # The first image of each chunk is not usable.
        rows = [
            {"image_id": f"{row}", "identity": name, "reason": "" if row else "torn"}
            for row, name in enumerate(names)
        ]
        pixels = [(thumbnail(0), b"x") if row["reason"] == "" else None for row in rows]
        write_chunk(str(tmp_path), number, pa.Table.from_pylist(rows, METADATA), pixels)
    assert identities_of(str(tmp_path), HELD_OUT) == {"ada", "bob", "eve"}
    assert identities_of(str(tmp_path), BASE) == set()


@pytest.fixture
def both(root, tmp_path) -> tuple[str, str]:
    """The same chunks on a disk and on a store."""
    for folder in (tmp_path, root):
        for chunk in CHUNKS:
            write(folder, chunk, [b"%d" % row * row if row % 5 else None for row in range(90)])
    return str(tmp_path), root


CHUNKS = [chunk_number(NEW, 0, 0), chunk_number(NEW, 1, 0), chunk_number(BASE, 0, 2)]
# Close together, far apart, twice, of several chunks, in no order.
ROWS = [(0, 7), (0, 8), (0, 82), (1, 3), (2, 89), (0, 7), (1, 1), (0, 41), (2, 86)]
SOME = [int(row_ids_of(CHUNKS[chunk], row + 1)[row]) for chunk, row in ROWS]


@pytest.mark.moderate
def test_thumbnails_and_records_of_a_store_equal_those_of_a_disk(both):
    found = []
    for folder in both:
        with StagingReader(folder) as reader:
            reader.prefetch(SOME[:4])
            records = [reader.record(row_id) for row_id in SOME]
            found.append((reader.thumbnails(iter(SOME)), records, reader.thumbnails([])))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]
    assert found[0][2].shape == found[1][2].shape == (0, 64, 64)


def test_thumbnails_that_are_close_come_by_one_request(both, store):
    before = store.proxy.counts.total
    with StagingReader(both[1]) as reader:
        reader.thumbnails(SOME)
    # Of the first chunk 7 to 8, 41 and 82, of the second 1 to 3, of the third 86 to 89.
    assert store.proxy.counts.total - before == 5


def test_prefetched_records_and_metadata_need_no_further_requests(both, store):
    with StagingReader(both[1]) as reader:
        reader.prefetch(SOME)
        before = store.proxy.counts.total
        for row_id in SOME:
            reader.record(row_id)
    metadata_reader = MetadataReader(both[1], ("image_id", "width"))
    before_metadata = store.proxy.counts.total
    metadata_reader.prefetch(SOME)
    assert store.proxy.counts.total - before_metadata == len(CHUNKS)
    rows = [metadata_reader.row(row_id) for row_id in SOME]
    assert rows == [{"image_id": f"a/{row}.jpg", "width": row} for _, row in ROWS]
    assert before_metadata == before
    assert store.proxy.counts.total - before_metadata == len(CHUNKS)


def test_metadata_and_names_of_a_store_equal_those_of_a_disk(both):
    here, there = (staging.read_all_metadata(folder, CHUNKS, ["width"]) for folder in both)
    assert here.equals(there)
    assert here.column_names == ["width"]
    names = ["a/3.jpg", "a/88.jpg", "a/900.jpg"]
    one, other = (row_ids_of_names(folder, BASE, names) for folder in both)
    assert one == other
    assert set(one) == set(names[:2])


def test_all_records_of_chunks_come_by_one_request_each(both, store):
    before = store.proxy.counts.total
    for chunk, data, entries in staging.all_records(both[1], CHUNKS):
        for row, (start, length) in enumerate(entries.tolist()[:90]):
            assert data[start : start + length] == (b"%d" % row * row if row % 5 else b"")
        assert chunk in CHUNKS
    assert store.proxy.counts.total - before == len(CHUNKS)


def test_a_chunk_that_a_store_does_not_have_is_an_error(root):
    error = "must be on storage that all workers see"
    row_id = row_ids_of(CHUNKS[0], 1)[0]
    with StagingReader(root) as reader:
        with pytest.raises(RunError, match=error):
            reader.record(row_id)
        with pytest.raises(RunError, match=error):
            reader.thumbnails([row_id])
    with pytest.raises(RunError, match=error):
        staging.read_all_metadata(root, CHUNKS)
