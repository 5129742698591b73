"""`facemill ingest` where one set meets another: versions of a dataset, held-out sets, balance."""

import contextlib
import csv
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipelines import cli
from tests.artifacts import contents
from tests.commands import facemill
from transforms import statistics, tfrecord
from transforms.records import WEIGHT, decode_example
from transforms.synthetic.faces import render

pytestmark = pytest.mark.slow

SIZE = 48
OUTCOMES = ("kept", "duplicate", "conflict", "rejected", "dropped")
SPLIT = ("--split", "train=0.6,val=0.2,test=0.2")
COMMON = ("--image-size", 32, *SPLIT, "--workers", 1)


def draw(folder: Path, identity: int, image: int, name: str | None = None, quality=92) -> Path:
    """A picture that follows from identity and number, as a file of the identity's folder."""
    path = folder / (name or f"id{identity:02d}/{image:03d}.jpg")
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(render(7, identity, image, SIZE)).save(path, quality=quality)
    return path


def arguments(source, output, *flags) -> list[str]:
    return [
        str(word) for word in ("ingest", "--input", source, "--output", output, *COMMON, *flags)
    ]


def ingest(source, output, *flags) -> None:
    """In this process, which has paid for the imports already."""
    assert cli.main(arguments(source, output, *flags)) == 0


def refused(source, output, *flags, code: int = 2) -> str:
    """The one sentence that is told instead of a result."""
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        assert cli.main(arguments(source, output, *flags)) == code
    (line,) = [one for one in told.getvalue().splitlines() if one.startswith("facemill:")]
    assert not (output / "manifest.json").exists()
    return line


def rows_of(dataset: Path) -> dict[str, dict]:
    rows = pq.read_table(dataset / "index").to_pylist()
    found = {row["image_id"]: row for row in rows}
    assert len(found) == len(rows), "an image has two rows"
    return found


def manifest_of(dataset: Path) -> dict:
    return json.loads((dataset / "manifest.json").read_bytes())


def records_of(dataset: Path) -> list[tuple[str, int, dict]]:
    """(shard, position, features) of every record."""
    found = []
    for path in sorted(dataset.glob("*/part-*.tfrecord")):
        with path.open("rb") as stream:
            for position, payload in enumerate(tfrecord.read(stream)):
                shard = path.relative_to(dataset).as_posix()
                found.append((shard, position, decode_example(payload)))
    return found


def record_at(dataset: Path, row: dict) -> dict:
    """The features of the record that a row of the index points at."""
    with (dataset / row["shard"]).open("rb") as stream:
        return decode_example(tfrecord.read_at(stream, row["offset"]))


