"""The page of a matching run: probes and their matches side by side."""

import numpy as np
import pyarrow as pa

from facemill.pipelines.common.report import images
from facemill.pipelines.match import report
from facemill.transforms.search.write_matches import MATCH, MATCHES

JPEG = images.encode(np.zeros((8, 8, 3), np.uint8))


def row(probe: str, gallery: str | None, score: float | None) -> dict:
    return {"probe_id": probe, "gallery_id": gallery, "score": score, "rank": 1}


def test_faces_stand_side_by_side_and_absent_ones_are_named():
    rows = [row("new/1.jpg", "known/1.jpg", 0.91)]
    beside = {"new/1.jpg": [*rows, row("new/1.jpg", "known/<2>.jpg", 0.5)]}
    page = report._side_by_side(rows, beside, ({"new/1.jpg": JPEG}, {"known/1.jpg": JPEG}))
    assert page.count("<img") == 2
    assert "0.910" in page
    assert "known/&lt;2&gt;.jpg 0.500" in page


def test_without_pictures_there_is_a_table_of_names():
    rows = [row("new/1.jpg", "known/1.jpg", 0.91)]
    page = report._side_by_side(rows, {}, ({}, {}))
    assert "<img" not in page
    assert "known/1.jpg" in page
    assert "0.9100" in page


def test_the_surest_and_the_least_sure_are_kept_of_any_number_of_parts():
    seen = report._Seen()
    for part in range(3):
        rows = [
            {**row(f"p{part}-{number:02d}", "g", part / 10 + number / 100), "rank": 1}
            for number in range(20)
        ]
        seen.add(pa.Table.from_pylist(rows, MATCH), MATCHES)
    assert [one["probe_id"] for one in seen.most[:2]] == ["p2-19", "p2-18"]
    assert [one["probe_id"] for one in seen.least[:2]] == ["p0-00", "p0-01"]
    assert len(seen.most) == len(seen.least) == 12
    assert seen.counts[MATCHES].sum() == 60
