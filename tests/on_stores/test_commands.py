"""Every command with its inputs and outputs on a store gives the bytes that it gives on a disk."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facemill.model.training import kept_head
from facemill.pipelines import cli
from facemill.transforms import storage
from tests.artifacts import contents
from tests.commands import facemill
from tests.conftest import SIZE, TRAINING
from tests.on_stores.copies import contents_of, names_in
from tests.stores import FIRST_STORE, Store

pytestmark = pytest.mark.slow

# What `make test` runs on Google's store only, and `make test-long` on S3 too.
SECOND_STORE = pytest.mark.parametrize(
    "store",
    [pytest.param("s3", marks=pytest.mark.long), "gs"],
    indirect=True,
    scope="module",
)

PHOTOS = ("--identities", 12, "--images-per-identity", 8, "--image-size", SIZE)
INGEST = ("--image-size", SIZE, "--split", "train=0.7,val=0.3")


def run(*words: Any) -> None:
    assert cli.main([str(word) for word in words]) == 0


def read(url: str, name: str) -> dict[str, Any]:
    return json.loads(storage.read_bytes(f"{url}/{name}"))


@pytest.fixture(scope="module")
def root(store: Store) -> str:
    """Where the commands of this module write."""
    return store.new_root()


@pytest.fixture(scope="module")
def photos(root) -> str:
    run("synthesize", "--output", f"{root}/photos", "--workers", 1, *PHOTOS)
    return f"{root}/photos"


@pytest.fixture(scope="module")
def dataset(root, photos) -> str:
    run("ingest", "--input", f"{photos}/images", "--output", f"{root}/dataset", *INGEST)
    return f"{root}/dataset"


@pytest.fixture(scope="module")
def model(root, tiny_model) -> str:
    storage.upload_folder(str(tiny_model), f"{root}/model")
    return f"{root}/model"


def test_synthesize_writes_the_photos_of_a_disk(photos, tiny_photos, tmp_path):
    assert contents_of(photos, tmp_path / "copy") == contents(tiny_photos.parent)


def test_ingest_writes_the_dataset_of_a_disk(dataset, tiny_dataset, tmp_path):
    assert contents_of(dataset, tmp_path / "copy") == contents(tiny_dataset)
    assert not any(name.startswith(".") for name in names_in(dataset))


@FIRST_STORE
def test_ingest_with_its_scratch_on_the_store_writes_the_same_dataset(
    root, tiny_photos, tiny_dataset, tmp_path
):
    output = f"{root}/scratch-on-store"
    flags = ("--output", output, "--scratch", "store", "--workers", 2)
    run("ingest", "--input", tiny_photos, *flags, *INGEST)
    assert contents_of(output, tmp_path / "copy") == contents(tiny_dataset)
    assert not any(name.startswith(".") for name in names_in(output))


@FIRST_STORE
def test_train_writes_the_model_of_a_disk(root, dataset, tiny_model):
    output = f"{root}/trained"
    facemill("train", "--dataset", dataset, "--output", output, *TRAINING)
    one, other = (
        read(output, "manifest.json"),
        json.loads((tiny_model / "manifest.json").read_text()),
    )
    changing = ("files",)
    assert {k: v for k, v in one.items() if k not in changing} == {
        k: v for k, v in other.items() if k not in changing
    }
    there = {name.split("/")[0] for name in names_in(output)}
    assert there == {path.name for path in tiny_model.iterdir()}
    # What `--init-head` reads.
    name = f"checkpoints/{kept_head.FILE}"
    found, expected = (kept_head.read(f"{path}/{name}") for path in (output, tiny_model))
    np.testing.assert_array_equal(found.keys, expected.keys)
    np.testing.assert_array_equal(found.rows, expected.rows)


@SECOND_STORE
def test_score_and_evaluate_write_the_results_of_a_disk(
    root, photos, model, tiny_photos, tiny_model, tmp_path
):
    """One model for both: a SavedModel's bytes change from run to run."""
    flags = ("--workers", 1)
    run("score", "--input", tiny_photos, "--model", tiny_model, "--output", tmp_path / "e", *flags)
    scored = ("score", "--input", f"{photos}/images", "--model", model, *flags)
    run(*scored, "--output", f"{root}/embeddings")
    assert contents_of(f"{root}/embeddings", tmp_path / "copy") == contents(tmp_path / "e")
    run(*scored, "--output", f"{root}/embeddings-2", "--scratch", "store")
    assert contents_of(f"{root}/embeddings-2", tmp_path / "copy-2") == contents(tmp_path / "e")
    pairs = _pairs(tiny_photos)
    (tmp_path / "pairs.txt").write_text(pairs)
    storage.write_atomically(f"{root}/pairs.txt", pairs.encode())
    evaluated = ("evaluate", "--protocol", "lfw", "--missing", "reject")
    run(
        *evaluated,
        *("--embeddings", tmp_path / "e", "--pairs", tmp_path / "pairs.txt"),
        *("--output", tmp_path / "figures"),
    )
    run(
        *evaluated,
        *("--embeddings", f"{root}/embeddings", "--pairs", f"{root}/pairs.txt"),
        *("--output", f"{root}/figures"),
    )
    assert contents_of(f"{root}/figures", tmp_path / "copy-3") == contents(tmp_path / "figures")


def _pairs(photos: Path) -> str:
    """A list of View 1: pairs of each of the first identities, and as many of two identities."""
    names = sorted(path.name for path in photos.iterdir())
    genuine = [f"{name}\t1\t2" for name in names]
    impostor = [
        f"{one}\t1\t{two}\t1" for one, two in zip(names, names[1:] + names[:1], strict=True)
    ]
    return "\n".join([str(len(names)), *genuine, *impostor]) + "\n"


def test_the_python_api_reads_a_store(dataset, tiny_dataset, tiny_photos):
    import facemill

    assert facemill.read_index(dataset).equals(facemill.read_index(tiny_dataset))
    there = [one["image"].numpy() for one in facemill.load_dataset(dataset, "train", 8)]
    here = [one["image"].numpy() for one in facemill.load_dataset(tiny_dataset, "train", 8)]
    assert all((one == two).all() for one, two in zip(there, here, strict=True))
