import json
import pickle
import random
import tarfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.reasons import ReasonCode
from facemill.transforms.sources.webdataset import WebDataset
from tests.transforms.sources.tar_files import labels_of, listed_in, member, tar_of, tar_with


def test_images_of_all_shards_with_their_bytes_in_order(tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "1.TAR").write_bytes(tar_with(**{"eve/9.PNG": b"nine"}))
    (tmp_path / "0.tar").write_bytes(
        tar_with(**{"./ada/3.jpg": b"three", "ada/1.jpg": b"one" * 700, "2.webp": b"two"})
    )
    (tmp_path / "notes.txt").write_text("no shard")
    source = pickle.loads(pickle.dumps(WebDataset(str(tmp_path))))
    assert source.tasks() == ["0.tar", "more/1.TAR"]
    refs = [ref for task in source.tasks() for ref in source.refs(task)]
    assert labels_of(refs) == {
        "0.tar/ada/3.jpg": "ada",
        "0.tar/ada/1.jpg": "ada",
        "0.tar/2.webp": None,
        "more/1.TAR/eve/9.PNG": "eve",
    }
    assert list(source.read(refs)) == [b"three", b"one" * 700, b"two", b"nine"]
    assert list(source.read(refs[::-1])) == [b"nine", b"two", b"one" * 700, b"three"]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: list(source.read(refs)), range(16)))
    assert results == [[b"three", b"one" * 700, b"two", b"nine"]] * 16


def test_the_input_can_be_one_tar(tmp_path):
    (tmp_path / "0.tar").write_bytes(tar_with(**{"ada/1.jpg": b"one"}))
    (tmp_path / "1.tar").write_bytes(tar_with(**{"ada/2.jpg": b"two"}))
    assert labels_of(listed_in(tmp_path / "1.tar")) == {"1.tar/ada/2.jpg": "ada"}


def test_a_label_applies_to_all_images_of_its_key_before_and_after_it(tmp_path):
    (tmp_path / "0.tar").write_bytes(
        tar_with(
            **{
                "x/1.cls": b" 17\n",
                "x/1.jpg": b"",
                "x/2.seg.png": b"",
                "x/2.jpg": b"",
                "x/2.cls": b"ada lovelace",
                "x/2.txt": b"a caption",
                "y/2.jpg": b"",
            }
        )
    )
    refs = listed_in(tmp_path)
    # Of two images of a key, the one with nothing before its extension is taken.
    (other,) = [ref for ref in refs if ref.reason]
    assert other.image_id == "0.tar/x/2.seg.png"
    assert other.reason.code == ReasonCode.PASSED_OVER_IMAGE
    assert other.reason == "is another image of its key than the .jpg, which is taken"
    assert labels_of([ref for ref in refs if ref != other]) == {
        "0.tar/x/1.jpg": " 17",
        "0.tar/x/2.jpg": "ada lovelace",
        "0.tar/y/2.jpg": "y",
    }
    refs = listed_in(tmp_path, image_column="seg.png")
    assert [ref.image_id for ref in refs if not ref.reason] == ["0.tar/x/2.seg.png"]


@pytest.mark.parametrize(
    ("members", "identity"),
    [
        ({"1.cls": b"a", "1.json": b'{"identity": "b"}', "1.txt": b"c"}, "a"),
        ({"1.cls": b"  ", "1.json": b'{"identity": "b"}', "1.txt": b"c"}, "b"),
        ({"1.txt": b"c"}, "folder"),
        ({"1.json": b'{"name": 4, "class": "c", "label": 0, "identity": null}'}, "0"),
        ({"1.json": b'{"name": "n", "class": "c"}'}, "c"),
        ({"1.json": b'{"name": "n", "age": 7}'}, "n"),
        ({"1.json": b"{}"}, "folder"),
        ({"1.cls": "Zoë".encode()}, "Zoë"),
    ],
)
def test_cls_counts_before_json_before_the_folder(tmp_path, members, identity):
    files = {f"folder/{name}": data for name, data in members.items()}
    (tmp_path / "0.tar").write_bytes(tar_with(**{"folder/1.jpg": b"", **files}))
    (ref,) = listed_in(tmp_path)
    assert (ref.identity, ref.reason) == (identity, None)


@pytest.mark.parametrize(
    ("label", "members", "identity"),
    [
        ("txt", {"1.cls": b"a", "1.json": b"{", "1.txt": b"c"}, "c"),
        ("json", {"1.cls": b"a", "1.json": b'{"identity": "b"}', "1.txt": b"c"}, "b"),
        # A requested label is never replaced by the folder.
        ("txt", {"1.cls": b"a"}, None),
    ],
)
def test_a_requested_label_kind_is_the_only_one_that_counts(tmp_path, label, members, identity):
    files = {f"folder/{name}": data for name, data in members.items()}
    (tmp_path / "0.tar").write_bytes(tar_with(**{"folder/1.jpg": b"", **files}))
    (ref,) = listed_in(tmp_path, label_column=label)
    assert (ref.identity, ref.reason) == (identity, None)


