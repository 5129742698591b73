"""The rules that let every job run on machines other than the launcher, read from its graph."""

import csv
import json
import logging
import platform
import socket
import tempfile
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest

from facemill.beam import Embed, FindDuplicates, ReadImages
from facemill.pipelines import cli
from facemill.pipelines.common import runner
from facemill.transforms.core.merging import Merge
from facemill.transforms.faces.crop import CropConfig
from facemill.transforms.shards import statistics
from tests import embedding_sets
from tests.embedding_sets import draw as draw_vectors
from tests.pipelines.graphs import Graph, check
from tests.pipelines.ingest.ingesting import arguments, draw
from tests.pipelines.ingest.test_graph import PICKLED
from tests.pipelines.payloads import check_installed, check_paths, check_words, payloads

# Beam's own steps and tensorflow-transform's type what they exchange as they like.
FOREIGN = ("Statistics/", "Model/")
# Writers of receipts return None.
RECEIPTS = {"Receipts/Write"}
PICKLED_BY_INGEST = PICKLED | {f"SelectImages/Balance{rule}/Cut" for rule in range(3)}
PICKLED_BY_SCORE = RECEIPTS
PICKLED_BY_SEARCH = {"Blocks/Write"}


class Launcher:
    """A machine that no worker knows, with the folders that it shares with all workers.

    Attributes:
        shared: folder of photos, models and outputs.
        words: parts of names that only this machine has.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shared = root / "shared"
        self.shared.mkdir()
        self.words = ("launchers-home", "launchers-desk", "launchers-temp", "launchers-name")
        home, desk, temp, name = self.words
        for folder in (home, desk, temp):
            (root / folder).mkdir()
        monkeypatch.setenv("HOME", str(root / home))
        monkeypatch.chdir(root / desk)
        monkeypatch.setattr(tempfile, "tempdir", str(root / temp))
        monkeypatch.setattr(platform, "node", lambda: name)
        monkeypatch.setattr(socket, "gethostname", lambda: name)


@pytest.fixture
def launcher(tmp_path, monkeypatch) -> Launcher:
    return Launcher(tmp_path, monkeypatch)


class _BuiltError(Exception):
    """Ends a command when its graph is built."""


def graph_of(command: list[str], monkeypatch: pytest.MonkeyPatch) -> beam.Pipeline:
    """The pipeline of a command, built by the command and not run."""
    built: list[beam.Pipeline] = []

    def build_only(self, build: Callable[[beam.Pipeline], None], progress, output) -> None:
        pipeline = beam.Pipeline(runner="FnApiRunner")
        build(pipeline)
        built.append(pipeline)
        raise _BuiltError

    warned: list[tuple] = []
    monkeypatch.setattr(runner.Runner, "run", build_only)
    # As Beam logs what it thinks of a graph; a command's user can do nothing about it.
    monkeypatch.setattr(logging, "warning", lambda *words: warned.append(words))
    with pytest.raises(_BuiltError):
        cli.main(command)
    assert not warned
    return built[0]


def check_portable(pipeline: beam.Pipeline, launcher: Launcher, *roots: Path) -> set[str]:
    """Fails where a graph breaks a rule; returns the labels of steps whose elements are pickled."""
    found = payloads(pipeline)
    assert found
    check_installed(found)
    check_words(found, launcher.words)
    check_paths(found, map(str, (launcher.shared, *roots)))
    graph = Graph(pipeline)
    for step, stream in graph.flattened():
        assert stream.consumers == (step,), f"{stream.step} is read by {stream.consumers}"
    return {step for step in check(graph, FOREIGN) if not step.startswith(FOREIGN)}


@pytest.fixture
def photos(launcher) -> Path:
    """A manifest of photos with an attribute."""
    with (launcher.shared / "faces.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["path", "identity", "age"])
        for identity in range(3):
            path = draw(launcher.shared / "photos", identity, 0)
            table.writerow([path.relative_to(launcher.shared), f"id{identity}", "20s"])
    return launcher.shared / "faces.csv"


class FakeAnalyze(beam.PTransform):
    """In place of tensorflow-transform's analysis, whose graph takes seconds to build."""

    def __init__(self, output_dir: str, temp_dir: str) -> None:
        super().__init__()

    def expand(self, batches: beam.PCollection) -> None:
        """Builds nothing."""


