import dataclasses

import cv2
import numpy as np
import pytest

from facemill.pipelines.synthesize.faces.faces import render, render_scene
from facemill.pipelines.synthesize.faces.features import EXPRESSIONS
from facemill.pipelines.synthesize.faces.scene import draw_scene
from facemill.transforms.duplicates import confirm, registration
from facemill.transforms.images import crop_variants, perceptual_hash

_FACES = [render(0, identity, 0, 250) for identity in range(5)]
# Among the variants, the mirror image that is not cut, and the crop whose frame is nearest to one.
_FRAMES = crop_variants.FRAMES
_MIRROR = int((np.abs(_FRAMES - _FRAMES[0]).max(axis=1) + ~crop_variants.MIRRORED).argmin())
_OUTSIDE = (_FRAMES < 0).any(axis=1) | (_FRAMES > 1).any(axis=1) | crop_variants.MIRRORED
_CROPPED = int((np.abs(_FRAMES - (0.02, 0.06, 0.93, 0.97)).max(axis=1) + _OUTSIDE).argmin())


def _thumbnails(images: list[np.ndarray]) -> np.ndarray:
    return np.stack([_crop(one) for one in images])


def _crop(image: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (128, 128), interpolation=cv2.INTER_LINEAR)


def _jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)


def _no_variant(count: int) -> np.ndarray:
    return np.zeros(count, np.int64)


_ORIGINALS = _thumbnails(_FACES)


@pytest.mark.parametrize(
    "copied",
    [
        lambda face: face,
        lambda face: _jpeg(face, 50),
        lambda face: cv2.resize(face, (125, 125), interpolation=cv2.INTER_AREA),
        lambda face: np.clip(face * 1.2, 0, 255).astype(np.uint8),
        lambda face: (face * 0.7).astype(np.uint8),
    ],
    ids=["same", "quality 50", "half", "brighter", "darker"],
)
def test_copies_are_confirmed_in_both_directions(copied) -> None:
    copies = _thumbnails([copied(face) for face in _FACES])
    assert confirm.same_photo(_ORIGINALS, copies, _no_variant(5)).all()
    assert confirm.same_photo(copies, _ORIGINALS, _no_variant(5)).all()


def _shrunk(face: np.ndarray, side: int) -> np.ndarray:
    return _jpeg(cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA), 92)


@pytest.mark.moderate
@pytest.mark.parametrize(("side", "copy_side"), [(64, 32), (112, 32), (250, 32)])
def test_small_copies_that_lack_detail_are_confirmed(side: int, copy_side: int) -> None:
    faces = [_shrunk(render(0, identity, 0, 250), side) for identity in range(20)]
    originals = _thumbnails(faces)
    copies = _thumbnails([_shrunk(face, copy_side) for face in faces])
    assert confirm.same_photo(originals, copies, _no_variant(20)).all()
    assert confirm.same_photo(copies, originals, _no_variant(20)).all()


@pytest.mark.parametrize("side", [64, 32, 24])
def test_small_images_of_other_photos_are_not_confirmed(side: int) -> None:
    first, second = np.nonzero(~np.eye(5, dtype=bool))
    small = _thumbnails([_shrunk(face, side) for face in _FACES])
    assert not confirm.same_photo(_ORIGINALS[first], small[second], _no_variant(len(first))).any()
    again = _thumbnails([_shrunk(render(0, identity, 1, 250), side) for identity in range(5)])
    assert not confirm.same_photo(_ORIGINALS, again, _no_variant(5)).any()


@pytest.mark.parametrize("by", [-4, 0, 4])
def test_a_crop_is_confirmed_where_its_frame_is_a_little_off(by: int) -> None:
    left, top, right, bottom = np.round(_FRAMES[_CROPPED] * 250).astype(int)
    crops = _thumbnails(
        [face[top + 4 + by : bottom - 4 + by, left + 4 : right - 4] for face in _FACES]
    )
    assert confirm.same_photo(_ORIGINALS, crops, np.full(5, _CROPPED)).all()


def test_mirror_images_are_confirmed_with_the_mirror_variant_only() -> None:
    mirrored = _thumbnails([face[:, ::-1] for face in _FACES])
    assert confirm.same_photo(_ORIGINALS, mirrored, np.full(5, _MIRROR)).all()
    assert not confirm.same_photo(_ORIGINALS, mirrored, _no_variant(5)).any()


