"""Every format gives what the network gives, through describe, resolve and load."""

import numpy as np
import pytest

from facemill.model.runtimes import file_kind, registry
from facemill.model.runtimes.choices import LITERT, ONNX, RUNTIMES, TENSORFLOW
from facemill.model.runtimes.resolve import Wishes, resolve
from facemill.model.runtimes.spec import inexact
from facemill.transforms.core.errors import MissingPackageError, UsageError
from tests.model.runtimes import networks

pytestmark = pytest.mark.slow

WISHES = Wishes(mean=(127.5,), scale=(1 / 128,), color="rgb", input_size=networks.SIZE)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    root = tmp_path_factory.mktemp("files")
    return {
        "onnx-1": networks.write_onnx(root / "one.onnx", 1),
        "onnx-any": networks.write_onnx(root / "any.onnx", None),
        "onnx-4": networks.write_onnx(root / "four.onnx", 4),
        "keras": networks.write_keras(root / "network.keras"),
        "saved-model": networks.write_saved_model(root / "saved"),
        "tflite-any": networks.write_tflite(root / "any.tflite"),
        "tflite-2": networks.write_tflite(root / "two.tflite", 2),
    }


def described(path, signature=None):
    names = [one.name for one in path.iterdir()] if path.is_dir() else []
    kind = file_kind.kind_of(str(path), names)
    return kind, registry.describe(kind, str(path), signature)


KINDS = {
    "onnx-1": (ONNX, 1),
    "onnx-any": (ONNX, None),
    "onnx-4": (ONNX, 4),
    "keras": (TENSORFLOW, None),
    "saved-model": (TENSORFLOW, None),
    "tflite-any": (LITERT, None),
    "tflite-2": (LITERT, 2),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_file_gives_the_embeddings_of_its_network_in_any_number(files, name):
    kind, description = described(files[name], "faces" if name == "saved-model" else None)
    resolved = resolve(kind, "network", description, WISHES)
    assert (kind, resolved.spec.batch) == KINDS[name]
    assert resolved.spec.layout == ("nchw" if kind == ONNX else "nhwc")
    pixels = networks.crops(11)
    found = [
        registry.load(resolved.spec, networks.DIMENSIONS, 8, threads, str(files[name]))(pixels)
        for threads in (1, 2)
    ]
    assert found[0].tobytes() == found[1].tobytes()
    np.testing.assert_allclose(found[0], networks.expected(pixels), atol=1e-5)
    load = registry.load(resolved.spec, networks.DIMENSIONS, 8, 1, str(files[name]))
    assert load(pixels[:3]).tobytes() == found[0][:3].tobytes()


def test_a_saved_model_says_which_signatures_it_has(files):
    with pytest.raises(UsageError, match="it has faces, names; give one of them"):
        described(files["saved-model"])
    with pytest.raises(UsageError, match="four axes, for images, but it has 'names'"):
        resolve(TENSORFLOW, "x", described(files["saved-model"], "names")[1], WISHES)


@pytest.mark.parametrize("kind", RUNTIMES)
def test_a_damaged_file_is_one_sentence(files, tmp_path, kind):
    name = {LITERT: "tflite-any", ONNX: "onnx-any", TENSORFLOW: "keras"}[kind]
    path = tmp_path / files[name].name
    path.write_bytes(files[name].read_bytes()[:300])
    with pytest.raises(UsageError, match=r"^`file` must be .*; .*\.$"):
        registry.describe(kind, str(path))


def test_an_operation_that_nobody_has_is_one_sentence(tmp_path):
    path = networks.write_unknown_onnx(tmp_path / "odd.onnx")
    with pytest.raises(UsageError, match="it has an operation that onnxruntime does not know"):
        registry.describe(ONNX, str(path))


def test_weights_in_another_file_are_refused_although_the_file_is_there(tmp_path, monkeypatch):
    import onnx

    network = onnx.load(networks.write_onnx(tmp_path / "one.onnx"))
    # onnxruntime would read them from the working directory.
    monkeypatch.chdir(tmp_path)
    onnx.save(network, "two.onnx", save_as_external_data=True, location="w", size_threshold=0)
    with pytest.raises(UsageError, match="lie in another file; save it as one file"):
        registry.describe(ONNX, str(tmp_path / "two.onnx"))


def test_a_file_that_is_newer_than_the_runtime_is_one_short_sentence(tmp_path):
    import onnx

    network = onnx.load(networks.write_onnx(tmp_path / "new.onnx"))
    network.opset_import[0].version = 999
    onnx.save(network, tmp_path / "new.onnx")
    with pytest.raises(UsageError, match=r"but its opset 999 is newer than the \d+ that this onnx"):
        registry.describe(ONNX, str(tmp_path / "new.onnx"))


def test_an_input_that_says_whether_this_is_training_is_false(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    network = onnx.load(networks.write_onnx(tmp_path / "switch.onnx", None))
    graph = network.graph
    graph.input.append(helper.make_tensor_value_info("phase_train", TensorProto.BOOL, []))
    cast = helper.make_node("Cast", ["phase_train"], ["added"], to=TensorProto.FLOAT)
    graph.node[-1].output[0] = "plain"
    graph.node.extend([cast, helper.make_node("Add", ["plain", "added"], ["embedding"])])
    onnx.save(network, tmp_path / "switch.onnx")
    kind, description = described(tmp_path / "switch.onnx")
    spec = resolve(kind, "network", description, WISHES).spec
    pixels = networks.crops()
    found = registry.load(spec, None, 8, 1, str(tmp_path / "switch.onnx"))(pixels)
    np.testing.assert_allclose(found, networks.expected(pixels), atol=1e-5)


def test_a_network_that_standardizes_its_input_gets_samples_as_they_are(tmp_path):
    path = networks.write_onnx(tmp_path / "mxnet.onnx", 1, standardizes=True)
    kind, description = described(path)
    resolved = resolve(kind, "network", description, Wishes(color="rgb"))
    pixels = networks.crops()
    found = registry.load(resolved.spec, None, 8, 1, str(path))(pixels)
    np.testing.assert_allclose(found, networks.expected(pixels), atol=1e-5)


def test_a_graph_that_reads_files_is_refused(tmp_path):
    import tensorflow as tf

    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32, name="image")])
    def faces(image):
        with tf.control_dependencies([tf.io.read_file("/etc/hostname")]):
            return {"vectors": tf.reduce_mean(image, [1, 2])}

    tf.saved_model.save(module, str(tmp_path / "spy"), signatures={"faces": faces})
    with pytest.raises(UsageError, match="only computes, but its graph has the operation ReadFile"):
        registry.describe(TENSORFLOW, str(tmp_path / "spy"))


