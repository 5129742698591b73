"""The scale of training weights: the factor that makes their mean over the train records 1."""

import math
from collections.abc import Iterable
from typing import Any

import apache_beam as beam

from facemill.transforms.selection.decisions import KEEP, TRAIN, DecisionRows


class WeightScale(beam.pvalue.AsSideInput):
    """A side input: of all `normalizing_sums`, the factor that makes the mean weight 1."""

    @staticmethod
    def _from_runtime_iterable(it: Iterable[tuple[float, int]], options: Any) -> float:
        del options
        # In the order of their values, so that the order of arrival has no effect.
        sums = sorted(it)
        weight, count = sum(part[0] for part in sums), sum(part[1] for part in sums)
        return count / weight if weight else 1.0


def normalizing_sums(decided: DecisionRows) -> tuple[float, int]:
    """(sum of weights, number) of the train records; each copy of an image is one record."""
    rows = decided.array
    train = rows[(rows["reason"] == KEEP) & (rows["split"] == TRAIN)]
    # fsum is exact, so the order of addition does not change the last bits.
    return math.fsum(train["weight"] * train["copies"]), int(train["copies"].sum())