def test_an_unknown_label_kind_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match=r"`label_column` must be one of cls, json, txt .* got id"):
        WebDataset(str(tmp_path), label_column="id")


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("1.cls", b"\xff")], "its label is not valid UTF-8"),
        ([("1.cls", b"x" * (1 << 20) + b"x")], "above"),
        ([("1.json", b"{")], "its .json is damaged"),
        ([("1.json", b"[" * 100_000)], "its .json is damaged"),
        ([("1.json", b"[]")], "its .json must be an object, got a list"),
        ([("1.json", b'{"label": [1]}')], "must be a text or a whole number, got a list"),
        ([("1.json", b'{"label": "\\ud800"}')], "not valid UTF-8"),
        ([("1.cls", b"a"), ("1.cls", b"b")], "its key has several .cls members that differ"),
    ],
)
def test_an_image_with_a_bad_label_has_a_reason(tmp_path, members, reason):
    files = [member(name, data) for name, data in members]
    (tmp_path / "0.tar").write_bytes(tar_of(member("1.jpg", b"1"), *files, member("2.jpg", b"2")))
    bad, good = listed_in(tmp_path)
    assert (bad.image_id, bad.identity, good.reason) == ("0.tar/1.jpg", None, None)
    assert reason in bad.reason


def test_two_labels_of_a_key_may_spell_one_identity_in_two_ways(tmp_path):
    members = (member("1.jpg"), member("1.cls", b"Zoe\xcc\x88"), member("1.cls", "Zoë ".encode()))
    (tmp_path / "0.tar").write_bytes(tar_of(*members))
    assert labels_of(listed_in(tmp_path)) == {"0.tar/1.jpg": "Zoe\u0308"}


def test_members_that_lead_outside_or_are_links_are_listed_with_a_reason(tmp_path):
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "0.tar").write_bytes(
        tar_of(
            member("../secret.jpg", b"a"),
            member(f"{tmp_path}/secret.jpg", b"b"),
            member("a/../../b.cls", b"c"),
            member("soft.jpg", kind=tarfile.SYMTYPE, link="../secret.jpg"),
            member("hard.jpg", kind=tarfile.LNKTYPE, link="good.jpg"),
            member("null.jpg", kind=tarfile.CHRTYPE),
            member("pipe.jpg", kind=tarfile.FIFOTYPE),
            member("folder.jpg", kind=tarfile.DIRTYPE),
            member("good.jpg", b"good"),
        )
    )
    refs = listed_in(tmp_path)
    assert [(ref.image_id.removeprefix("0.tar/"), ref.reason) for ref in refs] == [
        ("../secret.jpg", "its name leads outside the tar"),
        (f"{tmp_path}/secret.jpg", "its name leads outside the tar"),
        ("a/../../b.cls", "its name leads outside the tar"),
        ("soft.jpg", "is a link, which is not followed"),
        ("hard.jpg", "is a link, which is not followed"),
        ("null.jpg", "is not a regular file"),
        ("pipe.jpg", "is not a regular file"),
        ("good.jpg", None),
    ]


def test_repeated_member_names_get_different_image_ids(tmp_path):
    (tmp_path / "0.tar").write_bytes(
        tar_of(*(member(name, name.encode()) for name in ("a.jpg", "a.jpg", "a.jpg#2", "./a.jpg")))
    )
    source = WebDataset(str(tmp_path))
    refs = list(source.refs("0.tar"))
    # `a.jpg#2` has no suffix of an image, and its key has an image already.
    assert [ref.image_id for ref in refs] == ["0.tar/a.jpg", "0.tar/a.jpg#2", "0.tar/a.jpg#3"]
    assert list(source.read(refs)) == [b"a.jpg", b"a.jpg", b"./a.jpg"]


def test_a_key_without_an_image_has_a_row_with_a_reason(tmp_path):
    (tmp_path / "0.tar").write_bytes(
        tar_with(**{"a/1.jpg": b"", "a/1.npy": b"", "a/2.jp2": b"", "a/2.cls": b"a", "bare": b""})
    )
    assert [(ref.image_id, ref.reason) for ref in listed_in(tmp_path)] == [
        ("0.tar/a/1.jpg", None),
        ("0.tar/a/2", "none of its members is an image: cls, jp2"),
        ("0.tar/bare", "none of its members is an image: no extension"),
    ]


