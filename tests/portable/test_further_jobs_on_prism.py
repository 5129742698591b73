"""The other jobs, and ingest with other datasets, on a portable runner: one server for all.

Bytes are those of a local run. (`synthesize` is no Beam job.)
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from facemill.pipelines import cli
from tests import embedding_sets
from tests.artifacts import contents
from tests.conftest import SIZE
from tests.embedding_sets import draw, named

pytestmark = [pytest.mark.portable, pytest.mark.slow]

INGEST = ("--image-size", SIZE, "--split", "train=0.7,val=0.3")


def check_equal(words: Sequence[object], folder: Path, flags: list[str], *outputs: str) -> None:
    """Runs a command here and on the runner, and compares all that both wrote.

    Args:
        words: of the command.
        folder: of the outputs.
        flags: of the runner.
        outputs: options that name an output, besides `--output`.
    """
    for where, more in (("local", []), ("prism", flags)):
        given = [*map(str, words), "--output", str(folder / where / "output")]
        for option in outputs:
            given += [option, str(folder / where / option.strip("-"))]
        # In this process, where TensorFlow is loaded once.
        assert cli.main([*given, *more]) == 0
    for name in ("output", *(option.strip("-") for option in outputs)):
        portable = contents(folder / "prism" / name)
        assert "manifest.json" in portable
        assert portable == contents(folder / "local" / name)


@pytest.fixture(scope="module")
def further(tiny_photos, tmp_path_factory) -> Path:
    """Photos of the tiny dataset's people, some under another name, and those of one apart."""
    root = tmp_path_factory.mktemp("further") / "photos"
    people = sorted(path for path in tiny_photos.iterdir() if path.is_dir())
    for number, person in enumerate(people[:6]):
        (root / f"new{number}").mkdir(parents=True, exist_ok=True)
        for photo in sorted(person.iterdir())[: 4 + number % 2]:
            data = photo.read_bytes()
            (root / f"new{number}" / photo.name).write_bytes(data)
            if number == 0:
                (root / "new1").mkdir(exist_ok=True)
                (root / "new1" / f"same-{photo.name}").write_bytes(data)
    held_out = root.parent / "held_out" / "somebody"
    held_out.mkdir(parents=True)
    for photo in people[5].iterdir():
        (held_out / photo.name).write_bytes(photo.read_bytes())
    return root.parent


@pytest.mark.long
def test_ingest_of_a_new_version(further, tiny_dataset, tmp_path, prism_flags):
    words = ["ingest", "--input", further / "photos", *INGEST, "--append-to", tiny_dataset]
    check_equal(words, tmp_path, prism_flags)


@pytest.mark.long
def test_ingest_beside_a_held_out_set(further, tmp_path, prism_flags):
    held_out = further / "held_out"
    words = ["ingest", "--input", further / "photos", *INGEST, "--exclude-dataset", held_out]
    check_equal([*words, "--on-conflict", "quarantine"], tmp_path, prism_flags)
    counts = json.loads((tmp_path / "prism" / "output" / "manifest.json").read_text())["counts"]
    assert counts["conflict"]
    assert counts["dropped"]
    assert counts["kept"]


def test_detect(tiny_photos, tmp_path, prism_flags):
    words = ["detect", "--input", tiny_photos, "--image-size", 32]
    check_equal(words, tmp_path, prism_flags, "--crops")


def test_all_pairs(tmp_path, prism_flags):
    ids, who = named(8, 5)
    embeddings = embedding_sets.write(tmp_path / "e", ids, draw(1, 8, 5, 32, 0.3), who)
    words = ["evaluate", "--embeddings", embeddings, "--protocol", "pairs", "--pairs", "all"]
    check_equal(words, tmp_path, prism_flags)
