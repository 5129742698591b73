"""`facemill evaluate` from an embeddings artifact to its report, and its refusals."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facemill.transforms import storage
from facemill.transforms.dataset import artifact, writing
from facemill.transforms.storage import take_flags
from tests.pipelines.evaluate.handmade import PAIRS, VECTORS, evaluate, load, write_embeddings


def test_results_files_and_summary_have_the_figures(tmp_path, pairs_file, capsys) -> None:
    out = tmp_path / "out"
    assert evaluate(write_embeddings(tmp_path / "e", VECTORS), pairs_file, out) == 0
    results = load(out)
    assert results["accuracy"]["mean"] == 1
    assert results["equal_error_rate"]["rate"] == 0
    assert results["pairs"] == {"genuine": 4, "impostor": 4, "missing": 0}
    assert results["failure_to_acquire"] == {"images": 6, "failed": 0, "rate": 0}
    assert results["rates"] == ["FMR", "FNMR"]
    assert results["comparisons"] is None
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
    assert "±\N{NO-BREAK SPACE}0.00 standard error over 2 folds" in page
    assert "0.1 and 0.01 and 0.001: not supported by 4 impostor pairs." in page
    assert "Ann_0001" in page
    assert "acquire" not in page
    said = capsys.readouterr().out
    assert "accuracy          100.00 % ± 0.00" in said
    assert "equal error rate  0.00 % (FMR = FNMR)" in said


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
    assert "is already complete; remove it to evaluate again." in capsys.readouterr().out


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


def test_the_exact_name_wins_over_similar_names(tmp_path, pairs_file) -> None:
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


def test_the_threshold_can_come_from_other_pairs(tmp_path, pairs_file) -> None:
    embeddings = write_embeddings(tmp_path / "e", VECTORS)
    development = tmp_path / "dev.txt"
    development.write_text("1\nAnn\t2\t3\nAnn\t1\tBob\t3\n")
    more = ("--threshold-pairs", str(development))
    assert evaluate(embeddings, pairs_file, tmp_path / "o", *more) == 0
    results = load(tmp_path / "o")
    assert results["accuracy"]["threshold_from"] == "the 2 pairs of the threshold list"
    assert len({row["threshold"] for row in results["folds"]}) == 1


def test_wrong_inputs_are_reported_in_one_sentence(tmp_path, pairs_file, capsys) -> None:
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
        ((embeddings, pairs_file, out, "--missing", "maybe"), "invalid choice: 'maybe'"),
        ((embeddings, pairs_file, out, "--protocol", "ijb"), "invalid choice: 'ijb'"),
        ((embeddings, pairs_file, out, "--runner", "x"), "--runner must go with --pairs all"),
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
    with writing.begin(str(tmp_path / "e"), "embeddings", {}) as work:
        name = "part-00000-of-00001.parquet"
        pq.write_table(pa.table({"image_id": ["a"], "embedding": [[1.0]]}), work.path(name))
        files = [artifact.file_entry(work.scratch, name)]
        manifest = {"counts": {}, "files": files, "model_id": "m", "embedding_size": 3}
        work.commit(manifest, [(work.path(name), name)], {})
    assert evaluate(str(tmp_path / "e"), pairs_file, tmp_path / "o") == 1
    message = capsys.readouterr().err
    assert "must have the columns image_id (string) and embedding (fixed_size_list" in message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_pairs_by_path_are_evaluated_in_any_order(tmp_path, capsys, encoding) -> None:
    vectors = {
        f"{name}/{number}.jpg": VECTORS[f"{who}/{who}_000{number}.jpg"]
        for name, who in (("Ada", "Ann"), ("Grace", "Bob"))
        for number in (1, 2, 3)
    }
    embeddings = write_embeddings(tmp_path / "e", vectors)
    rows = [
        "photos/Grace/1.jpg, Ada/3.jpg", "Ada/1.jpg,Ada/2.jpg ", "", "Grace/2.jpg,Grace/1.jpg",
        "Ada/1.jpg,Grace/2", "Grace/3.jpg,Grace/1.jpg", "Ada/2.jpg,Grace/3.png",
    ]  # fmt: skip
    for number, order in enumerate((rows, rows[::-1])):
        path = tmp_path / f"pairs-{number}.csv"
        path.write_bytes("\r\n".join(order).encode(encoding))
        assert evaluate(embeddings, str(path), tmp_path / f"o{number}") == 0
    first, second = (tmp_path / name / "results.json" for name in ("o0", "o1"))
    assert first.read_bytes() == second.read_bytes()
    results = load(tmp_path / "o0")
    assert results["pairs"] == {"genuine": 3, "impostor": 3, "missing": 0}
    assert (results["protocol"], results["accuracy"]["mean"]) == ("pairs", 1)
    assert "list of pairs; model" in (tmp_path / "o0" / "report.html").read_text()


@pytest.mark.moderate
def test_every_pair_of_the_embeddings_is_evaluated(tmp_path, capsys) -> None:
    draw = np.random.default_rng(3)
    vectors = {
        f"p{identity}/{number}.jpg": np.eye(3)[identity] + 0.01 * draw.normal(size=3)
        for identity in range(3)
        for number in range(12)
    }
    vectors["loose.jpg"] = np.ones(3)
    out = tmp_path / "o"
    assert evaluate(write_embeddings(tmp_path / "e", vectors), "all", out) == 0
    results = load(out)
    # Zoe has one image.
    assert (results["images"], results["identities"], results["without_identity"]) == (37, 4, 1)
    assert results["pairs"] == {"genuine": 3 * 66, "impostor": 3 * 144 + 36, "missing": 0}
    assert results["equal_error_rate"]["rate"] == 0
    assert [row["far"] for row in results["tar_at_far"]] == [0.1, 0.01]
    assert {path.name for path in out.iterdir()} == {
        "results.json", "report.html", "run.json", "manifest.json",
    }  # fmt: skip
    said = capsys.readouterr().out
    assert "TAR at FAR 0.01   100.00 %" in said
    assert "not compared      1 images without identity" in said
    assert evaluate(str(tmp_path / "e"), "all", out) == 0
    assert "already complete" in capsys.readouterr().out
    assert evaluate(str(tmp_path / "e"), "all", out, "--threshold-pairs", "x") == 2
    assert "--threshold-pairs must go with a list of pairs" in capsys.readouterr().err
    by_runner = tmp_path / "r"
    assert evaluate(str(tmp_path / "e"), "all", by_runner, "--runner", "FnApiRunner") == 0
    assert load(by_runner) == results


def test_flags_of_a_runner_are_refused_without_all_pairs(tmp_path, pairs_file, capsys) -> None:
    embeddings = write_embeddings(tmp_path / "e", VECTORS)
    assert evaluate(embeddings, pairs_file, tmp_path / "o", "--runner", "FnApiRunner") == 2
    assert "must go with --pairs all" in capsys.readouterr().err
    # A store's flags are of no runner.
    assert evaluate(embeddings, pairs_file, tmp_path / "o", "--s3_region_name", "eu-1") == 0
    take_flags([])


def test_warnings_stand_in_output_results_and_report(tmp_path, pairs_file, capsys) -> None:
    same = dict.fromkeys(VECTORS, np.array([1.0, 0.0, 0.0]))
    embeddings = write_embeddings(tmp_path / "e", same)
    out = tmp_path / "o"
    assert evaluate(embeddings, pairs_file, out, "--threshold-pairs", pairs_file) == 0
    shared, equal = load(out)["warnings"]
    assert "8 of the 8 pairs that give the threshold" in shared
    assert "All scores are equal" in equal
    said = capsys.readouterr().out
    assert f"warning: {shared}" in said
    assert f"warning: {equal}" in said
    page = (out / "report.html").read_text()
    assert page.index("Before you trust these figures") < page.index("Accuracy")
    assert shared in page
    assert load(out)["trained_on"] == {
        "identities": 2,
        "trained_on": None,
        "reason": "the embeddings do not say where their model is",
    }


@pytest.mark.parametrize("pairs", ["list", "all"])
def test_embeddings_of_two_models_are_refused(tmp_path, pairs_file, pairs, capsys) -> None:
    embeddings = write_embeddings(tmp_path / "e", VECTORS, model_ids=("m" * 64, "n" * 64))
    given = pairs_file if pairs == "list" else "all"
    assert evaluate(embeddings, given, tmp_path / "o") == 1
    said = capsys.readouterr().err
    assert "All embeddings must be of one model (mmmmmmmmmmmm...)" in said
    assert "holds some of nnnnnnnnnnnn..." in said
