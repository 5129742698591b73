"""The original stays, and its marked, bordered or grey copy goes."""

import hashlib
import io
from dataclasses import replace

import cv2
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageDraw, ImageOps

from facemill.pipelines.synthesize.faces.faces import render
from facemill.transforms.core.row_ids import BASE, NEW, chunk_number, row_ids_of
from facemill.transforms.dataset.image_metadata import METADATA
from facemill.transforms.dataset.records import Record
from facemill.transforms.duplicates import preference
from facemill.transforms.duplicates.preference import MOST, compared, preferences
from facemill.transforms.duplicates.verdicts import Member, best
from facemill.transforms.images.margins import flat_margins
from facemill.transforms.images.quality import colorfulness, measure
from facemill.transforms.images.resize import center_square, encode_jpeg
from facemill.transforms.scan.staging import write_chunk

SIZE = 200


def photo(number: int) -> Image.Image:
    """A face with the noise that a sensor adds."""
    noise = np.random.default_rng(number).normal(0, 6, (SIZE, SIZE, 3))
    pixels = render(1, number, 0, SIZE) + noise
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def recompressed(image: Image.Image, quality: int = 60) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def watermarked(image: Image.Image) -> Image.Image:
    marked = image.copy()
    ImageDraw.Draw(marked).text((40, 150), "(c) PHOTO AGENCY", fill=(255, 255, 255))
    return marked


COPIES = {
    "grey": lambda image: image.convert("L").convert("RGB"),
    "watermark": watermarked,
    "watermark, recompressed": lambda image: recompressed(watermarked(image), 95),
    "white border": lambda image: ImageOps.expand(image, 12, (255, 255, 255)),
    "black bars": lambda image: ImageOps.expand(image, (0, 20), (0, 0, 0)),
    "recompressed": recompressed,
    "smaller": lambda image: image.resize((120, 120), Image.Resampling.LANCZOS),
    "smaller and sharpened": lambda image: Image.fromarray(
        cv2.addWeighted(
            small := np.asarray(image.resize((120, 120))),
            2.0,
            cv2.GaussianBlur(small, (0, 0), 1.5),
            -1.0,
            0,
        )
    ),
    "larger by a pixel": lambda image: watermarked(image).resize((SIZE + 1, SIZE + 1)),
}


def member(name: str, image: Image.Image, row: int, origin: int = NEW) -> tuple[Member, np.ndarray]:
    pixels = np.asarray(image)
    crop = center_square(pixels, 112, 1.0)
    one = Member(
        row_ids_of(chunk_number(origin, 1, 0), row + 1).tolist()[row],
        name,
        "ada",
        hashlib.sha256(pixels.tobytes()).hexdigest(),
        image.width * image.height,
        measure(crop).sharpness,
        colorfulness=colorfulness(crop),
        border=flat_margins(pixels),
    )
    return one, crop


def chosen(images: dict[str, Image.Image]) -> str:
    members, crops = zip(
        *(member(name, image, row) for row, (name, image) in enumerate(images.items())), strict=True
    )
    return best(preferences(members, crops)).image_id


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("kind", COPIES)
def test_the_original_stays_before_each_copy(kind, number):
    original = photo(number)
    # By name the copy would come first.
    assert chosen({"a": COPIES[kind](original), "z": original}) == "z"


@pytest.mark.parametrize("number", range(3))
def test_the_original_stays_before_all_its_copies(number):
    original = photo(number)
    images = {kind: make(original) for kind, make in COPIES.items()}
    images["mirror"] = ImageOps.mirror(original)
    assert chosen({**images, "z": original}) == "z"


def test_the_majority_says_which_copy_is_mirrored():
    original = photo(4)
    images = {"a": ImageOps.mirror(original), "y": recompressed(original, 98), "z": original}
    assert chosen(images) != "a"


def test_a_larger_photo_stays_whatever_its_border():
    original = photo(5)
    small = original.resize((100, 100))
    assert chosen({"a": small, "z": ImageOps.expand(original, 12, (255, 255, 255))}) == "z"


def test_grey_photos_alone_are_compared_by_area():
    original = photo(6).convert("L").convert("RGB")
    assert chosen({"a": original.resize((100, 100)), "z": original}) == "z"


