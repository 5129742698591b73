"""Receipts: small JSON files in which a pipeline reports to the launcher what it wrote.

They are files, and not metrics or in-memory results, because files work with every runner.
"""

import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import apache_beam as beam

from facemill.transforms import storage
from facemill.transforms.core.errors import NotSharedError

# In place of a receipt, so that a file without any is written too.
_NOTHING = None


class WriteReceipts(beam.PTransform):
    """A dict of receipts (dicts) by path -> a JSON file for each path, which the launcher has made
    the folder of.

    A file holds its receipts as a sorted list, empty if there are none. All files of a graph are
    best written by one of these transforms: it is one grouping and one stage, however many they
    are, and each stage costs a remote runner seconds.

    Args:
        zeros: for files whose receipts are numbers to be added, by path: what nothing adds up to.
            Such a file holds one receipt.
        start: an Impulse that the graph has for other purposes; without, there is one more.
    """

    def __init__(
        self,
        zeros: Mapping[str, Mapping[str, int]] | None = None,
        start: beam.PCollection | None = None,
    ) -> None:
        super().__init__()
        self._zeros = dict(zeros or {})
        self._start = start

    # Beam knows no type of several streams, and would log so at each start of a job.
    @beam.typehints.no_annotations
    def expand(self, receipts: Mapping[str, beam.PCollection]) -> beam.PCollection:
        """Builds the graph."""
        texts = [
            some
            | f"{_label(path)}ToJson"
            >> beam.Map(_to_json, number).with_output_types(tuple[int, str])
            for number, (path, some) in enumerate(receipts.items())
        ]
        start = self._start
        if start is None:
            start = next(iter(receipts.values())).pipeline | beam.Impulse()
        # Each file is written, whether it has receipts or not.
        every = [json.dumps(self._zeros.get(path, _NOTHING)) for path in receipts]
        files = start | "Files" >> beam.FlatMap(_files, every).with_output_types(tuple[int, str])
        return (
            [files, *texts]
            | "All" >> beam.Flatten()
            | "GroupFiles" >> beam.GroupByKey()
            | "Write" >> beam.Map(_write, tuple(receipts), frozenset(self._zeros))
        )


def count_receipt(count: int, name: str) -> dict[str, int]:
    """A receipt that tells one number.

    Args:
        count: the number.
        name: what was counted.
    """
    return {name: count}


def write(path: str, receipts: Iterable[Mapping[str, Any]]) -> None:
    """Writes a file of receipts."""
    _write_texts(path, [json.dumps(one, sort_keys=True) for one in receipts])


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


def _label(path: str) -> str:
    stem, _ = os.path.splitext(os.path.basename(path))
    return stem.title().replace("_", "")


def _files(start: bytes, texts: Sequence[str]) -> Iterable[tuple[int, str]]:
    del start
    return enumerate(texts)


def _to_json(receipt: Mapping[str, Any], number: int) -> tuple[int, str]:
    return number, json.dumps(receipt, sort_keys=True)


def _write(group: tuple[int, Iterable[str]], paths: Sequence[str], summed: Collection[str]) -> None:
    number, texts = group
    path = paths[number]
    if path in summed:
        total: Counter[str] = Counter()
        for text in texts:
            total.update(json.loads(text))
        receipts = [json.dumps(total, sort_keys=True)]
    else:
        receipts = sorted(text for text in texts if text != json.dumps(_NOTHING))
    _write_texts(path, receipts)


def _write_texts(path: str, receipts: Iterable[str]) -> None:
    storage.write_atomically(path, ("[" + ",\n".join(receipts) + "]\n").encode("ascii"))
