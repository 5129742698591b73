import tempfile
from pathlib import Path

import pytest

from facemill.pipelines.common.runner import LOCAL, failures_in_sentences
from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset.image_metadata import ANALYZED
from facemill.transforms.shards import analyzed_rows, statistics
from facemill.transforms.shards.analysis import Analysis
from facemill.transforms.shards.analyzed_rows import write_rows
from tests.artifacts import contents
from tests.transforms.shards.test_statistics import analyze, metadata


def left(temporary: Path) -> list[str]:
    """Temporary files, without those that TensorFlow removes when the process ends."""
    return [one.name for one in temporary.iterdir() if "autograph" not in one.name]


@pytest.fixture
def folders(tmp_path, monkeypatch) -> tuple[Path, Path]:
    """A folder for rows, and an empty one for all temporary files of this machine."""
    rows, temporary = tmp_path / "rows", tmp_path / "temporary"
    rows.mkdir()
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return rows, temporary


@pytest.mark.slow
def test_the_files_of_workers_give_the_transform_of_all_their_rows(tmp_path, folders, capfd):
    rows, temporary = folders
    with Analysis(str(rows)) as analysis:
        # The graph is built before there are any rows.
        whole = metadata().select(ANALYZED)
        for number, (start, length) in enumerate([(5, 9), (0, 1), (1, 4)]):
            write_rows(whole.slice(start, length), str(rows), f"part-{number}")
        capfd.readouterr()
        analysis.run(str(tmp_path / "scratch" / "transform"))
        assert capfd.readouterr() == ("", "")
    assert not left(temporary)

    expected, found = analyze([metadata()], tmp_path), str(tmp_path / "scratch" / "transform")
    assert statistics.moments(found) == statistics.moments(expected)
    names = statistics.stable_files(expected)
    assert statistics.stable_files(found) == names
    one, other = contents(Path(expected)), contents(Path(found))
    assert one.keys() == other.keys()
    assert {name: one[name] for name in names} == {name: other[name] for name in names}


@pytest.mark.slow
def test_a_split_without_images_has_a_transform(tmp_path, folders):
    rows, _ = folders
    with Analysis(str(rows)) as analysis:
        analysis.run(str(tmp_path / "transform"))
    statistics.write_placeholder_vocabulary(str(tmp_path / "transform"))
    assert statistics.moments(str(tmp_path / "transform")).pixel_std == (1.0, 1.0, 1.0)


@pytest.mark.slow
def test_a_damaged_file_is_one_sentence_and_leaves_no_temporary_files(tmp_path, folders, caplog):
    rows, temporary = folders
    (rows / f"part-0{analyzed_rows._ENDING}").write_bytes(b"not rows")
    with (
        pytest.raises(RunError, match=f"must run to its end on {LOCAL}, but it failed") as failed,
        failures_in_sentences(LOCAL),
        Analysis(str(rows)) as analysis,
    ):
        analysis.run(str(tmp_path / "transform"))
    assert "\n" not in str(failed.value)
    assert "Traceback" not in caplog.text
    assert not (tmp_path / "transform").exists()
    assert not left(temporary)


@pytest.mark.slow
def test_an_analysis_that_is_never_run_leaves_no_temporary_files(folders):
    rows, temporary = folders
    with Analysis(str(rows)):
        assert left(temporary)
    assert not left(temporary)
