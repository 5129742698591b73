import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facemill.transforms.core.errors import UsageError
from facemill.transforms.sources.folders import Folders, Lfw
from facemill.transforms.sources.megaface import MegaFace
from facemill.transforms.sources.names import FORMATS, TABLE
from facemill.transforms.sources.recordio import RecordIO
from facemill.transforms.sources.registry import build, guess


def _files(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return str(root)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Ada/1.jpg", "Bob/1.jpg"], "folders"),
        (["Ada/1.jpg", "notes.txt"], "folders"),
        (["Ada/old.tar", "Bob/1.jpg"], "folders"),
        (["Ada/old.tar", "Ada/1.jpg"], "folders"),
        (["train.rec", "train.idx", "property", "lfw.bin"], "casia-rec"),
        (["FlickrFinal2/100/a@N1/1.jpg", "facescrub/Ada/1.png"], "megaface"),
        (["0000.tar", "0001.tar", "README.md"], "webdataset"),
        (["train-00000.parquet", ".cache/x"], "parquet"),
        (["README.md", ".cache/x", "data/train-0.parquet", "data/test-0.parquet"], "parquet"),
        (["README.md", "data/0.tar"], "webdataset"),
        (["README.md", "data/1.jpg"], "folders"),
        (["Ada/1.jpg", "data/0.parquet"], "folders"),
        (["casia.rec", "casia.idx"], "casia-rec"),
        (["0000.tar.gz"], "webdataset"),
        (["A.TFRECORD"], "tfrecord"),
        (["a.tfrecord-00000-of-00002"], "tfrecord"),
        (["a-00000-of-00001.tfrecord"], "tfrecord"),
    ],
)
def test_guess_of_the_format_of_a_folder(tmp_path, names, expected):
    assert guess(_files(tmp_path, *names)) == expected


@pytest.mark.parametrize(
    ("names", "candidates"),
    [
        (["0.tar", "0.parquet"], "webdataset or parquet"),
        (["0.tar", "Ada/1.jpg"], "webdataset or folders"),
        (["train.rec", "0.tfrecord"], "casia-rec or tfrecord"),
    ],
)
def test_a_folder_of_several_formats_is_an_error_that_names_them(tmp_path, names, candidates):
    with pytest.raises(
        UsageError, match=f"`input` must be of one format, got .* {candidates}; choose one by"
    ):
        guess(_files(tmp_path, *names))


def test_guess_of_the_format_of_a_manifest_or_parquet_file(tmp_path):
    _files(tmp_path, "a.csv", "FACES.CSV", "a.jsonl", "a.zip", "bad.parquet")
    assert guess(str(tmp_path / "a.csv")) == "manifest"
    assert guess(str(tmp_path / "a.jsonl")) == "manifest"
    assert guess(str(tmp_path / "FACES.CSV")) == "manifest"
    columns = {"path": ["a.jpg"], "identity": ["Ada"]}
    for name in ("list.parquet", "LIST.PARQUET"):
        pq.write_table(pa.table(columns), tmp_path / name)
        assert guess(str(tmp_path / name)) == "manifest"
    images = pa.array([{"bytes": b"x", "path": "a.jpg"}])
    pq.write_table(pa.table({"image": images, "path": ["a"]}), tmp_path / "images.parquet")
    assert guess(str(tmp_path / "images.parquet")) == "parquet"
    with pytest.raises(UsageError, match="give the folder that it lies in"):
        guess(str(tmp_path / "a.zip"))
    with pytest.raises(UsageError, match="must be a sound Parquet file"):
        guess(str(tmp_path / "bad.parquet"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.tar", "webdataset"),
        ("a.TAR", "webdataset"),
        ("a.tar.gz", "webdataset"),
        ("a.tfrecord", "tfrecord"),
        ("a.tfrecord-00000-of-00001", "tfrecord"),
        ("casia.rec", "casia-rec"),
    ],
)
def test_guess_of_the_format_of_a_container_file(tmp_path, name, expected):
    path = f"{_files(tmp_path, name)}/{name}"
    assert guess(path) == expected
    assert build(expected, path).root == str(tmp_path)


def test_a_missing_file_is_not_called_a_directory(tmp_path):
    with pytest.raises(UsageError, match=r"an existing directory or file, but .*x\.csv does not"):
        guess(str(tmp_path / "x.csv"))


def test_an_absent_input_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        guess(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("name", "made"),
    [("folders", Folders), ("lfw", Lfw), ("casia-rec", RecordIO), ("megaface", MegaFace)],
)
def test_build_makes_the_source_of_each_format(name, made):
    source = build(name, "/in")
    assert type(source) is made
    assert (source.format, source.root) == (name, "/in")


def test_an_unknown_format_or_an_option_of_another_format_is_a_usage_error():
    with pytest.raises(UsageError, match="`format` must be one of folders, lfw"):
        build("zip", "/in")
    with pytest.raises(UsageError, match="`images_root` must go with `format` manifest"):
        build("folders", "/in", images_root="/photos")
    tabular = "manifest or parquet or webdataset or tfrecord"
    for parameter in ("image_column", "label_column", "key"):
        with pytest.raises(
            UsageError, match=f"`{parameter}` must go with `format` {tabular}, got it with folders"
        ):
            build("folders", "/in", **{parameter: "id"})


def test_build_passes_options_to_the_source(tmp_path):
    source = build("parquet", str(tmp_path), image_column="photo", label_column="who")
    assert (source.image_column, source.label_column) == ("photo", "who")
    source = build("parquet", str(tmp_path), label_column="who")
    assert (source.image_column, source.label_column) == (None, "who")
    tar = build("webdataset", str(tmp_path), image_column="JPG", label_column="txt", key="last-dot")
    assert (tar.image, tar.label, tar.by_last_dot) == ("jpg", "txt", True)
    for name in ("tfrecord", "parquet", "manifest"):
        source = build(name, str(tmp_path), image_column="i", label_column="l", key="k")
        assert (source.image_column, source.label_column) == ("i", "l")
    assert build("parquet", str(tmp_path), images_root="/photos").images_root == "/photos"
    assert build("manifest", "/in/faces.csv", images_root="/photos").root == "/photos"
    assert build("manifest", "/in/faces.csv").root == "/in"


def test_the_table_of_formats_imports_nothing_heavy():
    code = (
        "import sys; from facemill.transforms.sources.names import FORMATS; "
        "assert not {'numpy', 'PIL', 'pyarrow', 'apache_beam'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert set(FORMATS) == set(TABLE)
