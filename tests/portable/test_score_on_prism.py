"""The same scoring graph on a portable runner, its workers in another process."""

import json
import shutil

import pytest

from facemill.pipelines import cli
from tests.artifacts import contents
from tests.commands import facemill

pytestmark = [pytest.mark.portable, pytest.mark.slow]


def test_embeddings_are_byte_equal_to_those_of_a_local_run(
    tiny_photos, tiny_model, tmp_path, prism_flags
):
    photos = tmp_path / "photos"
    shutil.copytree(tiny_photos, photos)
    (photos / "id00001" / "empty.jpg").write_bytes(b"")
    (photos / "id00002" / "page.jpg").write_bytes(b"<html></html>")
    options = ["score", "--input", str(photos), "--model", str(tiny_model)]
    assert cli.main([*options, "--output", str(tmp_path / "local")]) == 0
    facemill(*options, "--output", tmp_path / "prism", *prism_flags, timeout=300)

    local, portable = contents(tmp_path / "local"), contents(tmp_path / "prism")
    assert local == portable
    assert any(name.startswith("part-") for name in local)
    assert any(name.startswith("errors/") for name in local)
    assert json.loads((tmp_path / "prism/run.json").read_text())["runner"] == "PortableRunner"
    assert json.loads((tmp_path / "local/run.json").read_text())["runner"] == "FnApiRunner"