def staged(folder, images: dict[str, Image.Image]) -> list[Member]:
    rows = [member(name, image, row) for row, (name, image) in enumerate(images.items())]
    mean = (1.0, 2.0, 3.0)
    pixels = [
        (np.zeros((64, 64), np.uint8), Record(one.image_id, "", encode_jpeg(crop), mean, mean))
        for one, crop in rows
    ]
    table = pa.Table.from_pylist([{"image_id": one.image_id} for one, _ in rows], METADATA)
    write_chunk(
        str(folder),
        chunk_number(NEW, 1, 0),
        table,
        [(thumbnail, record.to_example()) for thumbnail, record in pixels],
    )
    return [one for one, _ in rows]


def test_crops_are_read_from_the_staging_folder(tmp_path):
    original = photo(7)
    images = {"a": watermarked(original), "b": original, "c": original}
    members = staged(tmp_path, images)
    members[2] = replace(members[2], identity=None, attributes=(("age", "3"),))
    found = compared(members, str(tmp_path))
    assert best(found).image_id == "b"
    kept = ("row_id", "image_id", "identity", "pixel_sha256", "attributes")
    for before, after in zip(members, found, strict=True):
        assert [getattr(before, name) for name in kept] == [getattr(after, name) for name in kept]
    assert found[1].marks == found[2].marks < found[0].marks


def test_equal_pixels_and_images_of_a_base_need_no_crops():
    original = photo(8)
    same = [member(name, original, row)[0] for row, name in enumerate("ab")]
    assert compared(same, "/nowhere") == same
    of_base = [same[0], member("c", watermarked(original), 0, BASE)[0]]
    assert compared(of_base, "/nowhere") == of_base


def test_of_many_copies_those_of_the_greatest_area_are_read(monkeypatch):
    read: list[int] = []

    def crops(staging, row_ids):
        read.extend(row_ids)
        return [np.zeros((112, 112, 3), np.uint8)] * len(read)

    monkeypatch.setattr(preference, "_crops", crops)
    (one, _) = member("a", photo(9), 0)
    members = [
        replace(one, row_id=row, image_id=f"{row}", pixel_sha256=f"{row}", area=1000 + 100 * row)
        for row in range(MOST + 30)
    ]
    assert best(compared(members, "/nowhere")).image_id in ("90", "91", "92", "93")
    assert sorted(read) == list(range(30, MOST + 30))


def soft_pair(number: int, quality: int) -> tuple[list[Member], list[np.ndarray]]:
    """A smooth photo as a JPEG and its re-encoding, which block edges make sharper; copy first."""
    smooth = Image.fromarray(cv2.GaussianBlur(np.asarray(photo(number)), (0, 0), 2.0))
    members, crops = [], []
    for row, (name, image, level) in enumerate(
        (("a.jpg", recompressed(smooth, 80), quality), ("z.jpg", smooth, 80))
    ):
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=level)
        one, crop = member(name, recompressed(image, level), row)
        density = len(stream.getvalue()) / one.area
        members.append(replace(one, density=density, suffix=".jpg"))
        crops.append(crop)
    return members, crops


@pytest.mark.parametrize("number", range(3))
def test_a_photo_stays_before_its_coarser_encoding(number):
    members, crops = soft_pair(number, 40)
    assert best(preferences(members, crops)).image_id == "z.jpg"
    # Without the bytes, or in another format, the block edges look like detail.
    unknown = [replace(one, density=0.0) for one in members]
    other_format = [members[0], replace(members[1], suffix=".png")]
    for given in (unknown, other_format):
        assert best(preferences(given, crops)).image_id == "a.jpg"


def test_more_bytes_do_not_excuse_a_mark():
    original = photo(7)
    (copy, marked_crop), (one, crop) = (
        member("a.jpg", watermarked(original), 0),
        member("z.jpg", recompressed(original, 90), 1),
    )
    given = [
        replace(copy, density=3.0, suffix=".jpg"),
        replace(one, density=1.0, suffix=".jpg"),
    ]
    assert best(preferences(given, [marked_crop, crop])).image_id == "z.jpg"


@pytest.mark.parametrize("blur", [1.0, 2.0])
def test_more_bytes_do_not_put_a_blurred_copy_before_its_photo(blur):
    original = photo(7)
    blurred = Image.fromarray(cv2.GaussianBlur(np.asarray(original), (0, 0), blur))
    pairs = member("a.jpg", recompressed(blurred, 95), 0), member("z.jpg", original, 1)
    (copy, soft_crop), (one, crop) = pairs
    given = [
        replace(copy, density=3.0, suffix=".jpg"),
        replace(one, density=1.0, suffix=".jpg"),
    ]
    assert best(preferences(given, [soft_crop, crop])).image_id == "z.jpg"
