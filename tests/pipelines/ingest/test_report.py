import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from facemill.pipelines.ingest import report
from facemill.pipelines.ingest.attribute_counts import AttributeCounts
from facemill.pipelines.ingest.checks import Checked
from facemill.pipelines.ingest.held_out import HeldOut
from facemill.pipelines.ingest.options import IngestOptions
from facemill.pipelines.ingest.report_data import Faces, IndexSummary
from facemill.transforms.core.reasons import ReasonCode
from facemill.transforms.core.row_ids import row_ids_of
from facemill.transforms.dataset.image_metadata import METADATA
from facemill.transforms.dataset.outcomes import OUTCOMES
from facemill.transforms.faces.crop import CropConfig
from facemill.transforms.images.quality import QualityThresholds
from facemill.transforms.scan.scan_chunk import ScanJob, scan_chunk
from facemill.transforms.scan.staging import StagingReader, write_chunk
from facemill.transforms.shards.index import SCHEMA
from facemill.transforms.sources.base import Ref
from facemill.transforms.sources.folders import Folders

CHUNK = 9
HELD_OUT = HeldOut(1_009, 1_000, 2, {"not an image <at all>": 9}, 77, 1, 1, "abc")
CODES = {
    "identity is in the held-out set": ReasonCode.HELD_OUT_IDENTITY.value,
    "near duplicate in the held-out set": ReasonCode.HELD_OUT_NEAR_DUPLICATE.value,
}
NOTHING = HeldOut(8, 8, 0, {}, 3, 0, 0, "abc")


def outcomes_of(names: list[str]) -> dict[str, tuple[str, str, str | None]]:
    """Some image_ids to outcome, reason and duplicate_of; the other images are kept."""
    return {
        names[1]: ("duplicate", "same pixels", names[0]),
        names[2]: ("duplicate", "near duplicate", names[0]),
        names[8]: ("conflict", "near duplicate under identity id00003", names[16]),
        names[16]: ("conflict", "near duplicate under identity id00002", names[8]),
        names[20]: ("rejected", "not an image <of a known> format", None),
        names[21]: ("dropped", "identity is excluded", None),
        names[22]: ("dropped", "identity is in the held-out set", None),
        names[23]: ("dropped", "near duplicate in the held-out set", "held/1.jpg"),
        # An image of the base, which is not in this index.
        names[24]: ("duplicate", "near duplicate", "old/1.jpg"),
    }


@pytest.fixture(scope="module")
def scanned(tiny_photos, tmp_path_factory):
    """(job, image_ids) of photos that were scanned."""
    names = sorted(str(path.relative_to(tiny_photos)) for path in tiny_photos.glob("*/*"))
    staging = tmp_path_factory.mktemp("staging")
    job = ScanJob(Folders(str(tiny_photos)), str(staging), CropConfig(32), QualityThresholds(), 1)
    scan_chunk(job, CHUNK, [Ref(name, name.split("/")[0], name) for name in names])
    return job, names


