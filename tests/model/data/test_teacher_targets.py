import numpy as np
import pytest
import tensorflow as tf

from facemill.model.data import teacher_targets, tfdata
from facemill.model.data.teacher_targets import TeacherTargets
from facemill.model.recipes.recipe import Recipe
from facemill.transforms.core.errors import RunError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.scoring.refused import ImageRefusedError

SIZE = 3


def left_half(pixels: np.ndarray) -> np.ndarray:
    """A teacher that sees the mean color of the left half, so a mirror image is another one."""
    means = pixels[:, :, : pixels.shape[2] // 2].mean(axis=(1, 2)).astype(np.float32)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def targets(dataset, manifest, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("targets") / teacher_targets.FILE)
    counted = []
    teacher_targets.write(path, str(dataset), manifest, left_half, 32, SIZE, counted.append)
    assert sum(counted) == manifest["splits"]["train"]["records"]
    return TeacherTargets(path)


@pytest.mark.moderate
def test_each_image_of_a_batch_has_the_target_of_the_side_that_the_network_sees(
    dataset, manifest, transform, targets
):
    recipe = Recipe(batch_size=16, crop=0.0, color_jitter=0.0)
    batches = tfdata.batches(str(dataset), manifest, transform, recipe, epoch=1, targets=targets.of)
    pixels, _, _, found = next(iter(batches))
    assert (found.shape, found.dtype) == ((16, SIZE), tf.float32)
    np.testing.assert_allclose(found, left_half(pixels.numpy()), atol=1e-3)
    # Both sides occur, and they differ.
    assert np.abs(found - left_half(pixels.numpy()[:, :, ::-1])).max(axis=1).min() > 0
    plain = next(iter(tfdata.batches(str(dataset), manifest, transform, recipe, epoch=1)))
    assert len(plain) == 3
    np.testing.assert_array_equal(plain[0], pixels)


def test_a_teacher_of_another_size_gets_resized_images(dataset, manifest, tmp_path):
    seen = set()

    def teacher(pixels: np.ndarray) -> np.ndarray:
        seen.add((pixels.shape[1:], pixels.dtype.name))
        return left_half(pixels)

    path = str(tmp_path / "targets.npy")
    teacher_targets.write(path, str(dataset), manifest, teacher, 48, SIZE)
    assert seen == {((48, 48, 3), "uint8")}


def test_an_image_that_the_teacher_has_not_seen_ends_the_run(targets):
    with pytest.raises(ValueError, match=r"has not seen nobody/1\.jpg"):
        targets.of(tf.constant(["nobody/1.jpg"]), tf.constant([False]))
    in_graph = tf.function(targets.of)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"has not seen nobody/1\.jpg"):
        in_graph(tf.constant(["nobody/1.jpg"]), tf.constant([False]))


def test_a_teacher_without_an_embedding_is_reported_in_a_sentence(dataset, manifest, tmp_path):
    def refuses(pixels: np.ndarray) -> np.ndarray:
        raise ImageRefusedError(Reason(ReasonCode.WRONG_SHAPE, "it fails"))

    def endless(pixels: np.ndarray) -> np.ndarray:
        return np.full((len(pixels), SIZE), np.nan, np.float32)

    for teacher, said in ((refuses, "it fails"), (endless, "its embedding is not finite")):
        path = tmp_path / "targets.npy"
        with pytest.raises(RunError, match=f"must embed every training image, .*{said}"):
            teacher_targets.write(str(path), str(dataset), manifest, teacher, 32, SIZE)
        assert not path.exists()


def test_a_damaged_file_is_reported_in_a_sentence(tmp_path):
    path = tmp_path / "targets.npy"
    path.write_bytes(b"\x93NUMPY")
    with pytest.raises(RunError, match="must hold the teacher's embeddings, but is damaged"):
        TeacherTargets(str(path))
