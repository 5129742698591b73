"""The adapter of MTCNN: coordinates and order of what it finds in drawn faces."""

import numpy as np
import pytest

from transforms.faces.mtcnn import Mtcnn
from transforms.synthetic.faces import render

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def detector() -> Mtcnn:
    return Mtcnn()
