"""`facemill evaluate --protocol clustering`: clusters against true identities."""

import json

import pyarrow as pa
import pytest

from facemill.pipelines import cli
from facemill.transforms.dataset import writing
from facemill.transforms.dataset.parquet_parts import write_part
from tests import embedding_sets

IDS, WHO = embedding_sets.named(4, 3)


def write_clusters(path, people, model_id=embedding_sets.MODEL):
    """A clustering as `facemill cluster` writes it."""
    with writing.begin(str(path), "clusters", {}) as work:
        table = pa.table({"image_id": list(people), "cluster": list(people.values())})
        name = "clusters/part-00000-of-00001.parquet"
        written = write_part(table, work.files, name, 100)
        files = [{"path": name, "bytes": written["bytes"], "sha256": written["sha256"]}]
        manifest = {"counts": {}, "model_id": model_id, "files": files}
        work.commit(manifest, work.written(("clusters",)), {})
    return str(path)


@pytest.fixture
def embeddings(tmp_path):
    ids, who = [*IDS, "loose.jpg"], [*WHO, None]
    return embedding_sets.write(tmp_path / "e", ids, embedding_sets.draw(1, 13, 1), who)


def evaluate(embeddings, clusters, output, *more):
    given = ("--embeddings", embeddings, "--protocol", "clustering", "--clusters", clusters)
    return cli.main(["evaluate", *given, "--output", str(output), *more])


def test_figures_by_hand(tmp_path, embeddings, capsys):
    # p00 and p01 are one cluster, p03 is two.
    people = dict(zip(IDS, "aaaaaabbbccd", strict=True)) | {"loose.jpg": "a"}
    out = tmp_path / "o"
    assert evaluate(embeddings, write_clusters(tmp_path / "c", people), out) == 0
    results = json.loads((out / "results.json").read_text())
    assert (results["images"], results["identities"], results["clusters"]) == (12, 4, 4)
    assert results["without_identity"] == 1
    assert results["pairwise"]["precision"] == 10 / 19
    assert results["pairwise"]["recall"] == 10 / 12
    assert results["bcubed"]["precision"] == pytest.approx((6 * 0.5 + 6) / 12)
    assert results["bcubed"]["recall"] == pytest.approx((9 + 2 * 2 / 3 + 1 / 3) / 12)
    low, high = results["bcubed"]["precision_by_identity_95"]
    assert 0.5 <= low <= 0.75 <= high <= 1
    said = capsys.readouterr().out
    assert "BCubed F1         81.36 % (precision 75.00 %, recall 88.89 %)" in said
    page = (out / "report.html").read_text()
    assert "2 identities in cluster a" in page
    assert "<td>p03</td>" in page


def test_neither_names_of_clusters_nor_of_identities_matter(tmp_path, embeddings):
    people = dict(zip(IDS, "aaabbbbccddd", strict=True)) | {"loose.jpg": "a"}
    renamed = {image: f"{name}!" for image, name in reversed(people.items())}
    other = embedding_sets.write(
        tmp_path / "f", IDS, embedding_sets.draw(1, 12, 1), [f"{who[::-1]}x" for who in WHO]
    )
    found = []
    for name, given, rows in (("a", embeddings, people), ("b", other, renamed)):
        clusters = write_clusters(tmp_path / f"c{name}", rows)
        assert evaluate(given, clusters, tmp_path / name) == 0
        results = json.loads((tmp_path / name / "results.json").read_text())
        found.append((results["pairwise"], results["bcubed"]))
    assert found[0] == found[1]


def test_images_in_no_cluster_and_inputs_that_do_not_fit(tmp_path, embeddings, capsys):
    part = write_clusters(tmp_path / "c", dict.fromkeys(IDS[:-1], "a"))
    assert evaluate(embeddings, part, tmp_path / "o") == 2
    assert f"1 have none ({IDS[-1]})" in capsys.readouterr().err
    assert evaluate(embeddings, part, tmp_path / "o", "--missing", "reject") == 0
    assert "not clustered     1 of 12 images" in capsys.readouterr().out
    other = write_clusters(tmp_path / "d", dict.fromkeys(IDS, "a"), model_id="b" * 64)
    assert evaluate(embeddings, other, tmp_path / "p") == 2
    assert "--clusters must be of embeddings of the same model" in capsys.readouterr().err
    bare = embedding_sets.write(tmp_path / "x", IDS, embedding_sets.draw(1, 12, 1))
    assert evaluate(bare, part, tmp_path / "p") == 2
    assert "must have images that name their identities" in capsys.readouterr().err
    assert evaluate(embeddings, str(tmp_path / "none"), tmp_path / "p") == 2
    assert "has no manifest.json" in capsys.readouterr().err
