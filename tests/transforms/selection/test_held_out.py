import hashlib

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to

from facemill.transforms.core.reasons import ReasonCode
from facemill.transforms.core.row_ids import BASE, HELD_OUT, NEW, chunk_number, row_ids_of
from facemill.transforms.dataset.ignored_files import why_ignored
from facemill.transforms.dataset.outcomes import CONFLICT, DROPPED, DUPLICATE
from facemill.transforms.duplicates.verdicts import EXACT, Exclusion, Verdict
from facemill.transforms.faces.crop import CropConfig
from facemill.transforms.images.quality import QualityThresholds
from facemill.transforms.scan.scan_chunk import UNUSABLE, USABLE, ScanJob, Scanned, scan_chunk
from facemill.transforms.selection.held_out import CountNamed, CountOverlap, CountUsable
from facemill.transforms.sources.base import Ref
from facemill.transforms.sources.folders import Folders
from tests.reasons import because


def assert_counts(elements: list, transform: beam.PTransform, expected: dict) -> None:
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        found = pipeline | beam.Create(elements) | transform
        assert_that(found, equal_to([expected]))


def content(*entries: str) -> str:
    digests = (hashlib.sha256(one.encode()).digest() for one in entries)
    return f"{sum(int.from_bytes(one, 'big') for one in digests) % 2**256:064x}"


@pytest.mark.moderate
def test_usable_images_and_reasons_of_unusable_ones_are_counted(tmp_path, tiny_photos):
    names = sorted(str(path.relative_to(tiny_photos)) for path in tiny_photos.glob("*/*"))[:7]
    job = ScanJob(Folders(str(tiny_photos)), str(tmp_path), CropConfig(32), QualityThresholds(), 1)
    good = [Ref(name, None, name) for name in names]
    bad = [Ref(f"{number}", None, "x", reason=because(f"{number % 2}")) for number in range(3)]
    # An image that its dataset excluded, with known pixels.
    pixels = hashlib.sha256(b"").hexdigest()
    excluded = Ref("c", "eve", "x", reason=because("why"), pixel_sha256=pixels, outcome=CONFLICT)
    ignored = Ref(".DS_Store", None, ".DS_Store", reason=why_ignored(".DS_Store"))
    groups = (good[:4] + bad[:2], [*bad[2:], ignored], [*good[4:], excluded])
    scanned = [
        scan_chunk(job, chunk_number(HELD_OUT, 0, ordinal), refs)
        for ordinal, refs in enumerate(groups)
    ]
    digests = {name: hashlib.sha256((tiny_photos / name).read_bytes()) for name in names}
    entries = [f"{name}\0{digest.hexdigest()}" for name, digest in digests.items()]
    expected = {
        "listed": 11,
        "ignored": 1,
        "usable": 7,
        "by_pixels": 1,
        "reasons": {"0": 2, "1": 1, "set aside in its dataset as conflict": 1},
        "fingerprint": content(*entries, "0\0", "1\0", "2\0", "c\0", ".DS_Store\0"),
    }
    assert_counts(scanned, CountUsable(str(tmp_path)), expected)


def test_an_empty_held_out_set_has_counts_of_zero(tmp_path):
    expected = {"listed": 0, "ignored": 0, "usable": 0, "by_pixels": 0}
    expected |= {"reasons": {}, "fingerprint": "0" * 64}
    assert_counts([], CountUsable(str(tmp_path)), expected)


def scanned_chunk(origin: int, task: int, usable: list[int], unusable: list[int]) -> Scanned:
    good, bad = np.zeros(len(usable), USABLE), np.zeros(len(unusable), UNUSABLE)
    good["identity"], bad["identity"] = usable, unusable
    number = chunk_number(origin, task, 0)
    empty = np.empty((len(usable), 0), np.uint8)
    return Scanned(number, len(usable) + len(unusable), good, empty, unusable=bad)


@pytest.mark.moderate
def test_held_out_identities_are_counted_whether_or_not_their_images_are_usable():
    scanned = [
        scanned_chunk(HELD_OUT, 0, [1, 1, 0], [2, 0]),
        scanned_chunk(HELD_OUT, 1, [1], [3]),
        scanned_chunk(BASE, 0, [1, 2, 2, 0, 9], [3]),
        scanned_chunk(NEW, 0, [1, 2, 3, 4], []),
    ]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        total = pipeline | "Total" >> beam.Create([20])
        found = pipeline | beam.Create(scanned) | CountNamed(total)
        # Unusable images of the base have no record.
        assert_that(found, equal_to([{"identities": 3, "records": 3}]))


@pytest.mark.moderate
def test_records_that_a_held_out_set_has_too_are_counted_and_a_few_are_named(tmp_path, tiny_photos):
    job = ScanJob(Folders(str(tiny_photos)), str(tmp_path), CropConfig(32), QualityThresholds(), 1)
    refs = [Ref(f"{number}", None, "x", reason=because("any")) for number in range(9)]
    for origin in (BASE, NEW):
        scan_chunk(job, chunk_number(origin, 0, 0), refs)
    in_base, new = (row_ids_of(chunk_number(origin, 0, 0), 9).tolist() for origin in (BASE, NEW))
    leak = Verdict(DROPPED, because("same pixels", ReasonCode.HELD_OUT_SAME_PIXELS), "h")
    exclusions = [
        Exclusion(row_id, 0, 0, leak)
        for row_id in (in_base[7], in_base[2], in_base[5], in_base[3], new[0])
    ]
    exclusions.append(Exclusion(in_base[1], 0, 0, Verdict(DUPLICATE, EXACT, "x")))
    expected = {"records": 4, "examples": ["2", "3", "5"]}
    assert_counts(exclusions, CountOverlap(str(tmp_path)), expected)
    assert_counts([], CountOverlap(str(tmp_path)), {"records": 0, "examples": []})
