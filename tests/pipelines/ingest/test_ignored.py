"""`facemill ingest`: files that were never meant as images are ignored, counted and shown."""

import pytest

from tests.pipelines.ingest.ingesting import check, draw, ingest, manifest_of, section

pytestmark = pytest.mark.slow


def test_more_sidecars_than_photos_do_not_fail_a_run(tmp_path, capsys):
    photos, held = tmp_path / "photos", tmp_path / "held"
    for image in range(3):
        draw(photos, 1, image, f"ada/{image}.jpg")
        (photos / "ada" / f"{image}.json").write_text("{}")
        (photos / "ada" / f"._{image}.jpg").write_bytes(b"attributes")
    (photos / "__MACOSX" / "ada").mkdir(parents=True)
    (photos / "__MACOSX" / "ada" / "._0.jpg").write_bytes(b"attributes")
    (photos / "notes").mkdir()
    (photos / "notes" / "todo.txt").write_text("no photo here")
    (photos / ".DS_Store").write_bytes(b"view")
    draw(held, 2, 0, "bob/0.jpg")
    (held / ".DS_Store").write_bytes(b"view")
    flags = ("--split", "train=1", "--max-rejected", 0)
    ingest(photos, tmp_path / "out", *flags, "--exclude-dataset", held)
    printed = capsys.readouterr().out
    rows = check(tmp_path / "out")
    kept = {name for name, row in rows.items() if row["outcome"] == "kept"}
    assert kept == {f"ada/{image}.jpg" for image in range(3)}
    assert {row["outcome"] for name, row in rows.items() if name not in kept} == {"ignored"}
    assert {row["identity"] for row in rows.values()} == {"ada", None}
    manifest = manifest_of(tmp_path / "out")
    assert manifest["counts"] == {
        **{"listed": 12, "kept": 3, "duplicate": 0, "conflict": 0, "rejected": 0, "dropped": 0},
        "ignored": 9,
    }
    assert "ignored               9" in printed
    assert "1 of 1 images of the held-out set were compared; 1 files in it were ignored" in printed
    assert (manifest["held_out"]["listed"], manifest["held_out"]["ignored"]) == (1, 1)
    shown = section(tmp_path / "out", "Rejected, dropped and ignored")
    for text in (".DS_Store", "never images: .json", "ada/._0.jpg"):
        assert text in shown
