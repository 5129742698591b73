"""Running `facemill ingest` on drawn faces, and checks that hold for every dataset."""

import contextlib
import csv
import hashlib
import io
import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

from facemill.pipelines import cli
from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.dataset import tfrecord
from facemill.transforms.dataset.records import decode_example
from facemill.transforms.shards import statistics

SIZE = 48


OUTCOMES = ("kept", "duplicate", "conflict", "rejected", "dropped", "ignored")


SPLIT = ("--split", "train=0.6,val=0.2,test=0.2")


COMMON = ("--image-size", 32, *SPLIT, "--workers", 1)


def draw(folder: Path, identity: int, image: int, name: str | None = None, quality=92) -> Path:
    """Writes the image that identity and number determine, into the identity's folder."""
    path = folder / (name or f"id{identity:02d}/{image:03d}.jpg")
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(render(7, identity, image, SIZE)).save(path, quality=quality)
    return path


def one_photo_of_two(folder: Path) -> None:
    """Draws one photo under ada twice and under bob once."""
    draw(folder, 1, 0, "ada/one.jpg")
    draw(folder, 1, 0, "ada/two.jpg", quality=80)
    draw(folder, 1, 0, "bob/one.jpg", quality=85)


def write_manifest(root: Path, column: str, rows: Iterable[tuple[Path, str, str]]) -> Path:
    """Writes a manifest of (file, identity, value of the column)."""
    path = root / "faces.csv"
    with path.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["path", "identity", column])
        table.writerows((file.relative_to(root), who, value) for file, who, value in rows)
    return path


def write_names(path: Path, *identities: str) -> Path:
    """Writes a list of identities."""
    path.write_text("\n".join(identities) + "\n")
    return path


def arguments(source, output, *flags) -> list[str]:
    return [
        str(word) for word in ("ingest", "--input", source, "--output", output, *COMMON, *flags)
    ]


def ingest(source, output, *flags) -> None:
    """Runs in this process, which has imported everything already."""
    assert cli.main(arguments(source, output, *flags)) == 0


def exit_code(source, output, *flags) -> int:
    """The exit code of a run in this process, with the default split and workers."""
    given = ["ingest", "--input", source, "--output", output, "--image-size", "32", *flags]
    return cli.main([str(word) for word in given])


def refused(source, output, *flags, code: int = 2) -> str:
    """The one sentence that a run prints instead of making a dataset."""
    stderr = io.StringIO()
    with contextlib.redirect_stderr(stderr):
        assert cli.main(arguments(source, output, *flags)) == code
    (line,) = [one for one in stderr.getvalue().splitlines() if one.startswith("facemill:")]
    assert not (output / "manifest.json").exists()
    return line


def listing(folder: Path) -> set[str]:
    """The image_ids that the index must hold: the path of every file."""
    found = set()
    for here, _, names in os.walk(folder):
        for name in names:
            path = os.path.relpath(os.path.join(here, name), folder)
            escaped = path.encode("utf-8", "backslashreplace").decode("utf-8")
            # The folder "." keeps escaped names apart from names of other files.
            found.add(path if escaped == path else "/./".join(escaped.rsplit("/", 1)))
    return found


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
    """Checks what holds for every dataset; returns its rows."""
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
    assert sorted(vocabulary.split("\n")[:-1]) == sorted(
        trained or {statistics.PLACEHOLDER_IDENTITY}
    )
    return rows


def splits(rows: dict[str, dict]) -> dict[str, set[str]]:
    found = defaultdict(set)
    for row in rows.values():
        if row["outcome"] == "kept":
            found[row["identity"]].add(row["split"])
    return found


def section(dataset: Path, title: str) -> str:
    page = (dataset / "report.html").read_text("utf-8")
    (found,) = re.findall(rf"<h2[^>]*>{title}</h2>(.*?)</section>", page, re.DOTALL)
    return found
