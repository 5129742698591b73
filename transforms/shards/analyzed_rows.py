"""Files with the metadata of the train images, from which the statistics are computed.

Workers write them beside the index; the launcher reads them after the graph has run. Each part of
the index and each chunk of the base has a file of its own, so a runner that does a piece of work
twice writes the same file again.
"""

import os
from collections.abc import Iterator

import pyarrow as pa

from facemill.transforms import storage

# Name of the folder in the scratch directory.
ANALYZED_ROWS = "analyzed"

_ENDING = ".arrow"
# A reader holds so many rows of a file at a time.
_BATCH = 4096


def write_rows(rows: pa.Table, folder: str, name: str) -> None:
    """Writes the file of a piece of work, completely or not at all; none if there are no rows.

    Args:
        rows: the columns ANALYZED of `transforms.dataset.image_metadata`.
        folder: for these files, which the launcher has made.
        name: of the piece of work.

    Raises:
        NotSharedError: this machine does not see the folder.
    """
    if not len(rows):
        return
    # No fsync: a power cut would end the run as well.
    path = os.path.join(folder, f"{name}{_ENDING}")
    with (
        storage.new_file(path, sync=False) as stream,
        pa.ipc.new_stream(stream, rows.schema) as writer,
    ):
        writer.write_table(rows.combine_chunks(), _BATCH)


def list_rows(folder: str) -> Iterator[str]:
    """The paths of all files in the folder, sorted; files that are not complete are left out.

    Raises:
        OSError: the folder cannot be listed.
    """
    try:
        names = storage.names(folder)
    except FileNotFoundError:
        # A store has no empty folders; on a disk the launcher has made it.
        if storage.is_remote(folder):
            return
        raise
    for name in names:
        # A worker that was killed leaves a file with a temporary name.
        if name.endswith(_ENDING):
            yield os.path.join(folder, name)


def read_rows(path: str) -> Iterator[pa.Table]:
    """The rows of a file, a bounded number at a time.

    Raises:
        OSError: it cannot be read.
    """
    with storage.open_file(path) as stream, pa.ipc.open_stream(stream) as reader:
        for batch in reader:
            yield pa.Table.from_batches([batch])
