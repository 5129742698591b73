"""Of a held-out set: how many of its images can be compared, and why the others cannot."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import apache_beam as beam

from transforms.scan import Scanned
from transforms.staging import read_facts

_Sums = tuple[int, int, Counter[str]]


class CountUsable(beam.PTransform):
    """Scanned -> one dict: listed, usable, and by `reasons` how many of the others there are.

    Args:
        staging: the staging folder.
    """

    def __init__(self, staging: str) -> None:
        super().__init__()
        self._staging = staging

    def expand(self, scanned: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return (
            scanned
            | "Tally" >> beam.Map(_tally, self._staging)
            | "Sum" >> beam.CombineGlobally(_Sum())
        )


def _tally(scanned: Scanned, staging: str) -> _Sums:
    usable = len(scanned.usable)
    reasons: Counter[str] = Counter()
    if usable < scanned.count:
        told = read_facts(staging, scanned.chunk, ["reason"])["reason"].to_pylist()
        reasons.update(reason for reason in told if reason)
    return scanned.count, usable, reasons


class _Sum(beam.CombineFn):
    def create_accumulator(self) -> _Sums:
        return 0, 0, Counter()

    def add_input(self, accumulator: _Sums, sums: _Sums) -> _Sums:
        return self.merge_accumulators((accumulator, sums))

    def merge_accumulators(self, accumulators: Iterable[_Sums]) -> _Sums:
        listed, usable, reasons = self.create_accumulator()
        for one in accumulators:
            listed, usable = listed + one[0], usable + one[1]
            reasons += one[2]
        return listed, usable, reasons

    def extract_output(self, accumulator: _Sums) -> dict[str, Any]:
        listed, usable, reasons = accumulator
        return {"listed": listed, "usable": usable, "reasons": dict(reasons)}
