"""Inputs with files that are no photos, and outputs in a wrong folder."""

import os
import shutil
from pathlib import Path

import pytest

from tests.commands import facemill
from tests.pipelines.ingest.ingesting import exit_code, rows_of

pytestmark = pytest.mark.slow


@pytest.fixture
def photos(tiny_photos, tmp_path) -> Path:
    for name in ("id00001", "id00002"):
        shutil.copytree(tiny_photos / name, tmp_path / "photos" / name)
    return tmp_path / "photos"


FLAGS = ("--image-size", 32, "--split", "train=1")


def ingested(photos: Path, output: Path) -> dict[str, dict]:
    """The rows of a run in this process."""
    assert exit_code(photos, output, "--split", "train=1") == 0
    return rows_of(output)


def ingested_in_time(photos: Path, output: Path) -> dict[str, dict]:
    """The rows of a run that might hang, so it has a process of its own and a limit of time."""
    facemill("ingest", "--input", photos, "--output", output, *FLAGS, timeout=60)
    return rows_of(output)


def test_a_pipe_is_rejected_and_does_not_hang_the_run(photos, tmp_path):
    os.mkfifo(photos / "id00001" / "pipe.jpg")
    rows = ingested_in_time(photos, tmp_path / "out")
    assert len(rows) == 17
    assert rows["id00001/pipe.jpg"]["outcome"] == "rejected"
    assert rows["id00001/pipe.jpg"]["reason"]


def test_a_link_to_a_folder_is_followed_or_has_its_reason(photos, tiny_photos, tmp_path):
    (photos / "id00001" / "linked").symlink_to(tiny_photos / "id00003")
    rows = ingested(photos, tmp_path / "out")
    linked = [row for image_id, row in rows.items() if image_id.startswith("id00001/linked")]
    assert linked, "a link to a folder vanished without a row"
    assert len(linked) == 8 or linked[0]["reason"]


def test_a_link_that_leads_in_a_circle_is_accounted_for(photos, tmp_path):
    (photos / "id00001" / "circle").symlink_to(photos / "id00001")
    rows = ingested_in_time(photos, tmp_path / "out")
    assert any(image_id.startswith("id00001/circle") for image_id in rows)
    assert len(rows) < 1000


def test_an_escaped_name_is_not_that_of_another_file(photos, tmp_path):
    # Names that are not UTF-8 are listed with escapes, and another folder has these as its name.
    folders = os.fsencode(photos) + b"/\xff", os.fsencode(photos) + rb"/\udcff"
    for folder in folders:
        os.mkdir(folder)
        shutil.copy(photos / "id00001" / "id00001_0001.jpg", folder + b"/1.jpg")
    rows = ingested(photos, tmp_path / "out")
    assert len(rows) == 18
    assert rows[r"\udcff/1.jpg"]["outcome"] != "rejected"
    assert rows[r"\udcff/./1.jpg"]["reason"] == "its name is not valid UTF-8"


def test_an_identity_of_two_lines_does_not_spoil_the_dataset(photos, tmp_path):
    (photos / "id00002").rename(photos / "id\n2")
    rows = ingested(photos, tmp_path / "out")
    reasons = {row["reason"] for name, row in rows.items() if name.startswith("id\n2/")}
    assert reasons == {"the name of its identity must be one line, but holds a line break"}
    vocabulary = tmp_path / "out" / "transform" / "transform_fn" / "assets" / "identities"
    assert vocabulary.read_text() == "id00001\n"


@pytest.mark.parametrize(("column", "is_printed"), [("who", True), ("person", False)])
def test_a_run_without_identities_prints_how_to_name_them(
    photos, tmp_path, capsys, column, is_printed
):
    rows = [f"id0000{n}/id0000{n}_000{i}.jpg,{n}" for n in (1, 2) for i in (1, 2)]
    (tmp_path / "m.csv").write_text("\n".join([f"path,{column}", *rows]))
    flags = ("--root", photos, "--split", "train=1", "--workers", 1)
    assert exit_code(tmp_path / "m.csv", tmp_path / "out", *flags) == 0
    sentence = (
        "no image has an identity, so there is nobody to train on: name identities by a column "
        "identity, label, person or name\n"
    )
    assert (sentence in capsys.readouterr().out) == is_printed


def test_an_output_in_the_input_is_refused(photos, capsys):
    # The next run would list the output as an identity.
    assert exit_code(photos, photos / "out") == 2
    assert capsys.readouterr().err.startswith("facemill: --output must not lie in --input")
    assert not (photos / "out").exists()
