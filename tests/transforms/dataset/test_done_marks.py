import pytest

from facemill.transforms.core.errors import RunError
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
