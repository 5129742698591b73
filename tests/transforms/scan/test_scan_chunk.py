import hashlib
import io
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from facemill.transforms.core.keyed import keyed_hash
from facemill.transforms.core.reasons import ReasonCode
from facemill.transforms.core.row_ids import BASE, HELD_OUT, NEW, chunk_number, row_ids_of, row_of
from facemill.transforms.dataset.identity_filter import NO_IDENTITY, identity_key
from facemill.transforms.dataset.records import from_example
from facemill.transforms.dataset.split_names import SPLITS
from facemill.transforms.dataset.splits import SPLIT_REQUEST
from facemill.transforms.faces.crop import NO_FACE, CropConfig
from facemill.transforms.images import perceptual_hash
from facemill.transforms.images.decode import decode
from facemill.transforms.images.preview import preview
from facemill.transforms.images.quality import QualityThresholds, measure
from facemill.transforms.images.resize import center_square
from facemill.transforms.scan import scan_chunk as scan
from facemill.transforms.scan.scan_chunk import ScanJob, scan_chunk
from facemill.transforms.scan.staging import StagingReader, read_metadata
from facemill.transforms.sources.base import Ref, Source, Unreadable
from tests.reasons import because

CHUNK_NUMBER = 77


def image(seed: int, side: int = 40) -> np.ndarray:
    low = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(low).resize((side, side), Image.Resampling.BICUBIC))


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


class InMemory(Source):
    """Bytes by image_id."""

    format = "memory"

    def __init__(self, files: dict[str, bytes | Unreadable]) -> None:
        super().__init__("/nowhere")
        self.files = files
        self.asked: list[str] = []

    def tasks(self) -> list[str]:
        return [""]

    def refs(self, task: str):
        raise NotImplementedError

    def read(self, refs: Sequence[Ref]):
        for ref in refs:
            self.asked.append(ref.image_id)
            yield self.files[ref.image_id]


FILES: dict[str, bytes | Unreadable] = {
    "a/1.png": png(image(1)),
    "a/2.png": png(image(2)),
    "b/cut.png": png(image(3))[:200],
    "b/gone.png": Unreadable(because("cannot be read: gone")),
    "b/4.png": png(image(4, 64)),
    "b/flat.png": png(np.full((40, 40, 3), 90, np.uint8)),
    "nobody.png": png(image(5)),
}
REFS = [
    Ref("a/1.png", "a", "a/1.png", split="val", attributes=(("age", "30"),)),
    Ref("a/odd.png", "a", "a/odd.png", reason=because("is a pipe")),
    Ref("a/2.png", "a", "a/2.png", attributes=(("age", ""), ("eyes", "blue"))),
    Ref("b/cut.png", "b", "b/cut.png"),
    Ref("b/gone.png", "b", "b/gone.png"),
    Ref("b/4.png", "b", "b/4.png", pixel_sha256="ab" * 32),
    Ref("b/flat.png", "b", "b/flat.png"),
    Ref("nobody.png", None, "nobody.png"),
]
USABLE_ROWS = [0, 2, 5, 6, 7]


def job_of(folder, source=None, **changes) -> ScanJob:
    folder.mkdir(exist_ok=True)
    given = {
        "crop_config": CropConfig(32, "center"),
        "thresholds": QualityThresholds(),
        "seed": 3,
        "group_by": "age",
    }
    return ScanJob(source or InMemory(FILES), str(folder), **{**given, **changes})


@pytest.fixture
def scanned(tmp_path):
    return scan_chunk(job_of(tmp_path), CHUNK_NUMBER, REFS)


