import functools

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.testing.util import assert_that, equal_to

from facemill.transforms.core.errors import RunError
from facemill.transforms.core.row_ids import NEW, chunk_number
from facemill.transforms.dataset.image_metadata import METADATA
from facemill.transforms.scan import repeated_ids
from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.scan.listing import image_key
from facemill.transforms.scan.repeated_ids import (
    FindRepeated,
    check_names,
    listed_names,
    repeated_name,
    scanned_names,
)
from facemill.transforms.scan.scan_chunk import USABLE, Scanned
from facemill.transforms.scan.staging import write_chunk
from facemill.transforms.sources.base import Ref

NOTHING = np.zeros(0, USABLE), np.zeros((0, 0), np.uint8)


def staged(folder: str, *chunks: list[str]) -> list[Scanned]:
    """Chunks of images of these names, none of which could be read."""
    found = []
    for ordinal, names in enumerate(chunks):
        chunk = chunk_number(NEW, ordinal, 0)
        metadata = pa.Table.from_pylist([{"image_id": name} for name in names], METADATA)
        write_chunk(folder, chunk, metadata, [None] * len(names))
        found.append(Scanned(chunk, len(names), *NOTHING))
    return found


def assert_repeated(scanned: list[Scanned], staging: str, names: list[str]) -> None:
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        found = (
            pipeline
            | beam.Create(scanned)
            | FindRepeated(functools.partial(scanned_names, staging=staging))
        )
        assert_that(found, equal_to([{"key": image_key(name)} for name in names]))


def test_a_repeated_name_is_found_within_and_across_chunks(tmp_path):
    # In one chunk, in chunks that are written into different parts of the index, and three times.
    chunks = (["a", "b", "a", "Zoë"], ["c", "d"], ["d", "e"], ["f", "Zoë"], ["Zoë", "g"])
    assert_repeated(staged(str(tmp_path), *chunks), str(tmp_path), ["a", "d", "Zoë"])


def test_distinct_names_give_no_keys(tmp_path):
    assert_repeated(staged(str(tmp_path), ["a", "A"], ["a/", "b"]), str(tmp_path), [])


def test_at_most_eight_repeated_keys_are_reported():
    names = [str(number) for number in range(100)]
    keys = [part for _, part in repeated_ids._keys(names * 2, list)]
    found = repeated_ids._repeated((0, keys))
    assert found == [{"key": key} for key in sorted(map(image_key, names))[:8]]


def test_listed_names_are_the_image_ids_of_the_references():
    refs = [Ref(name, None, name) for name in ("a/1.jpg", "b/2.jpg")]
    assert listed_names(Chunk.of(3, refs)) == ["a/1.jpg", "b/2.jpg"]


def test_the_first_repeated_name_is_found_across_tables():
    tables = [pa.table({"image_id": names}) for names in (["a", "b"], ["c", "b"], ["c"])]
    found = [{"key": image_key(name)} for name in "bc"]
    assert repeated_name(found, lambda: tables) == "b"
    # Two names whose keys are equal by chance are two names.
    assert repeated_name([{"key": image_key("a")}], lambda: tables) is None


def test_without_a_repeated_key_no_row_is_read():
    def never():
        raise AssertionError("rows were read")

    assert repeated_name([], never) is None


def test_a_name_in_two_written_files_is_an_error_with_the_callers_advice(tmp_path):
    parts = {"one.parquet": ["a", "b"], "two.parquet": ["c", "b"]}
    for path, names in parts.items():
        pq.write_table(pa.table({"image_id": names}), tmp_path / path)
    found = [{"key": image_key("b")}]
    with pytest.raises(RunError, match=r"^Every image .* but b has two; rename one\.$"):
        check_names(found, str(tmp_path), parts, "rename one")
    check_names(found, str(tmp_path), ["two.parquet"], "rename one")
