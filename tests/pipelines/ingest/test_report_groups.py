"""Groups of an ingest report: captions, similarities, the choice of what is shown."""

import re

import cv2
import numpy as np
import pytest

from facemill.pipelines.ingest import report_groups
from facemill.pipelines.ingest.report_clusters import Cluster
from facemill.pipelines.ingest.report_groups import StagedCrops
from facemill.transforms.core.row_ids import BASE, row_ids_of
from facemill.transforms.faces.crop import CropConfig
from facemill.transforms.images.quality import QualityThresholds
from facemill.transforms.scan.scan_chunk import ScanJob, scan_chunk
from facemill.transforms.scan.staging import StagingReader
from facemill.transforms.sources.base import Ref
from facemill.transforms.sources.folders import Folders

CHUNK = 3
NAMES = ["a/a_1.png", "a/a_2.png", "a/a_3.jpg", "a/a_4.png", "b/1.png", "b/deep/2.png"]


@pytest.fixture(scope="module")
def staging(tmp_path_factory):
    """A staging folder with an image, an equal one, a JPEG of it, its mirror image, and others."""
    root, folder = tmp_path_factory.mktemp("photos"), tmp_path_factory.mktemp("staging")
    draw = np.random.default_rng(1)

    def blurred() -> np.ndarray:
        noise = cv2.GaussianBlur(draw.normal(0, 1, (96, 96, 3)), (0, 0), 4)
        return np.clip(128 + 40 * noise / noise.std(), 0, 255).astype(np.uint8)

    first = blurred()
    pixels = [first, first, first, first[:, ::-1], blurred(), blurred()]
    for name, one in zip(NAMES, pixels, strict=True):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(root / name), one)
    job = ScanJob(Folders(str(root)), str(folder), CropConfig(64), QualityThresholds(), 1)
    scan_chunk(job, CHUNK, [Ref(name, name.split("/")[0], name) for name in NAMES])
    return str(folder)


@pytest.fixture
def crops(staging):
    with StagingReader(staging) as reader:
        yield StagedCrops(staging, reader)


def row(name: str, outcome: str = "duplicate", other: str | None = NAMES[0], **values) -> dict:
    row_id = int(row_ids_of(CHUNK, len(NAMES))[NAMES.index(name)])
    given = {"image_id": name, "row_id": row_id, "outcome": outcome, "duplicate_of": other}
    given |= {"reason_code": "same_pixels", "similarity": None if outcome == "kept" else 1.0}
    return {**given, "identity": name.split("/")[0], "reason": "why", **values}


def near(name: str, similarity: float, outcome: str = "duplicate", **values) -> dict:
    values |= {"reason_code": "near_duplicate", "similarity": similarity}
    return row(name, outcome, **values)


def cluster(*rows: dict) -> Cluster:
    names = sorted({one["identity"] or "nobody" for one in rows})
    return Cluster(len(rows), names, False, rows)


KEPT = row(NAMES[0], "kept", None)


def test_captions_distinguish_equal_pixels_from_near_duplicates(crops):
    shown = report_groups.sheet(
        crops, [cluster(KEPT, row(NAMES[1]), near(NAMES[2], 0.871))], 1, BASE, "copies"
    )
    captions = re.findall(r"<figcaption>([^<]+)<br><span[^>]*>([^<]+)<", str(shown[1]))
    assert [name for name, _ in captions] == ["a_1.png", "a_2.png", "a_3.jpg"]
    assert [note for _, note in captions][:2] == ["kept", "same pixels"]
    assert captions[2][1] == "similarity 0.87"
    assert "<h3>a</h3>" in shown[1]


def test_groups_keep_their_order_and_can_be_put_by_name(crops):
    groups = [
        cluster(row(NAMES[4], "kept", None), near(NAMES[5], 0.77)),
        cluster(row(NAMES[2], "kept", None), near(NAMES[3], 0.8)),
        cluster(KEPT, row(NAMES[1])),
    ]
    shown = report_groups.sheet(crops, groups, 3, BASE, "copies")
    assert shown[0] == "3 groups."
    ranks = re.findall(r'<div class="group ([^"]+)"(?: style="--rank: (\d+)")?>', str(shown[1]))
    assert ranks == [("first second", "2"), ("first second", "1"), ("first second", "0")]
    labels = re.findall(r'<input type="radio"[^>]*> ([^<]+)<', str(shown[1]))
    assert labels == ["the lowest similarity first", "in the order of their names"]


def test_without_near_duplicates_there_is_no_choice_of_an_order(crops):
    shown = report_groups.sheet(crops, [cluster(KEPT, row(NAMES[1]))], 1, BASE, "copies")
    assert shown[0] == "1 group."
    assert "<input" not in shown[1]


def test_of_many_groups_the_page_says_which_are_shown(crops):
    copies = [cluster(KEPT, near(NAMES[2], 0.9)), cluster(KEPT, row(NAMES[1]))]
    text, _ = report_groups.sheet(crops, copies, 1000, BASE, "copies")
    assert text == "2 of 1,000 groups are shown: those with the lowest similarity."
    text, _ = report_groups.sheet(crops, copies[1:], 1000, BASE, "copies")
    assert text == "1 of 1,000 groups are shown: the first by name."


def test_a_group_that_is_cut_has_a_note(crops):
    cut = Cluster(96, ["a"], False, [KEPT, row(NAMES[1])])
    (_, sheet) = report_groups.sheet(crops, [cut], 1, BASE, "copies")
    assert "2 of 96 images are shown." in sheet


def test_captions_of_several_identities_name_the_identity(crops):
    rows = [
        near(NAMES[0], 0.8, "conflict", other=NAMES[4]),
        near(NAMES[4], 0.8, "conflict"),
        near(NAMES[5], 0.9, "conflict", identity="c"),
    ]
    text = str(report_groups.sheet(crops, [cluster(*rows)], 1, BASE, "conflicts")[1])
    assert "<h3>3 identities</h3>" in text
    assert re.findall(r"<figcaption>([^<]+)<", text) == ["a_1.png", "b/1.png", "b/deep/2.png"]
    notes = re.findall(r'<span class="quiet">([^<]+)<', text)
    # A folder of the name says who it is already.
    assert notes == ["similarity 0.80", "similarity 0.80", "c: similarity 0.90"]


@pytest.mark.parametrize(
    ("names", "identity", "title"),
    [
        (["a/1", "a/2"], "a", "a"),
        (["x/a/1", "x/a/2"], "a", "x/a"),
        (["a/b/1", "a/c/2"], "a", "a"),
        (["p/1", "p/2"], "a", "a, in p"),
        (["1", "p/2"], "a", "a"),
        (["pq/1", "pr/2"], "a", "a"),
    ],
)
def test_a_title_has_the_common_folder_once(names, identity, title):
    rows = [{"image_id": name} for name in names]
    folder = report_groups._common_folder(names)
    assert report_groups._title(Cluster(2, [identity], False, rows), folder) == title
