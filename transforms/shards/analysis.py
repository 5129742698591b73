"""The analysis of the train split: a small pipeline in the launcher's process.

It is apart from the graph of ingest for two reasons: tensorflow-transform brings more steps than
all others together, each of which a remote runner must start, and it writes by TensorFlow's own
file systems, which do not know every store that `transforms.storage` knows.
"""

import os
from contextlib import AbstractContextManager, suppress

import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from facemill.transforms import storage
from facemill.transforms.core.beam_options import OptionsWithViews
from facemill.transforms.dataset.transform_names import TRANSFORM
from facemill.transforms.shards import statistics
from facemill.transforms.shards.analyzed_rows import ANALYZED_ROWS, list_rows, read_rows


class Analysis(AbstractContextManager["Analysis"]):
    """Builds the pipeline when its block begins, so that this can be done while others work.

    tensorflow-transform writes to disks: into the scratch directory, or, if that is on an object
    store, into a temporary folder of this machine, which is removed when the block ends.

    Args:
        scratch: the scratch directory, in which workers write the files of
            `transforms.shards.analyzed_rows`; they need not be there yet.
    """

    def __init__(self, scratch: str) -> None:
        self._scratch = scratch

    def __enter__(self) -> "Analysis":
        is_remote = storage.is_remote(self._scratch)
        self._here = storage.make_temporary_folder() if is_remote else self._scratch
        try:
            # Without the list of flags, Beam would read those of the command.
            self._pipeline = beam.Pipeline(runner=FnApiRunner(), options=OptionsWithViews([]))
            rows = storage.join(self._scratch, ANALYZED_ROWS)
            storage.make_folders(rows)
            _build(self._pipeline, rows, self.transform, os.path.join(self._here, "tft"))
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._remove()
        with suppress(OSError):
            # Beam leaves the temporary folder of a pipeline that is never run.
            storage.remove(self._pipeline.local_tempdir)

    @property
    def transform(self) -> str:
        """The folder of the `tft.TFTransformOutput`, on a disk of this machine."""
        return os.path.join(self._here, TRANSFORM)

    def run(self) -> None:
        """Runs the pipeline, which writes the transform.

        Raises:
            OSError: a file cannot be written.
            Exception: whatever Beam raises where a step fails.
        """
        self._pipeline.run().wait_until_finish()

    def _remove(self) -> None:
        if self._here != self._scratch:
            with suppress(OSError):
                storage.remove(self._here)


def _build(pipeline: beam.Pipeline, rows_folder: str, output: str, temporary: str) -> None:
    _ = (
        pipeline
        | "Folder" >> beam.Create([rows_folder], reshuffle=False)
        | "List" >> beam.FlatMap(list_rows).with_output_types(str)
        | "Read" >> beam.FlatMap(read_rows)
        | "Batches" >> beam.FlatMap(statistics.batches).with_output_types(statistics.BATCH)
        | "Statistics" >> statistics.Analyze(output, temporary)
    )
