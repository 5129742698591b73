import weakref
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.pipelines.ingest import report_clusters, report_data
from facemill.pipelines.ingest.report_clusters import Cluster
from facemill.pipelines.ingest.report_data import COLUMNS, IndexSummary, Shown
from facemill.transforms.core.keyed import splitmix64
from facemill.transforms.shards.index import SCHEMA

BOTH = ("conflict", "duplicate")
seeds = st.integers(0, 2**32 - 1)
SCHEMA_AND_ROW_ID = SCHEMA.append(pa.field("row_id", pa.uint64()))


def row(image_id: str, outcome: str = "kept", **values: Any) -> dict[str, Any]:
    row_id = int.from_bytes(image_id.encode().rjust(8, b"\0")[-8:], "big")
    given = {"image_id": image_id, "outcome": outcome, "reason": "", "row_id": row_id}
    sharpness = {"sharpness": row_id % 1000, "brightness": 9.0, "contrast": 8.0}
    return {**dict.fromkeys(SCHEMA.names), **given, **sharpness, **values}


def write(root: Path, parts: list[list[dict[str, Any]]]) -> str:
    for number, rows in enumerate(parts):
        rows = sorted(rows, key=lambda one: one["image_id"])
        row_ids = pa.table({"row_id": pa.array([one["row_id"] for one in rows], pa.uint64())})
        for folder, table in (
            ("index", pa.Table.from_pylist(rows, SCHEMA)),
            ("index-row-ids", row_ids),
        ):
            (root / folder).mkdir(exist_ok=True)
            pq.write_table(table, root / folder / f"part-{number:03d}.parquet")
    return str(root / "index")


def collection(rng: np.random.Generator, clusters: int) -> list[dict[str, Any]]:
    """Rows as `verdicts` makes them: duplicates that name one image, conflicts that name two."""
    names = [f"i{number:05d}" for number in rng.permutation(20 * clusters)]
    take = iter(names).__next__
    rows = [row(take(), "kept", identity=f"p{number % 7}") for number in range(clusters)]
    rows += [row(take(), "rejected", reason=f"r{number % 5}") for number in range(clusters)]
    for _ in range(clusters):
        size = int(rng.integers(1, 9))
        if rng.random() < 0.5:
            kept = take()
            # An image of the base has no row.
            if rng.random() < 0.7:
                rows.append(row(kept, "kept" if rng.random() < 0.7 else "dropped", reason="r1"))
            same = {"outcome": "duplicate", "duplicate_of": kept, "reason": "same pixels"}
            rows += [row(take(), **same, identity="p1", **likeness(rng)) for _ in range(size)]
            continue
        best = take(), take()
        members = [*best, *(take() for _ in range(size))]
        for number, name in enumerate(members):
            side = number % 2
            values = {"duplicate_of": best[1 - side], "identity": f"q{number % 2}"}
            rows.append(row(name, "conflict", **values, **likeness(rng)))
    return rows


def likeness(rng: np.random.Generator) -> dict[str, Any]:
    """A similarity, which is the same for many rows, or none."""
    return {"similarity": None if rng.random() < 0.2 else float(rng.integers(12, 17)) / 16}


def place(one: dict[str, Any]) -> float:
    return 1.0 if one["similarity"] is None else one["similarity"]


def clusters_over_all_rows(
    rows: list[dict[str, Any]], outcome: str
) -> tuple[list[tuple[int, list[str]]], int]:
    """(images, image_ids of the first few) of each cluster that is shown, over all rows at once,
    and how many clusters there are."""
    label: dict[str, str] = {}
    pairs = [(one["image_id"], one["duplicate_of"]) for one in rows if one["outcome"] == outcome]
    for a, b in pairs:
        label.setdefault(a, a), label.setdefault(b, b)
    changed = True
    while changed:
        changed = False
        for a, b in pairs:
            low = min(label[a], label[b])
            changed |= (label[a], label[b]) != (low, low)
            label[a] = label[b] = low
    by_id = {one["image_id"]: one for one in rows}
    places: dict[str, tuple[float, str, str]] = {}
    for one in rows:
        if one["outcome"] == outcome:
            name, other = one["image_id"], one["duplicate_of"]
            mine = (place(one), min(name, other), other)
            places[label[name]] = min(mine, places.get(label[name], mine))
    found = []
    for low in sorted(places, key=places.__getitem__)[: report_clusters.CLUSTERS]:
        members = [name for name, mine in label.items() if mine == low and name in by_id]
        # The image that the others name leads, also where balance dropped it.
        ranks = {"kept": 0, "dropped": 1}
        members.sort(
            key=lambda name: (ranks.get(by_id[name]["outcome"], 2), place(by_id[name]), name)
        )
        found.append((len(members), members[: report_clusters.MEMBERS]))
    return found, len(set(label.values()))


