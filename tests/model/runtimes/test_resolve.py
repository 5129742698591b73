"""What is read from a file, what a person must say, and which contradictions are refused."""

import pytest

from facemill.model.runtimes.base import Description, Tensor
from facemill.model.runtimes.presets import PRESETS
from facemill.model.runtimes.resolve import Wishes, resolve
from facemill.model.runtimes.spec import RuntimeSpec
from facemill.transforms.core.errors import UsageError
from facemill.transforms.faces.crop import CropConfig

SAID = {"mean": (127.5,), "scale": (1 / 128,)}


def resolved(shape, outputs=((None, 64),), dtype="float32", standardizes=False, **wishes):
    found = [Tensor(f"out{i}", one, "float32") for i, one in enumerate(outputs)]
    description = Description([Tensor("in", shape, dtype)], found, None, standardizes)
    return resolve("onnxruntime", "network.onnx", description, Wishes(**wishes))


@pytest.mark.parametrize(
    ("shape", "layout", "size", "batch"),
    [
        ((1, 3, 112, 112), "nchw", 112, 1),
        ((None, 160, 160, 3), "nhwc", 160, None),
        ((2, 112, 112, 3), "nhwc", 112, 2),
        ((None, 3, None, None), "nchw", 96, None),
        ((None, 3, 112, None), "nchw", 112, None),
    ],
)
def test_size_layout_and_batch_are_read(shape, layout, size, batch):
    wishes = {} if size == 112 or size == 160 else {"input_size": size}
    found = resolved(shape, **SAID, **wishes)
    assert (found.spec.layout, found.crop_config.size, found.spec.batch) == (layout, size, batch)
    assert found.spec.mean == (127.5,) * 3
    assert any(layout in text for text in found.read)


def test_what_is_guessed_is_told_with_its_parameter():
    found = resolved((1, 3, 112, 112), **SAID)
    assert [text.split("(`")[1] for text in found.guessed] == ["color`)", "align`)", "normalize`)"]
    assert found.crop_config == CropConfig(112, "center")
    full = resolved((1, 3, 112, 112), **SAID, color="bgr", align="detect", normalize=False)
    assert not full.guessed
    assert (full.spec.color, full.spec.normalize) == ("bgr", False)


def test_a_preset_says_what_a_person_does_not():
    found = resolved((None, 3, None, None), preset=PRESETS["insightface"], color="bgr")
    assert (found.crop_config.size, found.crop_config.align) == (112, "detect")
    assert found.spec.scale == (1 / 127.5,) * 3
    assert found.spec.color == "bgr"


def test_a_network_that_standardizes_needs_no_mean_even_with_a_preset():
    shape = (1, 3, 112, 112)
    found = resolved(shape, standardizes=True, preset=PRESETS["insightface"])
    assert (found.spec.mean, found.spec.scale) == ((0.0,) * 3, (1.0,) * 3)
    assert resolved(shape, standardizes=True, **SAID).spec.mean == (127.5,) * 3


def test_a_network_of_bytes_gets_samples_as_they_are():
    found = resolved((1, 64, 64, 3), dtype="uint8")
    assert (found.spec.mean, found.spec.scale) == ((0.0,) * 3, (1.0,) * 3)
    assert any("`mean`" in text for text in found.guessed)


@pytest.mark.parametrize("preset", PRESETS.values())
def test_presets_are_complete(preset):
    found = resolved((None, None, None, 3), preset=preset)
    assert found.crop_config.size == preset.size


def test_the_output_is_the_only_vector_or_the_named_one():
    shape = (1, 3, 112, 112)
    maps, vector, other = (1, 8, 7, 7), (1, 512), (1, 1, 1, 128)
    assert resolved(shape, [maps, vector], **SAID).spec.output == "out1"
    assert resolved(shape, [vector, other], output_name="out1", **SAID).spec.output == "out1"
    assert resolved(shape, [None], **SAID).spec.output == "out0"
    # A length of each embedding, or a score of its quality, is one number.
    assert resolved(shape, [(1, 1), vector, (1, 1, 1, 1)], **SAID).spec.output == "out1"


def test_inputs_that_say_whether_this_is_training_are_false_and_told():
    inputs = [Tensor("phase_train", (), "bool"), Tensor("in", (None, 160, 160, 3), "float32")]
    description = Description(inputs, [Tensor("out", (None, 512), "float32")])
    found = resolve("onnxruntime", "network.onnx", description, Wishes(**SAID))
    assert (found.spec.input, found.spec.switches) == ("in", ("phase_train",))
    assert any("'phase_train', which is true in training alone: false" in one for one in found.read)
    entry = found.spec.to_manifest()
    assert RuntimeSpec.from_manifest(entry) == found.spec
    assert "switches" not in resolved((1, 3, 112, 112), **SAID).spec.to_manifest()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shape": (1, 3, 112, 112)}, "`mean` must be given, since no file tells it"),
        ({"shape": (1, 3, 112, 112), "mean": (0.0,)}, "`scale` must be given"),
        ({"shape": (1, 3, 112, 112), "mean": (0.0,), "scale": (0.0,)}, "`scale` must not be 0"),
        ({"shape": (1, 3, 112, 112), "mean": (1.0, 2.0), "scale": (1.0,)}, "`mean` must be one"),
        ({"shape": (1, 3, 3, 3), **SAID}, "`layout` must say which axis"),
        ({"shape": (1, 4, 112, 112), **SAID}, "images of three channels"),
        ({"shape": (1, 3, 112, 112), "layout": "nhwc", **SAID}, "`layout` must fit the input 'in'"),
        ({"shape": (1, 3, 112, 96), **SAID}, "must take square images, but its input is 112 high"),
        ({"shape": (1, 3, 112, 112), "input_size": 160, **SAID}, "`input_size` must be the 112"),
        ({"shape": (1, 3, None, None), **SAID}, "`input_size` must be given"),
        ({"shape": (1, 112), **SAID}, "one input of four axes"),
        ({"shape": (1, 3, 112, 112), "dtype": "int64", **SAID}, "but its input 'in' is int64"),
        ({"shape": (1, 3, 8, 8), "outputs": [(1, 2, 7, 7)], **SAID}, "ends with an embedding"),
        ({"shape": (1, 3, 8, 8), "outputs": [(1, 1)], **SAID}, "ends with an embedding"),
        ({"shape": (1, 3, 8, 8), "outputs": [(1, 2), (1, 3)], **SAID}, "`output_name` must say"),
        ({"shape": (1, 3, 8, 8), "output_name": "x", **SAID}, "must be an output of the file"),
    ],
)
def test_what_cannot_be_is_one_sentence(given, message):
    with pytest.raises(UsageError, match=r"^[^\n]*\.$") as refused:
        resolved(**given)
    assert message in str(refused.value)
    assert "; " in str(refused.value)
