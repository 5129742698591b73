"""Which heavy packages a worker imports for each stage of each job, and the CPU seconds of that.

    python -m benchmarks.worker_imports

Where workers are not kept between stages, each stage starts Python and opens what its steps were
pickled with. This does the same: each command builds its graph, the graph is divided into stages as
Flink divides it, and each stage is opened in a copy of a process that has imported what every
worker of Beam imports. A step's `setup` is called, in which scoring loads its model. What is
imported only when the first element comes is not seen.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import multiprocessing
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.score_memory import small_model
from benchmarks.usage import run

_WORKER = "apache_beam.runners.worker.sdk_worker_main"
_HEAVY = {
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "tensorflow_transform": "tensorflow-transform",
    "pyarrow": "PyArrow",
    "scipy": "SciPy",
    "pandas": "pandas",
    "faiss": "faiss",
    "cv2": "OpenCV",
    "PIL": "Pillow",
    "ai_edge_litert": "LiteRT",
    "onnxruntime": "ONNX Runtime",
}
_FACEMILL = [sys.executable, "-m", "facemill.pipelines.cli"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", help="where inputs are kept; a temporary one if not given")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        commands = _inputs(Path(given.folder or temporary))
        graphs = {name: _forked(_stages, words) for name, words in commands.items()}
        # From here on, this process is a worker that has no stage yet.
        base, loaded = _timed(lambda: importlib.import_module(_WORKER))
        print(f"every worker: {base:.1f} s, {_names(loaded)}\n")
        print("| job | stages | imports besides | CPU seconds for each |")
        print("| --- | --- | --- | --- |")
        for name, stages in graphs.items():
            kinds: dict[tuple[str, ...], list[float]] = defaultdict(list)
            for stage in stages:
                seconds, found = _forked(_timed, lambda stage=stage: _open(stage))
                kinds[found].append(seconds)
            for found, times in sorted(kinds.items()):
                between = f"{min(times):.1f} to {max(times):.1f}"
                print(f"| {name} | {len(times)} | {_names(found)} | {between} |", flush=True)


def _inputs(root: Path) -> dict[str, list[str]]:
    """The command of each job. What it reads is made where it is not in the folder yet."""
    photos, model, embeddings = (root / name for name in ("photos", "model", "embeddings"))
    images = str(photos / "images")
    if not photos.exists():
        drawn = ("--identities", "4", "--images-per-identity", "4")
        run([*_FACEMILL, "synthesize", "--output", str(photos), *drawn])
    if not model.exists():
        # It loads TensorFlow, which this process must be without.
        _forked(small_model, str(root))
    if not embeddings.exists():
        words = ("--input", images, "--model", str(model), "--output", str(embeddings))
        run([*_FACEMILL, "score", *words])
    # Any flag of Beam's has a runner count the pairs.
    pairs = ("--protocol", "pairs", "--pairs", "all", "--direct_num_workers=1")
    given = {
        "ingest": ["--input", images, "--workers", "1"],
        "score": ["--input", images, "--model", str(model)],
        "detect": ["--input", images],
        "match": ["--probes", str(embeddings), "--gallery", str(embeddings)],
        "cluster": ["--embeddings", str(embeddings), "--threshold", "0.5"],
        "evaluate": ["--embeddings", str(embeddings), *pairs],
    }
    return {
        job: [job, *words, "--output", str(root / f"new-{job}")] for job, words in given.items()
    }


class _BuiltError(Exception):
    """Ends a command when its graph is built."""


def _stages(words: Sequence[str]) -> list[list[bytes]]:
    """What the steps of each Python stage of a command's graph were pickled with."""
    import apache_beam as beam
    from apache_beam.portability import common_urns
    from apache_beam.portability.api import beam_runner_api_pb2 as api

    from facemill.pipelines import cli
    from facemill.pipelines.common import runner
    from tests.pipelines.stages import stages

    built: list[beam.Pipeline] = []

    def build_only(self: Any, build: Callable[..., None], *others: Any) -> None:
        built.append(beam.Pipeline(runner="FnApiRunner"))
        build(built[0])
        raise _BuiltError

    with (
        contextlib.suppress(_BuiltError),
        mock.patch.object(runner.Runner, "run", build_only),
    ):
        raise SystemExit(f"{words[0]} built no graph, exit code {cli.main(list(words))}")
    pickled: dict[str, bytes] = {}
    for step in built[0].to_runner_api().components.transforms.values():
        if step.spec.urn == common_urns.primitives.PAR_DO.urn:
            payload = api.ParDoPayload.FromString(step.spec.payload)
            pickled[step.unique_name] = payload.do_fn.payload
        elif step.spec.urn == common_urns.composites.COMBINE_PER_KEY.urn:
            combined = api.CombinePayload.FromString(step.spec.payload)
            pickled[step.unique_name] = combined.combine_fn.payload
    found = stages(built[0]).python
    return [[pickled[step] for step in stage if pickled.get(step)] for stage in found]


def _open(stage: Sequence[bytes]) -> None:
    """Opens the steps of a stage as a worker does."""
    from apache_beam.internal import pickler

    for data in stage:
        opened = pickler.loads(data)
        function = opened[0] if isinstance(opened, tuple) else opened
        if hasattr(function, "setup"):
            function.setup()


def _timed(call: Callable[[], object]) -> tuple[float, tuple[str, ...]]:
    """CPU seconds of a call, and the heavy packages that it imported."""
    before, started = set(sys.modules), time.process_time()
    call()
    seconds = time.process_time() - started
    return seconds, tuple(name for name in _HEAVY if name in sys.modules and name not in before)


def _forked(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a copy of this process."""
    context = multiprocessing.get_context("fork")
    reads, writes = context.Pipe(duplex=False)
    child = context.Process(target=lambda: writes.send(function(*arguments)))
    child.start()
    writes.close()
    try:
        found = reads.recv()
    except EOFError:
        raise SystemExit("a stage could not be opened; its error stands above") from None
    # It may have processes of its own, for which it would wait.
    child.kill()
    child.join()
    return found


def _names(modules: Sequence[str]) -> str:
    return ", ".join(_HEAVY[name] for name in modules) or "none of them"


if __name__ == "__main__":
    main()