def check(dataset: Path) -> dict[str, dict]:
    """What holds of every dataset; its rows."""
    manifest, rows = manifest_of(dataset), rows_of(dataset)
    outcomes = Counter(row["outcome"] for row in rows.values())
    counts = {"listed": len(rows), **{name: outcomes[name] for name in OUTCOMES}}
    assert manifest["counts"] == counts
    for entry in manifest["files"]:
        data = (dataset / entry["path"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["bytes"], entry["sha256"])
    listed = {entry["path"] for entry in manifest["files"]}
    shards = {path.relative_to(dataset).as_posix() for path in dataset.glob("*/part-*.tfrecord")}
    assert shards == {path for path in listed if path.endswith(".tfrecord")}
    records = records_of(dataset)
    written: Counter = Counter()
    for shard, position, features in records:
        image_id = features["image/id"].decode()
        row = rows[image_id]
        written[image_id] += 1
        assert features["identity"].decode() == (row["identity"] or "")
        assert shard.split("/")[0] == row["split"]
        if "augmentation_seed" not in features:
            assert (row["shard"], row["position"]) == (shard, position)
            assert record_at(dataset, row) == features
    for image_id, row in rows.items():
        expected = row["copies"] if row["outcome"] == "kept" else int(row["split"] is not None)
        assert written[image_id] == expected
    for name, split in manifest["splits"].items():
        mine = [row for row in rows.values() if row["split"] == name]
        assert split["records"] == sum(row["copies"] or 1 for row in mine)
        assert split["identities"] == len({row["identity"] for row in mine} - {None})
    vocabulary = (dataset / "transform/transform_fn/assets/identities").read_text("utf-8")
    trained = {row["identity"] for row in rows.values() if row["split"] == "train"}
    assert sorted(vocabulary.split("\n")[:-1]) == sorted(trained or {statistics.NOBODY})
    return rows


def splits(rows: dict[str, dict]) -> dict[str, set[str]]:
    found = defaultdict(set)
    for row in rows.values():
        if row["outcome"] == "kept":
            found[row["identity"]].add(row["split"])
    return found


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """(photos, dataset) of ten identities."""
    root = tmp_path_factory.mktemp("base")
    for identity in range(10):
        for image in range(4):
            draw(root / "photos", identity, image)
    ingest(root / "photos", root / "dataset")
    return root


@pytest.fixture(scope="module")
def grown(base, tmp_path_factory) -> Path:
    """A second version: one old image again, copies of old ones, more of old and new people."""
    root = tmp_path_factory.mktemp("grown")
    photos = root / "photos"
    draw(photos, 0, 0)
    # The same pictures under other names: re-encoded, the very pixels, and as somebody else's.
    draw(photos, 1, 0, "id01/again.jpg", quality=80)
    (photos / "id02").mkdir()
    (photos / "id02" / "same.jpg").write_bytes((base / "photos/id02/001.jpg").read_bytes())
    draw(photos, 3, 1, "somebody/else.jpg")
    (photos / "somebody" / "broken.jpg").write_bytes(b"no image")
    for identity in range(8, 14):
        for image in range(10, 13):
            draw(photos, identity, image)
    facemill(*arguments(photos, root / "dataset", "--append-to", base / "dataset"))
    return root


def test_a_new_version_holds_the_old_one_as_it_was(base, grown):
    before, after = check(base / "dataset"), check(grown / "dataset")
    assert {key: after[key] for key in before} == before
    old = manifest_of(base / "dataset")
    new = manifest_of(grown / "dataset")
    assert new["version"] == 2
    kept = {entry["path"]: entry for entry in new["files"]}
    shared = [entry for entry in old["files"] if entry["path"].endswith((".tfrecord", ".parquet"))]
    assert len(shared) >= 4
    for entry in shared:
        assert kept[entry["path"]] == entry
        one, other = (os.stat(root / "dataset" / entry["path"]) for root in (base, grown))
        # One file with two names, not a copy.
        assert (one.st_ino, one.st_dev) == (other.st_ino, other.st_dev)
    added = {path for path in kept if ".v2." in path}
    assert {path.split("/")[0] for path in added} >= {"train", "index"}


def test_what_is_new_is_compared_with_what_was_there(base, grown):
    before, after = rows_of(base / "dataset"), rows_of(grown / "dataset")
    new = {key: row for key, row in after.items() if key not in before}
    assert new["id01/again.jpg"]["outcome"] == "duplicate"
    assert new["id01/again.jpg"]["duplicate_of"] == "id01/000.jpg"
    same = new["id02/same.jpg"]
    assert (same["outcome"], same["reason"]) == ("duplicate", "same pixels")
    assert same["duplicate_of"] == "id02/001.jpg"
    other = new["somebody/else.jpg"]
    assert (other["outcome"], other["duplicate_of"]) == ("conflict", "id03/001.jpg")
    assert "under identity id03" in other["reason"]
    assert new["somebody/broken.jpg"]["outcome"] == "rejected"
    assert len(new) == 4 + 6 * 3
    assert sum(row["outcome"] == "kept" for row in new.values()) == 18
    # An image that was there is not taken a second time.
    assert manifest_of(grown / "dataset")["counts"]["listed"] == len(before) + len(new)


def test_nobody_moves_between_splits(base, grown):
    before, after = (splits(rows_of(root / "dataset")) for root in (base, grown))
    assert len(after) == 14
    for name, found in after.items():
        assert len(found) == 1
        assert before.get(name, found) == found


def test_a_third_version_stands_on_the_second(base, grown, tmp_path):
    photos = tmp_path / "photos"
    # A copy of an image of each version, and nothing else that could be kept.
    draw(photos, 4, 0, "id04/copy.jpg", quality=85)
    draw(photos, 12, 11, "id12/copy.jpg", quality=85)
    ingest(photos, tmp_path / "dataset", "--append-to", grown / "dataset")
    before, after = rows_of(grown / "dataset"), check(tmp_path / "dataset")
    assert {key: after[key] for key in before} == before
    assert manifest_of(tmp_path / "dataset")["version"] == 3
    found = {key: row["duplicate_of"] for key, row in after.items() if key not in before}
    assert found == {"id04/copy.jpg": "id04/000.jpg", "id12/copy.jpg": "id12/011.jpg"}
    moments = [manifest_of(root / "dataset")["moments"] for root in (grown, tmp_path)]
    # Nothing was added to the train split, whose records are measured anew.
    np.testing.assert_allclose(moments[0]["pixel_mean"], moments[1]["pixel_mean"], atol=0.5)
    model = tmp_path / "model"
    training = ("--backbone", "plain", "--head", "softmax", "--embedding-size", 16)
    facemill(
        *("train", "--dataset", tmp_path / "dataset", "--output", model, *training),
        *("--steps", 2, "--batch-size", 8, "--validation-pairs", 4),
    )
    assert (model / "manifest.json").exists()


def test_nothing_new_is_one_sentence(base, tmp_path):
    told = refused(base / "photos", tmp_path / "out", "--append-to", base / "dataset", code=1)
    assert "must hold images that --append-to does not have, but none was found" in told


def test_other_options_are_one_sentence(base, tmp_path):
    given = ("--append-to", base / "dataset", "--seed", 2)
    told = refused(base / "photos", tmp_path / "out", *given)
    assert "--seed is 2 here and 1 there" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("held_out", ["dataset", "folder"])
def test_a_held_out_set_is_kept_apart_by_name_and_by_picture(base, tmp_path, held_out):
    photos, held = tmp_path / "photos", tmp_path / "held"
    for image in range(3):
        draw(held, 30, image)
        draw(held, 31, image)
    for image in range(5, 9):
        draw(photos, 30, image)
        draw(photos, 32, image)
        draw(photos, 33, image)
    # Of other people by name, but pictures of the held-out set.
    draw(photos, 31, 0, "stranger/leak.jpg", quality=85)
    (photos / "id32" / "same.jpg").write_bytes((held / "id31/001.jpg").read_bytes())
    given = held
    if held_out == "dataset":
        ingest(held, tmp_path / "held-dataset", "--split", "train=1")
        given = tmp_path / "held-dataset"
    ingest(photos, tmp_path / "out", "--split", "train=1", "--exclude-dataset", given)
    rows = check(tmp_path / "out")
    dropped = {key: row for key, row in rows.items() if row["outcome"] == "dropped"}
    assert {row["identity"] for row in dropped.values()} == {"id30", "id32", "stranger"}
    assert {row["reason"] for row in dropped.values() if row["identity"] == "id30"} == {
        "identity is in the held-out set"
    }
    leak, same = dropped["stranger/leak.jpg"], dropped["id32/same.jpg"]
    assert (leak["reason"], leak["duplicate_of"]) == (
        *("near duplicate in the held-out set", "id31/000.jpg"),
    )
    assert (same["reason"], same["duplicate_of"]) == (
        *("same pixels in the held-out set", "id31/001.jpg"),
    )
    assert manifest_of(tmp_path / "out")["counts"]["dropped"] == len(dropped) == 6
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    (leakage,) = re.findall(r"<h2[^>]*>Leakage</h2>(.*?)</section>", page, re.DOTALL)
    for told in ("near duplicate in", "same pixels in", "identity is in", "stranger/leak.jpg"):
        assert told in leakage


def test_held_out_pictures_of_nobody_are_kept_apart_too(base, tmp_path, capsys):
    held = tmp_path / "held"
    for image in range(3):
        draw(held, 40, image, f"{image}.jpg")
        draw(tmp_path / "photos", 40, image, f"ada/{image}.jpg", quality=85)
        draw(tmp_path / "photos", 41, image, f"bob/{image}.jpg")
    (held / "torn.jpg").write_bytes((held / "0.jpg").read_bytes()[:300])
    ingest(tmp_path / "photos", tmp_path / "out", "--split", "train=1", "--exclude-dataset", held)
    printed = capsys.readouterr().out
    assert "3 of 4 images of the held-out set were compared (1 damaged image" in printed
    assert "that were dropped by identity: 0, by picture: 3" in printed
    rows = check(tmp_path / "out")
    found = {key: (row["outcome"], row["duplicate_of"]) for key, row in rows.items()}
    assert found == {
        **{f"ada/{image}.jpg": ("dropped", f"{image}.jpg") for image in range(3)},
        **{f"bob/{image}.jpg": ("kept", None) for image in range(3)},
    }
    counts = manifest_of(tmp_path / "out")["held_out"]
    (reason,) = counts.pop("reasons")
    assert reason.startswith("damaged image")
    assert len(counts.pop("fingerprint")) == 64
    assert counts == {
        **{"listed": 4, "usable": 3, "unusable": 1, "by_pixels": 0, "identities": 0},
        "dropped": {"identity": 0, "picture": 3},
    }
    assert manifest_of(base / "dataset")["held_out"] is None
    assert reason in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_a_held_out_set_that_shows_nothing_is_one_sentence(base, tmp_path):
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "a.txt").write_bytes(b"no image")
    given = ("--exclude-dataset", tmp_path / "held")
    told = refused(base / "photos", tmp_path / "out", *given, code=1)
    assert "none of its 1 can be used (1 not an image of a known format)" in told


