import re
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facemill.pipelines.ingest import report
from facemill.pipelines.ingest.checks import Checked
from facemill.pipelines.ingest.held_out import HeldOut
from facemill.pipelines.ingest.options import IngestOptions
from facemill.transforms.core.row_ids import row_ids_of
from facemill.transforms.dataset.artifact import Work
from facemill.transforms.faces.crop import CropConfig
from facemill.transforms.images.quality import QualityThresholds
from facemill.transforms.scan.scan_chunk import ScanJob, scan_chunk
from facemill.transforms.shards.index import SCHEMA
from facemill.transforms.sources.base import Ref
from facemill.transforms.sources.folders import Folders

CHUNK = 9
HELD_OUT = HeldOut(1_009, 1_000, 2, {"not an image <at all>": 9}, 77, 1, 1, "abc")
NOTHING = HeldOut(8, 8, 0, {}, 3, 0, 0, "abc")


def fates(names: list[str]) -> dict[str, tuple[str, str, str | None]]:
    """Of some images: outcome, reason and duplicate_of; the others are kept."""
    return {
        names[1]: ("duplicate", "same pixels", names[0]),
        names[2]: ("duplicate", "near duplicate", names[1]),
        names[8]: ("conflict", "near duplicate under identity id00003", names[16]),
        names[16]: ("conflict", "near duplicate under identity id00002", names[8]),
        names[20]: ("rejected", "not an image <of a known> format", None),
        names[21]: ("dropped", "identity is excluded", None),
        names[22]: ("dropped", "identity is in the held-out set", None),
        names[23]: ("dropped", "near duplicate in the held-out set", "held/1.jpg"),
        # Of a dataset that was added to: not of this index.
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
    root: Path, scanned, told: dict, parts: int = 1, held_out: HeldOut | None = None, **options
) -> str:
    job, names = scanned
    rows, row_ids = [], row_ids_of(CHUNK, len(names))
    for name in names:
        outcome, reason, other = told.get(name, ("kept", "", None))
        row = {**dict.fromkeys(SCHEMA.names), "image_id": name, "identity": name.split("/")[0]}
        row |= {"outcome": outcome, "reason": reason, "duplicate_of": other}
        row |= {"sharpness": 5.0, "brightness": 100.0, "contrast": 30.0}
        rows.append({**row, "split": "train" if outcome == "kept" else None})
    size = -(-len(rows) // parts)
    for part in range(parts):
        here = slice(part * size, (part + 1) * size)
        for folder, table in (
            ("index", pa.Table.from_pylist(rows[here], SCHEMA)),
            ("index-row-ids", pa.table({"row_id": row_ids[here]})),
        ):
            (root / folder).mkdir(parents=True, exist_ok=True)
            pq.write_table(table, root / folder / f"part-{part}.parquet")
    outcomes = Counter(row["outcome"] for row in rows)
    counts = {"listed": len(rows), **outcomes}
    splits = {"train": {"identities": 12, "records": outcomes["kept"], "shards": ["train/x"]}}
    balance = {"identity": {"before": {"8": 12}, "after": {"8": 8, "7": 4}}}
    checked = Checked(counts, splits, balance, [], "", held_out)
    work = Work(str(root), "dataset", {}, {}, str(root))
    return report.render(work, job, checked, IngestOptions("i", "o", **options))


def section(page: str, title: str) -> str:
    (found,) = re.findall(rf"<h2[^>]*>{title}</h2>(.*?)</section>", page, re.DOTALL)
    return found


def test_the_page_tells_what_became_of_the_images(tmp_path, scanned):
    _, names = scanned
    page = rendered(tmp_path, scanned, fates(names), held_out=HELD_OUT)
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
    rejected = section(page, "Rejected and dropped")
    assert "not an image &lt;of a known&gt; format" in rejected
    assert "identity is excluded" in rejected
    leakage = section(page, "Leakage")
    for told in ("identity is in the held-out set", "near duplicate in the held-out set"):
        assert told in leakage
    assert names[22] in leakage
    assert names[23] in leakage
    assert "identity is excluded" not in leakage
    assert "not an image &lt;at all&gt;" in leakage
    for label, value in (
        *(("held out", "1,009"), ("usable", "1,000"), ("not usable", "9")),
        *(("identities named", "77"), ("dropped by identity", "1"), ("dropped by picture", "1")),
    ):
        assert re.search(rf"<dt>{label}</dt><dd class=\"value\">{value}</dd>", leakage)
    assert section(page, "Samples").count("data:image/") == 24


def test_without_a_held_out_set_there_is_no_leakage_section(tmp_path, scanned):
    page = rendered(tmp_path, scanned, {})
    assert "Leakage" not in page
    assert "None were found." in section(page, "Duplicates")
    assert "No image was rejected or dropped." in section(page, "Rejected and dropped")


def test_a_held_out_set_without_overlap_is_told_too(tmp_path, scanned):
    page = rendered(tmp_path / "near", scanned, {}, held_out=NOTHING)
    leakage = section(page, "Leakage")
    assert "Nothing of the input was found in it." in leakage
    assert "<table" not in leakage


def test_the_page_follows_from_the_rows_and_not_from_their_parts(tmp_path, scanned):
    told = fates(scanned[1])
    one, three = (rendered(tmp_path / str(parts), scanned, told, parts=parts) for parts in (1, 3))
    assert one == three


def test_a_run_that_keeps_nothing_new_has_a_page_too(tmp_path, scanned):
    told = dict.fromkeys(scanned[1], ("duplicate", "near duplicate", "old/1.jpg"))
    page = rendered(tmp_path, scanned, told)
    assert "No image was kept." in section(page, "Samples")
    # A page is for a person: a few of the group stand for all.
    assert "96 images" in section(page, "Duplicates")
    assert section(page, "Duplicates").count("data:image/") == 8


def test_more_reasons_than_a_table_has_rows_are_counted(tmp_path, scanned):
    _, names = scanned
    told = {
        name: ("rejected", f"reason {place:02d}", None) for place, name in enumerate(names[:25])
    }
    told |= dict.fromkeys(names[25:40], ("rejected", "the usual", None))
    rejected = section(rendered(tmp_path, scanned, told), "Rejected and dropped")
    assert "The 20 most frequent of 26 reasons" in rejected
    assert rejected.index("the usual") < rejected.index("reason 00")
    assert "reason 18" in rejected
    assert "reason 19" not in rejected
