"""Ingest and score on a portable runner, with all artifacts on a store."""

import json
import os
from collections.abc import Iterator

import pytest

from facemill.pipelines import cli
from facemill.transforms import storage
from tests.artifacts import contents
from tests.commands import facemill
from tests.conftest import SIZE
from tests.on_stores.copies import contents_of, names_in
from tests.portable import prism
from tests.portable.conftest import built
from tests.stores import EMULATORS, FIRST_STORE, Store

pytestmark = pytest.mark.portable

INGEST = ("--image-size", SIZE, "--split", "train=0.7,val=0.3")


@pytest.fixture(scope="module")
def other(store) -> Iterator[Store]:
    """A store of the other kind."""
    kind = "gs" if store.scheme == "s3" else "s3"
    with EMULATORS[kind]() as other:
        yield other


@pytest.fixture(scope="module")
def flags(store, other, tmp_path_factory) -> Iterator[list[str]]:
    """Flags of a pool whose workers reach both stores by their own environment."""
    binary = built()
    with prism.serving(binary, tmp_path_factory.mktemp("prism")) as flags:
        yield flags


@FIRST_STORE
def test_commands_write_the_bytes_of_a_disk(
    store, other, root, flags, tiny_photos, tiny_dataset, tiny_model, tmp_path
):
    """Photos lie on one kind of store; dataset, model and embeddings on the other."""
    photos = f"{other.new_root()}/photos"
    storage.upload_folder(str(tiny_photos), photos)
    storage.upload_folder(str(tiny_model), f"{root}/model")
    ingest = ("ingest", "--input", photos, "--output", f"{root}/dataset", *INGEST)
    facemill(*ingest, *flags, timeout=300)
    assert contents_of(f"{root}/dataset", tmp_path / "dataset") == contents(tiny_dataset)
    run = json.loads(storage.read_bytes(f"{root}/dataset/run.json"))
    assert run["runner"] == "PortableRunner"
    score = ("score", "--input", photos, "--model", f"{root}/model")
    facemill(*score, "--output", f"{root}/embeddings", *flags, timeout=300)
    here = ("score", "--input", tiny_photos, "--model", tiny_model, "--output", tmp_path / "e")
    assert cli.main([str(word) for word in here]) == 0
    assert contents_of(f"{root}/embeddings", tmp_path / "copy") == contents(tmp_path / "e")
    assert not any(name.split("/", 1)[1].startswith(".") for name in names_in(root))


@pytest.mark.parametrize("store", ["s3"], indirect=True)
def test_flags_lead_workers_to_a_store_that_their_environment_does_not_name(
    store, root, tiny_photos, tiny_dataset, tmp_path, monkeypatch
):
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    with monkeypatch.context() as patch:
        for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.delenv(name)
        binary = built()
        folder = tmp_path / "prism"
        folder.mkdir()
        with prism.serving(binary, folder) as flags:
            keys = ("--s3_access_key_id=test", "--s3_secret_access_key=test")
            where = (f"--s3_endpoint_url={endpoint}", "--s3_region_name=us-east-1")
            ingest = ("ingest", "--input", tiny_photos, "--output", f"{root}/dataset", *INGEST)
            facemill(*ingest, *flags, *keys, *where, timeout=300)
    assert contents_of(f"{root}/dataset", tmp_path / "dataset") == contents(tiny_dataset)
