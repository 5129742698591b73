import math

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.core.row_ids import CHUNK, NEW, chunk_number
from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.scan.listing import group_tasks
from facemill.transforms.scoring.listing import IN_GROUP, GroupChunks, chunk_group_number
from facemill.transforms.sources.base import Ref


def listing(sizes: list[int]) -> list[tuple[int, int]]:
    """(number, count) of the chunks of parts with the given numbers of images, in order."""
    return [
        (chunk_number(NEW, part, ordinal), min(CHUNK, size - ordinal * CHUNK))
        for part, size in enumerate(sizes)
        for ordinal in range(math.ceil(size / CHUNK))
    ]


def chunk_groups(sizes: list[int], batch_size: int) -> dict[int, list[tuple[int, int]]]:
    """The chunks of each chunk group."""
    total, images = sum(sizes), IN_GROUP * max(CHUNK, batch_size)
    found: dict[int, list[tuple[int, int]]] = {}
    for number, count in listing(sizes):
        key = chunk_group_number(number, total, len(sizes), images)
        found.setdefault(key, []).append((number, count))
    return found


def calls(sizes: list[int], batch_size: int) -> int:
    """The number of model calls, in which the last one of each chunk group is padded."""
    found = chunk_groups(sizes, batch_size).values()
    return sum(math.ceil(sum(count for _, count in one) / batch_size) for one in found)


def test_small_folders_share_chunk_groups_so_that_calls_are_full():
    assert calls([8] * 12, 32) == 3
    assert calls([1] * 127, 32) == 4
    assert calls([70] * 1000, 32) <= 1.05 * 70 * 1000 / 32
    assert calls([147] * 90, 32) <= 1.05 * 147 * 90 / 32


def test_a_large_file_is_divided_and_fills_large_calls():
    found = chunk_groups([20 * CHUNK], 32)
    assert [len(chunks) for chunks in found.values()] == [4] * 5
    assert calls([20 * CHUNK], 1024) == 5


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(0, 3000), min_size=1, max_size=80).filter(any), st.sampled_from([7, 32])
)
def test_chunk_groups_have_bounded_size_and_hold_every_chunk_once(sizes, batch_size):
    found = chunk_groups(sizes, batch_size)
    assert sorted(one for chunks in found.values() for one in chunks) == listing(sizes)
    neighbors = max(1, IN_GROUP * CHUNK * len(sizes) // sum(sizes))
    for chunks in found.values():
        parts = [number // chunk_number(NEW, 1, 0) for number, _ in chunks]
        # The parts are neighbors, and the chunks of each part are consecutive.
        assert max(parts) - min(parts) < neighbors
        assert len(chunks) <= IN_GROUP * len(set(parts))
        for part in set(parts):
            mine = [number for number, _ in chunks if number // chunk_number(NEW, 1, 0) == part]
            assert mine == list(range(mine[0], mine[0] + len(mine)))


@pytest.mark.moderate
def test_chunk_groups_do_not_depend_on_the_order_of_the_chunks():
    sizes = [40, 1200, 3, 1800]
    chunks = [
        Chunk.of(number, [Ref(f"{number}/{row}", None, "f") for row in range(count)])
        for number, count in listing(sizes)
    ]
    tasks = [str(part) for part in range(len(sizes))]
    assert len(group_tasks(tasks)) == len(sizes)
    expected = {
        key: [number for number, _ in some] for key, some in chunk_groups(sizes, 32).items()
    }

    def check(groups):
        assert {key: sorted(one.number for one in some) for key, some in groups} == expected

    for order in (chunks, chunks[::-1]):
        with beam.Pipeline(runner="FnApiRunner") as pipeline:
            total = pipeline | "Total" >> beam.Create([sum(sizes)])
            found = pipeline | beam.Create(order) | GroupChunks(tasks, total, 32)
            assert_that(found, check)