def section(dataset: Path, title: str) -> str:
    page = (dataset / "report.html").read_text("utf-8")
    (found,) = re.findall(rf"<h2[^>]*>{title}</h2>(.*?)</section>", page, re.DOTALL)
    return found


def test_whom_a_held_out_set_names_by_a_broken_image_is_kept_apart_too(tmp_path):
    photos, held = tmp_path / "photos", tmp_path / "held"
    for image in range(3):
        draw(photos, 40, image, f"ada/{image}.jpg")
        draw(photos, 41, image, f"bob/{image}.jpg")
    draw(held, 42, 0, "eve/0.jpg")
    (held / "bob").mkdir()
    (held / "bob" / "torn.jpg").write_bytes(b"no image")
    ingest(photos, tmp_path / "out", "--split", "train=1", "--exclude-dataset", held)
    rows = check(tmp_path / "out")
    assert {row["identity"] for row in rows.values() if row["outcome"] == "kept"} == {"ada"}
    assert rows["bob/0.jpg"]["reason"] == "identity is in the held-out set"
    counts = manifest_of(tmp_path / "out")["held_out"]
    assert (counts["identities"], counts["dropped"]) == (2, {"identity": 3, "picture": 0})
    # Another set of the same name is told by its content.
    (tmp_path / "other").mkdir()
    held.rename(tmp_path / "other" / "held")
    draw(tmp_path / "other" / "held", 42, 1, "eve/0.jpg")
    given = ("--split", "train=1", "--exclude-dataset", tmp_path / "other" / "held")
    ingest(photos, tmp_path / "again", *given)
    other = manifest_of(tmp_path / "again")
    assert other["options"] == manifest_of(tmp_path / "out")["options"]
    assert other["held_out"]["fingerprint"] != counts["fingerprint"]


