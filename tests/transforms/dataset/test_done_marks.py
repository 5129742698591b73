from types import SimpleNamespace

import pytest

from facemill.transforms import storage
from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset import done_marks
from facemill.transforms.dataset.done_marks import images_done, mark_done


def test_images_of_all_marks_are_added_and_a_repeated_mark_counts_once(tmp_path):
    folder = str(tmp_path / "done")
    assert images_done(folder) == 0
    for key, images in (("a", 256), ("b", 256), ("c", 3), ("d", 0), ("b", 256)):
        mark_done(folder, key, images)
    assert images_done(folder) == 515


def test_an_output_that_this_machine_does_not_see_is_reported(tmp_path):
    with pytest.raises(RunError, match="must be on storage that all workers see"):
        mark_done(str(tmp_path / "absent" / "done"), "a", 1)


@pytest.fixture
def marks(monkeypatch):
    """Makes this process a new one."""

    def start() -> None:
        monkeypatch.setattr(done_marks, "_marks", done_marks._Marks())

    start()
    return start


@pytest.mark.moderate
def test_on_a_store_every_process_reports_its_sum(root, marks, monkeypatch):
    monkeypatch.setattr(done_marks, "_SECONDS", 0.0)
    folder = f"{root}/done"
    assert images_done(folder) == 0
    for key, images in (("a", 256), ("b", 256), ("c", 3), ("d", 0), ("b", 256)):
        mark_done(folder, key, images)
    assert images_done(folder) == 515
    marks()
    mark_done(folder, "e", 10)
    mark_done(f"{root}/other", "f", 1)
    assert images_done(folder) == 525
    assert len(storage.names(folder)) == 2


def test_on_a_store_marks_cost_requests_by_time_and_not_by_number(root, store, marks, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(done_marks, "time", SimpleNamespace(monotonic=lambda: now[0]))
    before = store.proxy.counts.total
    for number in range(200):
        now[0] += 0.1
        mark_done(f"{root}/done", f"{number}", 10)
    # 20 s: five times an object is written and the one before it removed.
    assert store.proxy.counts.total - before <= 5 * 4
    assert 0 < 2000 - images_done(f"{root}/done") <= 10 * 50
