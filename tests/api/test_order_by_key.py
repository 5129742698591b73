import numpy as np
import pytest
from apache_beam import coders

from facemill.beam.order_by_key import ROW, Rows


@pytest.mark.parametrize("width", [0, 3])
def test_rows_survive_their_coder(width):
    generator = np.random.default_rng(1)
    rows = np.frombuffer(generator.bytes(5 * ROW.itemsize), ROW)
    windows = generator.integers(0, 255, (5, width), np.uint8)
    coder = coders.registry.get_coder(Rows)
    decoded = coder.decode(coder.encode(Rows(rows, windows)))
    assert coder.is_deterministic()
    assert decoded.rows.tobytes() == rows.tobytes()
    np.testing.assert_array_equal(decoded.windows, windows)
    assert len(decoded) == 5
