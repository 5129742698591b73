"""The examples of docs/api.md run, one after the other, as its reader would run them."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.mark.slow
def test_the_examples_of_the_page_run(
    tiny_photos, tiny_dataset, tiny_model, tmp_path, monkeypatch, capsys
):
    for name, path in (("photos", tiny_photos), ("dataset", tiny_dataset), ("model", tiny_model)):
        (tmp_path / name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    assert len(blocks) == 9
    names: dict = {"__name__": "page"}
    for number, block in enumerate(blocks, 1):
        exec(compile(block, f"{PAGE.name}, example {number}", "exec"), names)
    printed = capsys.readouterr().out
    assert "(train, val), got 'validation'; choose one." in printed
    assert "Exclusion(key='camera-2/4', outcome='duplicate', duplicate_of='camera-1/17'" in printed
    assert "Exclusion(key='camera-2/5', outcome='rejected', duplicate_of=None" in printed
