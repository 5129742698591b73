"""The analysis of the train split: a small pipeline in the launcher's process.

It is apart from the graph of ingest for two reasons: tensorflow-transform brings more steps than
all others together, each of which a remote runner must start, and it writes by TensorFlow's own
file systems, which do not know every store that `transforms.storage` knows.
"""

import os
from contextlib import AbstractContextManager, suppress

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from facemill.transforms import storage
from facemill.transforms.shards import statistics
from facemill.transforms.shards.analyzed_rows import list_rows, read_rows

_BLOCK = 1 << 20


class Analysis(AbstractContextManager["Analysis"]):
    """Builds the pipeline when its block begins, so that this can be done while others work.

    tensorflow-transform writes into a temporary folder of this machine, which is removed when the
    block ends.

    Args:
        rows_folder: the folder of the files of `transforms.shards.analyzed_rows`; they need not be
            there yet.
    """

    def __init__(self, rows_folder: str) -> None:
        self._rows_folder = rows_folder

    def __enter__(self) -> "Analysis":
        self._local = storage.make_temporary_folder()
        try:
            # Without the list of flags, Beam would read those of the command.
            self._pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
            _build(self._pipeline, self._rows_folder, self._transform, self._path("temporary"))
        except BaseException:
            storage.remove(self._local)
            raise
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):
            storage.remove(self._local)
            # Beam leaves the temporary folder of a pipeline that is never run.
            storage.remove(self._pipeline.local_tempdir)

    def run(self, output: str) -> None:
        """Runs the pipeline and copies what it wrote.

        Args:
            output: the folder of a `tft.TFTransformOutput`, which is made.

        Raises:
            OSError: a file cannot be written.
            Exception: whatever Beam raises where a step fails.
        """
        self._pipeline.run().wait_until_finish()
        for name in storage.walk_files(self._transform):
            _copy(os.path.join(self._transform, name), os.path.join(output, name))

    @property
    def _transform(self) -> str:
        return self._path("transform")

    def _path(self, name: str) -> str:
        return os.path.join(self._local, name)


def _build(pipeline: beam.Pipeline, rows_folder: str, output: str, temporary: str) -> None:
    _ = (
        pipeline
        | "Folder" >> beam.Create([rows_folder], reshuffle=False)
        | "List" >> beam.FlatMap(list_rows).with_output_types(str)
        | "Read" >> beam.FlatMap(read_rows)
        | "Batches" >> beam.FlatMap(statistics.batches).with_output_types(statistics.BATCH)
        | "Statistics" >> statistics.Analyze(output, temporary)
    )


def _copy(source: str, target: str) -> None:
    storage.make_folders(os.path.dirname(target))
    # No fsync: the commit of the dataset waits for its files.
    with storage.open_file(source) as read, storage.new_file(target, sync=False) as written:
        while block := read.read(_BLOCK):
            written.write(block)
