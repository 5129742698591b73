"""Receipts: small JSON files by which a pipeline tells its submitter what it wrote.

Files, and not metrics or in-memory results, because every engine has them.
"""

import json
from collections.abc import Iterable
from typing import Any

import apache_beam as beam

from transforms import storage
from transforms.errors import RunError


class WriteReceipts(beam.PTransform):
    """dict -> one JSON file that holds them all as a list, sorted.

    Args:
        path: of the file.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def expand(self, receipts: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return (
            receipts
            | "ToOnePlace" >> beam.Map(_one_place).with_output_types(tuple[int, str])
            | "Group" >> beam.GroupByKey()
            | "Write" >> beam.Map(_write, self._path)
        )


def read(path: str) -> list[dict[str, Any]]:
    """The receipts of a file that every run writes.

    Raises:
        RunError: it is absent, so it was written where the launcher does not look.
    """
    found = read_if_any(path)
    if not found:
        raise RunError(
            "--output must be on storage that the launcher and all workers see at the same path, "
            f"but {path}, which a worker wrote, is not there; mount it everywhere or give another "
            "path."
        )
    return found


def read_if_any(path: str) -> list[dict[str, Any]]:
    """The receipts of a file; none if the pipeline had nothing to say."""
    try:
        return json.loads(storage.read_bytes(path))
    except FileNotFoundError:
        return []


def _one_place(receipt: dict[str, Any]) -> tuple[int, str]:
    return 0, json.dumps(receipt, sort_keys=True)


def _write(group: tuple[int, Iterable[str]], path: str) -> None:
    text = "[" + ",\n".join(sorted(group[1])) + "]\n"
    storage.write_atomically(path, text.encode("ascii"))
