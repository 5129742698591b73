from facemill.transforms.scoring.progress import mark, marked


def test_marks_add_up(tmp_path):
    folder = str(tmp_path / "progress")
    assert marked(folder) == 0
    for images in (256, 256, 3, 0):
        mark(folder, images)
    assert marked(folder) == 515
