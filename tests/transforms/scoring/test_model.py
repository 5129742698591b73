"""The handler over a real SavedModel that is small enough to write by hand."""

import json
import shutil
import threading

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import PipelineOptions

from facemill.model.runtimes import registry
from facemill.transforms.core.errors import RunError, UsageError
from facemill.transforms.dataset import artifact as artifacts
from facemill.transforms.faces.crop import CropConfig
from facemill.transforms.scoring.model import ModelHandlerForBatches
from facemill.transforms.scoring.read import Batch, Standardized
from facemill.transforms.scoring.rows import Failure, Measures, Scored
from facemill.transforms.sources.base import Ref
from tests.transforms.scoring import handmade
from tests.transforms.scoring.handmade import jpeg

BATCH = 4


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    root = tmp_path_factory.mktemp("model")
    handmade.write_model(root, CropConfig(16))
    return root


def handler(artifact) -> ModelHandlerForBatches:
    manifest = json.loads((artifact / "manifest.json").read_text())
    spec = registry.choose(manifest)
    load = registry.loader(manifest, spec, BATCH, 2)
    return ModelHandlerForBatches(
        str(artifact), artifacts.fingerprint(manifest), spec.file, load, BATCH, 2
    )


class Counting:
    """A loaded model that counts how often it is called."""

    def __init__(self, model) -> None:
        self.calls = 0
        self._model = model
        self._lock = threading.Lock()

    def __call__(self, pixels):
        with self._lock:
            self.calls += 1
        return self._model(pixels)


def results(artifact, encoded: list[bytes]) -> tuple[list, int]:
    """The results of the handler, and how often it called the model."""
    names = [f"{number}.jpg" for number in range(len(encoded))]
    refs = [Ref(name, "a", f"in/{name}") for name in names]
    images = [
        Standardized(one, Measures(number, 2.0, 3.0, 1, 0.5, (0.0, 1.0, 2.0, 3.0)))
        for number, one in enumerate(encoded)
    ]
    one = handler(artifact)
    model = Counting(one.load_model())
    (found,) = one.run_inference([Batch(refs, images)], model)
    assert [(one.image_id, one.source) for one in found] == [(name, f"in/{name}") for name in names]
    scored = [
        (one.measures, image.measures)
        for one, image in zip(found, images, strict=True)
        if isinstance(one, Scored)
    ]
    assert all(measures == expected for measures, expected in scored)
    return found, model.calls


@pytest.mark.parametrize("count", [1, 3, 4, 5, 11])
def test_every_image_has_its_own_embedding_and_every_call_is_full(artifact, count):
    encoded = [jpeg(10 * number + 20, 100, 100) for number in range(count)]
    found, calls = results(artifact, encoded)
    assert calls == -(-count // BATCH)
    vectors = np.stack([np.frombuffer(one.embedding, "<f4") for one in found])
    expected = np.array([10 * number + 20 for number in range(count)], float)
    assert vectors[:, 0] == pytest.approx(expected / (expected + 200), abs=0.01)
    assert set(vectors[:, 3]) == {float(BATCH)}
    assert {one.identity for one in found} == {"a"}


def test_an_image_that_the_model_refuses_fails_alone(artifact):
    good = jpeg(200, 100, 50)
    found, calls = results(artifact, [good, jpeg(*handmade.REFUSED), good, good, good])
    assert [type(one) for one in found] == [Scored, Failure, Scored, Scored, Scored]
    assert found[1].reason == "the model cannot read it: assertion failed: [an image is red]"
    # Of four images: all, each half, each of the first half; then the fifth.
    assert calls == 6
    vectors = {one.embedding for one in found if isinstance(one, Scored)}
    assert len(vectors) == 1
    # A call of a few images is padded too.
    assert np.frombuffer(vectors.pop(), "<f4")[3] == BATCH


def test_the_reason_of_a_failed_image_does_not_depend_on_the_process(artifact):
    # The names of nodes and operations have numbers that count what a process has loaded.
    reasons = [results(artifact, [jpeg(*handmade.REFUSED)])[0][0].reason for _ in range(2)]
    assert reasons[0] == reasons[1]
    assert "{{" not in reasons[0]
    assert "\n" not in reasons[0]


def test_an_embedding_that_is_not_finite_is_a_failure_without_another_call(artifact):
    good, bad = jpeg(200, 100, 50), jpeg(*handmade.NOT_FINITE)
    found, calls = results(artifact, [bad, good, good, bad])
    assert [type(one) for one in found] == [Failure, Scored, Scored, Failure]
    assert {one.reason for one in found if isinstance(one, Failure)} == {
        "its embedding is not finite"
    }
    assert calls == 1


# tests/pipelines/score/test_job.py has a whole run of it.
@pytest.mark.slow
@pytest.mark.long
def test_an_out_of_memory_error_fails_the_run_and_rejects_no_image(artifact):
    images = [jpeg(200, 100, 50), jpeg(*handmade.TOO_MUCH_MEMORY)]
    with pytest.raises(RunError, match=r"TensorFlow failed \(OOM when allocating tensor"):
        results(artifact, images)


def test_a_model_that_changed_after_the_launch_is_refused(artifact, tmp_path):
    shutil.copytree(artifact, tmp_path / "model")
    started = handler(tmp_path / "model")
    path = tmp_path / "model" / "manifest.json"
    # The id is unchanged: the manifest as a whole must be.
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"files": []}))
    with pytest.raises(RunError, match="`model` must not change while a job runs"):
        started.load_model()
    path.unlink()
    with pytest.raises(UsageError, match=r"has no manifest\.json"):
        started.load_model()


def test_a_worker_loads_only_the_files_of_the_manifest(artifact, tmp_path):
    shutil.copytree(artifact, tmp_path / "model")
    started = handler(tmp_path / "model")
    extra = tmp_path / "model" / "saved_model" / "assets" / "more.txt"
    extra.write_text("more")
    with pytest.raises(RunError, match=r"the files of its manifest only, got assets/more\.txt"):
        started.load_model()
    extra.unlink()
    # What a file manager leaves is no reason to train again.
    extra.with_name(".DS_Store").write_text("view")
    started.load_model()
    graph = tmp_path / "model" / "saved_model" / "saved_model.pb"
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.write_bytes(data)
    with pytest.raises(RunError, match=r"saved_model\.pb must have the SHA-256 of its manifest"):
        started.load_model()


@pytest.mark.moderate
@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_process_loads_the_model_once_for_all_its_bundles(artifact, monkeypatch, workers):
    loaded, load = [], tf.saved_model.load

    def counted(folder):
        loaded.append(folder)
        return load(folder)

    monkeypatch.setattr(tf.saved_model, "load", counted)
    flags = ["--direct_running_mode=multi_threading", f"--direct_num_workers={workers}"]
    with beam.Pipeline("FnApiRunner", PipelineOptions(flags)) as pipeline:
        _ = (
            pipeline
            | beam.Create([Batch([], [])] * 8)
            | beam.Reshuffle()
            | RunInference(handler(artifact))
        )
    assert len(loaded) == 1
