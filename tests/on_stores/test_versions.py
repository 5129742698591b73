"""Adding to a dataset on a store gives the bytes that it gives on a disk."""

from typing import Any

import pytest

from facemill.pipelines import cli
from facemill.transforms import storage
from tests.artifacts import contents
from tests.conftest import SIZE
from tests.on_stores.copies import contents_of, names_in

# One store: what differs between the stores is tested at the storage layer.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("store"),
    pytest.mark.parametrize("store", ["s3"], indirect=True, scope="module"),
]

PHOTOS = ("--identities", 12, "--images-per-identity", 8, "--image-size", SIZE)
INGEST = ("--image-size", SIZE, "--split", "train=0.7,val=0.3", "--workers", 1)


def run(*words: Any) -> None:
    assert cli.main([str(word) for word in words]) == 0


def test_a_new_version_of_a_dataset_is_that_of_a_disk(root, tiny_dataset, tmp_path):
    storage.upload_folder(str(tiny_dataset), f"{root}/dataset")
    new = tmp_path / "new"
    run("synthesize", "--output", new, "--start-identity", 100, "--workers", 1, *PHOTOS)
    flags = ("--input", new / "images", *INGEST, "--scratch", "store")
    run("ingest", "--append-to", tiny_dataset, "--output", tmp_path / "version", *flags)
    run("ingest", "--append-to", f"{root}/dataset", "--output", f"{root}/version", *flags)
    shared = {name for name in names_in(f"{root}/dataset") if name.startswith("train/")}
    assert shared < names_in(f"{root}/version")
    mine = contents_of(f"{root}/version", tmp_path / "copy")
    # The manifest names the dataset that was added to by its fingerprint alone.
    assert mine == contents(tmp_path / "version")
