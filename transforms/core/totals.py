"""Sums of a collection of numbers as a side input, without a stage that adds them."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from apache_beam.pvalue import AsSideInput


class SumOf(AsSideInput):
    """A side input: the sum of all numbers of a collection, 0 if it is empty.

    A global sum is a grouping and three stages of Python on a portable runner, most of them for the
    case that there is no number. Here each worker adds the numbers when it first asks for them in a
    bundle, so there should be few: one for each chunk, not one for each image.
    """

    @staticmethod
    def _from_runtime_iterable(it: Iterable[Any], options: Any) -> Any:
        del options
        return sum(it)


class SumsOf(AsSideInput):
    """A side input: a dict with the sum of the numbers of each key, from pairs (key, number)."""

    @staticmethod
    def _from_runtime_iterable(it: Iterable[tuple[Any, Any]], options: Any) -> Any:
        del options
        sums: Counter[Any] = Counter()
        for key, number in it:
            sums[key] += number
        return dict(sums)
