import tempfile
from pathlib import Path

import pytest

from facemill.pipelines.common.failures import failures_in_sentences
from facemill.pipelines.common.runner import LOCAL
from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset.image_metadata import ANALYZED
from facemill.transforms.shards import analyzed_rows, statistics
from facemill.transforms.shards.analysis import Analysis
from facemill.transforms.shards.analyzed_rows import ANALYZED_ROWS, write_rows
from tests.artifacts import contents
from tests.transforms.shards.test_statistics import analyze, metadata


def left(temporary: Path) -> list[str]:
    """Temporary files, without those that TensorFlow removes when the process ends."""
    return [one.name for one in temporary.iterdir() if "autograph" not in one.name]


@pytest.fixture
def folders(tmp_path, monkeypatch) -> tuple[Path, Path]:
    """A scratch directory, and an empty folder for all temporary files of this machine."""
    scratch, temporary = tmp_path / "scratch", tmp_path / "temporary"
    scratch.mkdir()
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return scratch, temporary


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> str:
    """The transform of all rows at once."""
    return analyze([metadata()], tmp_path_factory.mktemp("expected"))


@pytest.mark.slow
@pytest.mark.parametrize("store", ["s3"], indirect=True)
@pytest.mark.parametrize("there", [False, True])
def test_the_files_of_workers_give_the_transform_of_all_their_rows(
    expected, folders, store, root, capfd, there
):
    scratch, temporary = root if there else str(folders[0]), folders[1]
    with Analysis(scratch) as analysis:
        # The graph is built before there are any rows.
        whole = metadata().select(ANALYZED)
        for number, (start, length) in enumerate([(5, 9), (0, 1), (1, 4)]):
            rows = whole.slice(start, length)
            write_rows(rows, f"{scratch}/{ANALYZED_ROWS}", f"part-{number}")
        capfd.readouterr()
        analysis.run()
        assert capfd.readouterr() == ("", "")
        # A transform of a scratch on a store is in a temporary folder, which goes in the end.
        found = analysis.transform
        assert Path(found).is_relative_to(temporary if there else scratch)
        moments, files = statistics.moments(found), statistics.stable_files(found)
        other = contents(Path(found))
    assert not left(temporary)

    assert moments == statistics.moments(expected)
    names = statistics.stable_files(expected)
    assert files == names
    one = contents(Path(expected))
    assert one.keys() == other.keys()
    assert {name: one[name] for name in names} == {name: other[name] for name in names}


@pytest.mark.long
@pytest.mark.slow
def test_a_split_without_images_has_a_transform(folders):
    with Analysis(str(folders[0])) as analysis:
        analysis.run()
        statistics.write_placeholder_vocabulary(analysis.transform)
        assert statistics.moments(analysis.transform).pixel_std == (1.0, 1.0, 1.0)


@pytest.mark.slow
def test_a_damaged_file_is_one_sentence_and_leaves_no_temporary_files(folders, caplog):
    scratch, temporary = folders
    (scratch / ANALYZED_ROWS).mkdir()
    (scratch / ANALYZED_ROWS / f"part-0{analyzed_rows._ENDING}").write_bytes(b"not rows")
    with (
        pytest.raises(RunError, match=f"must run to its end on {LOCAL}, but it failed") as failed,
        failures_in_sentences(LOCAL, "this machine"),
        Analysis(str(scratch)) as analysis,
    ):
        analysis.run()
    assert "\n" not in str(failed.value)
    assert "Traceback" not in caplog.text
    assert not left(temporary)


@pytest.mark.slow
@pytest.mark.parametrize("store", ["s3"], indirect=True)
@pytest.mark.parametrize("there", [False, True])
def test_an_analysis_that_is_never_run_leaves_no_temporary_files(folders, store, root, there):
    scratch, temporary = folders
    with Analysis(root if there else str(scratch)):
        assert left(temporary)
    assert not left(temporary)