def test_a_lambda_layer_and_a_layer_of_another_package_are_refused(tmp_path):
    import keras

    inputs = keras.Input((8, 8, 3))
    code = keras.Model(inputs, keras.layers.Lambda(lambda x: x[:, 0, 0])(inputs))
    code.save(tmp_path / "code.keras")
    with pytest.raises(UsageError, match="it has a Lambda layer, which can run Python code"):
        registry.describe(TENSORFLOW, str(tmp_path / "code.keras"))

    class Own(keras.layers.Layer):
        def call(self, x):
            return x[:, 0, 0]

    keras.Model(inputs, Own()(inputs)).save(tmp_path / "own.keras")
    with pytest.raises(UsageError, match="its layer Own is of the package"):
        registry.describe(TENSORFLOW, str(tmp_path / "own.keras"))


@pytest.mark.parametrize(
    ("kind", "extra"), [(LITERT, r"facemill\[litert\]"), (ONNX, r"facemill\[onnx\]")]
)
def test_a_runtime_that_is_not_installed_is_named(monkeypatch, kind, extra):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=f"install it with: pip install '{extra}'"):
        registry.describe(kind, "file")


def test_the_first_runtime_that_is_installed_is_chosen(monkeypatch):
    entries = [
        {"kind": kind, "file": kind, "input": "x", "output": "y"} for kind in (LITERT, TENSORFLOW)
    ]
    manifest = {"runtimes": entries}
    assert registry.choose(manifest).kind == LITERT
    assert registry.choose(manifest, TENSORFLOW).kind == TENSORFLOW
    # Models of versions before have a SavedModel alone.
    assert registry.choose({}).file == "saved_model"
    with pytest.raises(UsageError, match="it has one for litert and tensorflow only, not for onnx"):
        registry.choose(manifest, ONNX)
    monkeypatch.setattr(registry, "is_installed", lambda module: module == "tensorflow")
    assert registry.choose(manifest).kind == TENSORFLOW
    assert registry.choose({"runtimes": entries[:1]}).kind == LITERT


def test_a_file_is_chosen_by_its_format():
    files = ("embedder.tflite", "saved_model", "embedder_int8.tflite")
    kinds = (LITERT, TENSORFLOW, LITERT)
    entries = [
        {"kind": kind, "file": file, "input": "x", "output": "y", "largest_difference": far}
        for kind, file, far in zip(kinds, files, (1e-7, 0.0, 0.03), strict=True)
    ]
    manifest = {"runtimes": entries}
    assert registry.choose(manifest).file == "embedder.tflite"
    chosen = registry.choose(manifest, export_format="tflite_int8")
    assert chosen.file == "embedder_int8.tflite"
    assert inexact(manifest, chosen) == "up to 0.03"
    assert inexact(manifest, registry.choose(manifest, LITERT)) == ""
    assert registry.choose(manifest, export_format="saved_model").kind == TENSORFLOW
    assert registry.choose({}, export_format="saved_model").kind == TENSORFLOW
    with pytest.raises(UsageError, match="it has tflite and saved_model and tflite_int8 only"):
        registry.choose(manifest, export_format="onnx")
    with pytest.raises(UsageError, match="it has one for litert only, not for tensorflow"):
        registry.choose(manifest, TENSORFLOW, "tflite")
    imported = {"runtimes": [entries[0] | {"file": "network.onnx"}]}
    with pytest.raises(UsageError, match="it has a file that others made only; leave it out"):
        registry.choose(imported, export_format="onnx")
