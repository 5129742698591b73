"""Previews show the complete photo, whatever its proportions."""

import numpy as np
import pytest

from facemill.transforms.images.preview import preview


@pytest.mark.parametrize(("height", "width"), [(100, 400), (400, 100), (3000, 1), (1, 1), (64, 64)])
def test_the_photo_is_in_the_middle_in_its_proportions(height, width):
    square = preview(np.full((height, width, 3), 250, np.uint8), 64)
    assert square.shape == (64, 64)
    assert square.dtype == np.uint8
    rows, columns = (np.flatnonzero((square == 250).any(axis=axis)) for axis in (1, 0))
    longer = max(height, width)
    assert len(rows) == max(1, round(64 * height / longer))
    assert len(columns) == max(1, round(64 * width / longer))
    assert abs(rows[0] - (63 - rows[-1])) <= 1
    assert abs(columns[0] - (63 - columns[-1])) <= 1


def test_all_of_the_photo_is_shown():
    photo = np.zeros((200, 100, 3), np.uint8)
    photo[:100] = 255
    square = preview(photo, 64)
    assert (square[:32, 20:40] == 255).all()
    assert (square[32:, 20:40] == 0).all()
