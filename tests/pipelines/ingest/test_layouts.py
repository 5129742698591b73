"""`facemill ingest` of other layouts than folders, and of other columns and roots."""

import csv
import hashlib
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facemill.pipelines import cli
from tests.artifacts import contents
from tests.pipelines.ingest.ingesting import (
    arguments,
    check,
    draw,
    ingest,
    manifest_of,
    refused,
    rows_of,
)

pytestmark = pytest.mark.slow


def test_another_root_is_refused_as_another_input(tmp_path, capsys):
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
    photos = [draw(tmp_path / "photos", 1, image).read_bytes() for image in range(4)]
    table = {"crop": photos, "photo": photos[::-1], "who": ["ada"] * 4, "label": ["bob"] * 4}
    (tmp_path / "tables").mkdir()
    pq.write_table(pa.table(table), tmp_path / "tables" / "0.parquet")
    message = refused(tmp_path / "tables", tmp_path / "out")
    assert "no column of images among crop, photo, who, label; name them by --image-col" in message
    given = ("--image-column", "photo", "--label-column", "who", "--split", "train=1")
    ingest(tmp_path / "tables", tmp_path / "out", *given)
    rows = check(tmp_path / "out")
    assert {row["identity"] for row in rows.values()} == {"ada"}
    first = hashlib.sha256(photos[3]).hexdigest()
    assert rows["0.parquet/0"]["sha256"] == first
    options = manifest_of(tmp_path / "out")["options"]
    assert (options["image_column"], options["label_column"]) == ("photo", "who")


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
    ("form", "write"),
    [
        pytest.param("webdataset", _tar, id="tar"),
        # Another test of this file reads tables.
        pytest.param("parquet", _parquet, id="parquet", marks=pytest.mark.long),
    ],
)
def test_other_layouts_give_the_same_images(base, tmp_path, form, write):
    write(base / "photos", tmp_path / "input")
    ingest(tmp_path / "input", tmp_path / "out", "--format", form)
    rows, folders = check(tmp_path / "out"), rows_of(base / "dataset")
    assert manifest_of(tmp_path / "out")["options"]["format"] == form

    def comparable(found: dict[str, dict]) -> list[tuple]:
        columns = ("identity", "outcome", "split", "sha256", "pixel_sha256")
        return sorted(tuple(row[name] for name in columns) for row in found.values())

    assert comparable(rows) == comparable(folders)


def test_a_collection_without_identities_is_written_unlabeled(tmp_path):
    with (tmp_path / "faces.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["path"])
        for image in range(5):
            table.writerow([draw(tmp_path, image, 0).relative_to(tmp_path)])
    ingest(tmp_path / "faces.csv", tmp_path / "out")
    rows = check(tmp_path / "out")
    assert {(row["outcome"], row["split"]) for row in rows.values()} == {("kept", "unlabeled")}
