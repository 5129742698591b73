"""The status file: what an alert sees of a run."""

import json
from types import SimpleNamespace

import pytest

from facemill.pipelines import cli
from facemill.pipelines.common.status import Status
from facemill.transforms.core.errors import UsageError
from tests import embedding_sets
from tests.embedding_sets import draw


@pytest.fixture
def nights(tmp_path):
    root = tmp_path / "nights"
    embedding_sets.write(root / "2026-11-25", ["a.jpg", "b.jpg"], draw(1, 1, 2))
    return root


def read(path):
    return json.loads(path.read_text())


def compact(nights, output, *more) -> int:
    return cli.main(["compact", "--partitions", str(nights), "--output", str(output), *more])


def test_a_run_that_is_done_has_its_counts(nights, tmp_path):
    file = tmp_path / "status" / "compact.json"
    assert compact(nights, tmp_path / "all", "--status-file", str(file)) == 0
    found = read(file)
    assert found["command"] == "compact"
    assert (found["state"], found["exit_code"], found["message"]) == ("done", 0, "")
    assert found["counts"]["images"] == 2
    assert found["output"] == str(tmp_path / "all")


def test_a_refused_command_line_has_its_sentence(nights, tmp_path, capsys):
    file = tmp_path / "status.json"
    assert compact(nights, tmp_path / "all", f"--status-file={file}", "--nonsense") == 2
    found = read(file)
    assert (found["state"], found["exit_code"]) == ("refused", 2)
    assert found["message"] in capsys.readouterr().err
    assert "--nonsense" in found["message"]


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (OSError(28, "No space left on device", "/some/file"), "failed", 1),
        (MemoryError(), "failed", 1),
        (KeyboardInterrupt(), "interrupted", 130),
    ],
)
def test_each_end_has_its_state(error, state, code, tmp_path, monkeypatch):
    def run(given, status):
        raise error

    monkeypatch.setattr(cli, "_run", run)
    file = tmp_path / "status.json"
    assert cli.main(["score", "--status-file", str(file)]) == code
    found = read(file)
    assert (found["state"], found["exit_code"]) == (state, code)
    assert found["message"]


def test_an_error_of_the_program_is_told_and_keeps_its_traceback(tmp_path, monkeypatch):
    def run(given, status):
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "_run", run)
    file = tmp_path / "status.json"
    with pytest.raises(ZeroDivisionError):
        cli.main(["score", "--status-file", str(file)])
    assert read(file)["state"] == "failed"


def test_it_says_running_from_the_start(tmp_path):
    file = tmp_path / "status.json"
    status = Status(["score", "--status-file", str(file)])
    status.begin(SimpleNamespace(output=str(tmp_path / "out"), partition="2026-11-25"))
    assert read(file)["state"] == "running"
    assert status.end(1, "It failed.") == ""
    assert read(file)["output"] == str(tmp_path / "out" / "2026-11-25")


def test_a_file_that_cannot_be_written_refuses_the_run(nights, tmp_path, capsys):
    assert compact(nights, tmp_path / "all", "--status-file", str(tmp_path)) == 2
    said = capsys.readouterr().err
    assert "--status-file must be a file that can be written" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "all").exists()


def test_a_file_that_cannot_be_written_at_the_end_is_told(tmp_path):
    file = tmp_path / "folder" / "status.json"
    status = Status(["score", "--status-file", str(file)])
    status.begin(SimpleNamespace(output=None))
    file.unlink()
    file.mkdir()
    assert str(file) in status.end(0, "")


def test_nothing_is_written_unasked(tmp_path):
    status = Status(["score", "--output", "x"])
    status.begin(SimpleNamespace(output=str(tmp_path)))
    assert status.end(0, "") == ""
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError):
        Status(["score", "--status-file", str(tmp_path)]).begin(SimpleNamespace(output=None))