def test_what_a_held_out_dataset_set_aside_is_kept_apart_too(tmp_path):
    photos, held = tmp_path / "photos", tmp_path / "held"
    for image in range(3):
        for place, name in enumerate(("ada", "bob", "joe")):
            draw(photos, 40 + place, image, f"{name}/{image}.jpg")
        draw(held, 50, image, f"eve/{image}.jpg")
    # One picture of two people: neither is kept there, so no shard has it and no record names ada.
    draw(held, 60, 0, "ada/x.png")
    draw(held, 60, 0, "max/x.png")
    draw(photos, 60, 0, "joe/x.png")
    (held / "bob").mkdir()
    (held / "bob" / "torn.jpg").write_bytes(b"no image")
    ingest(held, tmp_path / "held-dataset", "--split", "train=1")
    assert manifest_of(tmp_path / "held-dataset")["counts"]["kept"] == 3
    given = ("--split", "train=1", "--exclude-dataset", tmp_path / "held-dataset")
    ingest(photos, tmp_path / "out", *given)
    rows = check(tmp_path / "out")
    kept = {key for key, row in rows.items() if row["outcome"] == "kept"}
    assert kept == {f"joe/{image}.jpg" for image in range(3)}
    leak = rows["joe/x.png"]
    assert (leak["reason"], leak["duplicate_of"]) == (
        "same pixels in the held-out set",
        "ada/x.png",
    )
    counts = manifest_of(tmp_path / "out")["held_out"]
    assert (counts["listed"], counts["usable"], counts["by_pixels"]) == (6, 3, 2)
    assert counts["identities"] == 4
    assert counts["reasons"] == {
        "set aside in its dataset as conflict": 2,
        "set aside in its dataset as rejected": 1,
    }


def test_what_a_dataset_set_aside_does_not_come_back_by_another_name(tmp_path):
    photos, more = tmp_path / "photos", tmp_path / "more"
    for place, name in enumerate(("ada", "bob", "eve")):
        for image in range(3):
            draw(photos, 40 + place, image, f"{name}/{image}.jpg")
    draw(photos, 60, 0, "ada/x.png")
    draw(photos, 60, 0, "bob/x.png")
    (photos / "eve" / "copy.jpg").write_bytes(draw(photos, 42, 0, "eve/0.jpg").read_bytes())
    ingest(photos, tmp_path / "one", "--dedup", "exact", "--split", "train=1")
    draw(more, 60, 0, "max/new.png")
    draw(more, 60, 0, "ada/new.png")
    draw(more, 70, 0, "max/0.jpg")
    # What the dataset has of this name is not this: it is told that it was not looked at.
    draw(more, 70, 1, "eve/1.jpg")
    given = ("--dedup", "exact", "--split", "train=1", "--append-to", tmp_path / "one")
    ingest(more, tmp_path / "two", *given)
    rows = check(tmp_path / "two")
    for name, other, whose in (("max", "ada/x.png", "ada"), ("ada", "bob/x.png", "bob")):
        row = rows[f"{name}/new.png"]
        assert (row["outcome"], row["duplicate_of"]) == ("conflict", other)
        assert row["reason"] == f"same pixels under identity {whose}"
    assert rows["max/0.jpg"]["outcome"] == "kept"
    assert manifest_of(tmp_path / "two")["passed_over"] == 1
    assert manifest_of(tmp_path / "one")["passed_over"] is None
    assert "1 images of the input were passed over" in section(tmp_path / "two", "Outcomes")


