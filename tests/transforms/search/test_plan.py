"""Dividing a search: shards fit the memory, blocks depend on the probes alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.transforms.core.errors import UsageError
from facemill.transforms.scoring import embeddings
from facemill.transforms.search import plan as plans
from tests import embedding_sets
from tests.embedding_sets import draw, named


@given(st.lists(st.integers(0, 50), max_size=6), st.integers(1, 30))
def test_pieces_cover_all_rows_once_and_in_order(part_rows, rows):
    pieces = plans.divide(part_rows, rows)
    covered = [
        (one.part, row) for piece in pieces for one in piece for row in range(one.start, one.stop)
    ]
    assert covered == [(part, row) for part, count in enumerate(part_rows) for row in range(count)]
    sizes = [sum(map(len, piece)) for piece in pieces]
    assert all(size == rows for size in sizes[:-1])
    assert all(0 < size <= rows for size in sizes)


def test_shards_fit_the_memory_and_blocks_do_not_depend_on_it(tmp_path, monkeypatch):
    monkeypatch.setattr(plans, "BLOCK", 4)
    ids, _ = named(5, 5)
    path = embedding_sets.write(tmp_path / "e", ids, draw(1, 5, 5))
    given, _ = embeddings.read_set(path, "probes")
    large = plans.plan(given, given, 1 << 30, 3, None)
    # 16 numbers of 4 bytes are a row, and two fifths of the memory are for rows.
    small = plans.plan(given, given, 10 * 64 * 5 // 2, 3, None)
    assert len(large.shards) == 1
    assert [sum(map(len, one)) for one in small.shards] == [9, 9, 7]
    assert small.shard_starts == (0, 9, 18)
    assert small.blocks == large.blocks
    assert small.same
    assert (small.probe_count, small.gallery_count, small.groups) == (25, 25, 2)


def test_an_empty_set_is_refused(tmp_path):
    ids, _ = named(1, 2)
    full = embedding_sets.write(tmp_path / "e", ids, draw(1, 1, 2))
    empty = embedding_sets.write(tmp_path / "none", [], draw(1, 1, 2)[:0], parts=0)
    sets = [embeddings.read_set(one, "probes")[0] for one in (full, empty)]
    with pytest.raises(UsageError, match="`gallery` must hold embeddings, but it has no row"):
        plans.plan(*sets, 1 << 30, 3, None)