def test_staged_metadata_and_usable_rows_agree(tmp_path, scanned):
    metadata = read_metadata(str(tmp_path), CHUNK_NUMBER).to_pylist()
    assert [row["image_id"] for row in metadata] == [ref.image_id for ref in REFS]
    assert [row["identity"] for row in metadata] == [ref.identity for ref in REFS]
    assert [row["source"] for row in metadata] == [ref.path for ref in REFS]
    assert [tuple(row["attributes"]) for row in metadata] == [ref.attributes for ref in REFS]
    assert (scanned.chunk, scanned.count) == (CHUNK_NUMBER, len(REFS))
    usable = scanned.usable
    assert usable["row_id"].tolist() == row_ids_of(CHUNK_NUMBER, len(REFS))[USABLE_ROWS].tolist()
    assert [row for row, one in enumerate(metadata) if not one["reason"]] == USABLE_ROWS
    for one in usable:
        row = row_of(one["row_id"])
        found, ref = metadata[row], REFS[row]
        data = FILES[ref.image_id]
        assert found["bytes"] == len(data)
        assert found["sha256"] == hashlib.sha256(data).hexdigest()
        pixels = decode(data).pixels
        assert (found["width"], found["height"]) == (pixels.shape[1], pixels.shape[0])
        # A dataset's record stands for the image from which it was made.
        assert found["pixel_sha256"] == (ref.pixel_sha256 or perceptual_hash.pixel_sha256(pixels))
        assert one["pixels"].tobytes().hex() == found["pixel_sha256"][:32]
        assert one["fingerprint"].tobytes() == found["fingerprint"]
        assert one["sharpness"] == np.float32(found["sharpness"])
        assert one["identity"] == identity_key(3, ref.identity)
        assert one["order"] == keyed_hash(3, "order", ref.image_id)
        assert one["split"] == (SPLITS.index("val") if ref.split else -1)


def test_a_missing_identity_or_attribute_has_the_key_zero(scanned):
    assert (scanned.usable["identity"] == NO_IDENTITY).tolist() == [False] * 4 + [True]
    assert scanned.usable["group"].tolist() == [keyed_hash(3, "group", "30"), 0, 0, 0, 0]


def test_without_group_by_all_group_keys_are_zero(tmp_path):
    usable = scan_chunk(job_of(tmp_path, group_by=None), CHUNK_NUMBER, REFS).usable
    assert set(usable["group"].tolist()) == {0}


def test_unusable_images_have_a_reason(tmp_path):
    source = InMemory(FILES)
    scan_chunk(job_of(tmp_path, source), CHUNK_NUMBER, REFS)
    metadata = {
        row["image_id"]: row for row in read_metadata(str(tmp_path), CHUNK_NUMBER).to_pylist()
    }
    assert metadata["a/odd.png"]["reason"] == "is a pipe"
    # An image that the listing found unusable is not opened.
    assert "a/odd.png" not in source.asked
    assert metadata["b/gone.png"]["reason"] == "cannot be read: gone"
    assert metadata["b/gone.png"]["bytes"] is metadata["b/gone.png"]["sha256"] is None
    assert "truncated" in metadata["b/cut.png"]["reason"]
    assert metadata["b/cut.png"]["bytes"] == 200
    assert metadata["b/cut.png"]["width"] is metadata["b/cut.png"]["channel_mean"] is None


def test_moments_equal_those_of_numpy_over_the_encoded_crop(tmp_path, scanned):
    metadata = read_metadata(str(tmp_path), CHUNK_NUMBER).to_pylist()
    with StagingReader(str(tmp_path)) as staging:
        for row_id in scanned.usable["row_id"]:
            found = metadata[row_of(row_id)]
            record = from_example(staging.record(row_id))
            assert record.image_id == found["image_id"]
            assert record.identity == (found["identity"] or "")
            assert record.channel_mean == tuple(found["channel_mean"])
            assert record.channel_square_mean == tuple(found["channel_square_mean"])
            stored = decode(record.encoded).pixels
            assert stored.shape == (32, 32, 3)
            square = center_square(decode(FILES[record.image_id]).pixels, 32, 1.0)
            samples = square.astype(float)
            np.testing.assert_allclose(record.channel_mean, samples.mean((0, 1)), rtol=1e-6)
            np.testing.assert_allclose(
                record.channel_square_mean, (samples**2).mean((0, 1)), rtol=1e-6
            )
            assert np.abs(stored.astype(float) - samples).mean() < 3
            (thumbnail,) = staging.thumbnails([row_id])
            np.testing.assert_array_equal(thumbnail, perceptual_hash.grey_thumbnail(square))
            quality = measure(square)
            assert found["brightness"] == pytest.approx(quality.brightness, rel=1e-6)
            assert found["contrast"] == pytest.approx(quality.contrast, rel=1e-6)


