import dataclasses
import functools

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facemill.transforms import storage
from facemill.transforms.core.reasons import ReasonCode
from facemill.transforms.dataset import write_results
from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.scoring import write
from facemill.transforms.scoring.rows import Failure, Measures, Scored
from tests.reasons import because

EMPTY = because("empty file", ReasonCode.EMPTY_FILE)


SIZE = 4
FOUND = Measures(1.5, 2.5, 3.5, 2, 0.75, (-1.0, 2.0, 30.0, 40.5), (1.0, 2.0, 3.0, 4.0))
ROWS = [
    Scored(f"a/{number:03d}.jpg", "s", "a", FOUND, np.full(SIZE, number, "<f4").tobytes())
    for number in range(100)
]


def run(folder, chunks: list, transform) -> list[dict]:
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        total = pipeline | "Total" >> beam.Create([sum(map(len, chunks))])
        receipts = pipeline | "Rows" >> beam.Create(chunks, reshuffle=False) | transform(total)
        _ = {str(folder / "receipts.json"): receipts} | write_results.WriteReceipts()
    return write_results.read(str(folder / "receipts.json"))


def embeddings(folder, chunks: list) -> list[dict]:
    return run(
        folder,
        chunks,
        lambda total: write.WriteEmbeddings(
            OutputFiles(str(folder)),
            str(folder / "rows"),
            functools.partial(write.table, embedding_size=SIZE, model_id="m"),
            total,
        ),
    )


@pytest.mark.moderate
def test_parts_are_sorted_and_equal_for_any_order_of_the_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_ROWS_PER_PART", 30)
    one, other = tmp_path / "one", tmp_path / "other"
    (one / "rows").mkdir(parents=True)
    (other / "rows").mkdir(parents=True)
    batches = [ROWS[start::20] for start in range(20)]
    receipts = embeddings(one, batches)
    again = embeddings(other, batches[::-1])
    assert receipts == again
    assert sorted(entry["path"] for entry in receipts) == [
        f"part-{index:05d}-of-00004.parquet" for index in range(4)
    ]
    rows = []
    for entry in receipts:
        assert (one / entry["path"]).read_bytes() == (other / entry["path"]).read_bytes()
        assert storage.sha256(str(one / entry["path"])) == entry["sha256"]
        part = pq.read_table(one / entry["path"]).to_pylist()
        assert len(part) == entry["rows"] > 0
        assert [row["image_id"] for row in part] == sorted(row["image_id"] for row in part)
        rows += part
    found = {row["image_id"]: row["embedding"] for row in rows}
    assert found == {row.image_id: [float(number)] * SIZE for number, row in enumerate(ROWS)}
    assert not [path for path in one.iterdir() if ".tmp-" in path.name]


def test_every_column_can_be_read_back(tmp_path):
    without_face = Measures(4.0, 5.0, 6.0)
    (tmp_path / "rows").mkdir()
    embeddings(
        tmp_path, [[ROWS[1], Scored("b.jpg", "b.jpg", None, without_face, ROWS[2].embedding)]]
    )
    table = pq.read_table(tmp_path / "part-00000-of-00001.parquet")
    assert table.schema == write.schema(SIZE)
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), SIZE)
    assert table.to_pylist() == [
        {
            "image_id": "a/001.jpg",
            "source": "s",
            "identity": "a",
            "sha256": None,
            **dataclasses.asdict(FOUND),
            "face_box": [-1.0, 2.0, 30.0, 40.5],
            "face_landmarks": [1.0, 2.0, 3.0, 4.0],
            "embedding": [1.0] * SIZE,
            "model_id": "m",
        },
        {
            "image_id": "b.jpg",
            "source": "b.jpg",
            "identity": None,
            "sha256": None,
            "sharpness": 4.0,
            "brightness": 5.0,
            "contrast": 6.0,
            "faces": None,
            "face_score": None,
            "face_box": None,
            "face_landmarks": None,
            "embedding": [2.0] * SIZE,
            "model_id": "m",
        },
    ]


def test_no_part_is_written_without_rows(tmp_path):
    assert embeddings(tmp_path, []) == []


@pytest.mark.parametrize("chunks", [[["b", "a"], ["c"]], [["c"], ["a", "b"]]])
def test_few_errors_are_sorted_into_one_part(tmp_path, chunks):
    failures = [[Failure(key, f"{key}.jpg", EMPTY) for key in some] for some in chunks]
    (receipt,) = run(
        tmp_path, failures, lambda total: write.WriteErrors(OutputFiles(str(tmp_path)))
    )
    assert (receipt["path"], receipt["rows"]) == ("errors/part-00000-of-00001.parquet", 3)
    assert pq.read_table(tmp_path / receipt["path"]).to_pylist() == [
        {
            "image_id": key,
            "source": f"{key}.jpg",
            "reason_code": "empty_file",
            "reason": "empty file",
            "sha256": None,
        }
        for key in "abc"
    ]


@pytest.mark.moderate
def test_many_errors_are_divided_into_parts_like_embeddings(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_ROWS_PER_PART", 30)
    failures = [
        Failure(f"{number:03d}.jpg", "s", because(f"reason {number}")) for number in range(100)
    ]
    one, other = tmp_path / "one", tmp_path / "other"
    (one / "rows").mkdir(parents=True)
    (other / "rows").mkdir(parents=True)
    receipts = run(
        one, [failures[:10], failures[10:]], lambda total: write.WriteErrors(OutputFiles(str(one)))
    )
    mixed = [failures[start::7][::-1] for start in range(7)]
    assert receipts == run(other, mixed, lambda total: write.WriteErrors(OutputFiles(str(other))))
    assert sorted(entry["path"] for entry in receipts) == [
        f"errors/part-{index:05d}-of-00004.parquet" for index in range(4)
    ]
    rows = []
    for entry in receipts:
        assert (one / entry["path"]).read_bytes() == (other / entry["path"]).read_bytes()
        part = pq.read_table(one / entry["path"]).to_pylist()
        assert len(part) == entry["rows"] > 0
        assert [row["image_id"] for row in part] == sorted(row["image_id"] for row in part)
        rows += part
    assert sorted(row["reason"] for row in rows) == sorted(one.reason for one in failures)
    assert {row["reason_code"] for row in rows} == {"unreadable"}


@given(
    vectors=arrays(
        np.float32,
        st.tuples(st.integers(0, 5), st.just(SIZE)),
        elements=st.floats(-1, 1, width=32),
    )
)
def test_int8_is_within_half_a_step_of_the_numbers(vectors):
    numbers, scale = write.encode(vectors, "int8")
    assert numbers.dtype == np.int8
    assert scale is not None
    assert np.abs(numbers).max(initial=0) <= 127
    again = numbers * scale[:, np.newaxis]
    assert (np.abs(again - vectors) <= scale[:, np.newaxis] * 0.5001).all()


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_a_part_holds_numbers_of_the_type_that_was_asked_for(dtype):
    table = write.table(ROWS[:3], SIZE, "m", dtype)
    assert table.schema == write.schema(SIZE, dtype)
    assert table.schema.field("embedding").type.value_type == pa.type_for_alias(dtype)
    assert ("scale" in table.column_names) == (dtype == "int8")
    values = np.stack(table["embedding"].to_numpy(zero_copy_only=False)).astype(np.float32)
    if dtype == "int8":
        values *= table["scale"].to_numpy()[:, np.newaxis]
    assert np.allclose(values, [[number] * SIZE for number in range(3)])
