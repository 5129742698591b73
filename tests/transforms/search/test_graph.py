"""Edges of the neighbor graph, from the blocks of a search."""

import numpy as np
import pytest

from facemill.transforms.core.errors import NotSharedError
from facemill.transforms.scoring.embeddings import read_set
from facemill.transforms.search import plan as plans
from facemill.transforms.search.graph import EDGE, Graph, read_edges, write_edges
from facemill.transforms.search.shards import load, search
from tests import embedding_sets
from tests.embedding_sets import draw, named


def test_edges_of_all_blocks_are_those_of_the_set(tmp_path, monkeypatch):
    monkeypatch.setattr(plans, "BLOCK", 5)
    ids, who = named(3, 4)
    path = embedding_sets.write(tmp_path / "e", ids, draw(1, 3, 4), who, parts=1)
    given = read_set(path, "embeddings")[0]
    plan = plans.plan(given, given, 1 << 30, 20, 0.5, keeps_best=False)
    shard = load(given, plan.shards[0])
    folder = str(tmp_path / "edges")
    for block in range(len(plan.blocks)):
        write_edges((block, [search(plan, shard, block)]), plan, folder)
    edges = read_edges(folder, len(plan.blocks))
    scores = draw(1, 3, 4) @ draw(1, 3, 4).T
    expected = {(a, b) for a in range(12) for b in range(12) if a != b and scores[a, b] >= 0.5}
    assert {(int(one["one"]), int(one["other"])) for one in edges} == expected
    with pytest.raises(NotSharedError):
        read_edges(folder, len(plan.blocks) + 1)


def test_each_pair_is_one_edge_and_pairs_of_a_photo_are_none():
    edges = np.array([(0, 1, 0.5), (1, 0, 0.5), (2, 0, 0.9), (1, 2, 0.5)], EDGE)
    graph = Graph.of(3, edges, [0, 1, 2])
    assert [tuple(one) for one in graph.edges.tolist()] == [
        (0, 2, pytest.approx(0.9)),
        (0, 1, 0.5),
        (1, 2, 0.5),
    ]
    assert len(Graph.of(3, edges, [0, 1, 0]).edges) == 2
    assert len(Graph.of(3, edges[:0], [0, 1, 2]).edges) == 0
