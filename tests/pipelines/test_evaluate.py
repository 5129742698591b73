"""`facemill evaluate` from an embeddings artifact to its report, and its refusals."""

import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import cli
from transforms import artifact, storage

# Two folds; every genuine pair is close, every impostor pair far.
PAIRS = (
    "2\t2\n"
    "Ann\t1\t2\nAnn\t1\t3\nAnn\t1\tBob\t1\nAnn\t2\tBob\t2\n"
    "Bob\t1\t2\nBob\t1\t3\nAnn\t3\tBob\t3\nAnn\t1\tBob\t2\n"
)
VECTORS = {
    f"{name}/{name}_{number:04d}.jpg": vector
    for name, base in (("Ann", [1.0, 0.0, 0.0]), ("Bob", [0.0, 1.0, 0.0]))
    for number, vector in ((n, np.add(base, [0.0, 0.0, 0.1 * n])) for n in (1, 2, 3))
}


def write_embeddings(path, vectors: dict, parts: int = 2, group: int = 2) -> str:
    """An embeddings artifact in two parts, with more rows than the pairs need."""
    rows = sorted([*vectors.items(), ("Zoe/Zoe_0001.jpg", np.ones(3))])
    with artifact.begin(str(path), "embeddings", {}) as work:
        names = []
        for part in range(parts):
            name = f"part-{part:05d}-of-{parts:05d}.parquet"
            chosen = rows[part::parts]
            flat = np.array([vector for _, vector in chosen], np.float32).ravel()
            table = pa.table(
                {
                    "image_id": pa.array([image for image, _ in chosen]),
                    "identity": pa.array([None] * len(chosen), pa.string()),
                    "embedding": pa.FixedSizeListArray.from_arrays(pa.array(flat), 3),
                }
            )
            pq.write_table(table, work.path(name), row_group_size=group)
            names.append(name)
        files = [artifact.file_entry(work.scratch, name) for name in names]
        work.commit(
            {
                "counts": {"listed": len(rows)},
                "files": files,
                "model_id": "m" * 64,
                "embedding_size": 3,
            },
            [(work.path(name), name) for name in names],
            {},
        )
    return str(path)


@pytest.fixture
def pairs_file(tmp_path) -> str:
    path = tmp_path / "pairs.txt"
    path.write_text(PAIRS)
    return str(path)


def evaluate(embeddings: str, pairs: str, output, *more: str) -> int:
    return cli.main(
        ["evaluate", "--embeddings", embeddings, "--pairs", pairs, "--output", str(output), *more]
    )


def load(output) -> dict:
    return json.loads((output / "results.json").read_text())


def test_figures_files_and_summary(tmp_path, pairs_file, capsys) -> None:
    out = tmp_path / "out"
    assert evaluate(write_embeddings(tmp_path / "e", VECTORS), pairs_file, out) == 0
    results = load(out)
    assert results["accuracy"]["mean"] == 1
    assert results["equal_error_rate"]["rate"] == 0
    assert results["pairs"] == {"genuine": 4, "impostor": 4, "missing": 0}
    assert [row["supported"] for row in results["tar_at_far"]] == [False, False, False]
    assert results["tar_at_far"][0]["reason"] == "not supported by 4 impostor pairs"

    manifest = artifact.read_manifest(str(out), "evaluation")
    artifact.verify_files(str(out), manifest)
    assert manifest["counts"] == {"listed": 8, "scored": 8, "missing": 0}
    assert manifest["model_id"] == "m" * 64

    rows = pq.read_table(out / "scores.parquet").to_pylist()
    assert rows[2]["left_image_id"] == "Ann/Ann_0001.jpg"
    assert rows[2]["right"] == "Bob/Bob_0001.jpg"
    assert rows[2]["score"] == pytest.approx(0.01 / 1.01, abs=1e-6)
    assert [row["fold"] for row in rows] == [1, 1, 1, 1, 2, 2, 2, 2]

    page = (out / "report.html").read_text()
    assert "100.00 % ±\N{NO-BREAK SPACE}0.00" in page
    assert "Ann_0001" in page
    assert "accuracy          100.00 % ± 0.00" in capsys.readouterr().out