def test_scanning_a_chunk_twice_writes_the_same_bytes(tmp_path):
    found = [scan_chunk(job_of(tmp_path / name), CHUNK_NUMBER, REFS) for name in "ab"]
    scan_chunk(job_of(tmp_path / "b"), CHUNK_NUMBER, REFS)
    one, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()}
        for name in "ab"
    )
    assert one == other
    # Of the chunk, and the mark that it is done.
    assert len(one) == 4
    assert found[0].usable.tobytes() == found[1].usable.tobytes()


def test_an_image_below_a_quality_threshold_is_rejected_with_its_measures(tmp_path):
    scanned = scan_chunk(
        job_of(tmp_path, thresholds=QualityThresholds(contrast=5)), CHUNK_NUMBER, REFS
    )
    metadata = read_metadata(str(tmp_path), CHUNK_NUMBER).to_pylist()
    assert metadata[6]["reason"] == "contrast is below 5"
    assert (metadata[6]["contrast"], metadata[6]["brightness"]) == (0, 90)
    assert metadata[6]["fingerprint"] is metadata[6]["channel_mean"] is None
    assert len(scanned.usable) == len(USABLE_ROWS) - 1


def test_batches_are_bounded_in_images_and_pixels(tmp_path, monkeypatch):
    sizes: list[int] = []

    def counted(crop_config, images, landmarks, scales):
        assert len(images) == len(landmarks)
        sizes.append(len(images))
        return scan_frame(crop_config, images, landmarks, scales)

    scan_frame = scan.frame
    monkeypatch.setattr(scan, "frame", counted)
    refs = [Ref(f"a/{n}.png", "a", f"a/{n}.png") for n in range(70)]
    source = InMemory({ref.image_id: png(image(n)) for n, ref in enumerate(refs)})
    whole = scan_chunk(job_of(tmp_path / "many", source), CHUNK_NUMBER, refs)
    assert sizes == [32, 32, 6]
    sizes.clear()
    # Two images of 40 x 40 reach the limit.
    monkeypatch.setattr(scan, "_BATCH_PIXELS", 3000)
    again = scan_chunk(job_of(tmp_path / "few", source), CHUNK_NUMBER, refs)
    assert max(sizes) == 2
    # The result does not depend on the batches.
    assert whole.usable.tobytes() == again.usable.tobytes()


def test_an_image_without_a_crop_is_rejected_with_the_reason(tmp_path, monkeypatch):
    def faceless(crop_config, images, landmarks, scales):
        crops = scan_frame(crop_config, images, landmarks, scales)
        return [NO_FACE, *crops[1:]]

    scan_frame = scan.frame
    monkeypatch.setattr(scan, "frame", faceless)
    scanned = scan_chunk(job_of(tmp_path), CHUNK_NUMBER, REFS)
    metadata = read_metadata(str(tmp_path), CHUNK_NUMBER).to_pylist()
    assert metadata[0]["reason"] == "no face was found"
    # The photo can be shown; an image with another reason has no picture.
    with StagingReader(str(tmp_path)) as staging:
        shown = staging.thumbnails(row_ids_of(CHUNK_NUMBER, 2))
    assert (shown[0] == preview(image(1), 64)).all()
    assert not shown[1].any()
    assert metadata[0]["width"] == 40
    assert [row_of(row_id) for row_id in scanned.usable["row_id"]] == USABLE_ROWS[1:]
    # The others keep their own crops.
    square = center_square(image(2), 32, 1.0)
    assert metadata[2]["brightness"] == pytest.approx(measure(square).brightness)


def test_a_chunk_without_a_usable_image_has_metadata_and_no_usable_rows(tmp_path):
    scanned = scan_chunk(job_of(tmp_path), CHUNK_NUMBER, [REFS[1], REFS[4]])
    assert (scanned.count, len(scanned.usable)) == (2, 0)
    assert len(read_metadata(str(tmp_path), CHUNK_NUMBER)) == 2


