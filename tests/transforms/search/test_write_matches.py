"""Each probe of a block is matched or unmatched, and none is both."""

import pyarrow.parquet as pq
import pytest

from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.scoring.embeddings import read_set
from facemill.transforms.search import plan as plans
from facemill.transforms.search.shards import load, search
from facemill.transforms.search.write_matches import write_block
from tests import embedding_sets
from tests.embedding_sets import draw, named


def written(tmp_path, ids, vectors, threshold, k=2):
    """The receipt and the rows of one block of a set that is matched with itself."""
    path = embedding_sets.write(tmp_path / "e", ids, vectors, [one[:3] for one in ids])
    given = read_set(path, "probes")[0]
    plan = plans.plan(given, given, 1 << 30, k, threshold)
    hits = search(plan, load(given, plan.shards[0]), 0)
    (tmp_path / "out").mkdir()
    receipt = write_block((0, [hits]), plan, OutputFiles(str(tmp_path / "out")))
    tables = {
        entry["path"].split("/")[0]: pq.read_table(tmp_path / "out" / entry["path"])
        for entry in receipt["files"]
    }
    return receipt, tables


@pytest.mark.parametrize("threshold", [None, 0.7, 2.0 / 3])
def test_every_probe_is_in_one_of_the_two(tmp_path, threshold):
    ids, _ = named(4, 3)
    receipt, tables = written(tmp_path, ids, draw(1, 4, 3), threshold)
    matched = set(tables["matches"]["probe_id"].to_pylist())
    nobody = tables["unmatched"]["probe_id"].to_pylist() if "unmatched" in tables else []
    assert sorted([*matched, *nobody]) == sorted(ids)
    assert receipt["probes"] == len(ids)
    assert receipt["matched"] == len(matched)
    assert receipt["pairs"] == len(tables["matches"])
    assert receipt["right"] <= receipt["named"] == len(matched)
    ranks = tables["matches"]["rank"].to_pylist()
    assert ranks.count(1) == len(matched)


def test_a_gallery_of_the_probe_alone_has_no_nearest(tmp_path):
    receipt, tables = written(tmp_path, ["one.jpg"], draw(1, 1, 1), None)
    assert receipt["matched"] == 0
    assert tables["unmatched"].to_pylist() == [
        {
            "probe_id": "one.jpg",
            "gallery_id": None,
            "score": None,
            "probe_identity": "one",
            "gallery_identity": None,
        }
    ]
