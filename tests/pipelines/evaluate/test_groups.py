"""`facemill evaluate --groups`: tables by group in results, summary and report."""

import json

import pytest

from facemill.pipelines import cli
from tests import embedding_sets


@pytest.fixture
def inputs(tmp_path):
    """Twelve people in two groups; those of the second are harder."""
    ids, who = embedding_sets.named(12, 4)
    vectors = embedding_sets.draw(1, 12, 4, noise=0.2)
    vectors[24:] = embedding_sets.draw(1, 12, 4, noise=1.2)[24:]
    rows = [f"{one},{other}" for at, one in enumerate(ids) for other in ids[at + 1 :]]
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    lines = [f"p{person:02d},{'first' if person < 6 else 'second'}" for person in range(12)]
    (tmp_path / "groups.csv").write_text("\n".join(["identity,group", *lines]))
    embeddings = embedding_sets.write(tmp_path / "e", ids, vectors, who)
    return embeddings, str(tmp_path / "pairs.csv"), str(tmp_path / "groups.csv")


def evaluate(inputs, output, *more):
    embeddings, pairs, groups = inputs
    given = ("--embeddings", embeddings, "--protocol", "pairs", "--pairs", pairs)
    return cli.main(["evaluate", *given, "--groups", groups, "--output", str(output), *more])


def test_rates_and_gap_by_group(tmp_path, inputs, capsys):
    out = tmp_path / "o"
    assert evaluate(inputs, out) == 0
    found = json.loads((out / "results.json").read_text())["groups"]
    first, second = found["groups"]
    assert (first["group"], first["genuine"], first["impostor"]) == ("first", 36, 240)
    assert first["fnmr"] < second["fnmr"]
    gap = found["gaps"]["fnmr"]
    assert (gap["highest"], gap["lowest"]) == ("second", "first")
    assert 0 < gap["interval_95"][0] <= gap["difference"] <= gap["interval_95"][1]
    assert found["overall_far"] == 0.01
    assert found["pairs_outside"] == 24 * 24
    # Photos of one person err together, so that they tell less than as many of others.
    row = json.loads((out / "results.json").read_text())["tar_at_far"][1]
    wilson, identities = row["tar_95"], row["tar_by_identity_95"]
    assert identities[0] <= row["tar"] <= identities[1]
    assert identities[1] - identities[0] > wilson[1] - wilson[0]
    assert "FNMR by group     gap of " in capsys.readouterr().out
    page = (out / "report.html").read_text()
    assert "FNMR by group: gap of" in page
    assert "<td>second</td>" in page
    assert "95 % over identities" in page


def test_groups_that_do_not_fit(tmp_path, inputs, capsys):
    embeddings, pairs, _ = inputs
    other = tmp_path / "other.csv"
    other.write_text("identity,group\nZoe,first\n")
    assert evaluate((embeddings, pairs, str(other)), tmp_path / "o") == 2
    assert "--groups must put both images of some pairs into one group" in capsys.readouterr().err
    assert evaluate((embeddings, pairs, str(tmp_path / "none")), tmp_path / "o") == 2
    assert "--groups must be a readable file" in capsys.readouterr().err
    assert evaluate((embeddings, "all", str(other)), tmp_path / "o") == 2
    assert "--groups must go with a list of pairs" in capsys.readouterr().err
