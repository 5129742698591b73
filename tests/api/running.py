"""Runs a pipeline and returns the elements of one of its collections."""

import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from facemill.transforms.core.beam_options import OptionsWithViews


def gathered(build: Callable[[beam.Pipeline], beam.PCollection], *flags: str) -> list[Any]:
    """The elements of the collection that `build` returns, in no order."""
    with tempfile.TemporaryDirectory() as folder:
        options = OptionsWithViews(list(flags))
        with beam.Pipeline(runner=FnApiRunner(), options=options) as pipeline:
            _ = build(pipeline) | "Keep" >> beam.Map(_keep, folder)
        return [pickle.loads(path.read_bytes()) for path in Path(folder).iterdir()]


def _keep(element: Any, folder: str) -> None:
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as stream:
        stream.write(pickle.dumps(element))
