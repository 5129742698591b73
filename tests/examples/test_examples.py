"""Runs each example on small inputs and checks what it prints."""

import ast
import importlib
import re
import shutil
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, capsys, *arguments) -> list[str]:
    """The lines that an example prints."""
    importlib.import_module(f"examples.{name}").main([str(one) for one in arguments])
    return capsys.readouterr().out.splitlines()


def test_every_example_has_a_docstring_with_its_command_and_a_test():
    names = sorted(path.stem for path in EXAMPLES.glob("*.py"))
    assert len(names) == 5
    for name in names:
        docstring = ast.get_docstring(ast.parse((EXAMPLES / f"{name}.py").read_text("utf-8")))
        assert f"python examples/{name}.py" in str(docstring)
        assert f"test_{name}" in globals()


@pytest.mark.moderate
def test_custom_source(tiny_photos, tmp_path, capsys):
    archive = shutil.make_archive(str(tmp_path / "photos"), "zip", tiny_photos)
    lines = run("custom_source", capsys, archive)
    assert sorted(lines) == [f"id{number:05d}: 8 photos" for number in range(1, 13)]


@pytest.mark.moderate
def test_dedup_in_a_pipeline(tiny_photos, tmp_path, capsys):
    photo = tiny_photos / "id00001" / "id00001_0001.jpg"
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(photo, tmp_path / name)
    shutil.copy(tiny_photos / "id00002" / "id00002_0001.jpg", tmp_path / "c.jpg")
    copy, total = run("dedup_in_a_pipeline", capsys, tmp_path / "*.jpg")
    assert copy == f"{tmp_path / 'b.jpg'}: same pixels of {tmp_path / 'a.jpg'}"
    assert total == f"{photo.stat().st_size:,} bytes in copies"


@pytest.mark.moderate
def test_read_index(tiny_dataset, capsys):
    lines = run("read_index", capsys, tiny_dataset)
    assert re.fullmatch(r"kept +96", lines[lines.index("outcomes:") + 2])
    assert lines[lines.index("most frequent reasons:") + 1] == "none"
    (train,) = [line.split() for line in lines if line.startswith("train ")]
    (val,) = [line.split() for line in lines if line.startswith("val ")]
    assert int(train[2]) + int(val[2]) == 96
    assert int(train[1]) + int(val[1]) == 12


@pytest.mark.slow
def test_train_own_model(tiny_dataset, capsys):
    lines = run("train_own_model", capsys, tiny_dataset)
    losses = [float(re.search(r"loss ([\d.]+)", line)[1]) for line in lines]
    assert len(losses) == 5
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_score_from_python(tiny_model, tiny_photos, tmp_path, capsys):
    photos = shutil.copytree(tiny_photos, tmp_path / "photos")
    (photos / "id00001" / "page.jpg").write_bytes(b"page")
    failed, counted, *pairs = run("score_from_python", capsys, tiny_model, photos)
    assert failed == "page.jpg has no embedding: not an image of a known format"
    assert counted == "96 photos, 16 numbers for each"
    found = [float(line.split()[0]) for line in pairs]
    assert len(found) == 5
    assert found == sorted(found, reverse=True)
