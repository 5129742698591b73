import hashlib
import io
import json
from concurrent.futures import ThreadPoolExecutor

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.core.errors import RunError
from facemill.transforms.core.row_ids import CHUNK
from facemill.transforms.dataset import tfrecord
from facemill.transforms.dataset.records import Record
from facemill.transforms.faces.crop import NO_FACE, Crop, CropConfig, frame
from facemill.transforms.images.resize import encode_jpeg
from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.scan.listing import all_chunks
from facemill.transforms.scoring.read import Batch, Reader, ReadImages, Standardized
from facemill.transforms.scoring.rows import Failure, Measures
from facemill.transforms.sources import parquet, parquet_rows
from facemill.transforms.sources.base import Ref
from facemill.transforms.sources.dataset import DatasetRecords
from facemill.transforms.sources.folders import Folders
from tests.reasons import because

PIXELS = render(1, 1, 1, 48)


def read(reader: Reader, refs: list[Ref]) -> list[Standardized | Failure]:
    with ThreadPoolExecutor(2) as pool:
        return [one for several in reader.read(refs, pool) for one in several]


def ref(path: str, **more) -> Ref:
    return Ref(path, None, path, **more)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "a").mkdir()
    Image.fromarray(PIXELS).save(tmp_path / "a" / "1.png")
    return tmp_path


@pytest.mark.parametrize(
    "crop_config",
    [CropConfig(48), CropConfig(32), CropConfig(32, "center", 0.7), CropConfig(32, "none", 0.7)],
)
def test_a_photo_is_encoded_as_ingest_would_write_it(root, crop_config):
    (framed,) = frame(crop_config, [PIXELS], [None])
    (found,) = read(Reader(Folders(str(root)), crop_config), [ref("a/1.png")])
    digest = hashlib.sha256((root / "a" / "1.png").read_bytes()).hexdigest()
    assert found == Standardized(encode_jpeg(framed.pixels), Measures.of(framed), digest)
    assert found.measures.sharpness > 0
    assert found.measures.face_box is None


def test_results_and_failures_keep_the_order_of_the_references(root):
    (root / "a" / "2.jpg").write_bytes(b"")
    refs = [
        ref("a/1.png"),
        ref("a/2.jpg"),
        ref("a/absent.jpg"),
        ref("a/3.jpg", reason=because("a bad name")),
        *[ref("a/1.png")] * 40,
    ]
    found = read(Reader(Folders(str(root)), CropConfig(32)), refs)
    good = found[0]
    assert isinstance(good, Standardized)
    reasons = [one.reason for one in found if isinstance(one, Failure)]
    assert reasons == ["empty file", "cannot be read: No such file or directory", "a bad name"]
    assert [one for one in found if not isinstance(one, Failure)] == [good] * 41
    assert (found[1].image_id, found[1].source) == ("a/2.jpg", "a/2.jpg")


@pytest.mark.moderate
def test_a_detector_gives_the_box_and_score_of_the_face(tmp_path):
    # 20 images: more than are decoded at a time. The position of the face differs.
    images = [
        np.pad(render(1, 1, 1, 112), ((50, 50), (20 + number, 50), (0, 0)), constant_values=128)
        for number in range(20)
    ]
    images[3] = np.full((200, 200, 3), 128, np.uint8)
    for number, pixels in enumerate(images):
        Image.fromarray(pixels).save(tmp_path / f"{number:02d}.png")
    crop_config = CropConfig(48, "detect")
    refs = [ref(f"{number:02d}.png") for number in range(20)]
    found = read(Reader(Folders(str(tmp_path)), crop_config), refs)
    for number, (one, framed) in enumerate(
        zip(found, frame(crop_config, images, [None] * 20), strict=True)
    ):
        if number == 3:
            assert one == Failure("03.png", "03.png", NO_FACE, one.sha256)
            continue
        assert one == Standardized(encode_jpeg(framed.pixels), Measures.of(framed), one.sha256)
        assert one.measures.faces == 1
        assert 0.5 <= one.measures.face_score <= 1
        left, top, right, bottom = one.measures.face_box
        assert 20 + number < left < 76 + number < right < 132 + number
        assert 50 < top < 106 < bottom < 162


def record_at(offset: int) -> Ref:
    return Ref("a/1.png", None, "part.tfrecord", offset=offset)


