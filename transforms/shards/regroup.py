"""Brings the records of each shard together, where records are staged on an object store.

A shard has some records of every chunk. On a store, reading each by itself would cost a request for
every image, and reading all chunks for every shard would read everything many times. So the records
of some chunks are read once and written as one object, in which those of each shard are together;
then each shard is written from one part of each such object.
"""

import os
from collections.abc import Iterable, Iterator

import numpy as np

from facemill.transforms import storage
from facemill.transforms.core.grouping import group_count
from facemill.transforms.core.keyed import splitmix64
from facemill.transforms.core.row_ids import ROW_BITS, row_of
from facemill.transforms.scan.staging import all_records, read_parts
from facemill.transforms.shards.rows import PLACED, RECORD, PlacedRows, RecordRows

# 40 MB at 112 pixels.
_RECORDS_IN_A_GROUP = 8_192
_SALT = 33
# The most that one request reads.
_REQUEST_BYTES = 16 << 20
_REQUESTS_AHEAD = 8


def groups_of(records: np.ndarray, total: int) -> np.ndarray:
    """The number of the group of each record, which its chunk decides: uint64 [N].

    Args:
        records: RECORD [N].
        total: how many records the dataset has.
    """
    count = group_count(total, _RECORDS_IN_A_GROUP)
    return splitmix64(records["row_id"] >> np.uint64(ROW_BITS), _SALT) % np.uint64(count)


def regroup(
    staging: str, group: int, shards: Iterable[tuple[str, RecordRows]]
) -> Iterator[tuple[str, PlacedRows]]:
    """Writes the records of a group of chunks as one object, shard after shard.

    Args:
        staging: URL of the staging folder.
        group: its number, see `groups_of`.
        shards: names of shards, with their records in this group.

    Returns:
        The names of the shards, each with its records.

    Raises:
        RunError: this machine does not see the staging folder.
    """
    parts: dict[str, list[np.ndarray]] = {}
    for name, rows in shards:
        parts.setdefault(name, []).append(rows.array)
    names = sorted(parts)
    by_name = [_placed(np.concatenate(parts[name]), group) for name in names]
    everything = np.concatenate(by_name)
    chunk_numbers = everything["row_id"] >> np.uint64(ROW_BITS)
    contents: list[bytes] = [b""] * len(everything)
    for chunk, data, entries in all_records(staging, np.unique(chunk_numbers).tolist()):
        for index in np.flatnonzero(chunk_numbers == chunk).tolist():
            start, length = entries[row_of(int(everything["row_id"][index]))].tolist()
            contents[index] = data[start : start + length]
    everything["length"] = [len(content) for content in contents]
    ends = np.cumsum(everything["length"], dtype=np.uint64)
    everything["offset"] = ends - everything["length"]
    with storage.new_file(_path(staging, group), sync=False) as stream:
        for content in contents:
            stream.write(content)
    start = 0
    for name, mine in zip(names, by_name, strict=True):
        yield name, PlacedRows.of(everything[start : start + len(mine)])
        start += len(mine)


def read_placed(staging: str, records: np.ndarray) -> list[bytes]:
    """The encoded records of a shard.

    Args:
        staging: URL of the staging folder.
        records: PLACED [N], of one shard.

    Returns:
        N records in the same order.

    Raises:
        RunError: this machine does not see a file.
    """
    order = np.lexsort((records["offset"], records["group"]))
    requests: list[tuple[str, int, int]] = []
    # For each record its request and where it starts in what the request reads.
    found: list[tuple[int, int, int]] = []
    last = None
    for group, offset, length in records[["group", "offset", "length"]][order].tolist():
        path = _path(staging, group)
        start, size = (requests[-1][1], requests[-1][2]) if requests else (0, 0)
        goes_on = group == last and offset == start + size and size + length <= _REQUEST_BYTES
        if goes_on:
            requests[-1] = (path, start, size + length)
        else:
            requests.append((path, offset, length))
        found.append((len(requests) - 1, offset - requests[-1][1], length))
        last = group
    records_read: list[bytes] = [b""] * len(records)
    contents = read_parts(requests, _REQUESTS_AHEAD)
    wanted = iter(zip(order.tolist(), found, strict=True))
    one = next(wanted, None)
    for number, content in enumerate(contents):
        while one is not None and one[1][0] == number:
            _, start, length = one[1]
            records_read[one[0]] = content[start : start + length]
            one = next(wanted, None)
    return records_read


def _placed(records: np.ndarray, group: int) -> np.ndarray:
    records = records[np.lexsort((records["copy"], records["row_id"], records["rank"]))]
    placed = np.zeros(len(records), PLACED)
    for name in RECORD.names or ():
        placed[name] = records[name]
    placed["group"] = group
    return placed


def _path(staging: str, group: int) -> str:
    return os.path.join(staging, f"regrouped-{group:010x}")
