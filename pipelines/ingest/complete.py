"""A dataset that is complete already: whether its input is still what it was made of."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence

from facemill.pipelines.common.compare_input import CONTENTS
from facemill.pipelines.common.input_files import Input, refuse_changes
from facemill.pipelines.ingest.options import IngestOptions
from facemill.transforms import storage
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.parquet_parts import part_batches

_ROWS = 65_536


def refuse_changed_inputs(options: IngestOptions, output: str, inputs: Sequence[Input]) -> None:
    """Compares the inputs with what they held when the dataset was made.

    Args:
        options: of the run.
        output: absolute path or URL of the dataset.
        inputs: each that is no dataset.

    Raises:
        UsageError: files of one came, went or changed.
    """
    run = artifact.read_run(output)

    def known() -> Iterator[str]:
        return (source for source, _ in _rows(output))

    def contents() -> dict[str, str]:
        """SHA-256 of each file that is one image."""
        counts = Counter(known())
        return {
            source: sha256
            for source, sha256 in _rows(output)
            if sha256 is not None and counts[source] == 1
        }

    for one in inputs:
        is_input = one.parameter == "input"
        refuse_changes(
            run,
            one,
            output,
            do=f"add what is new by `append_to` {options.output} and another `output`, or ingest "
            "all of it into another `output`",
            # A version that was appended to has rows of other inputs too.
            known=known if is_input and options.append_to is None else None,
            contents=contents if is_input and options.compare_input == CONTENTS else None,
        )


def _rows(output: str) -> Iterator[tuple[str, str | None]]:
    """`source` and `sha256` of each image."""
    folder = os.path.join(output, "index")
    for name in storage.walk_files(folder):
        for batch in part_batches(storage.join(folder, name), ["source", "sha256"], _ROWS):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
