"""How long a request waits before it is sent again, and what that leaves alone."""

import random
import time

import pytest

from facemill.transforms import storage
from facemill.transforms.storage.stores import access
from facemill.transforms.storage.stores.errors import TransientError


def test_pauses_take_nothing_from_the_generator_that_seeds_networks(monkeypatch):
    waited = []
    monkeypatch.setattr(time, "sleep", waited.append)
    answers = [TransientError("busy")] * 3

    def work() -> str:
        if answers:
            raise answers.pop()
        return "done"

    random.seed(1)
    expected = random.random()
    random.seed(1)
    assert access._retrying("s3://bucket/key", work, 60) == "done"
    assert random.random() == expected
    # Each is drawn between half and all of twice the one before.
    for pause, most in zip(waited, (0.1, 0.2, 0.4), strict=True):
        assert most / 2 <= pause <= most


@pytest.mark.parametrize("store", ["gs"], indirect=True, scope="module")
def test_the_client_of_google_sends_no_requests_of_its_own(root, monkeypatch):
    cache = pytest.importorskip("google.cloud.storage._bucket_metadata_cache")
    asked = []
    monkeypatch.setattr(
        cache.BucketMetadataCache, "get_or_queue_fetch", lambda self, name: asked.append(name)
    )
    storage.write_atomically(f"{root}/file", b"content")
    assert storage.read_bytes(f"{root}/file") == b"content"
    assert not asked
