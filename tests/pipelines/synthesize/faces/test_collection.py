import hashlib
import io
import os

import numpy as np
import pytest
from PIL import Image

from facemill.pipelines.synthesize.faces import collection, faces
from facemill.pipelines.synthesize.faces.plan import make_plan
from facemill.pipelines.synthesize.faces.recipe import BROKEN_KINDS, KINDS, Recipe
from facemill.pipelines.synthesize.faces.truth import TrueRow, read_truth

EVERYTHING = Recipe(
    identities=30,
    images_per_identity=22,
    long_tail=0.3,
    image_size=48,
    seed=5,
    start_identity=7,
    plants=dict.fromkeys(KINDS, 2),
    pairs=(2, 10),
)


def _files(root: str) -> dict[str, bytes]:
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as stream:
                found[os.path.relpath(path, root)] = stream.read()
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("collection"))
    collection.write(path, EVERYTHING)
    return path


@pytest.fixture(scope="module")
def rows(root) -> list[TrueRow]:
    return read_truth(os.path.join(root, "truth.parquet"))


def _kind(rows: list[TrueRow], kind: str) -> list[TrueRow]:
    return [row for row in rows if row.kind == kind]


def _read(root: str, image_id: str | None) -> bytes:
    assert image_id is not None
    with open(os.path.join(root, "images", image_id), "rb") as stream:
        return stream.read()


@pytest.mark.moderate
def test_any_number_of_workers_writes_the_same_bytes(root, tmp_path):
    # More than one chunk, or there would be nothing to share out.
    plan = collection.make_plan(EVERYTHING)
    assert len(list(collection._chunks("", plan))) > 1
    collection.write(str(tmp_path), EVERYTHING, workers=2)
    assert _files(str(tmp_path)) == _files(root)


def test_another_seed_draws_other_images_under_the_same_names(tmp_path):
    for seed in (0, 1):
        collection.write(str(tmp_path / str(seed)), Recipe(2, 2, image_size=32, seed=seed))
    zero, one = (_files(str(tmp_path / name / "images")) for name in ("0", "1"))
    assert zero.keys() == one.keys()
    assert not set(zero.values()) & set(one.values())


def test_the_counts_are_those_of_the_files(root, rows, tmp_path):
    counts = collection.write(str(tmp_path), Recipe(3, 2, image_size=16, plants={"mirror": 2}))
    assert counts == {"original": 6, "mirror": 2}
    assert len(_files(str(tmp_path / "images"))) == 8
    assert {kind: len(_kind(rows, kind)) for kind in KINDS} == dict.fromkeys(KINDS, 2)


def test_truth_lists_every_file_with_its_size_and_hash(root, rows):
    files = _files(os.path.join(root, "images"))
    assert sorted(row.image_id for row in rows) == sorted(files)
    for row in rows:
        assert row.bytes == len(files[row.image_id])
        assert row.sha256 == hashlib.sha256(files[row.image_id]).hexdigest()
        assert row.image_id.startswith(f"{row.folder_identity}/{row.folder_identity}_")


def test_an_original_can_be_drawn_again_from_its_name(root, rows):
    row = next(row for row in rows if row.image_id == "id00009/id00009_0002.jpg")
    assert (row.kind, row.identity, row.source_image_id) == ("original", "id00009", None)
    assert _read(root, row.image_id) == faces.encode_jpeg(faces.render(5, 9, 2, 48), 92)


def test_readable_is_whether_a_decoder_accepts_the_file(root, rows):
    for row in rows:
        data = _read(root, row.image_id)
        try:
            Image.open(io.BytesIO(data)).load()
        except (OSError, Image.DecompressionBombError):
            assert not row.readable, row
        else:
            assert row.readable, row
        assert row.readable == (row.kind not in BROKEN_KINDS)


def test_width_and_height_are_those_of_the_header(root, rows):
    for row in rows:
        if row.kind in ("zero-bytes", "not-an-image"):
            assert (row.width, row.height) == (None, None)
        elif row.kind == "bomb":
            assert (row.width, row.height) == (30_000, 30_000)
        else:
            assert Image.open(io.BytesIO(_read(root, row.image_id))).size == (row.width, row.height)


def test_exact_copies_are_exact_and_lie_with_their_source(root, rows):
    for row in _kind(rows, "copy"):
        assert _read(root, row.image_id) == _read(root, row.source_image_id)
        assert row.source_image_id.startswith(row.folder_identity + "/")


def test_conflicts_repeat_an_image_of_another_folder(root, rows):
    for row in _kind(rows, "conflict"):
        assert row.folder_identity != row.identity
        assert row.source_image_id.startswith(row.identity + "/")
        here, there = (
            np.asarray(Image.open(io.BytesIO(_read(root, name)))).astype(int)
            for name in (row.image_id, row.source_image_id)
        )
        assert 0 < np.abs(here - there).mean() < 10


def test_mislabeled_images_are_new_and_in_a_wrong_folder(rows):
    hashes = [row.sha256 for row in rows]
    for row in _kind(rows, "mislabel"):
        assert row.folder_identity != row.identity
        assert row.source_image_id is None
        assert hashes.count(row.sha256) == 1


@pytest.mark.parametrize(
    ("kind", "extension", "form", "mode"),
    [
        ("wrong-extension", ".jpg", "PNG", "RGB"),
        ("cmyk", ".jpg", "JPEG", "CMYK"),
        ("16-bit", ".png", "PNG", "I;16"),
        ("alpha", ".png", "PNG", "RGBA"),
        ("exif-rotated", ".jpg", "JPEG", "RGB"),
        ("mirror", ".jpg", "JPEG", "RGB"),
        ("original", ".jpg", "JPEG", "RGB"),
    ],
)
def test_formats_are_those_of_the_kind(root, rows, kind, extension, form, mode):
    for row in _kind(rows, kind):
        image = Image.open(io.BytesIO(_read(root, row.image_id)))
        assert os.path.splitext(row.image_id)[1] == extension
        assert (image.format, image.mode) == (form, mode)
        assert (image.getexif().get(0x0112) in (3, 6, 8)) == (kind == "exif-rotated")


def test_pairs_name_original_images(root, rows):
    originals = {row.image_id for row in _kind(rows, "original")}
    with open(os.path.join(root, "pairs.txt"), encoding="utf-8") as stream:
        header, *lines = stream.read().splitlines()
    assert header == "2\t10"
    assert [line.count("\t") for line in lines] == ([2] * 10 + [3] * 10) * 2
    for line in lines:
        name, first, *rest = line.split("\t")
        second = rest if len(rest) == 2 else [name, *rest]
        for who, number in ((name, first), second):
            assert f"{who}/{who}_{int(number):04d}.jpg" in originals


def test_a_range_of_identities_has_the_files_that_the_complete_collection_has(tmp_path):
    collection.write(str(tmp_path / "all"), Recipe(4, 2, image_size=32))
    collection.write(str(tmp_path / "rest"), Recipe(2, 2, image_size=32, start_identity=3))
    all_files, rest = (_files(str(tmp_path / name / "images")) for name in ("all", "rest"))
    assert rest == {name: all_files[name] for name in rest}
    assert len(rest) == 4


def test_a_collection_is_never_written_over_another(root):
    with pytest.raises(FileExistsError):
        collection.write(root, EVERYTHING)


def test_what_is_drawn_is_reported_piece_by_piece(tmp_path):
    drawn: list[int] = []
    plan = make_plan(Recipe(identities=3, images_per_identity=2, image_size=32))
    kinds = collection.write_plan(str(tmp_path), plan, 1, drawn.append)
    assert sum(drawn) == sum(kinds.values()) == 6
