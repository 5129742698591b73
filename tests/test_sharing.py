import multiprocessing
from pathlib import Path

import pytest

from tests.sharing import made_once, run_folder


def _make_in_a_process(root: Path) -> None:
    def make(folder: Path) -> None:
        with open(root / "calls", "a") as calls:
            calls.write("made\n")
        (folder / "content").write_text("complete")

    assert (made_once(root, "thing", make) / "content").read_text() == "complete"


@pytest.mark.moderate
def test_processes_that_call_at_once_make_the_folder_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_make_in_a_process, args=(tmp_path,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert (tmp_path / "calls").read_text() == "made\n"


def test_a_failed_attempt_is_repeated_from_nothing(tmp_path):
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        made_once(tmp_path, "thing", fail)
    found = made_once(tmp_path, "thing", lambda folder: (folder / "all").touch())
    assert [path.name for path in found.iterdir()] == ["all"]


def test_workers_of_one_run_share_a_folder(tmp_path, monkeypatch):
    class Factory:
        def getbasetemp(self) -> Path:
            return tmp_path / "popen-gw1"

    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw1")
    assert run_folder(Factory()) == tmp_path
    monkeypatch.delenv("PYTEST_XDIST_WORKER")
    assert run_folder(Factory()) == tmp_path / "popen-gw1"
