"""Images without an embedding: failures to acquire, and the rates of what is left."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from facemill.transforms.dataset import artifact
from tests.pipelines.evaluate.handmade import VECTORS, evaluate, load, write_embeddings


def test_missing_images_are_an_error_or_failures_to_acquire(tmp_path, pairs_file, capsys) -> None:
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
    # An impostor pair that cannot be compared is no correct non-match: these are FAR and FRR.
    assert results["rates"] == ["FAR", "FRR"]
    assert results["failure_to_acquire"] == {"images": 6, "failed": 1, "rate": 1 / 6}
    assert results["equal_error_rate"]["rate"] == 0.25
    compared = results["comparisons"]
    assert (compared["genuine"], compared["impostor"]) == (3, 3)
    assert compared["equal_error_rate"]["rate"] == 0
    page = (tmp_path / "o" / "report.html").read_text()
    assert "1 of 6 images (16.67 %) have no embedding" in page
    assert "counted as rejected" in page
    assert "false reject rate (FRR)" in page
    assert "(FMR)" not in page
    said = capsys.readouterr().out
    assert "equal error rate  25.00 % (FAR = FRR)" in said
    assert "not acquired      1 of 6 images (16.67 %)" in said
    assert "without these     equal error rate 0.00 % (FMR = FNMR)" in said


def test_fmr_and_fnmr_are_of_the_pairs_that_were_compared(tmp_path) -> None:
    names = [f"P{number:02}" for number in range(60)]
    lines = [*(f"{name}\t1\t2" for name in names)]
    lines += [
        f"{name}\t1\t{other}\t2" for name, other in zip(names, names[1:] + names[:1], strict=True)
    ]
    (tmp_path / "pairs.txt").write_text("60\n" + "\n".join(lines) + "\n")
    draw = np.random.default_rng(1)
    vectors = {f"{name}/{name}_000{n}.jpg": draw.normal(size=3) for name in names for n in (1, 2)}
    complete = write_embeddings(tmp_path / "complete", vectors)
    assert evaluate(complete, str(tmp_path / "pairs.txt"), tmp_path / "all") == 0
    kept = {image: vector for image, vector in vectors.items() if not image.startswith("P0")}
    part = write_embeddings(tmp_path / "part", kept)
    given = (part, str(tmp_path / "pairs.txt"), tmp_path / "some", "--missing", "reject")
    assert evaluate(*given) == 0
    rows = pq.read_table(tmp_path / "some" / "scores.parquet").to_pylist()
    scored = [row for row in rows if row["score"] is not None]

    def misses(rows: list[dict], lost: int, unseen: int) -> float:
        """At the lowest threshold that accepts a tenth of the impostor pairs."""
        genuine = [row["score"] for row in rows if row["genuine"]]
        impostor = sorted((row["score"] for row in rows if not row["genuine"]), reverse=True)
        allowed = int((len(impostor) + unseen) * 0.1 + 1e-9)
        accepted = sum(score > impostor[allowed] for score in genuine)
        return 1 - accepted / (len(genuine) + lost)

    results = load(tmp_path / "some")
    assert len(scored) == 99
    assert results["failure_to_acquire"]["rate"] == 20 / 120
    alone = results["comparisons"]["fnmr_at_fmr"]
    assert [row["fmr"] for row in alone] == [0.1, 0.01, 0.001]
    assert alone[0]["fnmr"] == pytest.approx(misses(scored, 0, 0))
    assert alone[1]["fnmr"] is None
    (row, *_) = results["tar_at_far"]
    assert 1 - row["tar"] == pytest.approx(misses(scored, lost=10, unseen=11))
    assert load(tmp_path / "all")["rates"] == ["FMR", "FNMR"]


def test_pairs_that_cannot_be_compared_at_all_are_refused(tmp_path, pairs_file, capsys) -> None:
    few = {k: v for k, v in VECTORS.items() if k.startswith("Ann")}
    given = (write_embeddings(tmp_path / "e", few), pairs_file, tmp_path / "o")
    assert evaluate(*given, "--missing", "reject") == 2
    assert "of 2 genuine and 0 impostor pairs" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_an_equal_error_rate_that_does_not_exist_is_reported_as_none(tmp_path, capsys) -> None:
    pairs = tmp_path / "pairs.txt"
    given = ("Ann/Ann_0001.jpg", "Ann/Ann_0002.jpg", "Bob/Bob_0001.jpg")
    vectors = {image: VECTORS[image] for image in given}
    impostors = "Ann\t1\tBob\t1\nAnn\t1\tCat\t1\nAnn\t1\tCat\t2\n"
    pairs.write_text(f"3\nAnn\t1\t2\nCat\t1\t2\nCat\t1\t3\n{impostors}")
    out = tmp_path / "o"
    embeddings = write_embeddings(tmp_path / "e", vectors)
    assert evaluate(embeddings, str(pairs), out, "--missing", "reject") == 0
    assert load(out)["equal_error_rate"] == {"rate": None, "threshold": None}
    assert artifact.read_manifest(str(out), "evaluation")["metrics"]["equal_error_rate"] is None
    assert "equal error rate  none (FAR = FRR)" in capsys.readouterr().out
