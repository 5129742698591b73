"""docs/records.md names what is written, and its program reads it."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from facemill.transforms.dataset import records, tfrecord
from facemill.transforms.dataset.records import Record, decode_example, extra_features
from facemill.transforms.images.resize import encode_jpeg
from facemill.transforms.scoring import write
from facemill.transforms.shards.index import SCHEMA

PAGE = (Path(__file__).parents[2] / "docs" / "records.md").read_text("utf-8")
RECORD = Record(
    "ada/1.jpg", "ada", encode_jpeg(np.zeros((16, 16, 3), np.uint8)), (1,) * 3, (2,) * 3
)


def rows(heading: str) -> dict[str, str]:
    """Name and type of each row of the table under a heading, in order."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    found = re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", section, re.M)
    assert len(dict(found)) == len(found)
    return dict(found)


def type_name(kind: pa.DataType) -> str:
    if pa.types.is_map(kind):
        return f"map of {type_name(kind.key_type)} to {type_name(kind.item_type)}"
    if pa.types.is_fixed_size_list(kind):
        return f"list of D {type_name(kind.value_type)}, of fixed size"
    if pa.types.is_list(kind):
        return f"list of {type_name(kind.value_type)}"
    if pa.types.is_fixed_size_binary(kind):
        return f"binary of {kind.byte_width}"
    return {"float": "float32"}.get(str(kind), str(kind))


@pytest.mark.parametrize(
    ("heading", "schema"),
    [
        ("Index", SCHEMA),
        ("Embeddings", write.schema(8)),
        ("Errors", write.ERRORS),
        ("Removed", write.REMOVED),
    ],
)
def test_the_page_has_each_column_with_its_type_in_order(heading, schema):
    expected = {field.name: type_name(field.type) for field in schema}
    assert list(rows(heading).items()) == list(expected.items())


def test_the_page_has_each_feature_with_its_type():
    example = RECORD.to_example() + extra_features(2, 0.5)
    expected = {
        name: f"float, {len(value)}"
        if isinstance(value, list) and isinstance(value[0], float)
        else "int64, 1"
        if isinstance(value, list)
        else "bytes, 1"
        for name, value in decode_example(example).items()
    }
    assert rows("Records") == expected
    assert {records.WEIGHT, records.AUGMENTATION_SEED} <= set(expected)


def test_the_program_of_the_page_reads_a_shard(tmp_path, monkeypatch, capsys):
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    assert "facemill" not in program
    folder = tmp_path / "dataset" / "train"
    folder.mkdir(parents=True)
    other = Record("böb/1.jpg", "böb", RECORD.encoded, (1.0,) * 3, (2.0,) * 3)
    with (folder / "part-00000-of-00001.tfrecord").open("wb") as stream:
        tfrecord.write(stream, [RECORD.to_example(), other.to_example() + extra_features(1, 0.5)])
    monkeypatch.chdir(tmp_path)
    exec(compile(program, "records.md", "exec"), {})
    assert capsys.readouterr().out == "ada/1.jpg ada (16, 16, 3)\nböb/1.jpg böb (16, 16, 3)\n"
