"""Receipts: small JSON files in which a pipeline reports to the launcher what it wrote.

They are files, and not metrics or in-memory results, because files work with every runner.
"""

import json
from collections.abc import Sequence
from typing import Any

import apache_beam as beam

from facemill.transforms import storage
from facemill.transforms.core.errors import NotSharedError


class WriteReceipts(beam.PTransform):
    """Receipts (dicts) -> one JSON file that holds them as a sorted list, empty if there are none.

    Args:
        path: of the file, whose folder the launcher has made.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def expand(self, receipts: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        texts = receipts | "ToJson" >> beam.Map(_to_json).with_output_types(str)
        return (
            receipts.pipeline
            | "Once" >> beam.Create([0], reshuffle=False)
            | "Write" >> beam.Map(_write, self._path, beam.pvalue.AsList(texts))
        )


def count_receipt(count: int, name: str) -> dict[str, int]:
    """A receipt that tells one number.

    Args:
        count: the number.
        name: what was counted.
    """
    return {name: count}


def read(path: str) -> list[dict[str, Any]]:
    """The receipts of a file that a pipeline wrote.

    Raises:
        NotSharedError: it is absent: a worker wrote it to storage that the launcher does not see.
    """
    try:
        return json.loads(storage.read_bytes(path))
    except FileNotFoundError:
        raise NotSharedError(path, machine=None) from None


def read_if_written(path: str) -> list[dict[str, Any]] | None:
    """The receipts of a file, or None if it is not written yet."""
    return read(path) if storage.exists(path) else None


def _to_json(receipt: dict[str, Any]) -> str:
    return json.dumps(receipt, sort_keys=True)


def _write(once: int, path: str, receipts: Sequence[str]) -> None:
    del once
    text = "[" + ",\n".join(sorted(receipts)) + "]\n"
    storage.write_atomically(path, text.encode("ascii"))