def test_unusable_images_still_request_a_split(tmp_path):
    def ref(name: str, identity: str | None, split: str | None, reason: str = "") -> Ref:
        return Ref(name, identity, name, split=split, reason=because(reason) if reason else None)

    refs = [
        *(ref("a/1.png", "a", "train"), ref("b/cut.png", "b", "test"), ref("x", "b", "test", "no")),
        *(ref("b/gone.png", "b", "val"), ref("b/flat.png", "c", "val"), ref("y", "c", None, "no")),
        ref("z", None, "test", "no"),
    ]
    scanned = scan_chunk(
        job_of(tmp_path, thresholds=QualityThresholds(contrast=5)), CHUNK_NUMBER, refs
    )
    assert len(scanned.usable) == 1
    asked = (("b", "val"), ("b", "test"), ("c", "val"))
    expected = [(identity_key(3, who), SPLITS.index(split)) for who, split in asked]
    assert scanned.split_requests.dtype == SPLIT_REQUEST
    assert scanned.split_requests.tolist() == sorted(expected)


@pytest.mark.parametrize("align", ["landmarks", "center"])
def test_faces_of_one_photo_with_different_landmarks_have_different_pixel_keys(tmp_path, align):
    square = (10.0, 12.0, 26.0, 12.0, 18.0, 20.0, 12.0, 28.0, 24.0, 28.0)
    moved = tuple(number + 4 for number in square)
    near = tuple(number + 0.2 for number in square)
    refs = [
        Ref("a/1.png", "a", "a/1.png", landmarks=square),
        Ref("a/1.png", "b", "a/1.png", landmarks=moved),
        Ref("a/1.png", "c", "a/1.png", landmarks=near),
        Ref("a/2.png", "d", "a/2.png", landmarks=square),
    ]
    job = job_of(tmp_path, crop_config=CropConfig(32, align))
    left, right, again, other = scan_chunk(job, CHUNK_NUMBER, refs).usable["pixels"].tolist()
    assert left == again != other
    assert (left == right) == (align == "center")


@pytest.mark.parametrize("origin", [BASE, HELD_OUT])
def test_unusable_images_of_a_reference_set_keep_identity_and_pixel_key(tmp_path, origin):
    number = chunk_number(origin, 3, 0)
    small = "ab" * 32
    small_class = because("identity has 2 images", ReasonCode.IDENTITY_TOO_SMALL)
    large_class = because("its age has 9 images", ReasonCode.ATTRIBUTE_TOO_LARGE)
    excluded = because("identity is excluded", ReasonCode.EXCLUDED_IDENTITY)
    exclusions = [
        Ref("x/1.png", "x", "i", reason=small_class, pixel_sha256=small, outcome="dropped"),
        Ref("x/2.png", "x", "i", reason=large_class, outcome="dropped"),
        Ref("x/3.png", "y", "i", reason=excluded, outcome="dropped"),
        Ref("x/4.png", "y", "i", reason=small_class, outcome="conflict", duplicate_of="z"),
    ]
    job = ScanJob(InMemory(FILES), str(tmp_path), CropConfig(32), QualityThresholds(contrast=5), 1)
    scanned = scan_chunk(job, number, [*REFS, *exclusions])
    rows = [row_of(row_id) for row_id in scanned.unusable["row_id"]]
    assert rows == [1, 3, 4, 6, *range(8, 12)]
    names = ["a", "b", "b", "b", "x", "x", "y", "y"]
    assert scanned.unusable["identity"].tolist() == [identity_key(1, name) for name in names]
    assert scanned.unusable["counts"].tolist() == [False] * 4 + [True, True, False, False]
    metadata = read_metadata(str(tmp_path), number).to_pylist()
    flat = metadata[6]["pixel_sha256"]
    assert flat is not None
    digests = [None, None, None, flat, small, None, None, None]
    for row, digest in zip(scanned.unusable, digests, strict=True):
        expected = bytes(16) if digest is None else bytes.fromhex(digest)[:16]
        assert row["pixels"].tobytes() == expected
    assert (metadata[11]["outcome"], metadata[11]["duplicate_of"]) == ("conflict", "z")
    assert metadata[1]["outcome"] is None
    # The input itself has no such rows.
    assert not len(scan_chunk(job, chunk_number(NEW, 3, 0), REFS).unusable)
