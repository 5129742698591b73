"""Inputs with files that are no photos, and outputs in a wrong folder."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.commands import facemill
from tests.pipelines.ingest.ingesting import exit_code, rows_of

pytestmark = pytest.mark.slow

NOBODY = "no image has an identity, so there is nobody to train on"


@pytest.fixture
def photos(tiny_photos, tmp_path) -> Path:
    for name in ("id00001", "id00002"):
        shutil.copytree(tiny_photos / name, tmp_path / "photos" / name)
    return tmp_path / "photos"


@pytest.fixture(scope="module")
def odd(tiny_photos, tmp_path_factory) -> Path:
    """The dataset of a folder with a pipe, links, and names that are hard to write down.

    The run might hang, so it has a process of its own and a limit of time.
    """
    root = tmp_path_factory.mktemp("odd")
    photos = root / "photos"
    for name in ("id00001", "id00002", "id\n4"):
        shutil.copytree(tiny_photos / name.replace("\n", "0000"), photos / name)
    os.mkfifo(photos / "id00001" / "pipe.jpg")
    (photos / "id00002" / "linked").symlink_to(tiny_photos / "id00003")
    (photos / "id00001" / "circle").symlink_to(photos / "id00001")
    # Names that are not UTF-8 are listed with escapes, and another folder has these as its name.
    for folder in (os.fsencode(photos) + b"/\xff", os.fsencode(photos) + rb"/\udcff"):
        os.mkdir(folder)
        shutil.copy(photos / "id00001" / "id00001_0001.jpg", folder + b"/1.jpg")
    flags = ("--image-size", 32, "--split", "train=1")
    # So many files are none that can be read, and most of them on purpose.
    flags += ("--max-rejected", 1)
    facemill("ingest", "--input", photos, "--output", root / "out", *flags, timeout=60)
    return root / "out"


@pytest.fixture(scope="module")
def odd_rows(odd) -> dict[str, dict]:
    return rows_of(odd)


def test_a_pipe_is_rejected_and_does_not_hang_the_run(odd_rows):
    assert odd_rows["id00001/pipe.jpg"]["outcome"] == "rejected"
    assert odd_rows["id00001/pipe.jpg"]["reason"]


def test_a_link_to_a_folder_is_followed_or_has_its_reason(odd_rows):
    linked = [row for name, row in odd_rows.items() if name.startswith("id00002/linked")]
    assert linked, "a link to a folder vanished without a row"
    assert len(linked) == 8 or linked[0]["reason"]


def test_a_link_that_leads_in_a_circle_is_accounted_for(odd_rows):
    assert any(image_id.startswith("id00001/circle") for image_id in odd_rows)
    assert len(odd_rows) < 1000


def test_every_file_of_a_folder_beside_odd_ones_has_its_row(odd_rows):
    links = ("id00002/linked", "id00001/circle")
    others = [name for name in odd_rows if not name.startswith(links)]
    # Three folders of eight photos, the pipe, and the photo in each of two folders.
    assert len(others) == 3 * 8 + 1 + 2


def test_an_escaped_name_is_not_that_of_another_file(odd_rows):
    assert odd_rows[r"\udcff/1.jpg"]["outcome"] != "rejected"
    assert odd_rows[r"\udcff/./1.jpg"]["reason"] == "its name is not valid UTF-8"


def test_an_identity_of_two_lines_does_not_spoil_the_dataset(odd, odd_rows):
    reasons = {row["reason"] for name, row in odd_rows.items() if name.startswith("id\n4/")}
    assert reasons == {"the name of its identity must be one line, but holds a line break"}
    vocabulary = (odd / "transform" / "transform_fn" / "assets" / "identities").read_text()
    trained = {row["identity"] for row in odd_rows.values() if row["split"] == "train"}
    assert {"id00001", "id00002"} <= trained
    assert sorted(vocabulary.split("\n")[:-1]) == sorted(trained)


def test_a_run_without_identities_prints_how_to_name_them(photos, tmp_path, capsys):
    rows = [f"id0000{n}/id0000{n}_000{i}.jpg,{n}" for n in (1, 2) for i in (1, 2)]
    (tmp_path / "m.csv").write_text("\n".join(["path,who", *rows]))
    flags = ("--root", photos, "--split", "train=1", "--workers", 1)
    assert exit_code(tmp_path / "m.csv", tmp_path / "out", *flags) == 0
    sentence = (
        f"{NOBODY}: name identities by a column "
        "identity, label, person or name, or the one of --label-column\n"
    )
    assert sentence in capsys.readouterr().out


def test_photos_without_folders_are_refused_before_the_run_and_taken_as_nobody(
    tiny_photos, tmp_path, capsys
):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in (1, 2, 3):
        shutil.copy(tiny_photos / "id00001" / f"id00001_000{number}.jpg", photos)
    (photos / "list.txt").write_text("who is who")
    assert exit_code(photos, tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert "runner" not in error
    assert "holds 3 images (id00001_0001.jpg, ...) and no folder; give a list" in error
    assert "(list.txt may be one), or --no-identities." in error
    assert not (tmp_path / "out").exists()
    flags = ("--no-identities", "--split", "train=1", "--workers", 1)
    assert exit_code(photos, tmp_path / "out", *flags) == 0
    assert NOBODY not in capsys.readouterr().out
    rows = rows_of(tmp_path / "out")
    kept = [row for row in rows.values() if row["outcome"] == "kept"]
    assert {row["identity"] for row in kept} == {None}
    assert kept
    assert all(row["shard"].startswith("unlabeled/") for row in kept)


def test_a_guess_is_told_first_and_stands_in_report_and_manifest(tiny_photos, tmp_path, capsys):
    shutil.copytree(tiny_photos / "id00001", tmp_path / "photos" / "train" / "id1")
    shutil.copytree(tiny_photos / "id00002", tmp_path / "photos" / "test" / "id2")
    flags = ("--split", "train=1", "--workers", 1)
    assert exit_code(tmp_path / "photos", tmp_path / "out", *flags) == 0
    printed = capsys.readouterr()
    assert NOBODY not in printed.out
    first = printed.err.splitlines()[0]
    said = "he folders test, train are taken for people, though they hold folders (test/id2, "
    assert first.startswith(f"note: t{said}")
    assert f"T{said}" in (tmp_path / "out" / "report.html").read_text("utf-8")
    (guess,) = json.loads((tmp_path / "out" / "manifest.json").read_text())["guesses"]
    assert (guess["code"], guess["taken"]) == ("split_folders", ["test", "train"])


def test_an_output_in_the_input_is_refused(photos, capsys):
    # The next run would list the output as an identity.
    assert exit_code(photos, photos / "out") == 2
    assert capsys.readouterr().err.startswith("facemill: --output must not lie in --input")
    assert not (photos / "out").exists()
