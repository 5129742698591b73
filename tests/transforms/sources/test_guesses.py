"""What sources say of layouts and columns that they guess."""

import io
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facemill.transforms.core.errors import UsageError
from facemill.transforms.sources import registry
from facemill.transforms.sources.base import Source
from facemill.transforms.sources.guesses import Guess, GuessCode
from tests.transforms.sources.recordio_files import IMAGES, image, insightface, listed, write

_STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def _files(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return str(root)


def _opened(root, **options) -> tuple[Source, list[Guess], list[str]]:
    source = registry.build(registry.guess(str(root)), str(root), **options)
    tasks = source.tasks()
    return source, source.guesses(tasks), tasks


def _said(root, **options) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    _, found, _ = _opened(root, **options)
    return [(guess.code.value, guess.taken, guess.passed_over) for guess in found]


def _identities(root, **options) -> list[str | None]:
    source, _, tasks = _opened(root, **options)
    return [ref.identity for task in tasks for ref in source.refs(task)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Ada/1.jpg", "Bob/1.jpg", "README.md"], []),
        (
            ["train/n1/1.jpg", "test/n2/1.jpg"],
            [("split_folders", ("test", "train"), ("test/n2", "train/n1"))],
        ),
        (["train/1.jpg", "Test/2.jpg"], [("split_folders", ("Test", "train"), ())]),
        (["images/Ada/1.jpg", "images/Bob/1.jpg"], [("one_folder", ("images",), ("Ada", "Bob"))]),
        (
            ["img_celeba/1.jpg", "identity_CelebA.txt"],
            [("one_folder", ("img_celeba",), ()), ("list_beside", (), ("identity_CelebA.txt",))],
        ),
        (
            ["men/Ada/1.jpg", "women/Bob/1.jpg"],
            [("folders_of_folders", ("men", "women"), ("men/Ada", "women/Bob"))],
        ),
        (["Ada/1.jpg", "Bob/1.jpg", "2.JPG"], [("loose_files", (), ("2.JPG",))]),
        (
            ["1.jpg", "2.png", "list.csv"],
            [("no_identity_folders", ("list.csv",), ("1.jpg", "2.png"))],
        ),
    ],
)
def test_folders_that_may_not_be_people(tmp_path, names, expected):
    assert _said(_files(tmp_path, *names)) == expected


def test_files_of_another_format_below_the_input_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"holds faces_112/TRAIN\.REC; give .*/faces_112, or"):
        registry.guess(_files(tmp_path, "faces_112/TRAIN.REC", "faces_112/property"))


def test_the_folder_of_images_beside_a_table_is_named(tmp_path):
    root = _files(tmp_path, "truth.parquet", "images/id1/1.jpg", "images/id2/1.jpg")
    with pytest.raises(UsageError, match=r"parquet or folders; give .*/images, whose folders may"):
        registry.guess(root)


def _table(path, **columns):
    pq.write_table(pa.table(columns), path)


def _struct(*values: bytes | None) -> pa.Array:
    rows = [{"bytes": value, "path": f"img/{n}.jpg"} for n, value in enumerate(values)]
    return pa.array(rows, _STRUCT)


def test_the_column_called_image_is_taken_before_others(tmp_path):
    _table(tmp_path / "a.parquet", mask=_struct(b"m"), image=_struct(b"i"), Label=["Ada"])
    source, _, tasks = _opened(tmp_path)
    (ref,) = source.refs(*tasks)
    assert ref.identity == "Ada"
    assert list(source.read([ref])) == [b"i"]
    assert _said(tmp_path) == [("image_column", ("image",), ("mask",))]
    assert _said(tmp_path, image_column="mask") == []


def test_a_label_column_that_names_files_is_passed_over(tmp_path):
    names = ["1.jpg", None, "2.JPG"]
    _table(tmp_path / "a.parquet", image=_struct(b"1", b"2", b"3"), name=names, celeb_id=[7, 7, 8])
    assert _said(tmp_path) == [("label_names_files", ("celeb_id",), ("name",))]
    assert _identities(tmp_path) == ["7", "7", "8"]
    assert _identities(tmp_path, label_column="name") == names
    _table(tmp_path / "a.parquet", image=_struct(b"1"), who=["Ada"])
    assert _said(tmp_path) == [("no_label_column", (), ("who",))]
    _table(tmp_path / "a.parquet", image=_struct(b"1"), label=[1], name=["Ada"])
    assert _said(tmp_path) == [("label_column", ("label",), ("name",))]