BY_ATTRIBUTE = [
    *("--balance", "cap=9@age", "--balance", "oversample=4"),
    *("--balance", "effective-number=0.9@age"),
]
QUARANTINE = ["--on-conflict", "quarantine"]


# Each option alone takes as long to build as all of them together, which hold every step.
def _alone(*words: Any) -> Any:
    return pytest.param(*words, marks=[pytest.mark.slow, pytest.mark.long])


@pytest.mark.moderate
@pytest.mark.parametrize(
    "flags",
    [
        [*QUARANTINE, "--dedup", "thorough", *BY_ATTRIBUTE],
        _alone([]),
        _alone([*QUARANTINE]),
        _alone(["--dedup", "thorough"]),
        pytest.param(["--dedup", "off"], marks=pytest.mark.slow),
        _alone([*BY_ATTRIBUTE]),
        _alone(["--balance", "effective-number=0.9"]),
    ],
)
def test_ingest_keeps_the_rules(flags, photos, launcher, monkeypatch):
    monkeypatch.setattr(statistics, "Analyze", FakeAnalyze)
    command = arguments(photos, launcher.shared / "dataset", *flags)
    pickled = check_portable(graph_of(command, monkeypatch), launcher)
    assert pickled <= PICKLED_BY_INGEST


@pytest.mark.parametrize(
    ("references", "flags"),
    [
        pytest.param(["--append-to", "--exclude-dataset"], [], marks=pytest.mark.slow),
        _alone(["--append-to"], []),
        _alone(["--exclude-dataset"], QUARANTINE),
    ],
)
def test_ingest_with_another_dataset_keeps_the_rules(
    base, references, flags, launcher, monkeypatch
):
    monkeypatch.setattr(statistics, "Analyze", FakeAnalyze)
    command = arguments(base / "photos", launcher.shared / "dataset", *flags)
    for option in references:
        command += [option, str(base / "dataset")]
    pickled = check_portable(graph_of(command, monkeypatch), launcher, base)
    assert pickled <= PICKLED_BY_INGEST


@pytest.mark.slow
def test_ingest_with_statistics_keeps_the_rules(photos, launcher, monkeypatch):
    command = arguments(photos, launcher.shared / "dataset")
    pickled = check_portable(graph_of(command, monkeypatch), launcher)
    assert pickled <= PICKLED_BY_INGEST


