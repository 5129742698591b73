import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.transforms.core.reasons import IGNORED_FILE
from facemill.transforms.dataset.ignored_files import is_system_file, why_ignored

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("ada/.DS_Store", "system_file"),
        ("ada/._1.jpg", "system_file"),
        ("__MACOSX/ada/1.jpg", "system_file"),
        ("ada/Thumbs.db", "system_file"),
        ("THUMBS.DB", "system_file"),
        ("ada/desktop.ini", "system_file"),
        ("ada/.gitignore", "hidden_file"),
        (".git/HEAD", "hidden_file"),
        (".notes/a.txt", "hidden_file"),
        ("README", "sidecar_file"),
        ("ada/readme.MD", "sidecar_file"),
        *((f"ada/1.{kind}", "sidecar_file") for kind in ("txt", "JSON", "xml", "npy", "csv")),
        ("ada/1.jpg.json", "sidecar_file"),
        ("ada/1.jpg", None),
        ("ada/1.JPEG", None),
        ("ada/readme.png", None),
        ("ada/.1.jpg", None),
        (".thumbnails/1.jpg", None),
        ("ada/1", None),
        ("./ada/1", None),
        ("ada/1.zip", None),
        ("ada/1.part", None),
        ("mr.txt/1", None),
        ("macosx/1.jpg", None),
    ],
)
def test_the_name_of_a_file_decides(path, code):
    why = why_ignored(path)
    assert (why and why.code.value) == code


@pytest.mark.moderate
@given(PATHS, st.sampled_from(["jpg", "JPG", "jpeg", "png", "webp", "bmp", "gif", "tif", "heic"]))
def test_a_file_with_the_extension_of_an_image_is_ignored_only_as_a_system_s_own(path, kind):
    photo = f"{path}.{kind}"
    assert (why_ignored(photo) is not None) == is_system_file(photo)


@given(PATHS)
def test_each_ignored_file_has_a_code_and_a_reason_that_names_no_file(path):
    why = why_ignored(path)
    assert why is None or (why.code in IGNORED_FILE and len(why) < 90)