def test_the_report_of_a_version_shows_what_the_one_before_has(base, grown):
    outcomes = section(grown / "dataset", "Outcomes")
    assert "this version" in outcomes
    assert re.search(r"<td[^>]*>kept</td>\s*<td[^>]*>58</td>\s*<td[^>]*>18</td>", outcomes)
    assert "1 images of the input were passed over" in outcomes
    for title, told in (
        *(("Splits", "Of all images of this version."), ("Balance", "Of all images of this")),
        *(("Quality", "that came with this version"), ("Samples", "that came with this version")),
    ):
        assert told in section(grown / "dataset", title)
        assert told not in section(base / "dataset", title)
    conflicts = section(grown / "dataset", "Conflicts")
    assert conflicts.count("data:image/") == 2
    assert "id03/001.jpg" in conflicts
    assert conflicts.count("in the version before") == 1
    assert section(grown / "dataset", "Duplicates").count("data:image/") == 4


def test_a_version_shares_nothing_with_a_held_out_set_in_its_old_part_either(base, tmp_path):
    photos, held = tmp_path / "photos", tmp_path / "held"
    for image in range(3):
        draw(photos, 50, image)
        draw(held, 60, image)
    given = ("--append-to", base / "dataset", "--exclude-dataset", held)
    ingest(photos, tmp_path / "two", *given)
    assert manifest_of(tmp_path / "two")["counts"]["kept"] == 43
    again = ("--append-to", tmp_path / "two")
    draw(tmp_path / "more", 51, 0)
    told = refused(tmp_path / "more", tmp_path / "three", *again)
    assert "made with --exclude-dataset, but that is not given here" in told
    # A picture of the old version under another name, and one of its identities.
    draw(held, 4, 1, "stranger/x.jpg", quality=85)
    (held / "id07").mkdir()
    (held / "id07" / "torn.jpg").write_bytes(b"no image")
    told = refused(photos, tmp_path / "out", *given, code=1)
    assert "4 of its records show an identity of the held-out set and 1 a picture of it" in told
    assert "id04/001.jpg among them; ingest the whole collection anew" in told


def test_pictures_of_a_held_out_set_are_shown_beside_those_that_were_dropped(tmp_path):
    photos, held = tmp_path / "photos", tmp_path / "held"
    for image in range(2):
        draw(photos, 50, image, f"ada/{image}.jpg")
        draw(held, 51, image, f"eve/{image}.jpg")
    # Another image of the input has the name that the picture has in the held-out set.
    draw(photos, 51, 0, "joe/0.jpg", quality=85)
    draw(photos, 52, 0, "eve/0.jpg")
    ingest(photos, tmp_path / "out", "--split", "train=1", "--exclude-dataset", held)
    leakage = section(tmp_path / "out", "Leakage")
    assert leakage.count("data:image/") == 2
    assert leakage.index("eve/0.jpg") < leakage.rindex("joe/0.jpg")


def test_images_dropped_before_count_for_a_floor_with_new_ones(tmp_path):
    for name, first, count in (("one", 0, 2), ("two", 2, 2), ("three", 4, 1)):
        for image in range(first, first + count):
            draw(tmp_path / name, 70, image, f"ada/{image}.jpg")
        for image in range(3):
            draw(tmp_path / name, 80 + first, image, f"bob{first}/{image}.jpg")
    # The same picture twice is one image.
    (tmp_path / "two" / "joe").mkdir()
    for image in range(2):
        draw(tmp_path / "one", 90, image, f"joe/{image}.jpg")
    copy = (tmp_path / "one/joe/0.jpg").read_bytes()
    (tmp_path / "two/joe/copy.jpg").write_bytes(copy)
    flags = ("--min-images", 3, "--split", "train=1")
    ingest(tmp_path / "one", tmp_path / "v1", *flags)
    ingest(tmp_path / "two", tmp_path / "v2", *flags, "--append-to", tmp_path / "v1")
    ingest(tmp_path / "three", tmp_path / "v3", *flags, "--append-to", tmp_path / "v2")
    rows = check(tmp_path / "v3")
    ada = [rows[f"ada/{image}.jpg"]["outcome"] for image in range(5)]
    assert ada == ["dropped", "dropped", "kept", "kept", "kept"]
    copy = rows["joe/copy.jpg"]
    assert copy["reason"] == "identity has 2 images, fewer than the 3 required"