def test_rows_without_bytes_are_read_by_their_paths(tmp_path):
    _files(tmp_path, "elsewhere/img/0.jpg", "t/placeholder")
    (tmp_path / "t" / "placeholder").unlink()
    root = str(tmp_path / "elsewhere")
    for values in (
        _struct(None),
        pa.array([{"bytes": None, "path": "img/0.jpg"}]),
        pa.array(["img/0.jpg"]),
    ):
        _table(tmp_path / "t" / "a.parquet", image=values, label=[1])
        source, found, tasks = _opened(tmp_path / "t", images_root=root)
        assert [guess.code for guess in found] == [GuessCode.PATHS_FOR_BYTES]
        assert list(source.read(list(source.refs(*tasks)))) == [b"x"]


def test_the_key_column_names_the_images(tmp_path):
    _table(tmp_path / "a.parquet", image=_struct(b"1", b"2"), label=[1, 2], file=["x", "x"])
    source, _, tasks = _opened(tmp_path, key="file")
    assert [ref.image_id for ref in source.refs(*tasks)] == ["a.parquet/x", "a.parquet/x#2"]
    with pytest.raises(UsageError, match="has no column who of keys"):
        _opened(tmp_path, key="who")


def _csv(tmp_path, text: str, encoding: str = "utf-8", name: str = "list.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.moderate
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_lists_are_read_in_the_encodings_and_delimiters_of_spreadsheets(
    tmp_path, encoding, delimiter
):
    rows = [("path", "identity"), *((f"Zoë/{n}.jpg", "Zoë") for n in range(2000))]
    text = "".join(f"{a}{delimiter}{b}\r\n" for a, b in rows)
    path = _csv(tmp_path, text, encoding)
    source, found, tasks = _opened(path)
    assert found == []
    refs = list(source.refs(*tasks))
    assert [(ref.path, ref.identity) for ref in refs] == [(a, b) for a, b in rows[1:]]


def test_blanks_and_backslashes_of_paths_are_removed_unless_files_are_called_so(tmp_path):
    path = _csv(tmp_path, "path,identity\n img/1.jpg ,Ada\nimg\\2.jpg,Ada\n")
    source, _, tasks = _opened(path)
    assert [ref.path for ref in source.refs(*tasks)] == ["img/1.jpg", "img/2.jpg"]
    assert _said(path) == [("path_form", ("img/1.jpg", "img/2.jpg"), (" img/1.jpg ", "img\\2.jpg"))]
    _files(tmp_path, " img/1.jpg ", "img\\2.jpg")
    source, found, tasks = _opened(path)
    assert found == []
    refs = list(source.refs(*tasks))
    assert list(source.read(refs)) == [b"x", b"x"]


@pytest.mark.parametrize("path", ["D:\\faces\\1.jpg", "C:/1.jpg", "\\\\nas\\1.jpg", "/data/1.jpg"])
def test_a_list_of_paths_elsewhere_is_told_with_a_path(tmp_path, path):
    assert _said(_csv(tmp_path, f"path,identity\n{path},Ada\n")) == [("paths_outside", (), (path,))]


def test_celebas_list_of_identities(tmp_path):
    path = _csv(tmp_path, "000001.jpg 2880\n000002.jpg 2937\n", name="identity_CelebA.txt")
    source, found, tasks = _opened(path, images_root="/img_align_celeba")
    assert found == []
    assert [(ref.path, ref.identity) for ref in source.refs(*tasks)] == [
        ("000001.jpg", "2880"),
        ("000002.jpg", "2937"),
    ]


def test_vggface2s_list_of_files(tmp_path):
    path = _csv(tmp_path, "n000002/0001_01.jpg\nn000003/0002_01.jpg\n", name="train_list.txt")
    assert _said(path) == [("identity_from_folder", (), ())]
    assert _identities(path) == ["n000002", "n000003"]


def test_imdb_wikis_columns_as_csv(tmp_path):
    rows = "full_path,gender,name,celeb_id\n01/nm0000001_rm1.jpg,1.0,Fred Astaire,6488\n"
    path = _csv(tmp_path, rows)
    assert _said(path) == [
        ("image_column", ("full_path",), ()),
        ("label_column", ("name",), ("celeb_id",)),
    ]
    assert _identities(path) == ["Fred Astaire"]
    assert _identities(path, label_column="celeb_id") == ["6488"]


def test_columns_of_a_list_are_named_by_options(tmp_path):
    path = _csv(tmp_path, "image_id,who,n\n1.jpg,Ada,a\n2.jpg,Bob,b\n")
    source, found, tasks = _opened(path, image_column="image_id", label_column="who", key="n")
    assert found == []
    assert [(ref.image_id, ref.path, ref.identity) for ref in source.refs(*tasks)] == [
        ("a", "1.jpg", "Ada"),
        ("b", "2.jpg", "Bob"),
    ]
    with pytest.raises(UsageError, match=r"`key` must be a column of .*, got id, but it has"):
        _opened(path, image_column="image_id", key="id")
    with pytest.raises(UsageError, match="name the column of paths by `image_column`"):
        _opened(path)


def _tar(path, members: dict[str, bytes]):
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def test_several_images_of_a_key_are_told(tmp_path):
    _tar(tmp_path / "0.tar", {"1.jpg": b"i", "1.mask.png": b"m", "1.png": b"p", "1.cls": b"7"})
    assert _said(tmp_path) == [("images_of_a_key", ("jpg",), ("mask.png", "png"))]
    assert _said(tmp_path, image_column="mask.png") == []
    source, _, tasks = _opened(tmp_path)
    refs = list(source.refs(*tasks))
    assert [ref.image_id for ref in refs if ref.reason is None] == ["0.tar/1.jpg"]
    assert len(refs) == 3


def test_keys_with_dots_are_told_and_taken_by_the_last_dot(tmp_path):
    members = {"a/x.y.1.jpg": b"1", "a/x.y.1.cls": b"7", "a/x.y.2.jpg": b"2", "a/x.y.2.cls": b"8"}
    _tar(tmp_path / "0.tar", members)
    assert _said(tmp_path) == [("dots_in_keys", ("a/x",), ("a/x.y.1",))]
    assert _said(tmp_path, key="last-dot") == []
    assert _identities(tmp_path, key="last-dot") == ["7", "8"]


def test_a_name_in_json_that_is_a_file_is_passed_over(tmp_path):
    data = json.dumps({"name": "1.jpg", "celeb_id": 7}).encode()
    _tar(tmp_path / "0.tar", {"1.jpg": b"i", "1.json": data})
    assert _said(tmp_path) == [("label_names_files", (), ("name",))]
    assert _identities(tmp_path) == ["7"]


def test_a_list_without_numbers_and_of_another_length_is_not_used(tmp_path):
    write(tmp_path, insightface(IMAGES))
    lines = [f"1\t{n}.jpg\t{label}\n" for n, (label, _) in enumerate(IMAGES)]
    (tmp_path / "train.lst").write_text("".join(["1\tgone.jpg\t0\n", *lines]))
    ((code, _, why),) = _said(tmp_path)
    assert code == "file_not_used"
    assert why[0].startswith("train.lst has 5 lines without an index for 4 images")
    assert all(not ref.attributes for ref in listed(tmp_path))
    (tmp_path / "train.lst").write_text("".join(lines))
    assert _said(tmp_path) == []


def test_a_list_in_another_order_is_not_used(tmp_path):
    write(tmp_path, insightface(IMAGES))
    lines = [f"1\t{n}.jpg\t{label}\n" for n, (label, _) in enumerate(IMAGES)]
    (tmp_path / "train.lst").write_text("".join(lines[::-1]))
    ((_, _, why),) = _said(tmp_path)
    assert why[0].startswith("gives other labels than the records, 4 of 4 that were compared")


def test_records_in_capitals_have_their_index(tmp_path):
    write(tmp_path, [image(label, data) for label, data in IMAGES], [7, 2, 9, 4])
    (tmp_path / "train.rec").rename(tmp_path / "TRAIN.REC")
    (tmp_path / "train.idx").rename(tmp_path / "TRAIN.IDX")
    refs = listed(tmp_path)
    assert [ref.image_id for ref in refs] == [f"TRAIN.REC/{key}" for key in (7, 2, 9, 4)]
    assert [ref.image_id for ref in listed(tmp_path / "TRAIN.REC")] == [r.image_id for r in refs]