def rendered(
    scanned, given: dict, parts: int = 1, held_out: HeldOut | None = None, **options
) -> str:
    job, names = scanned
    rows, row_ids = [], row_ids_of(CHUNK, len(names))
    for name in names:
        outcome, reason, other = given.get(name, ("kept", "", None))
        row = {**dict.fromkeys(SCHEMA.names), "image_id": name, "identity": name.split("/")[0]}
        row |= {"outcome": outcome, "reason": reason, "duplicate_of": other}
        row["reason_code"] = CODES.get(reason)
        row["similarity"] = None if other is None else 0.9
        row |= {"sharpness": 5.0, "brightness": 100.0, "contrast": 30.0}
        rows.append({**row, "split": "train" if outcome == "kept" else None})
    size = -(-len(rows) // parts)
    starts = range(0, len(rows), size)
    outcomes = Counter(row["outcome"] for row in rows)
    counts = {"listed": len(rows), **{name: outcomes[name] for name in OUTCOMES}}
    identities = 12 if outcomes["kept"] else 0
    splits = {
        "train": {"identities": identities, "records": outcomes["kept"], "shards": ["train/x"]}
    }
    balance = {"identity": {"before": {"8": 12}, "after": {"8": 8, "7": 4}}}
    checked = Checked(counts, splits, balance, [], "", held_out)
    tables = [pa.Table.from_pylist(rows[start : start + size], SCHEMA) for start in starts]
    parts = [
        table.append_column("row_id", pa.array(row_ids[start : start + size]))
        for start, table in zip(starts, tables, strict=True)
    ]
    run_options = IngestOptions("i", "o", **options)
    summary = IndexSummary(report.SHOWN_OUTCOMES, run_options.seed)
    for part in parts:
        summary.add(part)
    return report.render(summary.shown(lambda: parts), job, checked, run_options)


def section(page: str, title: str) -> str:
    (found,) = re.findall(rf"<h2[^>]*>{title}</h2>(.*?)</section>", page, re.DOTALL)
    return found


def test_the_page_shows_the_outcomes_of_the_images(tmp_path, scanned):
    _, names = scanned
    page = rendered(scanned, outcomes_of(names), held_out=HELD_OUT)
    duplicates = section(page, "Duplicates")
    # One group of three, the kept one first.
    assert duplicates.index(names[0]) < duplicates.index(names[1])
    assert names[2] in duplicates
    assert names[24] in duplicates
    assert "old/1.jpg" not in duplicates
    conflicts = section(page, "Conflicts")
    assert names[8] in conflicts
    assert names[16] in conflicts
    assert conflicts.count("data:image/") == 2
    rejected = section(page, "Rejected, dropped and ignored")
    assert "not an image &lt;of a known&gt; format" in rejected
    assert "identity is excluded" in rejected
    leakage = section(page, "Leakage")
    for text in ("identity is in the held-out set", "near duplicate in the held-out set"):
        assert text in leakage
    assert names[22] in leakage
    assert names[23] in leakage
    assert "identity is excluded" not in leakage
    assert "not an image &lt;at all&gt;" in leakage
    for label, value in (
        *(("held out", "1,009"), ("usable", "1,000"), ("not usable", "9")),
        *(("identities named", "77"), ("dropped by identity", "1"), ("dropped by photo", "1")),
    ):
        assert re.search(rf"<dt>{label}</dt><dd class=\"value\">{value}</dd>", leakage)
    assert section(page, "Samples").count("data:image/") == 24
    first_screen = section(page, r"Can I train on this\?")
    assert first_screen.count("data:image/") == 12
    assert "facemill train --dataset DATASET" in re.sub("<[^>]+>", "", first_screen)


def test_a_caption_has_the_folder_once(tmp_path, scanned):
    _, names = scanned
    page = rendered(scanned, outcomes_of(names))
    duplicates = section(page, "Duplicates")
    group = re.search(r"<h3>id00001</h3>(.*?)</div>", duplicates, re.DOTALL)
    assert group is not None
    text = group.group(1).replace("<wbr>", "")
    captions = re.findall(r"<figcaption>([^<]+)<", text)
    assert captions == [name.rpartition("/")[2] for name in names[:3]]
    # The alternative text has the full name.
    assert f'alt="{names[0]}"' in group.group(1)


def test_the_page_says_how_many_groups_there_are_when_some_are_shown(tmp_path, scanned):
    _, names = scanned
    given = {
        one: ("duplicate", "near duplicate", other)
        for one, other in zip(names[1::2], names[::2], strict=True)
    }
    duplicates = section(rendered(scanned, given), "Duplicates")
    assert "24 of 48 groups are shown" in duplicates
    # The same ones in both orders.
    assert duplicates.count('class="group first') == 24
    assert len(re.findall(r'class="group[^"]* second"', duplicates)) == 24


def test_without_a_held_out_set_the_page_says_that_none_was_compared(tmp_path, scanned):
    page = rendered(scanned, {})
    leakage = section(page, "Leakage")
    assert "No held-out set was given" in leakage
    assert "No identity is in more than one of train, val and test." in leakage
    assert "<img" not in leakage
    assert "None were found." in section(page, "Duplicates")
    nothing = "No image was rejected or dropped, and no file ignored."
    assert nothing in section(page, "Rejected, dropped and ignored")


def test_a_held_out_set_without_overlap_is_shown(tmp_path, scanned):
    page = rendered(scanned, {}, held_out=NOTHING)
    leakage = section(page, "Leakage")
    assert "Nothing of the input was found in it." in leakage
    assert "<table" not in leakage


def test_the_page_depends_on_the_rows_and_not_on_their_parts(tmp_path, scanned):
    given = outcomes_of(scanned[1])
    one, three = (rendered(scanned, given, parts=parts) for parts in (1, 3))
    assert one == three


def test_a_run_that_keeps_nothing_new_has_a_page_too(tmp_path, scanned):
    given = dict.fromkeys(scanned[1], ("duplicate", "near duplicate", "old/1.jpg"))
    page = rendered(scanned, given)
    assert "No image was kept." in section(page, "Samples")
    # The page shows a few images of the group.
    assert "96 images" in section(page, "Duplicates")
    assert section(page, "Duplicates").count("data:image/") == 8
    assert "1 group." in section(page, "Duplicates")


def test_more_reasons_than_a_table_has_rows_are_counted(tmp_path, scanned):
    _, names = scanned
    given = {
        name: ("rejected", f"reason {number:02d}", None) for number, name in enumerate(names[:25])
    }
    given |= dict.fromkeys(names[25:40], ("rejected", "the usual", None))
    rejected = section(rendered(scanned, given), "Rejected, dropped and ignored")
    assert "The 20 most frequent of 26 reasons" in rejected
    assert rejected.index("the usual") < rejected.index("reason 00")
    assert "reason 18" in rejected
    assert "reason 19" not in rejected


def test_faces_have_a_section_with_pictures_where_a_detector_ran(scanned):
    job, names = scanned
    row_ids = row_ids_of(CHUNK, len(names)).tolist()
    examples = {"several": [(row_ids[0], names[0])]}
    # The second was not staged in this run.
    write_chunk(
        job.staging,
        CHUNK + 1,
        METADATA.empty_table(),
        [(np.full((64, 64), 9, np.uint8), None), None],
    )
    first, second = row_ids_of(CHUNK + 1, 2).tolist()
    without = [(first, "a.jpg"), (second, "b.jpg")]
    faces = Faces({"none": 4, "one": 0, "several": 1}, without, examples)
    shown = IndexSummary((), 1).shown(lambda: [])
    with StagingReader(job.staging) as staging:
        crops = report.StagedCrops(job.staging, staging)
        assert report._faces(shown, crops) == []
        (section,) = report._faces(replace(shown, faces=faces), crops)
    assert section.title == "Faces"
    text = "".join(section.blocks)
    assert "Without a face: a.jpg, b.jpg, ..." in text
    assert "Rejected, without a face" in text
    assert text.count("<img") == 2


def test_attributes_group_images_that_have_no_identity():
    groups = AttributeCounts({"age": Counter({"30": 2, "40": 1})}, {"age": Counter({"30": 1})})
    checked = Checked({}, {}, {}, [], "", groups=groups)
    (table,) = report._groups(checked)
    assert "The 2 largest of 2 values of age" in table
