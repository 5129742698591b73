from pathlib import Path

from facemill.transforms.duplicates.notes import Notes, note, noted


def test_the_counts_of_all_elements_are_summed_and_an_element_counts_once(tmp_path: Path):
    assert noted(str(tmp_path)) == Notes()
    note(str(tmp_path), 7, Notes())
    assert noted(str(tmp_path)) == Notes()
    for _ in range(2):
        note(str(tmp_path), 1, Notes(3, 0))
        note(str(tmp_path), 1 << 63, Notes(1, 4))
    assert noted(str(tmp_path)) == Notes(4, 4)
