import apache_beam as beam
from apache_beam.testing.util import assert_that, equal_to

from transforms.framing import Look
from transforms.held_out import CountUsable
from transforms.places import HELD_OUT, chunk_number
from transforms.quality import Floor
from transforms.scan import ScanJob, Scanned, scan_chunk
from transforms.sources.base import Ref
from transforms.sources.folders import Folders


def counted(scanned: list[Scanned], staging: str, expected: dict) -> None:
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        found = pipeline | beam.Create(scanned) | CountUsable(staging)
        assert_that(found, equal_to([expected]))


def test_what_can_be_compared_and_why_the_rest_cannot(tmp_path, tiny_photos):
    names = sorted(str(path.relative_to(tiny_photos)) for path in tiny_photos.glob("*/*"))
    job = ScanJob(Folders(str(tiny_photos)), str(tmp_path), Look(32), Floor(), 1)
    good = [Ref(name, None, name) for name in names[:7]]
    bad = [Ref(f"{number}", None, "x", reason=f"{number % 2}") for number in range(3)]
    scanned = [
        scan_chunk(job, chunk_number(HELD_OUT, 0, ordinal), refs)
        for ordinal, refs in enumerate((good[:4] + bad[:2], bad[2:], good[4:]))
    ]
    expected = {"listed": 10, "usable": 7, "reasons": {"0": 2, "1": 1}}
    counted(scanned, str(tmp_path), expected)


def test_a_set_of_nothing_is_counted_too(tmp_path):
    counted([], str(tmp_path), {"listed": 0, "usable": 0, "reasons": {}})
