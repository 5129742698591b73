"""Shards of a gallery, and the hits of a block in them."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.transforms.scoring.embeddings import Slice, read_set
from facemill.transforms.search import plan as plans
from facemill.transforms.search.shards import HITS, Hits, load, merge, search
from tests import embedding_sets
from tests.embedding_sets import draw, named

IDS, WHO = named(4, 3)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    path = embedding_sets.write(tmp_path_factory.mktemp("s") / "e", IDS, 3 * draw(1, 4, 3), WHO)
    return read_set(path, "gallery")[0]


def test_a_shard_has_unit_rows_and_the_order_of_its_names(gallery):
    shard = load(gallery, (Slice(0, 2, 6), Slice(1, 0, 3)), 2)
    names = shard.names["image_id"].to_pylist()
    assert np.linalg.norm(shard.vectors, axis=1) == pytest.approx(1)
    assert [names[row] for row in np.argsort(shard.order)] == sorted(names)
    assert len(names) == 7
    row = names.index("p02/0.jpg") if "p02/0.jpg" in names else 0
    vector = draw(1, 4, 3)[IDS.index(names[row])]
    assert shard.vectors[row] == pytest.approx(vector, abs=1e-6)


@pytest.mark.parametrize("keeps_best", [True, False])
def test_below_the_threshold_the_nearest_alone_is_kept(gallery, keeps_best):
    given = plans.plan(gallery, gallery, 1 << 30, 3, 1.0, keeps_best)
    found = search(given, load(gallery, given.shards[0]), 0).table
    assert len(found) == (len(IDS) if keeps_best else 0)
    # Nothing is its own neighbor.
    assert all(row["probe"] != row["row"] for row in found.to_pylist())


@given(st.permutations(range(5)))
def test_shards_merge_to_the_same_in_any_order(order):
    rows = [
        {"probe": probe, "row": row, "image_id": f"n{row}", "identity": None, "score": score}
        for probe, row, score in [
            (0, 4, 0.5),
            (0, 2, 0.5),
            (0, 3, 0.9),
            (1, 1, 0.1),
            (0, 5, 0.4),
        ]
    ]
    tables = [Hits.of(pa.Table.from_pylist([rows[number]], schema=HITS)).table for number in order]
    best, ranks = merge(tables, 3)
    found = list(zip(best["probe"].to_pylist(), best["row"].to_pylist(), strict=True))
    assert found == [(0, 3), (0, 2), (0, 4), (1, 1)]
    assert ranks.tolist() == [1, 2, 3, 1]
    assert len(merge([], 3)[0]) == 0
