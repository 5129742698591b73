import pytest

from facemill.transforms import storage
from facemill.transforms.core.errors import NotSharedError
from facemill.transforms.dataset.output_files import OutputFiles


@pytest.fixture(params=["disk", "store"])
def files(request, root, tmp_path) -> OutputFiles:
    """Where a run writes, on a disk or on either store."""
    if request.param == "disk":
        return OutputFiles(str(tmp_path))
    storage.touch(f"{root}/.work-1/running")
    return OutputFiles(root, f"{root}/.work-1/running")


def test_files_are_written_where_they_are_read(files):
    files.write("report.html", b"report")
    files.write("train/part-0", memoryview(b"shard"))
    with files.new_file("train/part-1", 1 << 20) as stream:
        stream.write(b"sha")
        stream.write(b"rd")
    for name, data in (("report.html", b"report"), ("train/part-0", b"shard")):
        assert storage.read_bytes(files.path(name)) == data
    assert storage.names(files.path("train")) == ["part-0", "part-1"]


def test_a_bundle_that_is_tried_again_leaves_the_last_content(files):
    for data in (b"one", b"one", b"other", b"longer"):
        files.write("train/part-0", data)
        assert storage.read_bytes(files.path("train/part-0")) == data


def test_a_failed_write_leaves_no_file(files):
    with pytest.raises(TypeError):
        files.write("part-0", "text")  # type: ignore[arg-type]
    assert not storage.exists(files.path("part-0"))


@pytest.mark.parametrize("name", ["part-0", "train/part-0"])
def test_a_run_that_has_ended_writes_nothing(files, name):
    storage.remove(files.run.rpartition("/")[0] if files.run else files.folder)
    with pytest.raises(NotSharedError):
        files.write(name, b"late")
    assert not storage.exists(files.folder)
