import numpy as np

from facemill.model.export import comparison


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_a_difference_is_the_largest_component_and_the_least_cosine():
    expected = unit(np.eye(4) + 0.1)
    found = expected.copy()
    assert comparison.difference(found, expected) == comparison.Difference(0.0, 1.0)
    found[2] = unit(expected[2:3] + np.array([0, 0.01, 0, 0]))[0]
    changed = comparison.difference(found, expected)
    assert changed.largest == np.abs(found - expected).max()
    cosine = float(found[2].astype(float) @ expected[2])
    np.testing.assert_allclose(changed.least_cosine, cosine, rtol=1e-6)
    assert not changed.exact
    assert comparison.difference(expected + np.float32(1e-5), expected).exact


def test_a_file_that_gives_nan_differs_infinitely():
    found = comparison.difference(np.full((2, 3), np.nan, np.float32), unit(np.ones((2, 3))))
    assert found == comparison.Difference(float("inf"), -1.0)
    assert not found.exact


def test_each_call_is_measured_on_the_same_images():
    seen: dict[str, set[tuple[int, ...]]] = {"a": set(), "b": set()}

    def call(name: str):
        def run(pixels: np.ndarray) -> np.ndarray:
            seen[name].add(pixels.shape)
            return np.sort(pixels, axis=None)

        return run

    pixels = np.zeros((3, 8, 8, 3), np.uint8)
    found = comparison.cpu_milliseconds({name: call(name) for name in seen}, pixels)
    assert seen == {"a": {pixels.shape}, "b": {pixels.shape}}
    assert list(found) == ["a", "b"]
    assert all(value >= 0 for value in found.values())
