"""`facemill ingest`: every file has a row, and runs repeat byte for byte."""

import hashlib
import io
import json
import os
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facemill.pipelines.synthesize.faces import broken, collection
from facemill.pipelines.synthesize.faces.faces import render
from facemill.pipelines.synthesize.faces.plan import make_plan
from facemill.pipelines.synthesize.faces.recipe import BROKEN_KINDS, KINDS, Recipe, file_name
from facemill.pipelines.synthesize.faces.truth import TrueRow, read_truth
from facemill.transforms import storage
from facemill.transforms.dataset import tfrecord
from facemill.transforms.dataset.records import Record, from_example
from tests.artifacts import contents
from tests.commands import facemill
from tests.pipelines.ingest.ingesting import exit_code, listing, rows_of

pytestmark = pytest.mark.slow


SIZE = 112


RECIPE = Recipe(
    identities=14, images_per_identity=6, image_size=SIZE, seed=3, plants=dict.fromkeys(KINDS, 3)
)


OUTCOMES = ("kept", "duplicate", "conflict", "rejected", "dropped", "ignored")


REASONS = {
    "truncated": "truncated",
    "not-an-image": "not an image",
    "zero-bytes": "empty",
    "bomb": "pixels",
}


ODD = ("wrong-extension", "cmyk", "16-bit", "alpha", "exif-rotated", "mislabel")


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """A collection with every kind of planted file, and with unlisted files as disks have them."""
    root = tmp_path_factory.mktemp("all-kinds")
    collection.write(str(root), RECIPE)
    images = root / "images"
    (images / "bare").write_text("not a photo, and in nobody's folder")
    (images / "id00001" / "notes").write_text("not a photo")
    (images / "README.txt").write_text("never a photo")
    (images / "id00001" / "._id00001_0001.jpg").write_text("attributes")
    (images / "id00002" / "deeper" / "still").mkdir(parents=True)
    pixels = render(RECIPE.seed, 2, 5000, SIZE)
    Image.fromarray(pixels).save(images / "id00002" / "deeper" / "still" / "photo.jpg", quality=92)
    (images / "id00003" / "nowhere.jpg").symlink_to("/does/not/exist.jpg")
    (images / "nobody").mkdir()
    with open(os.fsencode(images / "id00004") + b"/caf\xe9.jpg", "wb") as stream:
        stream.write((images / "id00004" / "id00004_0001.jpg").read_bytes())
    return images


@pytest.fixture(scope="module")
def truth(photos) -> dict[str, TrueRow]:
    return {row.image_id: row for row in read_truth(str(photos.parent / "truth.parquet"))}