def test_the_same_input_gives_the_same_bytes(tmp_path, pairs_file, capsys) -> None:
    embeddings = write_embeddings(tmp_path / "e", VECTORS)
    # Other parts and row groups hold the same rows.
    other = write_embeddings(tmp_path / "f", VECTORS, parts=1, group=100)
    for name, source in (("a", embeddings), ("b", embeddings), ("c", other)):
        assert evaluate(source, pairs_file, tmp_path / name) == 0
    for name in ("results.json", "scores.parquet", "report.html"):
        first = (tmp_path / "a" / name).read_bytes()
        assert (tmp_path / "b" / name).read_bytes() == first
        assert (tmp_path / "c" / name).read_bytes() == first
    manifests = [(tmp_path / name / "manifest.json").read_bytes() for name in "ab"]
    assert manifests[0] == manifests[1]
    assert evaluate(embeddings, pairs_file, tmp_path / "a") == 0
    assert "is complete already" in capsys.readouterr().out


@pytest.mark.parametrize(
    "rename",
    [
        lambda image: image.replace(".jpg", ".png"),
        lambda image: "images/" + image,
        lambda image: "a/b/" + image.removesuffix(".jpg") + ".jpeg",
    ],
)
def test_images_are_found_by_name_below_folders_and_with_other_extensions(
    tmp_path, pairs_file, rename
) -> None:
    vectors = {rename(image): vector for image, vector in VECTORS.items()}
    assert evaluate(write_embeddings(tmp_path / "e", vectors), pairs_file, tmp_path / "o") == 0
    rows = pq.read_table(tmp_path / "o" / "scores.parquet").to_pylist()
    assert rows[0]["left_image_id"] == rename("Ann/Ann_0001.jpg")


def test_the_exact_name_wins_over_likenesses(tmp_path, pairs_file) -> None:
    wrong = {
        "Ann/Ann_0001.png": np.array([0.0, 1.0, 0.0]),
        "a/Ann/Ann_0001.jpg": np.array([0.0, 1.0, 0.0]),
        "z/Ann/Ann_0001.jpg": np.array([0.0, 1.0, 0.0]),
    }
    for parts in (1, 3):
        embeddings = write_embeddings(tmp_path / f"e{parts}", {**VECTORS, **wrong}, parts)
        assert evaluate(embeddings, pairs_file, tmp_path / f"o{parts}") == 0
        assert load(tmp_path / f"o{parts}")["accuracy"]["mean"] == 1


def test_an_ambiguous_name_is_refused(tmp_path, pairs_file, capsys) -> None:
    vectors = {"a/" + image: vector for image, vector in VECTORS.items()}
    vectors["b/Ann/Ann_0001.jpg"] = VECTORS["Ann/Ann_0001.jpg"]
    assert evaluate(write_embeddings(tmp_path / "e", vectors), pairs_file, tmp_path / "o") == 1
    message = capsys.readouterr().err
    assert "a/Ann/Ann_0001.jpg or b/Ann/Ann_0001.jpg" in message
    assert not (tmp_path / "o" / "manifest.json").exists()


def test_missing_images_stop_or_count_as_not_matched(tmp_path, pairs_file, capsys) -> None:
    vectors = {k: v for k, v in VECTORS.items() if k != "Bob/Bob_0003.jpg"}
    embeddings = write_embeddings(tmp_path / "e", vectors)
    assert evaluate(embeddings, pairs_file, tmp_path / "o") == 2
    message = capsys.readouterr().err
    assert "All 6 images" in message
    assert "1 have none (Bob/Bob_0003.jpg)" in message
    assert evaluate(embeddings, pairs_file, tmp_path / "o", "--missing", "reject") == 0
    results = load(tmp_path / "o")
    # Of fold 2, the genuine pair with the missing image is lost and the impostor pair is right.
    assert [row["accuracy"] for row in results["folds"]] == [1.0, 0.75]
    assert results["pairs"]["missing"] == 2
    rows = pq.read_table(tmp_path / "o" / "scores.parquet").to_pylist()
    assert rows[5]["score"] is None
    assert rows[5]["right_image_id"] is None
    assert "counted as not matched" in (tmp_path / "o" / "report.html").read_text()


