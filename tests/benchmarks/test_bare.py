import json
import sys

import pytest

from benchmarks import bare
from facemill.transforms.dataset import tfrecord
from facemill.transforms.dataset.records import from_example

pytestmark = pytest.mark.slow


def test_the_bare_limit_writes_the_records_of_an_ingest_run(
    tiny_photos, tiny_dataset, tmp_path, capsys, monkeypatch
):
    # The benchmark has one fixed crop of the usual size; the tiny dataset's crops are smaller.
    monkeypatch.setattr(bare, "_CROP", bare.CropConfig(32))
    monkeypatch.setattr(sys, "argv", ["bare", str(tiny_photos), str(tmp_path / "out"), "1"])
    monkeypatch.setattr(bare.multiprocessing, "Pool", _InProcessPool)
    bare.main()
    assert json.loads(capsys.readouterr().out)["images"] == 96
    limit, ingested = (records(root) for root in (tmp_path / "out", tiny_dataset))
    assert len(limit) == 96
    assert ingested.items() <= limit.items()


def records(root):
    found = {}
    for path in root.rglob("*.tfrecord"):
        with path.open("rb") as stream:
            for payload in tfrecord.read(stream):
                record = from_example(payload)
                found[record.image_id] = record
    return found


class _InProcessPool:
    """A pool that works in this process, in which the crop was changed."""

    def __init__(self, workers):
        self.imap_unordered = map

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass
