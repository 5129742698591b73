import gzip
import io
import struct
import tarfile

import pytest

from facemill.transforms.images.limits import MAX_BYTES
from facemill.transforms.sources.base import Unreadable
from facemill.transforms.sources.webdataset import WebDataset
from tests.reasons import because
from tests.transforms.sources.tar_files import labels_of, listed_in, member, tar_of, tar_with


def test_names_of_any_bytes_and_length_are_listed(tmp_path):
    long = "x" * 300 + "/1.jpg"
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, errors="surrogateescape"
    ) as tar:
        for name in (long, "b\udcff/2.jpg"):
            info, data = member(name, b"data")
            tar.addfile(info, io.BytesIO(data))
    (tmp_path / "0.tar").write_bytes(buffer.getvalue())
    refs = listed_in(tmp_path)
    assert labels_of(refs) == {f"0.tar/{long}": "x" * 300, "0.tar/b\\udcff/2.jpg": "b\\udcff"}
    assert list(WebDataset(str(tmp_path)).read(refs)) == [b"data", b"data"]


@pytest.mark.parametrize(
    ("keep", "complete"), [(512 * 5 + 100, 2), (512 * 4 + 100, 2), (512 * 4, 2)]
)
def test_complete_members_of_a_truncated_tar_are_listed(tmp_path, keep, complete):
    data = tar_with(**{f"a/{number}.jpg": bytes([number]) * 512 for number in range(3)})
    (tmp_path / "0.tar").write_bytes(data[:keep])
    *refs, rest = listed_in(tmp_path)
    assert [ref.image_id for ref in refs] == [f"0.tar/a/{number}.jpg" for number in range(complete)]
    assert list(WebDataset(str(tmp_path)).read(refs)) == [bytes([n]) * 512 for n in range(complete)]
    assert rest.image_id == "0.tar"
    assert rest.reason.startswith("cannot be read from byte 2048 on: ")


@pytest.mark.parametrize(
    ("change", "listed", "reason"),
    [
        (lambda data: b"", 0, "cannot be read from byte 0 on: empty file"),
        (lambda data: b"no tar" * 500, 0, "cannot be read from byte 0 on"),
        (lambda data: b"\0" * 1024 + data, 0, "the file goes on"),
        (lambda data: data + data, 2, "the file goes on"),
        (lambda data: data[:1024] + b"\xff" * 512 + data[1536:], 1, "no header lies there"),
        (gzip.compress, 0, "decompress it"),
    ],
)
def test_a_damaged_tar_has_a_row_with_a_reason(tmp_path, change, listed, reason):
    data = tar_with(**{"a/1.jpg": b"1", "a/2.jpg": b"2"})
    (tmp_path / "0.tar").write_bytes(change(data))
    refs = listed_in(tmp_path)
    assert len(refs) == listed + 1
    assert refs[-1].image_id == "0.tar"
    assert reason in refs[-1].reason
    assert "\n" not in refs[-1].reason
    assert str(tmp_path) not in refs[-1].reason


@pytest.mark.parametrize("name", ["0.tar.gz", "0.tgz", "0.tar.bz2", "0.tar.xz", "0.tar.zst"])
def test_a_compressed_tar_has_a_reason_that_says_what_to_do(tmp_path, name):
    magic = {"gz": b"\x1f\x8b", "tgz": b"\x1f\x8b", "bz2": b"BZh", "xz": b"\xfd7zXZ\0"}
    (tmp_path / name).write_bytes(magic.get(name.rpartition(".")[2], b"\x28\xb5\x2f\xfd") + b"..")
    (ref,) = listed_in(tmp_path)
    assert ref.image_id == name
    assert "decompress it" in ref.reason


def test_a_header_that_claims_an_impossible_size_ends_the_listing(tmp_path):
    good = tar_with(**{"a/1.jpg": b"1"})[:1024]
    for claimed in (-1024, -512, 1 << 40):
        header = bytearray(good[:512])
        header[124:136] = struct.pack(">iq", -1 if claimed < 0 else -(1 << 31), claimed)
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        (tmp_path / "0.tar").write_bytes(good + header + b"\0" * 1024)
        refs = listed_in(tmp_path)
        assert [ref.image_id for ref in refs] == ["0.tar/a/1.jpg", "0.tar"]
        assert refs[1].reason.startswith("cannot be read from byte 1024 on: ")


def test_a_header_with_an_endless_name_is_not_read(tmp_path):
    data = tar_of(
        member("a/1.jpg", b"1"), member("x", b"x" * (2 << 20), kind=tarfile.GNUTYPE_LONGNAME)
    )
    (tmp_path / "0.tar").write_bytes(data)
    refs = listed_in(tmp_path)
    assert [ref.image_id for ref in refs] == ["0.tar/a/1.jpg", "0.tar"]
    assert "a header of" in refs[1].reason


def test_chained_headers_end_the_listing(tmp_path):
    chain = [member("x", b"y", kind=tarfile.GNUTYPE_LONGNAME)] * 3000
    (tmp_path / "0.tar").write_bytes(tar_of(*chain, member("a/1.jpg", b"1")))
    (ref,) = listed_in(tmp_path)
    assert ref.reason.startswith("cannot be read from byte 0 on: ")


def test_a_file_that_changed_since_it_was_listed_is_unreadable(tmp_path):
    (tmp_path / "0.tar").write_bytes(tar_with(**{"a/1.jpg": b"1" * 900}))
    source = WebDataset(str(tmp_path))
    (ref,) = source.refs("0.tar")
    (tmp_path / "0.tar").write_bytes(b"x" * 1000)
    assert list(source.read([ref])) == [
        Unreadable(because("the file that holds it ends after 488 of its bytes"))
    ]
    (tmp_path / "0.tar").unlink()
    missing = Unreadable(because("cannot be read: No such file or directory"))
    assert list(source.read([ref, ref])) == [missing, missing]
    (listed,) = source.refs("0.tar")
    assert listed.reason == missing.reason


def test_a_member_above_the_limit_is_not_read(tmp_path):
    info, _ = member("a/1.jpg")
    info.size = MAX_BYTES + 1
    with open(tmp_path / "0.tar", "wb") as stream:
        stream.write(info.tobuf(format=tarfile.GNU_FORMAT))
        stream.truncate(512 + MAX_BYTES + 512 + 1024)
    source = WebDataset(str(tmp_path))
    (ref,) = source.refs("0.tar")
    assert ref.reason is None
    (result,) = source.read([ref])
    assert isinstance(result, Unreadable)
    assert "above the limit" in result.reason