def read(folder: str, outcomes: tuple[str, ...], seed: int) -> Shown:
    """What the page shows of an index that is read as the checks of a run read it."""

    def parts() -> Iterator[pa.Table]:
        for path in sorted(Path(folder).iterdir()):
            row_ids = pq.read_table(path.parent.with_name("index-row-ids") / path.name)
            yield pq.read_table(path, columns=list(COLUMNS)).append_column("row_id", row_ids[0])

    summary = IndexSummary(outcomes, seed)
    for part in parts():
        summary.add(part)
    return summary.shown(parts)


def shown_rows(clusters: list[Cluster]) -> list[tuple[int, list[str]]]:
    return [(one.images, [member["image_id"] for member in one.rows]) for one in clusters]


def shown(rows: list[dict[str, Any]], parts: int, rng: np.random.Generator) -> Shown:
    dealt = rng.integers(0, parts, len(rows))
    with TemporaryDirectory() as folder:
        mine = [[one for one, to in zip(rows, dealt, strict=True) if to == n] for n in range(parts)]
        return read(write(Path(folder), mine), BOTH, seed=3)


@pytest.mark.moderate
@settings(deadline=None, max_examples=15)
@given(seeds, st.integers(1, 300), st.integers(1, 6))
def test_the_summary_by_parts_equals_that_of_all_rows_at_once(seed, clusters, parts):
    rng = np.random.default_rng(seed)
    rows = collection(rng, clusters)
    found = shown(rows, parts, rng)
    for outcome in BOTH:
        shown_by_all, count = clusters_over_all_rows(rows, outcome)
        assert shown_rows(found.clusters[outcome]) == shown_by_all
        assert found.groups[outcome] == count
    counts = Counter(
        (one["outcome"], one["reason"]) for one in rows if one["outcome"] in ("rejected", "dropped")
    )
    assert {(one.outcome, one.reason): one.images for one in found.counted} == counts
    for one in found.counted:
        mine = [r for r in rows if (r["outcome"], r["reason"]) == (one.outcome, one.reason)]
        assert one.examples == sorted(r["image_id"] for r in mine)[: report_data.EXAMPLES]
    assert [one.images for one in found.counted] == sorted(counts.values(), reverse=True)


@settings(deadline=None, max_examples=10)
@given(seeds, st.integers(1, 5))
def test_the_sample_depends_on_hashes_and_not_on_the_parts(seed, parts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_data, "DRAWN", 7)
        rows = [row(f"i{number}") for number in range(60)]
        found = shown(rows, parts, np.random.default_rng(seed))
    row_ids = np.array([one["row_id"] for one in rows], np.uint64)
    assert found.kept == 60
    assert (
        found.drawn["row_id"].to_pylist()
        == row_ids[np.argsort(splitmix64(row_ids, 3))[:7]].tolist()
    )
    by_row_id = {one["row_id"]: one["sharpness"] for one in rows}
    drawn = zip(
        found.drawn["row_id"].to_pylist(), found.drawn["sharpness"].to_pylist(), strict=True
    )
    assert all(by_row_id[row_id] == sharpness for row_id, sharpness in drawn)


