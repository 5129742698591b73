import sys
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.faces import crop
from facemill.transforms.faces.base import Face
from facemill.transforms.faces.crop import CropConfig, frame
from facemill.transforms.images.resize import center_square, resize_to_square

IMAGES = [
    np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)
    for seed, shape in enumerate([(40, 60), (50, 30), (24, 24)])
]


def test_none_resizes_the_whole_image_and_center_crops_its_middle():
    no_landmarks = [None] * 3
    whole = frame(CropConfig(24, "none"), IMAGES, no_landmarks)
    middle = frame(CropConfig(24, "center", 0.8), IMAGES, no_landmarks)
    for image, resized, part in zip(IMAGES, whole, middle, strict=True):
        np.testing.assert_array_equal(resized.pixels, resize_to_square(image, 24))
        np.testing.assert_array_equal(part.pixels, center_square(image, 24, 0.8))
        assert (resized.faces, resized.score, resized.box) == (None, None, None)
    np.testing.assert_array_equal(whole[2].pixels, IMAGES[2])
    assert not np.array_equal(whole[0].pixels, middle[0].pixels)


@pytest.mark.parametrize(
    "crop_config", [CropConfig(), CropConfig(64, "none"), CropConfig(112, "center", 0.7)]
)
def test_a_crop_config_is_read_back_from_its_manifest(crop_config):
    assert CropConfig.from_manifest(crop_config.to_manifest()) == crop_config


def test_same_region_ignores_only_the_size():
    assert CropConfig(64, "center", 0.5).same_region(CropConfig(112, "center", 0.5))
    assert not CropConfig(64, "center", 0.5).same_region(CropConfig(64, "center", 0.6))
    assert not CropConfig(64, "center").same_region(CropConfig(64, "none"))


def test_landmarks_and_boxes_of_an_image_decoded_smaller_are_in_pixels_of_the_photo(monkeypatch):
    pixels = render(0, 3, 0, 112)
    points = (38.3, 51.7, 73.5, 51.5, 56.0, 71.7, 41.5, 92.4, 70.7, 92.2)
    crop_config = CropConfig(112, "landmarks")
    (plain,) = frame(crop_config, [pixels], [points])
    (scaled,) = frame(crop_config, [pixels], [tuple(4 * one for one in points)], [4.0])
    np.testing.assert_array_equal(plain.pixels, scaled.pixels)
    face = Face((10.0, 20.0, 90.0, 100.0), 0.9, np.reshape(points, (5, 2)))
    monkeypatch.setattr(crop, "_detect", lambda name, images: [[face]] * len(images))
    one, two = frame(CropConfig(112, "detect"), [pixels] * 2, [None] * 2, [1.0, 2.0])
    assert one.box == (10, 20, 90, 100)
    assert two.box == (20, 40, 180, 200)
    np.testing.assert_array_equal(one.pixels, two.pixels)


@pytest.mark.moderate
def test_concurrent_threads_find_the_same_faces_as_one_thread():
    crop_config = CropConfig(64, "detect")
    border = ((40, 40), (40, 40), (0, 0))
    batches = [
        [
            np.pad(render(0, 8 * batch + one, 0, 112), border, constant_values=128)
            for one in range(8)
        ]
        for batch in range(4)
    ]
    no_landmarks = [None] * 8
    alone = [frame(crop_config, batch, no_landmarks) for batch in batches]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            rounds = [pool.submit(frame, crop_config, batch, no_landmarks) for batch in batches * 6]
            together = [one.result() for one in rounds]
    finally:
        sys.setswitchinterval(interval)
    for number, found in enumerate(together):
        for one, other in zip(found, alone[number % 4], strict=True):
            np.testing.assert_array_equal(one.pixels, other.pixels)
            assert one.box == other.box


class _Exclusive:
    """A detector that refuses a second caller."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def detect(self, images: list[np.ndarray]) -> list[list[Face]]:
        assert self._lock.acquire(blocking=False), "two threads at the same time"
        try:
            # Both threads must be here at the same time, or the barrier breaks.
            _both.wait(60)
        finally:
            self._lock.release()
        return [[] for _ in images]


_both = threading.Barrier(2)


def test_each_of_two_threads_has_a_detector_and_later_threads_reuse_both(monkeypatch):
    loaded = []

    def load(name):
        loaded.append(_Exclusive())
        return loaded[-1]

    monkeypatch.setattr(crop.registry, "load", load)
    monkeypatch.setattr(crop, "_idle", defaultdict(list))
    monkeypatch.setattr(crop, "_detector_slots", threading.BoundedSemaphore(2))
    image = np.zeros((20, 20, 3), np.uint8)
    for _ in range(3):
        with ThreadPoolExecutor(2) as pool:
            found = list(
                pool.map(lambda _: frame(CropConfig(16, "detect"), [image], [None]), range(2))
            )
        assert found == [[crop.NO_FACE]] * 2
    assert len(loaded) == 2


def test_a_detector_that_failed_is_not_used_again(monkeypatch):
    class Failing:
        def detect(self, images):
            raise RuntimeError("tensor")

    monkeypatch.setattr(crop.registry, "load", lambda name: Failing())
    monkeypatch.setattr(crop, "_idle", defaultdict(list))
    with pytest.raises(RuntimeError, match="tensor"):
        frame(CropConfig(16, "detect"), IMAGES[:1], [None])
    assert not crop._idle["blazeface"]
