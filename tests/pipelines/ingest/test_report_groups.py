"""Groups of an ingest report: captions, similarities, the choice of what is shown."""

import re

import cv2
import numpy as np
import pytest

from facemill.pipelines.ingest import report_groups
from facemill.pipelines.ingest.report_data import Cluster
from facemill.pipelines.ingest.report_groups import StagedCrops
from facemill.transforms.core.row_ids import BASE, row_ids_of
from facemill.transforms.duplicates import confirm
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
        yield StagedCrops(staging, reader, thorough=False)


def row(name: str, outcome: str = "duplicate", other: str | None = NAMES[0], **values) -> dict:
    row_id = int(row_ids_of(CHUNK, len(NAMES))[NAMES.index(name)])
    given = {"image_id": name, "row_id": row_id, "outcome": outcome, "duplicate_of": other}
    return {**given, "identity": name.split("/")[0], "reason": "why", **values}


def cluster(*rows: dict) -> Cluster:
    names = sorted({one["identity"] or "nobody" for one in rows})
    return Cluster(len(rows), names, False, rows)


KEPT = row(NAMES[0], "kept", None)


def row_id_of(name: str) -> int:
    return row(name)["row_id"]


def test_a_copy_has_a_high_similarity_and_another_image_has_not(crops):
    pairs = [(row_id_of(NAMES[0]), row_id_of(name)) for name in (NAMES[2], NAMES[4])]
    copy, other = crops.similarities(pairs)
    assert copy >= confirm.MIN_SIMILARITY
    assert other < confirm.MIN_SIMILARITY
    assert crops.similarities([]).tolist() == []


def test_mirror_images_are_compared_mirrored_where_the_run_searched_for_them(staging, crops):
    pair = [(row_id_of(NAMES[0]), row_id_of(NAMES[3]))]
    with StagingReader(staging) as reader:
        thorough = StagedCrops(staging, reader, thorough=True)
        assert thorough.similarities(pair)[0] >= confirm.MIN_SIMILARITY
    assert crops.similarities(pair)[0] < confirm.MIN_SIMILARITY


def test_captions_distinguish_equal_pixels_from_near_duplicates(crops):
    shown = report_groups.sheet(
        crops, [cluster(KEPT, row(NAMES[1]), row(NAMES[2]))], 1, BASE, "copies"
    )
    captions = re.findall(r"<figcaption>([^<]+)<br><span[^>]*>([^<]+)<", str(shown[1]))
    assert [name for name, _ in captions] == ["a_1.png", "a_2.png", "a_3.jpg"]
    assert [note for _, note in captions][:2] == ["kept", "same pixels"]
    assert re.fullmatch(r"similarity (0\.[89]\d|1\.00)", captions[2][1])
    assert "<h3>a</h3>" in shown[1]


def test_groups_of_near_duplicates_are_ranked_from_the_lowest_similarity_on(crops):
    exact = cluster(KEPT, row(NAMES[1]))
    near = cluster(KEPT, row(NAMES[2]))
    far = cluster(KEPT, row(NAMES[3]))
    text = str(report_groups.sheet(crops, [exact, near, far], 3, BASE, "copies")[1])
    ranks = re.findall(r'<div class="group ([^"]+)"(?: style="--rank: (\d+)")?>', text)
    assert ranks == [("first", ""), ("first second", "1"), ("first second", "0")]


def test_without_near_duplicates_there_is_no_choice_of_an_order(crops):
    shown = report_groups.sheet(crops, [cluster(KEPT, row(NAMES[1]))], 1, BASE, "copies")
    assert shown[0] == "1 group."
    assert "<input" not in shown[1]


def test_of_many_groups_the_first_and_those_of_lowest_similarity_are_shown(crops):
    many = [cluster(KEPT, row(NAMES[1]))] * 30 + [cluster(KEPT, row(NAMES[2]))]
    text, sheet = report_groups.sheet(crops, many, 1000, BASE, "copies")
    assert text == (
        "24 of 1,000 groups are shown: the first by name, or 1 group of near duplicates with the "
        "lowest similarity among the first 31."
    )
    assert str(sheet).count('class="group first"') == 24
    assert str(sheet).count('class="group second"') == 1


def test_a_group_that_is_cut_has_a_note(crops):
    cut = Cluster(96, ["a"], False, [KEPT, row(NAMES[1])])
    (_, sheet) = report_groups.sheet(crops, [cut], 1, BASE, "copies")
    assert "2 of 96 images are shown." in sheet


def test_captions_of_several_identities_name_the_identity(crops):
    rows = [
        row(NAMES[0], "conflict", NAMES[4]),
        row(NAMES[4], "conflict", NAMES[0]),
        row(NAMES[5], "conflict", NAMES[0], identity="c"),
    ]
    text = str(report_groups.sheet(crops, [cluster(*rows)], 1, BASE, "conflicts")[1])
    assert "<h3>3 identities</h3>" in text
    assert re.findall(r"<figcaption>([^<]+)<", text) == ["a_1.png", "b/1.png", "b/deep/2.png"]
    notes = re.findall(r'<span class="quiet">([^<]+)<', text)
    assert [note.startswith("c: similarity") for note in notes] == [False, False, True]


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