@pytest.fixture
def model(launcher) -> Path:
    """A folder whose manifest is that of a model without files; no test here loads it."""
    folder = launcher.shared / "model"
    folder.mkdir()
    manifest = {
        "kind": "model",
        "schema_version": 1,
        "model_id": "tiny",
        "embedding_size": 4,
        "preprocessing": CropConfig(32).to_manifest(),
        "files": [],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.moderate
def test_score_keeps_the_rules(photos, model, launcher, monkeypatch):
    output = launcher.shared / "embeddings"
    command = ["score", "--input", photos, "--model", model, "--output", output, "--workers", 1]
    pickled = check_portable(graph_of([str(word) for word in command], monkeypatch), launcher)
    assert pickled == PICKLED_BY_SCORE


@pytest.mark.moderate
def test_score_since_a_run_before_keeps_the_rules(photos, model, launcher, monkeypatch):
    contents = {"sha256": ["0" * 64]}
    earlier = embedding_sets.write(
        launcher.shared / "earlier", ["a/1"], draw_vectors(1, 1, 1), model_id="tiny", more=contents
    )
    output = launcher.shared / "embeddings"
    command = ["score", "--input", photos, "--model", model, "--output", output, "--workers", 1]
    command += ["--since", earlier]
    pickled = check_portable(graph_of([str(word) for word in command], monkeypatch), launcher)
    assert pickled == PICKLED_BY_SCORE


@pytest.mark.moderate
def test_detect_keeps_the_rules(photos, launcher, monkeypatch):
    command = ["detect", "--input", photos, "--output", launcher.shared / "faces", "--workers", 1]
    command += ["--crops", launcher.shared / "crops"]
    check_portable(graph_of([str(word) for word in command], monkeypatch), launcher)


@pytest.mark.parametrize(
    "words",
    [
        ["match", "--probes", "SET", "--gallery", "SET"],
        ["cluster", "--embeddings", "SET", "--threshold", "0.5"],
    ],
    ids=lambda words: words[0],
)
def test_searches_keep_the_rules(words, launcher, monkeypatch):
    ids, _ = embedding_sets.named(2, 2)
    found = embedding_sets.write(launcher.shared / "gallery", ids, draw_vectors(1, 2, 2))
    command = [str(found) if word == "SET" else word for word in words]
    command += ["--output", str(launcher.shared / "output"), "--workers", "1"]
    pickled = check_portable(graph_of(command, monkeypatch), launcher)
    assert pickled == PICKLED_BY_SEARCH


@pytest.mark.moderate
@pytest.mark.parametrize(
    "level", ["near", pytest.param("thorough", marks=pytest.mark.slow), _alone("exact")]
)
def test_the_transforms_of_the_api_keep_the_rules(level, photos, model, launcher):
    pipeline = beam.Pipeline(runner="FnApiRunner")
    images = pipeline | ReadImages(launcher.shared / "photos")
    _ = images | FindDuplicates(level, temp_location=launcher.shared)
    _ = images | Embed(model)
    check_portable(pipeline, launcher)


def _launchers_own(element: int) -> int:
    return element


def _pipeline(function: Callable) -> beam.Pipeline:
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = pipeline | beam.Create([1]) | "Bad" >> beam.Map(function)
    return pipeline


def test_a_function_of_the_main_session_is_found():
    function = types.FunctionType(
        (lambda element: element).__code__, {"__name__": "__main__"}, "function"
    )
    function.__module__ = "__main__"
    with pytest.raises(AssertionError, match=r"Bad needs .*__main__"):
        check_installed(payloads(_pipeline(function)))


def test_a_function_of_a_module_of_the_launcher_is_found():
    with pytest.raises(AssertionError, match=r"Bad needs tests\.pipelines\.test_portability"):
        check_installed(payloads(_pipeline(_launchers_own)))


def test_names_of_the_launcher_are_found(launcher):
    for value in (socket.gethostname(), tempfile.gettempdir(), str(Path.cwd()), str(Path.home())):
        with pytest.raises(AssertionError, match="Bad holds launchers-"):
            check_words(payloads(_pipeline(partial(max, value))), launcher.words)


@pytest.mark.parametrize("path", ["/tmp/elsewhere", "/etc", "/tmp/shared-not"])
def test_a_path_that_workers_do_not_see_is_found(path):
    found = payloads(_pipeline(partial(max, path)))
    with pytest.raises(AssertionError, match=f"Bad holds {path}"):
        check_paths(found, ["/tmp/shared"])
    check_paths(found, [path])


def test_a_flatten_whose_input_is_read_twice_is_found(launcher):
    pipeline = beam.Pipeline(runner="FnApiRunner")
    one, other = (pipeline | name >> beam.Create([("a", 1)]) for name in ("One", "Other"))
    _ = (one, other) | beam.Flatten()
    _ = one | beam.GroupByKey()
    with pytest.raises(AssertionError, match="is read by"):
        check_portable(pipeline, launcher)


def test_a_key_that_is_pickled_is_found(launcher):
    pipeline = beam.Pipeline(runner="FnApiRunner")
    pairs = pipeline | beam.Create([(frozenset({1}), 1)])
    _ = (pairs,) | Merge() | "Group" >> beam.GroupByKey()
    with pytest.raises(AssertionError, match="Group reads"):
        check_portable(pipeline, launcher)
