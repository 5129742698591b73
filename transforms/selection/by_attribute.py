"""Balance by an attribute with few values: half of a collection may have the same value.

Values with few images are grouped, and a worker applies the rules to whole classes. The images of a
large value are cut into shares by their order of preference, at keys estimated from a sample. Then
each rule needs the sizes of all shares, and no worker holds more than one share. The decisions do
not depend on where the cuts are.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from facemill.transforms.core.coders import register
from facemill.transforms.core.grouping import ROWS_PER_GROUP, group_count
from facemill.transforms.core.keyed import splitmix64
from facemill.transforms.core.merging import Merge
from facemill.transforms.selection.apply import apply, apply_to_share, preference_keys, tally
from facemill.transforms.selection.decisions import KEEP, DecisionRows
from facemill.transforms.selection.rules import Rule

register(DecisionRows)

_LARGE_TAG = "large"
_SAMPLE_SALT = 3
# Sampled images for each share: with so many, a share is hardly ever twice the intended size.
_SAMPLED = 32


@dataclass(frozen=True)
class Cuts:
    """How the large values of the attribute are cut.

    Attributes:
        values: int64 [L], ascending, as in `sizes`.
        starts: of each value the preference keys at which its shares begin, except the first.
    """

    values: np.ndarray
    starts: Sequence[np.ndarray]

    @property
    def firsts(self) -> np.ndarray:
        """Number of the first share of each value, then the number of all shares: int64 [L + 1]."""
        return np.cumsum([0, *(len(starts) + 1 for starts in self.starts)], dtype=np.int64)

    def around(self, share: int) -> tuple[int, int]:
        """The range of shares of the value that a share belongs to: (first, last + 1)."""
        firsts = self.firsts
        value = int(np.searchsorted(firsts, share, "right")) - 1
        return int(firsts[value]), int(firsts[value + 1])


class BalanceAttribute(beam.PTransform):
    """DecisionRows -> the same after rules whose classes are values of the attribute.

    Args:
        rules: in order.
        prefer: see `transforms.selection.selection.Selection`.
        total: a PCollection of one number, how many images there are.
        rows_per_group: about how many rows one worker holds at a time; never changes the result.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        prefer: str,
        total: beam.PCollection,
        rows_per_group: int = ROWS_PER_GROUP,
    ) -> None:
        super().__init__()
        self._rules = rules
        self._prefer = prefer
        self._total = beam.pvalue.AsSingleton(total)
        self._rows = rows_per_group

    def expand(self, decided: beam.PCollection) -> Any:
        """Builds the graph."""
        large = beam.pvalue.AsSingleton(
            decided
            | "Sizes" >> beam.FlatMap(sizes).with_output_types(tuple[int, int])
            | "AllSizes" >> beam.CombinePerKey(sum)
            | "Large" >> beam.Filter(is_large, self._rows)
            | "AllLarge" >> beam.combiners.ToList()
        )
        cuts = beam.pvalue.AsSingleton(
            decided
            | "Sample"
            >> beam.FlatMap(sampled, large, self._prefer, self._rows).with_output_types(
                tuple[int, list[bytes]]
            )
            | "AllSamples" >> beam.combiners.ToList()
            | "Cut" >> beam.Map(cut, large, self._rows)
        )
        grouped = (
            decided
            | "ByAttribute"
            >> beam.FlatMap(
                by_attribute, cuts, self._total, self._prefer, self._rows
            ).with_output_types(tuple[int, DecisionRows])
            | "GroupAttributes" >> beam.GroupByKey()
            | "Balance"
            >> beam.ParDo(
                _Balance(self._rules, self._prefer, self._rows), self._total
            ).with_outputs(_LARGE_TAG, main="whole")
        )
        shares = grouped[_LARGE_TAG]
        for number, rule in enumerate(self._rules, start=1):
            tallies = beam.pvalue.AsSingleton(
                shares
                | f"Tally{number}"
                >> beam.Map(tally_share, rule).with_output_types(tuple[int, int, int])
                | f"AllTallies{number}" >> beam.combiners.ToList()
            )
            shares = shares | f"Share{number}" >> beam.Map(
                balance_share, rule, cuts, tallies
            ).with_output_types(tuple[int, DecisionRows])
        balanced = shares | "Shares" >> beam.Values().with_output_types(DecisionRows)
        return (grouped.whole, balanced) | "Balanced" >> Merge()


def sizes(decided: DecisionRows) -> Iterator[tuple[int, int]]:
    """(value, images) of each value; a value as a signed number, which all runners encode."""
    rows = decided.array
    groups, counts = np.unique(rows["group"][_in_a_class(rows)], return_counts=True)
    yield from zip(groups.view(np.int64).tolist(), counts.tolist(), strict=True)


def is_large(size: tuple[int, int], rows_per_group: int) -> bool:
    """Whether a value with so many images is cut into shares.

    The limit is a quarter of a group, so that a few uncut values fit into one group.
    """
    return size[1] > rows_per_group // 4


