"""`facemill evaluate --protocol bin`: labels from the file, embeddings of its images."""

import json

import numpy as np
import pytest

from facemill.pipelines import cli
from tests import embedding_sets
from tests.pair_files import of_python_2

PAIRS = 20


@pytest.fixture
def benchmark(tmp_path):
    """A file of 20 pairs, and embeddings of its images as scoring names them."""
    labels = [number % 4 < 2 for number in range(PAIRS)]
    images = [f"jpeg {number}".encode() for number in range(2 * PAIRS)]
    (tmp_path / "lfw.bin").write_bytes(of_python_2(images, labels))
    draw = np.random.default_rng(1)
    vectors = draw.normal(size=(2 * PAIRS, 16)).astype(np.float32)
    same = np.flatnonzero(labels)
    vectors[2 * same + 1] = vectors[2 * same] + 0.2 * draw.normal(size=(len(same), 16))
    ids = [f"lfw.bin/{number:06d}" for number in range(2 * PAIRS)]
    return str(tmp_path / "lfw.bin"), ids, vectors


def evaluate(embeddings: str, pairs: str, output, *more: str) -> int:
    given = ("--embeddings", embeddings, "--protocol", "bin", "--pairs", pairs)
    return cli.main(["evaluate", *given, "--output", str(output), *more])


def test_figures_of_the_file_s_pairs(tmp_path, benchmark, capsys):
    path, ids, vectors = benchmark
    embeddings = embedding_sets.write(tmp_path / "e", ids, vectors)
    assert evaluate(embeddings, path, tmp_path / "o") == 0
    results = json.loads((tmp_path / "o" / "results.json").read_text())
    assert results["protocol"] == "bin"
    assert results["pairs"] == {"genuine": 10, "impostor": 10, "missing": 0}
    assert len(results["folds"]) == 10
    assert results["accuracy"]["mean"] == 1
    # Its threshold is the least that is best on nine folds, so the most distant genuine pair errs.
    assert results["insightface"]["mean"] == pytest.approx(0.95)
    said = capsys.readouterr().out
    assert "as insightface    95.00 %, standard deviation 15.00" in said
    assert "Accuracy as insightface" in (tmp_path / "o" / "report.html").read_text()


def test_a_folder_above_the_file_and_images_without_embedding(tmp_path, benchmark, capsys):
    path, ids, vectors = benchmark
    below = [f"sets/{name}" for name in ids]
    embeddings = embedding_sets.write(tmp_path / "e", below[1:], vectors[1:])
    assert evaluate(embeddings, path, tmp_path / "o") == 2
    assert "1 have none (lfw.bin/000000)" in capsys.readouterr().err
    assert evaluate(embeddings, path, tmp_path / "o", "--missing", "reject") == 0
    results = json.loads((tmp_path / "o" / "results.json").read_text())
    assert results["pairs"]["missing"] == 1
    assert results["insightface"]["mean"] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"cos\nsystem\n(S'x'\ntR.", "x.bin names os.system, which no list of images and labels"),
        (of_python_2([b"a", b"b"], [True]), "must have ten pairs or more"),
        (b"10\t300\n", "x.bin holds POP_MARK"),
    ],
)
def test_other_files_are_refused(tmp_path, benchmark, capsys, data, said):
    _, ids, vectors = benchmark
    embeddings = embedding_sets.write(tmp_path / "e", ids, vectors)
    (tmp_path / "x.bin").write_bytes(data)
    assert evaluate(embeddings, str(tmp_path / "x.bin"), tmp_path / "o") == 2
    message = capsys.readouterr().err
    assert said in message
    assert message.count("\n") == 1
    assert evaluate(embeddings, str(tmp_path / "none.bin"), tmp_path / "o") == 2
    assert "--pairs must be a readable file" in capsys.readouterr().err
