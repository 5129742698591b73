"""Balance by an attribute, whose values are few: half of a collection may have the same one.

Values with few images are grouped, and the rules applied to whole classes. The images of a large
one are cut into shares by their order of preference, at keys that a sample suggests; then each
rule needs the sizes of all shares, and no worker holds more than one. Where the cuts are does not
show in what is decided.
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
# Sampled images for each share: with so many a share is hardly ever twice as large as it should.
_SAMPLED = 32


@dataclass(frozen=True)
class Cuts:
    """How the large values of the attribute are cut.

    Attributes:
        values: int64 [L], ascending, as in `sizes`.
        starts: of each the preference keys at which shares begin, but for the first share.
    """

    values: np.ndarray
    starts: Sequence[np.ndarray]

    @property
    def firsts(self) -> np.ndarray:
        """Number of the first share of each value, and at the end of all: int64 [L + 1]."""
        return np.cumsum([0, *(len(starts) + 1 for starts in self.starts)], dtype=np.int64)

    def around(self, share: int) -> tuple[int, int]:
        """The shares of the value that a share is of: number of the first, and after the last."""
        firsts = self.firsts
        value = int(np.searchsorted(firsts, share, "right")) - 1
        return int(firsts[value]), int(firsts[value + 1])


class BalanceAttribute(beam.PTransform):
    """DecisionRows -> the same after rules whose classes are values of the attribute.

    Args:
        rules: in order.
        prefer: see `transforms.selection.selection.Selection`.
        total: a PCollection of one number, how many images there are.
        rows_per_group: that one worker holds at a time, about; never changes the result.
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
    """(value, images); a value as a signed number, which runners can carry."""
    rows = decided.array
    groups, counts = np.unique(rows["group"][_classed(rows)], return_counts=True)
    yield from zip(groups.view(np.int64).tolist(), counts.tolist(), strict=True)


def is_large(size: tuple[int, int], rows_per_group: int) -> bool:
    """Whether a value with so many images is cut: before a few that meet are too many."""
    return size[1] > rows_per_group // 4


def sampled(
    decided: DecisionRows, large: Sequence[tuple[int, int]], prefer: str, rows_per_group: int
) -> Iterator[tuple[int, list[bytes]]]:
    """Preference keys of some images of each large value, drawn by hash.

    Args:
        decided: some images.
        large: of `sizes`, those of all images that are large.
        prefer: see `BalanceAttribute`.
        rows_per_group: see `BalanceAttribute`.

    Yields:
        (value as in `sizes`, keys).
    """
    rows = decided.array
    values, images = np.array(sorted(large), np.int64).reshape(-1, 2).T
    rates = np.array([_SAMPLED * _shares(count, rows_per_group) / count for count in images])
    places, at = _located(rows, values)
    # 53 bits are what a float64 holds exactly.
    drawn = (splitmix64(rows["order"][places], _SAMPLE_SALT) >> np.uint64(11)) / (1 << 53) < rates[
        at
    ]
    places, at = places[drawn], at[drawn]
    for one in np.unique(at).tolist():
        yield int(values[one]), preference_keys(rows[places[at == one]], prefer).tolist()


def cut(
    samples: Sequence[tuple[int, list[bytes]]],
    large: Sequence[tuple[int, int]],
    rows_per_group: int,
) -> Cuts:
    """Where the large values are cut, so that shares are about equal.

    Args:
        samples: of `sampled`, in any order.
        large: as there.
        rows_per_group: see `BalanceAttribute`.
    """
    drawn: dict[int, list[bytes]] = {value: [] for value, _ in large}
    for value, some in samples:
        drawn[value] += some
    found = []
    for value, images in sorted(large):
        keys = sorted(drawn[value])
        count = _shares(images, rows_per_group)
        at = [len(keys) * share // count for share in range(1, count)] if keys else []
        found.append(np.unique(np.array([keys[place] for place in at], "S")))
    return Cuts(np.array([value for value, _ in sorted(large)], np.int64), found)


def by_attribute(
    decided: DecisionRows, cuts: Cuts, total: int, prefer: str, rows_per_group: int
) -> Iterator[tuple[int, DecisionRows]]:
    """Rows by group: of small values from 0 on, and after these the shares of large ones.

    Args:
        decided: some images.
        cuts: see `cut`.
        total: images of the run.
        prefer: see `BalanceAttribute`.
        rows_per_group: see `BalanceAttribute`.
    """
    rows = decided.array
    groups = group_count(total, rows_per_group)
    # What is in no class need not meet.
    keys = np.where(_classed(rows), rows["group"], rows["order"]) % np.uint64(groups)
    places, at = _located(rows, cuts.values)
    for one in np.unique(at).tolist():
        mine = places[at == one]
        share = np.searchsorted(cuts.starts[one], preference_keys(rows[mine], prefer), "right")
        keys[mine] = (groups + cuts.firsts[one] + share).astype(np.uint64)
    yield from DecisionRows.divide(rows, keys)


class _Balance(beam.DoFn):
    """Groups of small values after all rules; shares of large ones in their order, with number."""

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
    """(number of the share, images that the rule concerns, records of them)."""
    return share[0], *tally(share[1].array, rule)


def balance_share(
    share: tuple[int, DecisionRows],
    rule: Rule,
    cuts: Cuts,
    tallies: Sequence[tuple[int, int, int]],
) -> tuple[int, DecisionRows]:
    """A share after a rule.

    Args:
        share: (number, images in order).
        rule: the rule.
        cuts: see `cut`.
        tallies: of all shares, in any order, see `tally_share`.
    """
    number, decided = share
    rows = DecisionRows.join([decided])
    first, stop = cuts.around(number)
    mine = [one for one in tallies if first <= one[0] < stop]
    before = sum(images for other, images, _ in mine if other < number)
    images, records = (sum(one[column] for one in mine) for column in (1, 2))
    apply_to_share(rows, rule, before, images, records)
    return number, DecisionRows.of(rows)


def _shares(images: int, rows_per_group: int) -> int:
    return max(2, math.ceil(2 * images / rows_per_group))


def _classed(rows: np.ndarray) -> np.ndarray:
    """Which images the rules may concern."""
    return (rows["group"] != 0) & (rows["reason"] == KEEP)


def _located(rows: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(places of rows in a class of one of the values, which value): int64 [K] each.

    Args:
        rows: DECISION [N].
        values: int64 [L], ascending.
    """
    groups = rows["group"].view(np.int64)
    at = np.searchsorted(values, groups)
    found = np.append(values, 0)[at] == groups
    places = np.flatnonzero(found & _classed(rows))
    return places, at[places]
