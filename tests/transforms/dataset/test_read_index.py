import json

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from facemill.transforms.core.errors import RunError, UsageError
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.read_index import read_index

ROWS = pa.table({"image_id": ["a", "b", "c"], "outcome": ["kept", "rejected", "kept"]})


@pytest.fixture
def dataset(tmp_path):
    """An index in two parts, and a file beside it that the manifest does not list."""
    (tmp_path / "index").mkdir()
    for number in range(2):
        pq.write_table(ROWS, tmp_path / "index" / f"part-{number}.parquet")
    files = [
        artifact.file_entry(str(tmp_path), f"index/part-{number}.parquet") for number in (0, 1)
    ]
    pq.write_table(ROWS, tmp_path / "index" / "part-9.parquet")
    described = {"kind": "dataset", "schema_version": artifact.SCHEMA_VERSION, "files": files}
    (tmp_path / "manifest.json").write_text(json.dumps(described))
    return tmp_path


def test_the_listed_parts_are_read_as_one_table(dataset):
    assert read_index(dataset).equals(pa.concat_tables([ROWS, ROWS]))


def test_columns_come_in_the_order_asked_for(dataset):
    assert read_index(dataset, columns=["outcome", "image_id"]).column_names == [
        "outcome",
        "image_id",
    ]


@pytest.mark.parametrize("filters", [[("outcome", "==", "kept")], pc.field("outcome") == "kept"])
def test_filters_choose_rows_by_columns_that_are_not_read(dataset, filters):
    table = read_index(str(dataset), columns=["image_id"], filters=filters)
    assert table.to_pydict() == {"image_id": ["a", "c", "a", "c"]}


def test_an_unknown_column_is_reported_with_the_existing_ones(dataset):
    with pytest.raises(UsageError, match=r"\(image_id, outcome\), got 'name'; choose"):
        read_index(dataset, columns=["name"])


def test_an_unknown_column_in_a_filter_is_reported(dataset):
    with pytest.raises(UsageError, match=r"columns of the index \(image_id, outcome\)"):
        read_index(dataset, filters=pc.field("name") == "x")


def test_a_directory_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(UsageError, match="must be a complete dataset artifact"):
        read_index(tmp_path)


def test_a_missing_part_is_an_error(dataset):
    (dataset / "index" / "part-1.parquet").unlink()
    with pytest.raises(RunError, match=r"part-1.parquet must exist, but is missing"):
        read_index(dataset)


def test_a_damaged_part_is_reported(dataset):
    part = dataset / "index" / "part-0.parquet"
    part.write_bytes(bytes(part.stat().st_size))
    with pytest.raises(RunError, match="must be readable, but Arrow says"):
        read_index(dataset)
