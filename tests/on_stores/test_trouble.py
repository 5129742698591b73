"""Stores that fail, and runs that want the same output."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from facemill.transforms import storage
from facemill.transforms.core.errors import NotSharedError
from facemill.transforms.storage import lease
from tests.artifacts import contents
from tests.commands import facemill
from tests.conftest import SIZE
from tests.on_stores.copies import contents_of, names_in

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("store"),
    pytest.mark.parametrize("store", ["s3"], indirect=True, scope="module"),
]


@pytest.fixture(scope="module")
def command(tiny_photos) -> list[Any]:
    flags = ["--image-size", SIZE, "--split", "train=0.7,val=0.3"]
    return [
        "ingest",
        "--input",
        tiny_photos,
        *flags,
        "--workers",
        2,
        "--scratch",
        "store",
        "--output",
    ]


@pytest.fixture(scope="module")
def complete(tiny_dataset) -> dict[str, str]:
    """The dataset on a disk."""
    return contents(tiny_dataset)


@contextmanager
def started(*command: Any) -> Iterator[subprocess.Popen]:
    words = [sys.executable, "-m", "facemill.pipelines.cli", *map(str, command)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(url: str, part: str) -> None:
    """Waits until the name of an object below a URL has some part."""
    deadline = time.monotonic() + 120
    while not any(part in name for name in names_in(url)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.long
def test_a_store_that_asks_every_tenth_time_to_come_back_later(
    store, root, command, complete, tmp_path
):
    store.proxy.behavior.fail_every = 10
    try:
        facemill(*command, f"{root}/dataset", timeout=300)
    finally:
        store.proxy.behavior.fail_every = 0
    assert store.proxy.counts.failed > 0
    assert contents_of(f"{root}/dataset", tmp_path / "copy") == complete


@pytest.mark.long
def test_a_store_that_cannot_be_reached_for_twenty_seconds(
    store, root, command, complete, tmp_path
):
    with started(*command, f"{root}/dataset") as process:
        wait_for(root, ".records")
        store.proxy.behavior.cut_until = time.monotonic() + 20
        assert process.wait(200) == 0
    assert contents_of(f"{root}/dataset", tmp_path / "copy") == complete


@pytest.mark.long
def test_a_credential_that_expires_is_one_sentence_and_the_same_command_ends(
    store, root, command, complete, tmp_path
):
    with started(*command, f"{root}/dataset") as process:
        wait_for(root, ".records")
        store.proxy.behavior.expired = True
        try:
            _, error = process.communicate(timeout=60)
        finally:
            store.proxy.behavior.expired = False
    assert process.returncode == 1
    said = [line for line in error.splitlines() if line.startswith("facemill: ")]
    assert len(said) == 1
    assert "have expired; renew them" in said[0]
    assert "Traceback" not in error
    facemill(*command, f"{root}/dataset")
    assert contents_of(f"{root}/dataset", tmp_path / "copy") == complete


def test_an_output_that_a_living_run_holds_is_refused(root, command, monkeypatch):
    """This process stands for the run, with a heart that beats often."""
    monkeypatch.setattr(lease, "_BEAT", 0.5)
    with storage.hold(f"{root}/dataset") as check:
        refused = facemill(*command, f"{root}/dataset", code=2)
        assert "another facemill run is writing" in refused.stderr
        assert f"process {os.getpid()} on " in refused.stderr
        check()
    assert not names_in(root)


@pytest.mark.long
def test_of_two_runs_of_one_output_the_second_is_refused(store, root, command, complete, tmp_path):
    with started(*command, f"{root}/dataset") as first:
        wait_for(root, ".lease")
        # So that the first is still at work when the second has seen its heart beat.
        store.proxy.behavior.latency = 3
        try:
            refused = facemill(*command, f"{root}/dataset", code=2)
        finally:
            store.proxy.behavior.latency = 0
        assert "another facemill run is writing" in refused.stderr
        assert f"process {first.pid} on " in refused.stderr
        assert first.wait(120) == 0
    assert contents_of(f"{root}/dataset", tmp_path / "copy") == complete


def test_the_output_of_a_dead_run_is_taken_over_and_its_late_workers_change_nothing(
    root, command, complete, tmp_path
):
    with started(*command, f"{root}/dataset") as first:
        wait_for(root, ".records")
        first.kill()
        first.wait()
    assert ".lease" in "".join(names_in(root))
    done = facemill(*command, f"{root}/dataset")
    assert "looking for up to" not in done.stderr
    assert contents_of(f"{root}/dataset", tmp_path / "copy") == complete
    _late_worker(f"{root}/dataset")
    assert contents_of(f"{root}/dataset", tmp_path / "copy-2") == complete


def _late_worker(output: str) -> None:
    """What a worker of the dead run does if it goes on when all has ended."""
    shard = next(name for name in names_in(output) if name.startswith("train/"))
    for name in (shard, shard.replace("part-", "part-9")):
        with (
            pytest.raises(NotSharedError),
            storage.write_once(f"{output}/{name}", f"{output}/.work-0/running") as stream,
        ):
            stream.write(b"late")


def test_a_missing_bucket_and_a_closed_port_are_told_within_ten_seconds(command):
    started = time.monotonic()
    missing = facemill(*command, "s3://no-such-bucket-here/dataset", code=2)
    assert "s3://no-such-bucket-here must be an existing bucket" in missing.stderr
    closed = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    silent = facemill(*command, "s3://any-bucket/dataset", code=1, environment=closed)
    assert "must answer for s3://any-bucket/dataset" in silent.stderr
    # Both together, with the start of two processes.
    assert time.monotonic() - started < 40