def test_the_threshold_can_come_from_other_pairs(tmp_path, pairs_file) -> None:
    embeddings = write_embeddings(tmp_path / "e", VECTORS)
    development = tmp_path / "dev.txt"
    development.write_text("1\nAnn\t2\t3\nAnn\t1\tBob\t3\n")
    more = ("--threshold-pairs", str(development))
    assert evaluate(embeddings, pairs_file, tmp_path / "o", *more) == 0
    results = load(tmp_path / "o")
    assert results["accuracy"]["threshold_from"] == "the 2 pairs of the threshold list"
    assert len({row["threshold"] for row in results["folds"]}) == 1


def test_wrong_inputs_end_in_one_sentence(tmp_path, pairs_file, capsys) -> None:
    embeddings = write_embeddings(tmp_path / "e", VECTORS)
    bad = tmp_path / "bad.txt"
    bad.write_text(PAIRS.replace("Ann\t1\t2", "Ann\t1"))
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"\xff\xfe\x00")
    out = tmp_path / "o"
    for arguments, said in (
        ((embeddings, str(bad), out), "bad.txt, line 2 must be"),
        ((embeddings, str(binary), out), "--pairs must be a UTF-8 text file"),
        ((embeddings, str(tmp_path / "none.txt"), out), "none.txt (No such file or directory)"),
        ((embeddings, str(tmp_path), out), "(Is a directory)"),
        ((str(tmp_path / "none"), pairs_file, out), "has no manifest.json"),
        ((embeddings, pairs_file, out, "--missing", "maybe"), "--missing must be error or reject"),
        ((embeddings, pairs_file, out, "--protocol", "ijb"), "--protocol must be lfw"),
        ((embeddings, pairs_file, out, "--runner", "x"), "takes no option --runner"),
    ):
        assert evaluate(*arguments) == 2
        message = capsys.readouterr().err
        assert said in message
        assert message.startswith("facemill: ")
        assert message.count("\n") == 1
    assert not out.exists()


def test_embeddings_that_changed_or_are_not_numbers_are_refused(
    tmp_path, pairs_file, capsys
) -> None:
    vectors = {**VECTORS, "Bob/Bob_0002.jpg": np.array([np.nan, 0, 0])}
    embeddings = write_embeddings(tmp_path / "nan", vectors)
    assert evaluate(embeddings, pairs_file, tmp_path / "o") == 1
    assert "embedding of Bob/Bob_0002.jpg" in capsys.readouterr().err

    embeddings = write_embeddings(tmp_path / "cut", VECTORS)
    part = os.path.join(embeddings, "part-00001-of-00002.parquet")
    storage.write_atomically(part, storage.read_bytes(part)[:-1])
    assert evaluate(embeddings, pairs_file, tmp_path / "o") == 1
    assert "part-00001-of-00002.parquet must have the SHA-256" in capsys.readouterr().err


def test_a_part_of_another_shape_is_refused(tmp_path, pairs_file, capsys) -> None:
    with artifact.begin(str(tmp_path / "e"), "embeddings", {}) as work:
        name = "part-00000-of-00001.parquet"
        pq.write_table(pa.table({"image_id": ["a"], "embedding": [[1.0]]}), work.path(name))
        files = [artifact.file_entry(work.scratch, name)]
        whole = {"counts": {}, "files": files, "model_id": "m", "embedding_size": 3}
        work.commit(whole, [(work.path(name), name)], {})
    assert evaluate(str(tmp_path / "e"), pairs_file, tmp_path / "o") == 1
    message = capsys.readouterr().err
    assert "must have the columns image_id (string) and embedding (fixed_size_list" in message
