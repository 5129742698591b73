"""`facemill evaluate --protocol identification|open-set`, from embeddings to report."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from facemill.pipelines import cli
from tests import embedding_sets


def write(path, people: int = 8, images: int = 4, noise: float = 0.3, prefix: str = "", seed=1):
    ids, who = embedding_sets.named(people, images, prefix)
    vectors = embedding_sets.draw(seed, people, images, noise=noise)
    return embedding_sets.write(path, ids, vectors, who)


def evaluate(embeddings: str, protocol: str, output, *more: str) -> int:
    given = ("--embeddings", embeddings, "--protocol", protocol, "--output", str(output))
    return cli.main(["evaluate", *given, *more])


def load(output) -> dict:
    return json.loads((output / "results.json").read_text())


@pytest.fixture
def embeddings(tmp_path) -> str:
    return write(tmp_path / "e")


def test_a_drawn_closed_set(tmp_path, embeddings, capsys):
    out = tmp_path / "o"
    assert evaluate(embeddings, "identification", out) == 0
    results = load(out)
    assert results["gallery"] == {"images": 8, "identities": 8}
    assert (results["probes"], results["drawn_with_seed"]) == (24, 0)
    assert [row["rank"] for row in results["rank_rates"]] == [1, 5]
    assert results["rank_rates"][0]["rate"] == results["cmc"][0] == 1
    rows = pq.read_table(out / "scores.parquet").to_pylist()
    assert len(rows) == 24
    assert all(row["mate_image_id"].split("/")[0] == row["identity"] for row in rows)
    assert all(row["other_image_id"].split("/")[0] != row["identity"] for row in rows)
    assert all(row["rank"] == 1 and row["mate_score"] > row["other_score"] for row in rows)
    said = capsys.readouterr().out
    assert "rank 1            100.00 % (100.00 to 100.00 %)" in said
    assert "probes            24, drawn with seed 0" in said
    page = (out / "report.html").read_text()
    assert "Cumulative match characteristic" in page
    assert "None went wrong." in page
    other = tmp_path / "seed"
    assert evaluate(embeddings, "identification", other, "--seed", "1") == 0
    assert pq.read_table(other / "scores.parquet")["probe"] != rows
    assert load(other)["drawn_with_seed"] == 1


def test_neither_parts_nor_order_nor_names_of_identities_matter(tmp_path):
    ids, who = embedding_sets.named(6, 3)
    vectors = embedding_sets.draw(2, 6, 3, noise=1.5)
    embedding_sets.write(tmp_path / "a", ids, vectors, who)
    order = np.random.default_rng(0).permutation(len(ids))
    embedding_sets.write(
        tmp_path / "b", [ids[row] for row in order], vectors[order],
        [f"{who[row][::-1]} x" for row in order], parts=3,
    )  # fmt: skip
    for protocol in ("identification", "open-set"):
        found = []
        for name in ("a", "b"):
            out = tmp_path / f"{name}-{protocol}"
            assert evaluate(str(tmp_path / name), protocol, out) == 0
            found.append((load(out), pq.read_table(out / "scores.parquet").drop(["identity"])))
        assert found[0] == found[1]


def test_a_list_gives_roles_and_images_without_embedding_find_nobody(tmp_path, embeddings, capsys):
    listed = tmp_path / "l.csv"
    rows = [f"photos/p{who:02d}/0.png,gallery" for who in range(4)]
    rows += [f"p{who:02d}/{n}.jpg,probe" for who in range(4) for n in (1, 2)]
    listed.write_text("\n".join(["image_id,role", *rows, "p03/9.jpg,probe"]))
    out = tmp_path / "o"
    assert evaluate(embeddings, "identification", out, "--list", str(listed)) == 2
    assert "1 have none (p03/9.jpg)" in capsys.readouterr().err
    more = ("--list", str(listed), "--missing", "reject")
    assert evaluate(embeddings, "identification", out, *more) == 0
    results = load(out)
    assert results["drawn_with_seed"] is None
    assert results["failure_to_acquire"] == {"images": 13, "failed": 1, "rate": 1 / 13}
    assert results["rank_rates"][0]["rate"] == pytest.approx(8 / 9)
    assert results["cmc"] == pytest.approx([8 / 9] * 4)
    last = pq.read_table(out / "scores.parquet").to_pylist()[-1]
    assert (last["probe"], last["rank"], last["mate_score"]) == ("p03/9.jpg", None, None)
    assert "find nobody" in (out / "report.html").read_text()


def test_strangers_join_the_gallery(tmp_path, embeddings, capsys):
    # Copies of two probes, and a known person's photo, which is left out.
    vectors = embedding_sets.draw(1, 8, 4, noise=0.3)
    ids = [f"s{n:03d}.jpg" for n in range(120)]
    many = np.concatenate([embedding_sets.draw(3, 40, 3, noise=2)[:119], vectors[:1]])
    who = ["p03" if n == 5 else None for n in range(120)]
    embedding_sets.write(tmp_path / "d", ids, many, who, parts=3)
    out = tmp_path / "o"
    more = ("--distractors", str(tmp_path / "d"))
    assert evaluate(embeddings, "identification", out, *more) == 0
    found = load(out)["distractors"]
    assert (found["images"], found["left_out"]) == (119, 1)
    assert [row["distractors"] for row in found["rank_1"]] == [10, 100, 119]
    rates = [row["rate"] for row in found["rank_1"]]
    assert rates == sorted(rates, reverse=True)
    assert "+119 strangers" in capsys.readouterr().out
    assert "1 images of people who are no strangers" in (out / "report.html").read_text()
    # The same strangers in other parts.
    embedding_sets.write(tmp_path / "f", ids[::-1], many[::-1], who[::-1], parts=1)
    assert evaluate(embeddings, "identification", tmp_path / "p", more[0], str(tmp_path / "f")) == 0
    assert load(tmp_path / "p")["distractors"]["rank_1"] == found["rank_1"]
    known = embedding_sets.write(tmp_path / "k", ids[:8], vectors[:8], ["p00"] * 8)
    assert evaluate(embeddings, "identification", tmp_path / "q", more[0], known) == 2
    assert "--distractors must hold images of strangers" in capsys.readouterr().err
    other = embedding_sets.write(tmp_path / "m", ids[:8], vectors[:8], model_id="b" * 64)
    assert evaluate(embeddings, "identification", tmp_path / "q", more[0], other) == 2
    assert "--distractors must be of the model of" in capsys.readouterr().err


def test_an_open_set_turns_strangers_away(tmp_path, capsys):
    embeddings = write(tmp_path / "e", people=16, noise=0.3)
    out = tmp_path / "o"
    assert evaluate(embeddings, "open-set", out) == 0
    results = load(out)
    assert results["gallery"] == {"images": 8, "identities": 8}
    assert results["probes"] == {"mated": 24, "non_mated": 32}
    first, second = results["fnir_at_fpir"][:2]
    assert first["supported"]
    assert 0 <= first["fnir"] <= 0.3
    assert first["wilson_95"][0] <= first["fnir"] <= first["wilson_95"][1]
    assert second == {
        "fpir": 0.01, "supported": False,
        "reason": "not supported by 32 probes of people who are not in the gallery",
    }  # fmt: skip
    rows = pq.read_table(out / "scores.parquet").to_pylist()
    absent = [row for row in rows if row["mate_score"] is None]
    assert len(absent) == 32
    accepted = sum(row["other_score"] >= first["threshold"] for row in absent)
    assert accepted == 3
    said = capsys.readouterr().out
    assert "FNIR at FPIR 0.01    not supported by 32 probes" in said
    assert "Hardest searches" in (out / "report.html").read_text()


@pytest.mark.parametrize(
    ("protocol", "rows", "said"),
    [
        ("identification", ["p00/0.jpg,gallery", "p01/1.jpg,probe"], "measure --protocol open-set"),
        ("open-set", ["p00/0.jpg,gallery", "p00/1.jpg,probe"], "but none of 1 are not in it"),
        ("open-set", ["p00/0.jpg,gallery", "p01/1.jpg,probe"], "but none of 1 are in it"),
        ("identification", ["x/0.jpg,gallery", "p01/1.jpg,probe"], "The gallery must have an im"),
        ("open-set", ["p00/0.jpg,gallery", "x/1.jpg,probe"], "The probes must have an image"),
    ],
)
def test_lists_that_do_not_suffice(tmp_path, embeddings, capsys, protocol, rows, said):
    (tmp_path / "l.csv").write_text("\n".join(["image_id,role", *rows]))
    more = ("--list", str(tmp_path / "l.csv"), "--missing", "reject")
    assert evaluate(embeddings, protocol, tmp_path / "o", *more) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert said in message
    assert message.startswith("facemill: ")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--pairs", "x"), "--pairs must go with --protocol lfw"),
        (("--list", "l", "--seed", "3"), "--seed must go without --list"),
        (("--list", "none.csv"), "--list must be a readable file"),
        (("--distractors", "none"), "has no manifest.json"),
        (("--clusters", "c"), "--clusters must go with"),
    ],
)
def test_options_that_do_not_fit(tmp_path, embeddings, capsys, more, said):
    assert evaluate(embeddings, "identification", tmp_path / "o", *more) == 2
    assert said in capsys.readouterr().err


def test_sets_without_identities_leave_nothing_to_draw(tmp_path, capsys):
    vectors = embedding_sets.draw(1, 2, 2)
    bare = embedding_sets.write(tmp_path / "e", ["a", "b", "c", "d"], vectors)
    for protocol in ("identification", "open-set"):
        assert evaluate(bare, protocol, tmp_path / "o") == 2
        said = capsys.readouterr().err
        assert "--embeddings must have" in said
        assert "or give --list" in said
