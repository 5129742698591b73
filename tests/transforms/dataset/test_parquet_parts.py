import hashlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facemill.transforms import storage
from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.dataset.parquet_parts import part_batches, read_part, write_part

ROWS = pa.table({"name": ["a", "b", "c"], "value": [1.0, None, 3.0]})


def test_the_receipt_of_a_part_describes_its_file(tmp_path):
    path = tmp_path / "index" / "part-0.parquet"
    receipt = write_part(ROWS, OutputFiles(str(tmp_path)), "index/part-0.parquet", row_group=2)
    data = path.read_bytes()
    assert receipt == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "rows": 3}
    assert pq.read_table(path).equals(ROWS)
    assert pq.ParquetFile(path).num_row_groups == 2
    assert [one.name for one in path.parent.iterdir()] == ["part-0.parquet"]
    # A part that a runner writes twice has the same bytes.
    assert (
        write_part(ROWS, OutputFiles(str(tmp_path)), "index/part-0.parquet", row_group=2) == receipt
    )


@pytest.mark.parametrize("name", ["part-0.parquet", "index/part-0.parquet"])
def test_a_missing_root_is_an_error_and_is_not_made(tmp_path, name):
    with pytest.raises(RunError, match="`output` must be on storage that all workers see"):
        write_part(ROWS, OutputFiles(str(tmp_path / ".work-1")), name, row_group=2)
    assert not list(tmp_path.iterdir())


def test_a_part_on_a_store_has_the_bytes_of_one_on_a_disk(root, tmp_path):
    storage.touch(f"{root}/running")
    files = OutputFiles(root, f"{root}/running")
    receipt = write_part(ROWS, files, "index/part-0.parquet", row_group=2)
    assert receipt == write_part(ROWS, OutputFiles(str(tmp_path)), "index/part-0.parquet", 2)
    path = files.path("index/part-0.parquet")
    assert storage.read_bytes(path) == (tmp_path / "index/part-0.parquet").read_bytes()
    assert read_part(path, None).equals(ROWS)
    assert read_part(path, ["name"], [("value", ">", 2)]).to_pydict() == {"name": ["c"]}
    batches = list(part_batches(path, ["value"], 2))
    assert [batch.num_rows for batch in batches] == [2, 1]
