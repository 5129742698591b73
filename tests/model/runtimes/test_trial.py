"""A trial tells what is odd about a model, and refuses one that cannot work."""

import numpy as np
import pytest

from facemill.model.runtimes import trial
from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.scoring.refused import ImageRefusedError

FACES = np.random.default_rng(1).integers(0, 256, (4, 8, 8, 3), np.uint8)


def mirror_blind(pixels) -> np.ndarray:
    found = pixels.astype(np.float32).mean(axis=(2, 3))
    found -= 127.5
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_a_good_model_has_no_warnings():
    found = trial.run(mirror_blind, FACES)
    assert (found.embedding_size, found.again, found.single) == (8, 0, 0)
    assert found.mirrored == pytest.approx(1)
    assert not found.warnings()
    assert found.sentences()[1] == "two runs: equal to the bit"


def test_what_is_odd_is_a_warning():
    chance = np.random.default_rng(2)

    def noisy(pixels):
        return mirror_blind(pixels) + chance.normal(size=(len(pixels), 8)).astype(np.float32)

    warnings = trial.run(noisy, FACES).warnings()
    assert warnings[0].startswith("two runs of one batch differ")

    def of_batch(pixels):
        return mirror_blind(pixels) + len(pixels)

    assert "depends on the others in its batch" in trial.run(of_batch, FACES).warnings()[0]

    def of_corner(pixels):
        return pixels[:, :, 0, 0].astype(np.float32) - 127.5

    assert "mirrored face is no closer" in trial.run(of_corner, FACES).warnings()[-1]

    def of_class(pixels):
        return 0.1 + 0.001 * mirror_blind(pixels)

    assert "nearly equal (cosine 1.000" in trial.run(of_class, FACES).warnings()[0]


def refuses(pixels):
    raise ImageRefusedError(Reason(ReasonCode.MODEL_FAILED, "no"))


@pytest.mark.parametrize(
    ("embed", "message"),
    [
        (lambda pixels: np.full((len(pixels), 8), np.nan, np.float32), "finite embeddings"),
        (lambda pixels: np.ones((len(pixels), 8), np.float32), "drawn faces are equal"),
        (lambda pixels: mirror_blind(pixels)[:, :1], "two or more dimensions, got 1"),
        (refuses, r"but failed \(no\)"),
    ],
)
def test_a_model_that_cannot_work_is_refused(embed, message):
    with pytest.raises(UsageError, match=message):
        trial.run(embed, FACES)
