"""The same command on a complete dataset."""

import os
import shutil

import pytest

from facemill.pipelines import cli
from tests.pipelines.ingest.ingesting import arguments, draw, exit_code, ingest

pytestmark = pytest.mark.slow

FLAGS = ("--dedup", "exact", "--split", "train=1", "--workers", "1")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Photos and the dataset that was made of them."""
    folder = tmp_path_factory.mktemp("complete")
    for identity in (1, 2):
        for image in (0, 1):
            path = draw(folder / "photos", identity, image)
            os.utime(path, (1e9, 1e9))
    ingest(folder / "photos", folder / "dataset", *FLAGS)
    return folder / "photos", folder / "dataset"


def again(made, capsys, *flags) -> tuple[int, str]:
    """Exit code of the same command, and what it printed."""
    photos, dataset = made
    given = arguments(photos, dataset, *FLAGS, *flags)[1:]
    code = cli.main(["ingest", *given])
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def test_an_unchanged_input_needs_no_work(made, capsys):
    for flags in ((), ("--compare-input", "contents")):
        code, said = again(made, capsys, *flags)
        assert code == 0
        assert "is already complete" in said


def test_new_photos_are_refused_with_what_adds_them(made, capsys):
    photos, dataset = made
    path = draw(photos, 3, 0)
    try:
        code, said = again(made, capsys)
    finally:
        shutil.rmtree(path.parent)
    assert code == 2
    assert f"facemill: --input must hold what {dataset} was made of (4 files)" in said
    assert "now holds 5: 1 new (id03/000.jpg); add what is new by --append-to" in said


def test_a_replaced_photo_is_found_by_its_time_and_by_its_content(made, capsys):
    photos, _ = made
    path = photos / "id01" / "000.jpg"
    content = path.read_bytes()
    # Another photo of the same length and time.
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, (1e9, 1e9))
    assert again(made, capsys)[0] == 0
    code, said = again(made, capsys, "--compare-input", "contents")
    assert code == 2
    assert "now holds 4: 1 changed (id01/000.jpg)" in said
    # The photo of before, written anew.
    path.write_bytes(content)
    code, said = again(made, capsys)
    assert code == 2
    assert "now holds 4: 1 changed (id01/000.jpg)" in said
    assert again(made, capsys, "--compare-input", "contents")[0] == 0


def test_a_dataset_that_was_appended_to_may_move(made, tmp_path):
    _, dataset = made
    flags = ("--dedup", "exact", "--split", "train=1", "--append-to")
    draw(tmp_path / "more", 4, 0)
    assert exit_code(tmp_path / "more", tmp_path / "next", *flags, dataset) == 0
    moved = shutil.copytree(dataset, tmp_path / "moved")
    assert exit_code(tmp_path / "more", tmp_path / "next", *flags, moved) == 0
