import pytest

from facemill.transforms.core.errors import RunError
from facemill.transforms.scoring.one_row_each import OneRowEach


def test_the_second_row_of_an_image_is_refused_in_whatever_table_it_comes():
    images = OneRowEach("/e")
    images.check()
    images.add(["a", "b"])
    images.add([])
    images.check()
    images.add(["c", "a"])
    with pytest.raises(RunError, match="one row in /e, but some have two"):
        images.check()