@pytest.fixture(scope="module")
def dataset(photos, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("dataset") / "out"
    done = facemill(
        *("ingest", "--input", photos, "--output", output, "--image-size", SIZE, "--workers", 1)
    )
    assert re.search(r"kept +\d+", done.stdout)
    return output


@pytest.fixture(scope="module")
def index(dataset) -> dict[str, dict]:
    return rows_of(dataset)


def records_of(dataset: Path) -> dict[str, tuple[str, int, Record]]:
    """(shard, position, record) of every record, by image_id."""
    found: dict[str, tuple[str, int, Record]] = {}
    for path in sorted(dataset.glob("*/part-*.tfrecord")):
        with path.open("rb") as stream:
            for position, payload in enumerate(tfrecord.read(stream)):
                record = from_example(payload)
                assert record.image_id not in found, "an image has two records"
                shard = path.relative_to(dataset).as_posix()
                found[record.image_id] = (shard, position, record)
    return found


def test_every_file_has_one_row(photos, truth, index, dataset):
    assert set(index) == listing(photos)
    assert set(truth) < set(index)
    counts = json.loads((dataset / "manifest.json").read_text())["counts"]
    outcomes = Counter(row["outcome"] for row in index.values())
    assert counts == {"listed": len(index), **{name: outcomes[name] for name in OUTCOMES}}
    assert set(outcomes) <= set(OUTCOMES)
    for row in index.values():
        assert (row["outcome"] == "kept") == (not row["reason"])


def test_rows_hold_the_metadata_of_their_files(photos, truth, index):
    for image_id, true in truth.items():
        row = index[image_id]
        assert row["identity"] == true.folder_identity
        assert row["bytes"] == true.bytes == (photos / image_id).stat().st_size
        assert row["sha256"] == true.sha256
        if true.readable:
            assert (row["width"], row["height"]) == (true.width, true.height)


def test_broken_files_are_rejected_with_the_reason_of_their_kind(truth, index):
    for kind in BROKEN_KINDS:
        rows = [index[true.image_id] for true in truth.values() if true.kind == kind]
        assert len(rows) == 3
        for row in rows:
            assert row["outcome"] == "rejected"
            assert REASONS[kind] in row["reason"]
            assert row["split"] is row["shard"] is row["position"] is None


def test_files_that_are_no_photos_are_rejected_with_a_reason(index):
    def reason_of(image_id: str) -> str:
        assert index[image_id]["outcome"] == "rejected"
        return index[image_id]["reason"]

    assert "no identity" in reason_of("bare")
    assert "not an image" in reason_of("id00001/notes")
    assert reason_of("id00003/nowhere.jpg") == storage.LINK_OUT
    assert "UTF-8" in reason_of("id00004/./caf\\udce9.jpg")
    deep = index["id00002/deeper/still/photo.jpg"]
    assert (deep["outcome"], deep["identity"]) == ("kept", "id00002")


def test_files_that_were_never_meant_as_images_are_ignored_and_counted(index, dataset):
    ignored = {name: row for name, row in index.items() if row["outcome"] == "ignored"}
    assert {name: row["reason_code"] for name, row in ignored.items()} == {
        **{"README.txt": "sidecar_file", "id00001/._id00001_0001.jpg": "system_file"}
    }
    assert all(row["identity"] is None and row["reason"] for row in ignored.values())
    counts = json.loads((dataset / "manifest.json").read_text())["counts"]
    assert counts["ignored"] == 2
    page = (dataset / "report.html").read_text("utf-8")
    assert "2 files were ignored" in page
    assert "has an extension of files that are never images: .txt" in page


def test_copies_are_duplicates_of_their_source(truth, index):
    seen = Counter()
    for true in truth.values():
        if true.kind not in ("copy", "reencode", "resize"):
            continue
        copy, source = index[true.image_id], index[true.source_image_id]
        # Either of two photos of one size may be kept, but never a smaller one, nor the later of
        # two equal ones.
        if true.kind == "reencode" and source["outcome"] == "duplicate":
            copy, source = source, copy
        assert (copy["outcome"], source["outcome"]) == ("duplicate", "kept")
        assert copy["duplicate_of"] == source["image_id"]
        assert "same" in copy["reason"] if true.kind == "copy" else copy["reason"]
        seen[true.kind] += 1
    assert seen == {"copy": 3, "resize": 3, "reencode": 3}


def test_conflicts_name_each_other(truth, index):
    expected = set()
    for true in truth.values():
        if true.kind == "conflict":
            one, other = index[true.image_id], index[true.source_image_id]
            assert one["outcome"] == other["outcome"] == "conflict"
            assert one["duplicate_of"] == other["image_id"]
            assert other["duplicate_of"] == one["image_id"]
            assert other["identity"] in one["reason"]
            expected |= {true.image_id, true.source_image_id}
    assert len(expected) == 6
    assert {key for key, row in index.items() if row["outcome"] == "conflict"} == expected


def test_different_photos_are_kept(truth, index):
    copied = {true.source_image_id for true in truth.values() if true.source_image_id}
    for true in truth.values():
        if true.kind in (*ODD, "original") and true.image_id not in copied:
            assert index[true.image_id]["outcome"] == "kept", true


@pytest.mark.parametrize("kind", ODD)
def test_odd_formats_keep_the_right_pixels(dataset, truth, index, kind):
    records = records_of(dataset)
    plants = [plant for plant in make_plan(RECIPE).plants if plant.kind == kind]
    assert len(plants) == 3
    for plant in plants:
        extension = ".png" if kind in ("16-bit", "alpha") else ".jpg"
        image_id = file_name(plant.folder, plant.number, extension)
        assert truth[image_id].kind == kind
        assert index[image_id]["outcome"] == "kept"
        drawn = render(RECIPE.seed, plant.identity, plant.image, SIZE).astype(float)
        if kind == "16-bit":
            grey = drawn @ [0.299, 0.587, 0.114]
            drawn = np.repeat(grey[:, :, None], 3, axis=2)
        if kind == "alpha":
            stored = Image.open(io.BytesIO(broken.alpha(drawn.astype(np.uint8))))
            drawn *= np.asarray(stored)[:, :, 3:] / 255
        kept = np.asarray(Image.open(io.BytesIO(records[image_id][2].encoded))).astype(float)
        # The file's own JPEG takes up to 8; a wrong turn, clipped or inverted samples above 20.
        assert np.abs(kept - drawn).mean() < 10
        assert np.abs(kept[::-1, ::-1] - drawn).mean() > 20


def test_records_are_the_kept_rows(dataset, index):
    records = records_of(dataset)
    kept = {key: row for key, row in index.items() if row["outcome"] == "kept"}
    assert set(records) == set(kept)
    for image_id, (shard, position, record) in records.items():
        row = kept[image_id]
        assert (shard, position) == (row["shard"], row["position"])
        assert shard.split("/")[0] == row["split"]
        assert record.identity == row["identity"]
        with Image.open(io.BytesIO(record.encoded)) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (SIZE, SIZE))
            samples = np.asarray(image, float)
        # They are measured before the encoding.
        assert np.allclose(record.channel_mean, samples.mean((0, 1)), atol=0.5)
        assert np.allclose(record.channel_square_mean, (samples**2).mean((0, 1)), rtol=0.01)