def test_members_that_were_never_meant_as_images_are_ignored(tmp_path):
    names = (
        *("a/1.jpg", "a/1.json", "a/._1.jpg", "__MACOSX/a/._1.jpg", "a/.DS_Store", ".gitkeep"),
        *("README", "README.md", "a/2.npy", "a/3.cls", "a/.4.jpg", "a/5.cls.txt"),
    )
    (tmp_path / "0.tar").write_bytes(tar_with(**dict.fromkeys(names, b"{}")))
    codes = {ref.image_id: ref.reason and ref.reason.code.value for ref in listed_in(tmp_path)}
    assert codes == {
        "0.tar/a/1.jpg": None,
        # A hidden photo is a photo, and a label alone is one whose photo is lost.
        "0.tar/a/.4.jpg": None,
        "0.tar/a/3": "no_image_in_record",
        **dict.fromkeys(("0.tar/a/._1.jpg", "0.tar/__MACOSX/a/._1.jpg"), "system_file"),
        **{"0.tar/a/.DS_Store": "system_file", "0.tar/.gitkeep": "hidden_file"},
        # The others are named by their keys, like records.
        **dict.fromkeys(("0.tar/README", "0.tar/README#2"), "sidecar_file"),
        **dict.fromkeys(("0.tar/a/2", "0.tar/a/5"), "sidecar_file"),
    }
    (tmp_path / "._0.tar").write_bytes(b"attributes")
    (reason,) = (ref.reason for ref in listed_in(tmp_path) if ref.image_id == "._0.tar")
    assert reason.code.value == "system_file"


def test_an_input_without_shards_is_a_usage_error(tmp_path):
    (tmp_path / "0.jpg").write_bytes(b"")
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError, match=r"`input` must be a .*directory"):
            WebDataset(str(root)).tasks()


_NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1)
_NAMES = _NAMES.filter(lambda name: name not in (".", ".."))
_MEMBERS = st.lists(
    st.tuples(
        st.lists(_NAMES, max_size=3),
        _NAMES.filter(lambda name: "." not in name),
        st.sampled_from([".jpg", ".mask.png", ".cls"]),
        st.binary(max_size=1500),
    ),
    max_size=12,
    unique_by=lambda member: ("/".join([*member[0], member[1]]), member[2]),
)


@pytest.mark.moderate
@settings(deadline=None, max_examples=60)
@example(members=[([], "0", ".jpg", b""), ([], "0", ".mask.png", b"")], seed=0)
@given(members=_MEMBERS, seed=st.integers(0, 1 << 30))
def test_members_of_any_name_and_size_are_read_back(tmp_path_factory, members, seed):
    root = tmp_path_factory.mktemp("shards")
    paths = ["/".join([*folders, stem]) for folders, stem, _, _ in members]
    data = tar_of(
        *(
            member(path + kind, b"id" + content.hex().encode() if kind == ".cls" else content)
            for path, (_, _, kind, content) in zip(paths, members, strict=True)
        )
    )
    (root / "0.tar").write_bytes(data)
    source = WebDataset(str(root))
    refs = list(source.refs("0.tar"))
    labels = {
        path: "id" + content.hex()
        for path, (_, _, kind, content) in zip(paths, members, strict=True)
        if kind == ".cls"
    }
    # Of two images of a key the plain one is taken.
    plain = {path for path, (_, _, kind, _) in zip(paths, members, strict=True) if kind == ".jpg"}
    expected = [
        (f"0.tar/{path}{kind}", labels.get(path, folders[-1] if folders else None), content)
        for path, (folders, _, kind, content) in zip(paths, members, strict=True)
        if kind == ".jpg" or (kind == ".mask.png" and path not in plain)
    ]
    good = [ref for ref in refs if not ref.reason]
    found = zip(good, source.read(good), strict=True)
    assert [(ref.image_id, ref.identity, content) for ref, content in found] == expected
    passed_over = sum(kind != ".cls" for _, _, kind, _ in members) - len(expected)
    alone = labels.keys() - {path_of(one) for one in expected}
    assert len(refs) - len(good) == len(alone) + passed_over
    # Damage of any kind: rows or fewer images, and never an error.
    random_ = random.Random(seed)
    damaged = bytearray(data)
    for _ in range(random_.randrange(1, 20)):
        damaged[random_.randrange(len(damaged))] = random_.randrange(256)
    (root / "0.tar").write_bytes(damaged)
    refs = list(source.refs("0.tar"))
    assert len({ref.image_id for ref in refs}) == len(refs)
    for ref, content in zip(refs, source.read(refs), strict=True):
        assert ref.reason or isinstance(content, bytes)
        json.dumps([ref.image_id, ref.identity]).encode("utf-8")


def path_of(expected) -> str:
    image_id = expected[0].removeprefix("0.tar/")
    return image_id.removesuffix(".jpg").removesuffix(".mask.png")