def sampled(
    decided: DecisionRows, large: Sequence[tuple[int, int]], prefer: str, rows_per_group: int
) -> Iterator[tuple[int, list[bytes]]]:
    """Preference keys of some images of each large value, drawn by hash.

    Args:
        decided: some images.
        large: (value, images) of the values of all images that are large, see `is_large`.
        prefer: see `BalanceAttribute`.
        rows_per_group: see `BalanceAttribute`.

    Yields:
        (value as in `sizes`, keys).
    """
    rows = decided.array
    values, images = np.array(sorted(large), np.int64).reshape(-1, 2).T
    rates = np.array([_SAMPLED * _shares(count, rows_per_group) / count for count in images])
    row_indices, value_indices = _rows_with_values(rows, values)
    # 53 bits are what a float64 holds exactly.
    drawn = (splitmix64(rows["order"][row_indices], _SAMPLE_SALT) >> np.uint64(11)) / (
        1 << 53
    ) < rates[value_indices]
    row_indices, value_indices = row_indices[drawn], value_indices[drawn]
    for one in np.unique(value_indices).tolist():
        yield (
            int(values[one]),
            preference_keys(rows[row_indices[value_indices == one]], prefer).tolist(),
        )


def cut(
    samples: Sequence[tuple[int, list[bytes]]],
    large: Sequence[tuple[int, int]],
    rows_per_group: int,
) -> Cuts:
    """Chooses where the large values are cut, so that shares are about equal.

    Args:
        samples: see `sampled`, in any order.
        large: see `sampled`.
        rows_per_group: see `BalanceAttribute`.
    """
    drawn: dict[int, list[bytes]] = {value: [] for value, _ in large}
    for value, some in samples:
        drawn[value] += some
    found = []
    for value, images in sorted(large):
        keys = sorted(drawn[value])
        count = _shares(images, rows_per_group)
        cut_indices = [len(keys) * share // count for share in range(1, count)] if keys else []
        found.append(np.unique(np.array([keys[index] for index in cut_indices], "S")))
    return Cuts(np.array([value for value, _ in sorted(large)], np.int64), found)


def by_attribute(
    decided: DecisionRows, cuts: Cuts, total: int, prefer: str, rows_per_group: int
) -> Iterator[tuple[int, DecisionRows]]:
    """Rows by group: groups of small values from 0 on, then a group for each share of large ones.

    Args:
        decided: some images.
        cuts: see `cut`.
        total: images of the run.
        prefer: see `BalanceAttribute`.
        rows_per_group: see `BalanceAttribute`.
    """
    rows = decided.array
    groups = group_count(total, rows_per_group)
    # Images without a class may go into any group.
    keys = np.where(_in_a_class(rows), rows["group"], rows["order"]) % np.uint64(groups)
    row_indices, value_indices = _rows_with_values(rows, cuts.values)
    for one in np.unique(value_indices).tolist():
        indices = row_indices[value_indices == one]
        share = np.searchsorted(cuts.starts[one], preference_keys(rows[indices], prefer), "right")
        keys[indices] = (groups + cuts.firsts[one] + share).astype(np.uint64)
    yield from DecisionRows.divide(rows, keys)


class _Balance(beam.DoFn):
    """Applies all rules to groups of small values; sorts shares of large ones, and numbers them."""

    def __init__(self, rules: Sequence[Rule], prefer: str, rows_per_group: int) -> None:
        self._rules = rules
        self._prefer = prefer
        self._rows = rows_per_group

    def process(
        self, group: tuple[int, Iterable[DecisionRows]], total: int
    ) -> Iterator[DecisionRows | TaggedOutput[Literal["large"], tuple[int, DecisionRows]]]:
        rows = DecisionRows.join(group[1])
        share = group[0] - group_count(total, self._rows)
        if share >= 0:
            ordered = rows[np.argsort(preference_keys(rows, self._prefer))]
            yield TaggedOutput(_LARGE_TAG, (share, DecisionRows.of(ordered)))
            return
        for rule in self._rules:
            apply(rows, rule, "group", self._prefer)
        yield DecisionRows.of(rows)


def tally_share(share: tuple[int, DecisionRows], rule: Rule) -> tuple[int, int, int]:
    """(number of the share, images that the rule applies to, records of these)."""
    return share[0], *tally(share[1].array, rule)


def balance_share(
    share: tuple[int, DecisionRows],
    rule: Rule,
    cuts: Cuts,
    tallies: Sequence[tuple[int, int, int]],
) -> tuple[int, DecisionRows]:
    """Applies a rule to a share.

    Args:
        share: (number, images in order).
        rule: the rule.
        cuts: see `cut`.
        tallies: of all shares, in any order, see `tally_share`.
    """
    number, decided = share
    rows = DecisionRows.join([decided])
    first, stop = cuts.around(number)
    tallies_of_value = [one for one in tallies if first <= one[0] < stop]
    before = sum(images for other, images, _ in tallies_of_value if other < number)
    images, records = (sum(one[column] for one in tallies_of_value) for column in (1, 2))
    apply_to_share(rows, rule, before, images, records)
    return number, DecisionRows.of(rows)


def _shares(images: int, rows_per_group: int) -> int:
    return max(2, math.ceil(2 * images / rows_per_group))


def _in_a_class(rows: np.ndarray) -> np.ndarray:
    """Which images the rules may apply to: bool [N]."""
    return (rows["group"] != 0) & (rows["reason"] == KEEP)


def _rows_with_values(rows: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(indices of rows with one of the values, index of the value): int64 [K] each.

    Args:
        rows: DECISION [N].
        values: int64 [L], ascending.
    """
    groups = rows["group"].view(np.int64)
    value_indices = np.searchsorted(values, groups)
    found = np.append(values, 0)[value_indices] == groups
    row_indices = np.flatnonzero(found & _in_a_class(rows))
    return row_indices, value_indices[row_indices]