def test_an_output_lies_in_nothing_that_is_read(base, tmp_path):
    shutil.copytree(base / "dataset", tmp_path / "dataset")
    for flag in ("--append-to", "--exclude-dataset"):
        given = (base / "photos", tmp_path / "dataset" / "v2", flag, tmp_path / "dataset")
        assert f"--output must not lie in {flag}, got" in refused(*given)
        given = (base / "photos", tmp_path, flag, tmp_path / "dataset")
        assert f"{flag} must not lie in --output, got" in refused(*given)
    assert contents(tmp_path / "dataset") == contents(base / "dataset")


def test_another_root_is_another_input(tmp_path, capsys):
    for name, first in (("some", 0), ("others", 50)):
        for image in range(3):
            draw(tmp_path / name, first, image, f"{image}.jpg")
    listing = tmp_path / "faces.csv"
    listing.write_text("path,identity\n" + "".join(f"{image}.jpg,ada\n" for image in range(3)))
    given = (listing, tmp_path / "out", "--split", "train=1", "--root")
    ingest(*given, tmp_path / "some")
    before = contents(tmp_path / "out")
    ingest(*given, tmp_path / "others" / ".." / "some")
    assert "already complete" in capsys.readouterr().out
    assert cli.main(arguments(*given, tmp_path / "others")) == 2
    assert f"root: there '{tmp_path}/some', here '{tmp_path}/others'" in capsys.readouterr().err
    assert contents(tmp_path / "out") == before


def test_columns_of_tables_may_be_named(tmp_path):
    pictures = [draw(tmp_path / "photos", 1, image).read_bytes() for image in range(4)]
    table = {"crop": pictures, "photo": pictures[::-1], "who": ["ada"] * 4, "label": ["bob"] * 4}
    (tmp_path / "tables").mkdir()
    pq.write_table(pa.table(table), tmp_path / "tables" / "0.parquet")
    told = refused(tmp_path / "tables", tmp_path / "out")
    assert "no column of images among crop, photo, who, label; name them by --image-col" in told
    given = ("--image-column", "photo", "--label-column", "who", "--split", "train=1")
    ingest(tmp_path / "tables", tmp_path / "out", *given)
    rows = check(tmp_path / "out")
    assert {row["identity"] for row in rows.values()} == {"ada"}
    first = hashlib.sha256(pictures[3]).hexdigest()
    assert rows["0.parquet/0"]["sha256"] == first
    options = manifest_of(tmp_path / "out")["options"]
    assert (options["image_column"], options["label_column"]) == ("photo", "who")


def test_a_held_out_set_that_is_not_there_is_named_by_its_own_option(base, tmp_path):
    given = ("--exclude-dataset", tmp_path / "nowhere")
    told = refused(base / "photos", tmp_path / "out", *given)
    assert told.startswith("facemill: --exclude-dataset must be an existing directory")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def conflicts(tmp_path_factory) -> Path:
    """One picture of ada twice and of bob once, one of eve and joe, and others of all."""
    photos = tmp_path_factory.mktemp("conflicts")
    draw(photos, 1, 0, "ada/one.jpg")
    draw(photos, 1, 0, "ada/two.jpg", quality=80)
    draw(photos, 1, 0, "bob/one.jpg", quality=85)
    draw(photos, 2, 0, "eve/two.jpg")
    draw(photos, 2, 0, "joe/two.jpg", quality=85)
    for place, name in enumerate(("ada", "bob", "eve", "joe")):
        for image in range(3):
            draw(photos, 10 + place, image, f"{name}/{image}.jpg")
    return photos


def test_conflicts_can_be_quarantined(conflicts, tmp_path):
    ingest(conflicts, tmp_path / "out", "--on-conflict", "quarantine", "--split", "train=1")
    rows = check(tmp_path / "out")
    found = {key for key, row in rows.items() if row["outcome"] == "conflict"}
    assert found == {"ada/one.jpg", "ada/two.jpg", "bob/one.jpg", "eve/two.jpg", "joe/two.jpg"}
    assert {key for key, row in rows.items() if row["split"] == "quarantine"} == found
    described = manifest_of(tmp_path / "out")["splits"]["quarantine"]
    assert described["records"] == 5
    assert all(name.startswith("quarantine/") for name in described["shards"])


