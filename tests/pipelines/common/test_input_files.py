import os
import shutil

import pytest

from facemill.pipelines.common.input_files import INPUT_FILES, BackgroundListing, Input, InputFiles
from facemill.pipelines.common.input_files import refuse_changes as compare
from facemill.transforms.core.errors import UsageError
from facemill.transforms.sources.folders import Folders
from facemill.transforms.sources.manifest import Manifest
from facemill.transforms.storage import FileStat

NAMES = ("ada/1.jpg", "ada/2.jpg", "grace/1.jpg")


@pytest.fixture
def photos(tmp_path):
    """A folder of three photos of the year 2001, and what `run.json` holds of it."""
    for name in NAMES:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
        os.utime(path, (1e9, 1e9))
    return tmp_path / "photos"


def given(folder) -> Input:
    source = Folders(str(folder))
    return Input("input", source, source.tasks(), str(folder))


def run_of(given: Input) -> dict:
    return {INPUT_FILES: BackgroundListing([given]).result()}


def refusal(run, one, **more) -> str:
    with pytest.raises(UsageError) as refused:
        compare(run, one, "/out", "go on by `append_to`", known=lambda: NAMES, **more)
    return str(refused.value)


def test_an_unchanged_input_passes(photos):
    compare(run_of(given(photos)), given(photos), "/out", "no", known=lambda: NAMES)
    # Artifacts of earlier versions say nothing of it.
    compare({}, given(photos), "/out", "no")


def test_new_and_absent_files_are_named(photos):
    run = run_of(given(photos))
    (photos / "ada" / "3.jpg").write_bytes(b"new")
    (photos / "grace" / "1.jpg").unlink()
    (photos / "grace").rmdir()
    said = refusal(run, given(photos))
    assert "must hold what /out was made of (3 files)" in said
    assert "now holds 3: 1 new (ada/3.jpg), 1 gone (grace/1.jpg); go on by `append_to`." in said


def test_a_file_replaced_under_its_name_is_named(photos):
    run = run_of(given(photos))
    (photos / "ada" / "2.jpg").write_bytes(b"another photo")
    assert "now holds 3: 1 changed (ada/2.jpg);" in refusal(run, given(photos))


@pytest.mark.parametrize(("size", "word"), [(9, "times"), (10, "sizes")])
def test_a_file_replaced_by_an_old_one_is_seen(photos, size, word):
    run = run_of(given(photos))
    path = photos / "ada" / "2.jpg"
    path.write_bytes(b"x" * size)
    os.utime(path, (9e8, 9e8))
    assert f"now holds 3: files of other {word};" in refusal(run, given(photos))


def test_contents_decide_where_they_are_asked_for(photos):
    import hashlib

    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in NAMES}
    run = run_of(given(photos))
    path = photos / "ada" / "2.jpg"
    os.utime(path, (1.1e9, 1.1e9))
    refusal(run, given(photos))
    compare(run, given(photos), "/out", "no", lambda: NAMES, lambda: digests)
    path.write_bytes(b"ADA/2.jpg")
    os.utime(path, (1e9, 1e9))
    compare(run, given(photos), "/out", "no", known=lambda: NAMES)
    said = refusal(run, given(photos), contents=lambda: digests)
    assert "1 changed (ada/2.jpg)" in said


def test_files_of_systems_do_not_count(photos):
    before = InputFiles.of(given(photos).files())
    for name in (".DS_Store", "ada/._1.jpg", "__MACOSX/ada/1.jpg", "grace/Thumbs.db", ".x/a.jpg"):
        path = photos / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(b"system")
    after = InputFiles.of(given(photos).files())
    assert (after.files, after.versions) == (3, before.versions)


def test_a_list_and_the_photos_it_names_are_looked_at(photos):
    path = photos.parent / "faces.csv"
    path.write_text("path,identity\n" + "".join(f"photos/{name},x\n" for name in NAMES[:2]))
    os.utime(path, (1e9, 1e9))
    source = Manifest(str(path))
    one = Input("input", source, source.tasks(), str(path))
    assert {found.name for found in one.files()} == {
        "faces.csv",
        *(f"photos/{n}" for n in NAMES[:2]),
    }
    run = run_of(one)
    (photos / NAMES[2]).write_bytes(b"not listed")
    compare(run, one, "/out", "no")
    (photos / NAMES[0]).unlink()
    with pytest.raises(UsageError, match="files of other sizes"):
        compare(run, one, "/out", "no")


def test_a_single_file_is_looked_at(photos):
    source = Folders(str(photos / "ada"))
    path = str(photos / "ada" / "1.jpg")
    assert [one.name for one in Input("input", source, [], path).files()] == ["1.jpg"]


def test_the_order_and_the_place_of_files_do_not_matter(photos, tmp_path):
    found = [FileStat("a", 1, "x"), FileStat("b\udcff", 2, "y"), FileStat("c", -1, "")]
    one, other = InputFiles.of(found), InputFiles.of(reversed(found))
    assert (one.files, one.bytes) == (3, 3)
    assert (one.names, one.sizes, one.versions) == (other.names, other.sizes, other.versions)
    # Swapped sizes are another collection.
    swapped = InputFiles.of([FileStat("a", 2, "x"), FileStat("b\udcff", 1, "y"), found[2]])
    assert swapped.names == one.names
    assert swapped.sizes != one.sizes
    shutil.copytree(photos, tmp_path / "moved")
    moved = InputFiles.of(given(tmp_path / "moved").files())
    assert moved.versions == InputFiles.of(given(photos).files()).versions
