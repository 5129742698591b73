"""Ingest and score on a portable runner, with all artifacts on a store."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

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


_S3_VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@contextmanager
def led_by_flags(by_flags: bool) -> Iterator[list[str]]:
    """Flags that lead a command to S3, in a block in which the environment does not name it.

    Args:
        by_flags: if not, there are no flags, and the environment stays as it is.
    """
    with pytest.MonkeyPatch.context() as patch:
        flags = []
        if by_flags:
            endpoint, user, secret = (os.environ[name] for name in _S3_VARIABLES)
            flags += [f"--s3_access_key_id={user}", f"--s3_secret_access_key={secret}"]
            flags += [f"--s3_endpoint_url={endpoint}", "--s3_region_name=us-east-1"]
            for name in _S3_VARIABLES:
                patch.delenv(name)
        yield flags


@pytest.fixture(scope="module")
def by_flags(store) -> bool:
    """Whether the outputs are on S3, and workers reach it by the flags of the command alone.

    Otherwise they reach both stores by their own environment.
    """
    return store.scheme == "s3"


@pytest.fixture(scope="module")
def flags(by_flags, other, tmp_path_factory) -> Iterator[list[str]]:
    """Flags of a runner and its pool."""
    binary = built()
    with ExitStack() as stack:
        with led_by_flags(by_flags):
            serving = prism.serving(binary, tmp_path_factory.mktemp("prism"))
            flags = stack.enter_context(serving)
        yield flags


@FIRST_STORE
def test_commands_write_the_bytes_of_a_disk(
    other, root, flags, by_flags, tiny_photos, tiny_dataset, tiny_model, tmp_path
):
    """Photos lie on one kind of store; dataset, model and embeddings on the other."""
    photos = f"{other.new_root()}/photos"
    storage.upload_folder(str(tiny_photos), photos)
    storage.upload_folder(str(tiny_model), f"{root}/model")
    ingest = ("ingest", "--input", photos, "--output", f"{root}/dataset", *INGEST)
    with led_by_flags(by_flags) as there:
        facemill(*ingest, *flags, *there, timeout=300)
    assert contents_of(f"{root}/dataset", tmp_path / "dataset") == contents(tiny_dataset)
    run = json.loads(storage.read_bytes(f"{root}/dataset/run.json"))
    assert run["runner"] == "PortableRunner"
    score = ("score", "--input", photos, "--model", f"{root}/model")
    with led_by_flags(by_flags) as there:
        facemill(*score, "--output", f"{root}/embeddings", *flags, *there, timeout=300)
    here = ("score", "--input", tiny_photos, "--model", tiny_model, "--output", tmp_path / "e")
    assert cli.main([str(word) for word in here]) == 0
    assert contents_of(f"{root}/embeddings", tmp_path / "copy") == contents(tmp_path / "e")
    assert not any(name.split("/", 1)[1].startswith(".") for name in names_in(root))
