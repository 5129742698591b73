import io
import pickle

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from facemill.model.data import tfdata, validation_pairs, validation_sets
from facemill.model.data.validation_pairs import Scores
from facemill.model.data.vocabulary import Transform
from facemill.transforms.core.errors import RunError, UsageError
from tests.model import tiny

SIZE = 24


def image(seed: int, side: int = SIZE, suffix: str = ".jpg") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    return cv2.imencode(suffix, pixels)[1].tobytes()


def write_bin(path, pairs: list[tuple[bytes, bytes, bool]]) -> str:
    images = [one for left, right, _ in pairs for one in (left, right)]
    path.write_bytes(pickle.dumps((images, [label for *_, label in pairs])))
    return str(path)


def test_a_benchmark_keeps_its_pairs_and_counts_what_it_cannot_read(tmp_path):
    pairs = [(image(row), image(100 + row), row % 2 == 0) for row in range(6)]
    pairs[2] = (b"no image", image(7), True)
    pairs[3] = (image(9, 40), image(10, 20, ".png"), False)
    path = write_bin(tmp_path / "lfw.bin", pairs)
    found = validation_sets.load("lfw", path, SIZE, [], 5, 1)
    assert (found.kind, found.unreadable, found.identities, found.shared) == ("bin", 1, None, None)
    assert found.pairs.genuine.tolist() == [[0, 1], [6, 7]]
    assert found.pairs.impostor.tolist() == [[2, 3], [4, 5], [8, 9]]
    assert found.pairs.image_ids[4:6] == ["lfw.bin/000006", "lfw.bin/000007"]
    # What fits goes unchanged; what does not becomes a PNG of the model's size.
    assert found.pairs.encoded[0] == pairs[0][0]
    for encoded in found.pairs.encoded[4:6]:
        assert cv2.imdecode(np.frombuffer(encoded, np.uint8), 1).shape == (SIZE, SIZE, 3)
    assert found.clusters is None
    unknown, left_out, aligned = found.cautions("center")
    assert "name no identities" in unknown
    assert left_out.startswith("1 pairs of the validation set lfw are left out")
    assert "aligned otherwise (landmarks or detect) than those of the training (center)" in aligned
    assert len(found.cautions("detect")) == 2


def test_an_image_that_exif_turns_is_upright_as_in_scoring(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    pixels[: SIZE // 2] = 255
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", exif=turned)
    pairs = [(stream.getvalue(), image(1), True), (image(2), image(3), False)]
    found = validation_sets.load("b", write_bin(tmp_path / "b.bin", pairs), SIZE, [], 5, 1)
    seen = tfdata.decode(tf.constant(found.pairs.encoded[0]), SIZE).numpy()
    # The upper half is white in the file; upright, the right one is.
    assert seen[:, SIZE // 2 :].min() > 200
    assert seen[:, : SIZE // 2].max() < 50


def test_a_benchmark_of_ten_pairs_has_the_accuracy_of_its_ten_folds(tmp_path):
    pairs = [(image(row), image(100 + row), row % 3 > 0) for row in range(30)]
    pairs[4] = (image(4), b"", pairs[4][2])
    found = validation_sets.load("b", write_bin(tmp_path / "b.bin", pairs), SIZE, [], 5, 1)
    assert (len(found.pairs.genuine), len(found.pairs.impostor)) == (19, 10)
    told_apart = Scores(np.full(19, 0.9), np.full(10, 0.1))
    figures = found.protocol(told_apart)["insightface"]
    assert figures == {"mean": 1.0, "standard_deviation": 0.0}
    few = validation_sets.load("b", write_bin(tmp_path / "c.bin", pairs[:9]), SIZE, [], 5, 1)
    assert few.protocol(Scores(np.ones(5), np.ones(3))) == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pickle.dumps({"a": 1}), "must name a benchmark of insightface"),
        (pickle.dumps(([b"", b""], [True])), "must hold pairs of one identity and pairs of two"),
    ],
)
def test_a_file_without_pairs_is_refused(tmp_path, content, said):
    path = tmp_path / "x.bin"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        validation_sets.load("x", str(path), SIZE, [], 5, 1)


def test_a_missing_set_is_refused(tmp_path):
    with pytest.raises(UsageError, match="must name an existing file or dataset"):
        validation_sets.fingerprint(str(tmp_path / "lfw.bin"))
    with pytest.raises(UsageError, match="must be a complete dataset artifact"):
        validation_sets.fingerprint(str(tmp_path / "dataset"))


@pytest.mark.slow
def test_a_dataset_whose_image_cannot_be_read_is_reported(tmp_path_factory, monkeypatch):
    path = tiny.dataset(tmp_path_factory)
    read = validation_pairs.read_images

    def spoiled(*given):
        first, *others = read(*given)
        return [first[:40], *others]

    monkeypatch.setattr(validation_pairs, "read_images", spoiled)
    with pytest.raises(RunError, match=r"^Every image of .* must be readable, but one is not \("):
        validation_sets.load("own", str(path), tiny.SIZE, [], 9, 1)


@pytest.mark.slow
def test_a_dataset_tells_how_many_identities_are_trained_on(tmp_path_factory):
    path = tiny.dataset(tmp_path_factory)
    manifest = tiny.manifest(path)
    trained = Transform(str(path), manifest).identities
    own = validation_sets.load("own", str(path), tiny.SIZE, trained, 9, 1)
    assert (own.kind, own.shared) == ("dataset", 0)
    assert len(own.clusters) == len(own.pairs.genuine) + len(own.pairs.impostor)
    assert own.cautions("center") == []
    # Half of the size of its images, and trained on all but one of its identities.
    names = sorted(set(own.pairs.identities))
    known = validation_sets.load("own", str(path), tiny.SIZE // 2, names[1:], 9, 1)
    assert (known.identities, known.shared) == (len(names), len(names) - 1)
    side = tiny.SIZE // 2
    first = cv2.imdecode(np.frombuffer(known.pairs.encoded[0], np.uint8), 1)
    assert first.shape == (side, side, 3)
    (shared,) = known.cautions("center")
    assert shared.startswith(f"{len(names) - 1} of the {len(names)} identities")
    assert "are trained on" in shared