def test_an_identity_is_in_one_split(dataset, index):
    splits = defaultdict(set)
    for row in index.values():
        if row["outcome"] == "kept":
            splits[row["identity"]].add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    manifest = json.loads((dataset / "manifest.json").read_text())
    for name, split in manifest["splits"].items():
        rows = [row for row in index.values() if row["split"] == name]
        assert split["records"] == len(rows)
        assert split["identities"] == len({row["identity"] for row in rows})
        assert set(split["shards"]) == {row["shard"] for row in rows}


def test_the_manifest_lists_every_file_with_its_sha256(dataset):
    manifest = json.loads((dataset / "manifest.json").read_text())
    there = contents(dataset)
    del there["manifest.json"]
    # tensorflow-transform's graph holds no variables, only the empty file that says so.
    graph = "transform/transform_fn/variables/"
    there = {path: digest for path, digest in there.items() if not path.startswith(graph)}
    assert {entry["path"]: entry["sha256"] for entry in manifest["files"]} == there
    for entry in manifest["files"]:
        data = (dataset / entry["path"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["bytes"], entry["sha256"])
    assert (manifest["kind"], manifest["schema_version"]) == ("dataset", 1)
    assert not [name for name in os.listdir(dataset) if name.startswith(".")]


def test_the_report_loads_nothing(dataset):
    page = (dataset / "report.html").read_text("utf-8")
    for word in OUTCOMES:
        assert word in page
    assert "data:image/" in page
    links = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"'\s>)]+)""", page)
    assert links
    assert {link for link in links if not link.startswith(("data:", "#"))} == set()
    assert not re.search(r"https?://(?!www\.w3\.org/)", page)


def test_another_run_with_other_workers_is_byte_equal(photos, dataset, tmp_path):
    assert exit_code(photos, tmp_path / "b", "--image-size", SIZE, "--workers", 2) == 0
    assert contents(tmp_path / "b") == contents(dataset)
    run_info = json.loads((tmp_path / "b" / "run.json").read_text())
    assert run_info["workers"] == 2
    assert json.loads((dataset / "run.json").read_text())["workers"] == 1


def test_a_complete_output_is_not_written_again(photos, dataset, capsys):
    before = {**contents(dataset), "run": (dataset / "run.json").read_bytes()}
    assert exit_code(photos, dataset, "--image-size", SIZE, "--workers", 2) == 0
    assert "already complete" in capsys.readouterr().out
    assert exit_code(photos, dataset, "--image-size", SIZE, "--seed", 2) == 2
    error = capsys.readouterr().err
    assert "seed: there 1, here 2" in error
    assert error.count("\n") == 1
    assert {**contents(dataset), "run": (dataset / "run.json").read_bytes()} == before
