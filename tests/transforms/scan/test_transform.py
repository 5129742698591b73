import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from facemill.transforms.core import counters
from facemill.transforms.faces.crop import CropConfig
from facemill.transforms.images.quality import QualityThresholds
from facemill.transforms.scan.listing import Chunk
from facemill.transforms.scan.scan_chunk import ScanJob
from facemill.transforms.scan.transform import ScanImages
from facemill.transforms.sources.base import Ref
from facemill.transforms.sources.folders import Folders


@pytest.mark.slow
def test_any_number_of_workers_writes_the_same_files(tiny_photos, tmp_path):
    paths = sorted(str(path.relative_to(tiny_photos)) for path in tiny_photos.glob("*/*"))
    refs = [Ref(path, path.split("/")[0], path) for path in paths]
    refs.append(Ref("absent.jpg", None, "absent.jpg"))
    chunks = [Chunk.of(n, refs[n * 9 : n * 9 + 9]) for n in range(len(refs) // 9 + 1)]
    chunks = [chunk for chunk in chunks if chunk.count]
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        job = ScanJob(
            Folders(str(tiny_photos)), str(folder), CropConfig(32), QualityThresholds(), 1
        )
        pipeline = beam.Pipeline(runner=FnApiRunner())
        sizes = pipeline | beam.Create(chunks) | ScanImages(job, workers) | beam.Map(_sizes)
        _ = sizes | beam.combiners.ToList() | beam.Map(_check, len(chunks), len(refs))
        result = pipeline.run()
        result.wait_until_finish()
        # What a runner shows while the job runs: the last reference names no file.
        assert counters.values(result) == {"images_scanned": len(refs), "rejected_unreadable": 1}
    one, two = (
        {
            path.name: path.read_bytes()
            for path in (tmp_path / str(workers)).rglob("*")
            if path.is_file()
        }
        for workers in (1, 2)
    )
    # Metadata, thumbnails, records and a mark.
    assert len(one) == 4 * len(chunks)
    assert one == two


def _sizes(scanned):
    return scanned.chunk, scanned.count, len(scanned.usable)


def _check(found, chunks, images):
    assert sorted(chunk for chunk, _, _ in found) == list(range(chunks))
    assert sum(count for _, count, _ in found) == images
    assert sum(usable for _, _, usable in found) == images - 1