def test_the_most_doubtful_groups_and_images_come_first():
    near = {"outcome": "duplicate", "identity": "p"}
    rows = [row(f"k{number:02d}", identity="p") for number in range(40)]
    rows += [
        row(f"x{n:02d}", **near, duplicate_of=f"k{n:02d}", similarity=1 - n / 256)
        for n in range(40)
    ]
    rows += [row(f"y{n}", **near, duplicate_of="k39", similarity=(n + 200) / 256) for n in range(9)]
    found = shown(rows, 3, np.random.default_rng(0)).clusters["duplicate"]
    named = [cluster.rows[0]["image_id"] for cluster in found]
    assert named == [f"k{number}" for number in range(39, 15, -1)]
    # The kept one, then the images that are the least like it.
    assert [one["image_id"] for one in found[0].rows] == ["k39", *(f"y{n}" for n in range(7))]


def test_a_large_cluster_shows_some_rows_and_identities():
    rows = [
        row(f"i{n:04d}", "conflict", duplicate_of="i0000", identity=f"p{n}") for n in range(500)
    ]
    rows[0]["duplicate_of"] = "i0001"
    read_rows = shown(rows, 3, np.random.default_rng(0))
    (found,) = read_rows.clusters["conflict"]
    assert read_rows.groups["conflict"] == 1
    assert (found.images, len(found.rows), found.others) == (500, report_clusters.MEMBERS, True)
    assert list(found.names) == sorted(f"p{n}" for n in range(500))[: len(found.names)]
    assert len(found.names) < 10


def test_no_part_is_kept_in_memory(tmp_path):
    rng = np.random.default_rng(1)
    rows = collection(rng, 60)
    alive: list[weakref.ref] = []

    def parts() -> Iterator[pa.Table]:
        size = len(rows) // 12 + 1
        for start in range(0, len(rows), size):
            part = pa.Table.from_pylist(rows[start : start + size], SCHEMA_AND_ROW_ID)
            alive.append(weakref.ref(part))
            yield part
            del part
            assert sum(one() is not None for one in alive) <= 1

    summary = IndexSummary(BOTH, 1)
    for part in parts():
        summary.add(part)
        del part
    summary.shown(parts)
    assert len(alive) >= 24


def test_image_ids_of_a_held_out_set_are_not_those_of_the_index(tmp_path):
    leak = {"outcome": "dropped", "reason": "same pixels in the held-out set"}
    rows = [
        # Not the image of this image_id in the held-out set.
        row("h", "kept"),
        row("a", **leak, duplicate_of="h", identity="p1"),
        row("b", **leak, duplicate_of="h", identity="p2"),
        row("c", **leak, duplicate_of="c", identity="p3"),
        row("d", "dropped", reason="identity is excluded"),
    ]
    everything = read(write(tmp_path, [rows[:2], rows[2:]]), ("dropped",), 1)
    found = everything.clusters["dropped"]
    assert everything.groups["dropped"] == 2
    assert [[one["image_id"] for one in cluster.rows] for cluster in found] == [["a", "b"], ["c"]]
    assert [cluster.names for cluster in found] == [["p1", "p2"], ["p3"]]


def test_faces_are_counted_and_have_examples_that_are_kept():
    rows = [
        row("b", "rejected", reason_code="no_face"),
        row("a", "rejected", reason_code="no_face"),
        row("c", faces=1),
        row("d", "duplicate", duplicate_of="c", faces=1),
        row("e", faces=3),
    ]
    summary = IndexSummary(BOTH, 1)
    summary.add(pa.Table.from_pylist(rows, SCHEMA_AND_ROW_ID))
    faces = summary.shown(lambda: []).faces
    assert faces.images == {"none": 2, "one": 2, "several": 1}
    assert [image_id for _, image_id in faces.without] == ["a", "b"]
    assert {name: [one for _, one in some] for name, some in faces.examples.items()} == {
        "one": ["c"],
        "several": ["e"],
    }


def test_without_a_detector_no_faces_are_counted():
    summary = IndexSummary(BOTH, 1)
    summary.add(pa.Table.from_pylist([row("a")], SCHEMA_AND_ROW_ID))
    assert not summary.shown(lambda: []).faces.images
