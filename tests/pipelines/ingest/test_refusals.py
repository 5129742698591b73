"""`facemill ingest`: wrong input and wrong options are refused in one sentence."""

from pathlib import Path

import pytest

from tests.pipelines.ingest.ingesting import exit_code, listing, rows_of

pytestmark = pytest.mark.slow


def _make_missing(path: Path) -> None:
    del path


def _make_file(path: Path) -> None:
    path.write_bytes(b"no directory")


def _make_broken(path: Path) -> None:
    (path / "someone").mkdir(parents=True)
    (path / "someone" / "a.jpg").write_bytes(b"")
    (path / "someone" / "b.jpg").write_bytes(b"<html></html>")


def _make_folders(path: Path) -> None:
    (path / "someone").mkdir(parents=True)
    (path / "someone else").mkdir()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_make_missing, "does not exist"),
        (Path.mkdir, "is empty"),
        (_make_file, "must be a folder, a manifest"),
        (_make_folders, "must hold images, but none was found"),
        (_make_broken, "2 of 2"),
    ],
    ids=["missing", "empty", "a file", "nothing in the folders", "only broken files"],
)
def test_an_input_without_images_is_refused_in_one_sentence(tmp_path, capfd, make, message):
    make(tmp_path / "photos")
    assert exit_code(tmp_path / "photos", tmp_path / "out") in (1, 2)
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("facemill:")]
    assert len(errors) == 1
    assert message in errors[0]
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_more_broken_files_than_allowed_fail_the_run(tmp_path, tiny_photos, capfd):
    photos = tmp_path / "photos"
    (photos / "a").mkdir(parents=True)
    for number, source in enumerate(sorted((tiny_photos / "id00001").iterdir())[:3]):
        (photos / "a" / source.name).write_bytes(source.read_bytes())
        (photos / "a" / f"broken{number}.jpg").write_bytes(source.read_bytes()[:300])
    flags = ("--split", "train=1")
    assert exit_code(photos, tmp_path / "out", *flags, "--max-rejected", "0.4") == 1
    assert "3 of 6" in capfd.readouterr().err
    assert not (tmp_path / "out" / "manifest.json").exists()
    # --max-rejected may differ: it does not change the result.
    assert exit_code(photos, tmp_path / "out", *flags, "--max-rejected", "0.5") == 0
    assert rows_of(tmp_path / "out").keys() == listing(photos)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--split", "train=0.5,val=0.6"), "must sum to 1"),
        (("--split", "val=1"), "--split must give shares"),
        (("--split", "training=1"), "--split must give shares"),
        (("--image-size", "8"), "--image-size must be"),
        (("--crop-fraction", "0"), "--crop-fraction must be"),
        (("--min-images", "0"), "--min-images must be"),
        (("--workers", "0"), "--workers must be"),
        (("--dedup", "sometimes"), "--dedup"),
        (("--include-identities", "/does/not/exist"), "--include-identities must be a text file"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(tiny_photos, tmp_path, capfd, flags, message):
    assert exit_code(tiny_photos, tmp_path / "out", *flags) == 2
    error = capfd.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