def test_the_majority_can_keep_a_picture(conflicts, tmp_path):
    ingest(conflicts, tmp_path / "out", "--on-conflict", "keep-majority", "--split", "train=1")
    rows = check(tmp_path / "out")
    ada = {rows[f"ada/{name}.jpg"]["outcome"] for name in ("one", "two")}
    assert ada == {"kept", "duplicate"}
    assert rows["bob/one.jpg"]["outcome"] == "conflict"
    # One against one is no majority.
    assert rows["eve/two.jpg"]["outcome"] == rows["joe/two.jpg"]["outcome"] == "conflict"
    assert not (tmp_path / "out" / "quarantine").exists()


@pytest.fixture(scope="module")
def listed(tmp_path_factory) -> Path:
    """A manifest of identities of 2 to 8 images, with an age where it is known."""
    root = tmp_path_factory.mktemp("listed")
    with (root / "faces.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["path", "identity", "age"])
        for identity in range(8):
            for image in range(2 + identity % 7):
                path = draw(root, identity, image)
                age = "" if image == 0 else f"{20 + 10 * (image % 3)}s"
                table.writerow([path.relative_to(root), f"id{identity:02d}", age])
        draw(root, 20, 0, "loose/nobody.jpg")
        table.writerow(["loose/nobody.jpg", "", "20s"])
    return root / "faces.csv"


RICH = (
    *("--balance", "cap=5", "--balance", "oversample=6"),
    *("--balance", "cap=4@age", "--balance", "effective-number=0.9", "--prefer", "quality"),
)


@pytest.fixture(scope="module")
def balanced(listed, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("balanced") / "out"
    ingest(listed, output, *RICH)
    return output


def test_a_cap_of_an_attribute_counts_its_values(balanced):
    rows = check(balanced)
    kept = Counter()
    for row in rows.values():
        if row["outcome"] == "kept":
            kept[dict(row["attributes"]).get("age") or None] += 1
    ages = {"20s", "30s", "40s"}
    assert {age: kept[age] for age in ages} == dict.fromkeys(ages, 4)
    # What has no age is no class.
    assert kept[None] > 4
    ageless = [row for row in rows.values() if not dict(row["attributes"]).get("age")]
    assert len(ageless) == 8
    assert not any("its age" in row["reason"] for row in ageless)
    told = {row["reason"] for row in rows.values() if row["outcome"] == "dropped"}
    assert any(
        re.fullmatch(r"its age has \d+ images, more than the 4 allowed", one) for one in told
    )
    assert any(one.startswith("identity has 7 images, more than the 5") for one in told)


def test_an_attribute_before_and_after_is_in_manifest_and_report(balanced):
    rows = rows_of(balanced).values()
    before, after = Counter(), Counter()
    for row in rows:
        age = dict(row["attributes"]).get("age") or ""
        before[age] += 1
        after[age] += row["copies"] or 0
    told = json.loads((balanced / "manifest.json").read_text())["balance"]["age"]
    assert told == {"before": dict(sorted(before.items())), "after": dict(sorted(after.items()))}
    report = (balanced / "report.html").read_text("utf-8")
    assert "of 4 values" in report
    assert "(none)" in report


def test_weights_are_in_records_and_index_and_1_on_average(balanced):
    rows = rows_of(balanced)
    train = []
    for shard, _, features in records_of(balanced):
        (weight,) = features[WEIGHT]
        assert weight == rows[features["image/id"].decode()]["weight"]
        if shard.startswith("train/"):
            train.append(weight)
        else:
            assert weight == 1
    assert len(set(train)) > 1
    assert np.mean(train) == pytest.approx(1, rel=1e-5)


def test_small_identities_are_written_several_times(listed, tmp_path):
    ingest(listed, tmp_path / "out", "--balance", "oversample=6", "--split", "train=1")
    rows = check(tmp_path / "out")
    copies = defaultdict(list)
    for row in rows.values():
        if row["split"] == "train":
            copies[row["identity"]].append(row["copies"])
    assert {name: sum(found) for name, found in copies.items()} == {
        name: max(6, len(found)) for name, found in copies.items()
    }
    assert all(max(found) - min(found) <= 1 for found in copies.values())
    assert rows["loose/nobody.jpg"]["split"] == "unlabeled"
    seeds = [
        features["augmentation_seed"]
        for _, _, features in records_of(tmp_path / "out")
        if features["image/id"] == b"id00/000.jpg" and "augmentation_seed" in features
    ]
    assert sorted(seeds) == [[1], [2]]
    histograms = manifest_of(tmp_path / "out")["balance"]["identity"]
    # Of 2 to 8 images, and the eighth identity has 2 again.
    assert histograms["before"] == {"2": 2, "3": 1, "4": 1, "5": 1, "6": 1, "7": 1, "8": 1}
    assert histograms["after"] == {"6": 6, "7": 1, "8": 1}


def test_two_workers_write_the_same_bytes(listed, balanced, tmp_path):
    ingest(listed, tmp_path / "out", *RICH, "--workers", 2)
    assert contents(tmp_path / "out") == contents(balanced)


def test_an_attribute_that_no_image_has_is_one_sentence(listed, tmp_path):
    told = refused(listed, tmp_path / "out", "--balance", "cap=5@eyes")
    assert "got eyes, but they have age; name one" in told


def test_split_by_image_alignment_and_floor(base, tmp_path):
    photos = tmp_path / "photos"
    for image in range(24):
        draw(photos, 1, image)
    wide = render(7, 2, 0, 64)[:40]
    Image.fromarray(wide).save(photos / "id01" / "wide.png")
    Image.new("RGB", (SIZE, SIZE), (90, 90, 90)).save(photos / "id01" / "flat.png")
    flags = ("--split-by", "image", "--align", "none", "--min-contrast", 2)
    ingest(photos, tmp_path / "out", *flags)
    rows = check(tmp_path / "out")
    found = Counter(row["split"] for row in rows.values() if row["outcome"] == "kept")
    assert set(found) == {"train", "val", "test"}
    assert sum(found.values()) == 25
    assert rows["id01/flat.png"]["reason"] == "contrast is below 2"
    assert manifest_of(tmp_path / "out")["preprocessing"]["align"] == "none"
    shard, position = rows["id01/wide.png"]["shard"], rows["id01/wide.png"]["position"]
    (encoded,) = [
        features["image/encoded"]
        for name, place, features in records_of(tmp_path / "out")
        if (name, place) == (shard, position)
    ]
    square = np.asarray(Image.open(io.BytesIO(encoded)), float)
    whole = np.asarray(Image.fromarray(wide).resize((32, 32), Image.Resampling.BOX), float)
    middle = Image.fromarray(wide[:, 12:52]).resize((32, 32), Image.Resampling.BOX)
    # The whole picture, not its middle.
    assert np.abs(square - whole).mean() < 6 < np.abs(square - np.asarray(middle)).mean()


def test_lists_put_identities_into_splits(base, tmp_path):
    before = splits(rows_of(base / "dataset"))
    moved = sorted(before)[:4]
    (tmp_path / "test.txt").write_text("\n".join(moved[:2]) + "\n")
    (tmp_path / "val.txt").write_text("\n".join(moved[2:]) + "\n")
    lists = [f"{split}={tmp_path / split}.txt" for split in ("test", "val")]
    given = [word for one in lists for word in ("--split-list", one)]
    ingest(base / "photos", tmp_path / "out", *given)
    after = splits(check(tmp_path / "out"))
    for place, name in enumerate(moved):
        before[name] = {"test"} if place < 2 else {"val"}
    assert after == before
    lists = ("--split-list", f"train={tmp_path}/test.txt", "--split-list", lists[0])
    told = refused(base / "photos", tmp_path / "other", *lists)
    assert "must put an identity into one split, got id00 for train and test" in told


def _tar(source: Path, target: Path) -> None:
    target.mkdir()
    with tarfile.open(target / "0000.tar", "w") as archive:
        for path in sorted(source.glob("*/*.jpg")):
            archive.add(path, path.relative_to(source).as_posix())


def _parquet(source: Path, target: Path) -> None:
    target.mkdir()
    paths = sorted(source.glob("*/*.jpg"))
    table = {"image": [path.read_bytes() for path in paths],
             "identity": [path.parent.name for path in paths]}  # fmt: skip
    pq.write_table(pa.table(table), target / "faces.parquet", row_group_size=7)


@pytest.mark.parametrize(
    ("form", "write"), [("webdataset", _tar), ("parquet", _parquet)], ids=["tar", "parquet"]
)
def test_other_layouts_give_the_same_images(base, tmp_path, form, write):
    write(base / "photos", tmp_path / "input")
    ingest(tmp_path / "input", tmp_path / "out", "--format", form)
    rows, folders = check(tmp_path / "out"), rows_of(base / "dataset")
    assert manifest_of(tmp_path / "out")["options"]["format"] == form

    def told(found: dict[str, dict]) -> list[tuple]:
        columns = ("identity", "outcome", "split", "sha256", "pixel_sha256")
        return sorted(tuple(row[name] for name in columns) for row in found.values())

    assert told(rows) == told(folders)


def test_a_collection_of_nobody_in_particular_is_a_gallery(tmp_path):
    with (tmp_path / "faces.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["path"])
        for image in range(5):
            table.writerow([draw(tmp_path, image, 0).relative_to(tmp_path)])
    ingest(tmp_path / "faces.csv", tmp_path / "out")
    rows = check(tmp_path / "out")
    assert {(row["outcome"], row["split"]) for row in rows.values()} == {("kept", "unlabeled")}
