"""Small artifacts that several tests read: made once, never changed."""

from pathlib import Path

import pytest

from facemill.pipelines import cli
from tests.commands import facemill

SIZE = 32


@pytest.fixture(scope="session")
def tiny_photos(tmp_path_factory) -> Path:
    """12 identities with 8 images of 32 x 32 each."""
    root = tmp_path_factory.mktemp("tiny") / "photos"
    flags = ["--identities", "12", "--images-per-identity", "8", "--image-size", str(SIZE)]
    assert cli.main(["synthesize", "--output", str(root), "--workers", "1", *flags]) == 0
    return root / "images"


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory, tiny_photos) -> Path:
    """The dataset of `tiny_photos`."""
    root = tmp_path_factory.mktemp("tiny") / "dataset"
    flags = ["--image-size", str(SIZE), "--split", "train=0.7,val=0.3"]
    assert cli.main(["ingest", "--input", str(tiny_photos), "--output", str(root), *flags]) == 0
    return root


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory, tiny_dataset) -> Path:
    """A model of `tiny_dataset`; how well it does is not the point."""
    root = tmp_path_factory.mktemp("tiny") / "model"
    # A process of its own: TensorFlow's devices and determinism can be set once in each.
    facemill("train", "--dataset", tiny_dataset, "--output", root, *TRAINING)
    return root


TRAINING = (
    *("--backbone", "plain", "--head", "softmax", "--embedding-size", "16"),
    *("--epochs", "2", "--batch-size", "16", "--validation-pairs", "20"),
)