def _dataset(root, encoded: bytes) -> tuple[DatasetRecords, int]:
    records = [
        Record(f"a/{number}.png", "a", data, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
        for number, data in enumerate((encode_jpeg(PIXELS[::-1]), encoded))
    ]
    with (root / "part.tfrecord").open("wb") as stream:
        extents = tfrecord.write(stream, [record.to_example() for record in records])
    return DatasetRecords(str(root), {"files": [], "splits": {}}), extents[1][0]


def test_a_record_of_the_models_size_is_not_encoded_again(root):
    encoded = encode_jpeg(PIXELS)
    source, offset = _dataset(root, encoded)
    crop_config = CropConfig(48, "center", 0.5)
    (found,) = read(Reader(source, crop_config), [record_at(offset)])
    pixels = np.asarray(Image.open(io.BytesIO(encoded)))
    digest = hashlib.sha256(encoded).hexdigest()
    assert found == Standardized(encoded, Measures.of(Crop(pixels)), digest)


def test_a_record_of_another_size_is_resized_and_not_cropped_again(root):
    source, offset = _dataset(root, encode_jpeg(PIXELS))
    crop_config = CropConfig(32, "center", 0.5)
    (found,) = read(Reader(source, crop_config), [record_at(offset)])
    pixels = np.asarray(Image.open(io.BytesIO(found.encoded))).astype(int)
    assert pixels.shape == (32, 32, 3)
    (expected,) = frame(CropConfig(32), [PIXELS], [None])
    assert np.abs(pixels - expected.pixels).mean() < 6


def test_a_damaged_record_is_a_failure_with_a_reason(root):
    source, offset = _dataset(root, b"no JPEG")
    (failure,) = read(Reader(source, CropConfig(48)), [record_at(offset)])
    assert "not an image" in failure.reason


def test_a_damaged_shard_ends_the_run(root):
    source, offset = _dataset(root, encode_jpeg(PIXELS))
    with pytest.raises(RunError, match="must be a whole TFRecord file"):
        read(Reader(source, CropConfig(48)), [record_at(offset + 1)])


def batches(reader: Reader, chunks: list[Chunk], batch_size: int, log) -> list[list[str]]:
    """The image_ids of each batch of one chunk group, passed through a file."""
    log.unlink(missing_ok=True)
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        found = pipeline | beam.Create([(0, chunks)]) | ReadImages(reader, 2, batch_size)
        _ = found.batches | beam.Map(_log_batch, str(log))
    return [json.loads(line) for line in log.read_text().splitlines()]


def _log_batch(batch: Batch, log: str) -> None:
    assert len(batch.refs) == len(batch.images)
    with open(log, "a") as lines:
        lines.write(json.dumps([one.image_id for one in batch.refs]) + "\n")


@pytest.mark.moderate
@pytest.mark.parametrize("batch_size", [32, 100, 300])
def test_batches_fill_calls_and_do_not_depend_on_the_order_of_the_chunks(root, batch_size):
    (root / "a" / "2.jpg").write_bytes(b"")
    refs = [ref("a/1.png"), ref("a/2.jpg")] * 300
    chunks = [
        Chunk.of(number, [Ref(f"{number}/{row}", None, one.path) for row, one in enumerate(some)])
        for number, some in enumerate((refs[:256], refs[256:512], refs[512:]))
    ]
    reader = Reader(Folders(str(root)), CropConfig(16))
    found = batches(reader, chunks, batch_size, root / "log")
    listed = [one.image_id for chunk in chunks for one in chunk.refs if one.path == "a/1.png"]
    assert [one for batch in found for one in batch] == listed
    assert {len(batch) % batch_size for batch in found[:-1]} <= {0}
    # The model does not wait for more than it needs to begin with.
    assert len(found[0]) == max(64 // batch_size, 1) * batch_size
    assert max(map(len, found)) <= max(CHUNK, batch_size)
    assert len(found) > 1 or batch_size == 300
    assert batches(reader, chunks[::-1], batch_size, root / "log") == found


@pytest.mark.moderate
def test_a_chunk_group_reads_a_table_from_front_to_back(tmp_path, monkeypatch):
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, "JPEG")
    table = pa.table({"image": [stream.getvalue()] * 1000})
    pq.write_table(table, tmp_path / "all.parquet", row_group_size=1000)
    decoded = []
    step = parquet_rows.Rows._step
    monkeypatch.setattr(parquet_rows.Rows, "_step", lambda rows: decoded.append(step(rows)))
    source = parquet.ParquetTables(str(tmp_path))
    chunks = list(all_chunks(source, source.tasks()))
    assert len(chunks) == 4
    reader = Reader(source, CropConfig(16))
    log = tmp_path / "log"
    found = batches(reader, chunks[:2], 32, log) + batches(reader, chunks[2:], 32, log)
    assert sum(map(len, found)) == 1000
    # The second chunk group decodes the rows of the first once more, in the same row group.
    assert len(decoded) == 1000 + 512