def test_other_people_and_other_photos_of_the_same_are_not_confirmed() -> None:
    first, second = np.triu_indices(5, 1)
    for variant in range(0, len(crop_variants.FRAMES), 40):
        chosen = np.full(len(first), variant)
        assert not confirm.same_photo(_ORIGINALS[first], _ORIGINALS[second], chosen).any()
    again = _thumbnails([render(0, identity, 1, 250) for identity in range(5)])
    assert not confirm.same_photo(_ORIGINALS, again, _no_variant(5)).any()


def test_a_face_with_a_changed_mouth_is_not_confirmed() -> None:
    changed = _ORIGINALS.copy()
    # A fifth of the width and a tenth of the height, darker or lighter like an open mouth.
    mouth = changed[:, 86:98, 52:76]
    mouth[:] = np.where(mouth.mean(axis=(1, 2), keepdims=True) < 100, 170, 30)
    # A blurred image with another mouth is another photo too.
    for first in (_ORIGINALS, _thumbnails([_shrunk(face, 32) for face in _FACES])):
        similarity = confirm.similarity(first, changed, _no_variant(5))
        assert (similarity < confirm.MIN_SIMILARITY).all()


# Eyes that weigh little in thumbnails; eyes whose whites are clipped beside black pupils.
@pytest.mark.parametrize(("seed", "identity", "side"), [(77, 610, 112), (20, 57, 250)])
def test_closed_eyes_are_not_confirmed(seed: int, identity: int, side: int) -> None:
    scene = dataclasses.replace(draw_scene(seed, identity, 0), covering="")
    lids = scene.expression.copy()
    lids[1 + EXPRESSIONS.index("lids")] = -0.9
    closed = dataclasses.replace(scene, expression=lids)
    first, second = (
        _thumbnails([render_scene(seed, identity, one, side)]) for one in (scene, closed)
    )
    assert not confirm.same_photo(first, second, _no_variant(1)).any()


def test_images_without_texture_are_compared_by_brightness() -> None:
    levels = np.array([0, 1, 90, 255], np.uint8)
    flat = np.broadcast_to(levels[:, None, None], (4, 64, 64))
    assert confirm.same_photo(flat, flat, _no_variant(4)).all()
    assert confirm.similarity(flat, flat[::-1], _no_variant(4)).tolist() == [0, 0, 0, 0]
    assert not confirm.same_photo(flat, _ORIGINALS[:4], _no_variant(4)).any()


def test_nearly_white_images_are_still_compared() -> None:
    white = np.full((2, 64, 64), 246, np.uint8)
    white[0, 10:30, 10:30] = 255
    white[1, 30:50, 30:50] = 255
    assert confirm.same_photo(white, white, _no_variant(2)).all()
    assert not confirm.same_photo(white, white[::-1], _no_variant(2)).any()


def test_a_stricter_limit_has_more_pairs_compared_closely_and_confirms_fewer() -> None:
    # Brighter copies lose what is clipped, so that they differ a little from the originals.
    brighter = _thumbnails([np.clip(face * 1.5, 0, 255).astype(np.uint8) for face in _FACES])
    first, second = (
        np.stack([perceptual_hash.small(one) for one in images])
        for images in (_ORIGINALS, brighter)
    )

    def compared(limit: float) -> confirm.Comparison:
        crops = lambda some: (_ORIGINALS[some], brighter[some])  # noqa: E731
        return confirm.compare(first, second, _no_variant(5), crops, 1 - limit)

    strict, usual, loose = (compared(limit) for limit in (0.12, 0.24, 0.6))
    for one, other in ((strict, usual), (usual, loose)):
        assert (one.same() <= other.same()).all()
        assert (one.closely >= other.closely).all()
    # What is one photo by a loose limit is not refuted.
    assert not (loose.same() & loose.refuted()).any()


def test_the_similarity_of_a_pair_does_not_depend_on_other_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copies = _thumbnails([_jpeg(face, 50) for face in _FACES])
    variant = np.array([0, 1, 2, _MIRROR, 0])
    whole = confirm.similarity(_ORIGINALS, copies, variant)
    monkeypatch.setattr(registration, "_CHUNK", 1)
    np.testing.assert_allclose(confirm.similarity(_ORIGINALS, copies, variant), whole, atol=1e-5)


def test_no_pairs_have_no_similarities() -> None:
    none = np.empty((0, 64, 64), np.uint8)
    assert confirm.similarity(none, none, _no_variant(0)).shape == (0,)
