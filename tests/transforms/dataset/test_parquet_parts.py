import hashlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset.parquet_parts import write_part

ROWS = pa.table({"name": ["a", "b", "c"], "value": [1.0, None, 3.0]})


def test_a_part_is_whole_and_its_receipt_tells_of_it(tmp_path):
    path = tmp_path / "index" / "part-0.parquet"
    told = write_part(ROWS, str(tmp_path), "index/part-0.parquet", row_group=2)
    data = path.read_bytes()
    assert told == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "rows": 3}
    assert pq.read_table(path).equals(ROWS)
    assert pq.ParquetFile(path).num_row_groups == 2
    assert [one.name for one in path.parent.iterdir()] == ["part-0.parquet"]
    # A part that an engine writes twice is the same part.
    assert write_part(ROWS, str(tmp_path), "index/part-0.parquet", row_group=2) == told


@pytest.mark.parametrize("name", ["part-0.parquet", "index/part-0.parquet"])
def test_a_root_that_is_not_there_is_not_made(tmp_path, name):
    with pytest.raises(RunError, match="`output` must be on storage that all workers see"):
        write_part(ROWS, str(tmp_path / ".work-1"), name, row_group=2)
    assert not list(tmp_path.iterdir())
