"""In which order the records of several datasets come, so that each part of an epoch has all."""

from collections.abc import Iterator, Sequence

import numpy as np

_AT_A_TIME = 16_384


def proportional_order(counts: Sequence[int], at_a_time: int = _AT_A_TIME) -> Iterator[np.ndarray]:
    """From which dataset the next record comes, for all records of an epoch.

    Any number of records from the start on has each dataset's share of them, to within half a
    record for each dataset but one. The K-th of N records of a dataset stands at
    (K + 1/2) / N of the epoch. Memory does not grow with the number of records.

    Args:
        counts: records of each dataset, 0 or more.
        at_a_time: of how many records, roughly, the order is made at a time.

    Yields:
        int64 [M], numbers of datasets; together each occurs as often as it has records.
    """
    windows = max(1, -(-sum(counts) // at_a_time))
    for window in range(windows):
        numbers, places = [], []
        for number, count in enumerate(counts):
            # Whole numbers, so that no record falls between two windows: K with
            # window / windows <= (2 K + 1) / (2 count) < (window + 1) / windows.
            first, end = (
                min(count, max(0, -(-(2 * count * edge - windows) // (2 * windows))))
                for edge in (window, window + 1)
            )
            numbers.append(np.full(end - first, number, np.int64))
            places.append((np.arange(first, end) + 0.5) / max(1, count))
        # Stable, so that of equal places the first dataset's comes first.
        order = np.argsort(np.concatenate(places), kind="stable")
        yield np.concatenate(numbers)[order]
