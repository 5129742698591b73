"""Rows divided among files come back, each from its bucket."""

import numpy as np
import pyarrow as pa
import pytest

from facemill.transforms.scoring import buckets
from facemill.transforms.scoring.buckets import Buckets, bucket_count


def test_rows_come_back_from_their_buckets(tmp_path):
    schema = pa.schema([("name", pa.string())])
    with Buckets(str(tmp_path), 5, schema) as files:
        for start in range(0, 30, 10):
            names = [f"n{number}" for number in range(start, start + 10)]
            table = pa.table({"name": names}, schema=schema)
            files.add(table, np.arange(start, start + 10) % 3)
    found = {number: table["name"].to_pylist() for number, table in files.tables()}
    # Buckets without rows are passed over.
    assert found == {rest: [f"n{n}" for n in range(30) if n % 3 == rest] for rest in range(3)}


def test_the_number_of_buckets_follows_the_rows(monkeypatch):
    monkeypatch.setattr(buckets, "_ROWS", 10)
    monkeypatch.setattr(buckets, "_MOST", 4)
    assert [bucket_count(rows) for rows in (0, 1, 10, 11, 1000)] == [1, 1, 1, 2, 4]


def test_an_error_leaves_no_file_open(tmp_path):
    with pytest.raises(ValueError, match="mine"), Buckets(str(tmp_path), 2, pa.schema([])):
        raise ValueError("mine")
    assert not list(tmp_path.iterdir())
