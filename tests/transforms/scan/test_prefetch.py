import itertools
import os
import shutil
import signal
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress

import numpy as np
import pytest

from facemill.transforms.core import processes
from facemill.transforms.core.errors import UsageError
from facemill.transforms.faces.crop import CropConfig
from facemill.transforms.images.quality import QualityThresholds
from facemill.transforms.scan.listing import all_chunks
from facemill.transforms.scan.prefetch import prefetch, prefetched
from facemill.transforms.scan.scan_chunk import ScanJob, scan_packed
from facemill.transforms.scan.staging import images_staged
from facemill.transforms.sources.folders import Folders

pytestmark = pytest.mark.slow


@pytest.fixture
def chunks(tiny_photos):
    source = Folders(str(tiny_photos))
    return list(all_chunks(source, source.tasks()))


def job_in(folder, photos) -> ScanJob:
    folder.mkdir()
    return ScanJob(Folders(str(photos)), str(folder), CropConfig(32), QualityThresholds(), 1)


def test_a_prefetched_scan_equals_the_scan_of_the_graph(tmp_path, tiny_photos, chunks):
    job, plain = (job_in(tmp_path / name, tiny_photos) for name in ("ahead", "plain"))
    total = sum(len(chunk.refs) for chunk in chunks)
    asked = []

    def listing():
        for chunk in chunks:
            asked.append(chunk)
            yield chunk

    with prefetch(job, listing(), 2):
        deadline = time.monotonic() + 60
        while len(asked) < len(chunks) or images_staged(job.staging) < total:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for chunk in chunks:
            ahead, here = prefetched(job, chunk).result(), scan_packed(plain, chunk)
            assert (ahead.chunk, ahead.count) == (here.chunk, here.count)
            np.testing.assert_array_equal(ahead.usable, here.usable)
            # A scan is returned once, and only to the run that prefetched it.
            assert prefetched(job, chunk) is None
            assert prefetched(plain, chunk) is None
    names = [
        sorted(path.name for path in (tmp_path / name).rglob("*")) for name in ("ahead", "plain")
    ]
    assert names[0] == names[1]
    assert prefetched(job, chunks[0]) is None


def test_no_scan_is_started_after_the_graph_asks(tmp_path, tiny_photos, chunks):
    job = job_in(tmp_path / "staging", tiny_photos)
    asked = []

    def listing():
        for chunk in itertools.cycle(chunks):
            asked.append(chunk)
            yield chunk

    with prefetch(job, listing(), 2):
        while not asked:
            time.sleep(0.01)
        prefetched(job, chunks[0])
        before = len(asked)
        # Long enough for all started scans to end.
        processes.shared(2).submit(time.sleep, 0.3).result()
        assert len(asked) <= before + 1


def test_no_file_is_written_after_the_prefetch_ends(tmp_path, tiny_photos, chunks):
    job = job_in(tmp_path / "staging", tiny_photos)
    with prefetch(job, iter(chunks), 2):
        pass
    shutil.rmtree(tmp_path / "staging", ignore_errors=True)
    processes.shared(2).submit(int).result()
    assert not (tmp_path / "staging").exists()


@pytest.mark.parametrize("error", [UsageError("not like this"), ValueError("bad"), KeyError("x")])
def test_an_error_of_the_listing_is_left_to_the_graph(
    tmp_path, tiny_photos, chunks, error, monkeypatch
):
    shown = []
    monkeypatch.setattr(threading, "excepthook", shown.append)
    job = job_in(tmp_path / "staging", tiny_photos)

    def listing():
        yield chunks[0]
        raise error

    with prefetch(job, listing(), 2):
        time.sleep(0.2)
    assert prefetched(job, chunks[0]) is None
    assert not shown


def _killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_killed_worker_processes_are_replaced(tmp_path, tiny_photos, chunks):
    with suppress(BrokenProcessPool):
        processes.shared(2).submit(_killed).result()
    job = job_in(tmp_path / "staging", tiny_photos)
    with prefetch(job, iter(chunks), 2):
        deadline = time.monotonic() + 60
        while not images_staged(job.staging):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert prefetched(job, chunks[0]).result().chunk == chunks[0].number
