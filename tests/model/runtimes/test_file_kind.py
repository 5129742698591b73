"""Files are told apart by their content; what can run a program is refused unread."""

import contextlib
import io
import pickle
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.model.runtimes import onnx_file
from facemill.model.runtimes.choices import LITERT, ONNX, TENSORFLOW
from facemill.model.runtimes.file_kind import kind_of
from facemill.transforms.core.errors import UsageError
from tests.model.runtimes import networks


def zipped(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, b"content")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.pkl", b"anything", "is a pickle"),
        ("model.bin", pickle.dumps({"weights": 1}), "is a pickle"),
        ("model.pth", zipped("x"), "is a pickle"),
        ("model.bin", zipped("archive/data.pkl"), "is a pickle"),
        ("model.h5", b"\x89HDF\r\n\x1a\n" + b"0" * 99, "it is an HDF5 file; save the model as"),
        ("model.zip", zipped("x"), "it is a ZIP file"),
        ("model.onnx", b"<html>nothing found</html>", "its content is none of these"),
        ("model.tflite", b"", "the file is empty"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=r"^`file` must be a SavedModel folder or .*\.$") as error:
        kind_of(str(tmp_path / name), [])
    assert message in str(error.value)


def test_the_content_decides(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"\x1c\0\0\0TFL3 and more")
    assert kind_of(str(tmp_path / "a.bin"), []) == LITERT
    assert kind_of(str(networks.write_onnx(tmp_path / "b.bin")), []) == ONNX
    (tmp_path / "c.keras").write_bytes(zipped("config.json"))
    assert kind_of(str(tmp_path / "c.keras"), []) == TENSORFLOW
    assert kind_of(str(tmp_path), ["saved_model.pb", "variables/variables.index"]) == TENSORFLOW
    with pytest.raises(UsageError, match="the folder holds no saved_model"):
        kind_of(str(tmp_path), ["model.onnx"])


def test_the_first_operations_of_a_graph_are_read(tmp_path):
    plain = networks.write_onnx(tmp_path / "plain.onnx").read_bytes()
    assert onnx_file.first_operations(plain) == ["GlobalAveragePool", "Flatten", "Gemm"]
    assert not onnx_file.standardizes(plain)
    mxnet = networks.write_onnx(tmp_path / "mxnet.onnx", standardizes=True).read_bytes()
    assert onnx_file.first_operations(mxnet, 2) == ["Sub", "Mul"]
    assert onnx_file.standardizes(mxnet)


def field(number: int, value: bytes, high_bits: bool = False) -> bytes:
    """A field of bytes below 128; its key may have a bit that readers in C++ drop."""
    key = number << 3 | 2 | (1 << 32 if high_bits else 0)
    found = b""
    while key > 0x7F:
        found, key = found + bytes([key & 0x7F | 0x80]), key >> 7
    return found + bytes([key, len(value)]) + value


IN_A_FILE = field(13, field(1, b"location") + field(2, b"secret.txt"))


@pytest.mark.parametrize(
    "graph",
    [
        field(5, IN_A_FILE),
        field(5, field(13, b"", high_bits=True)),
        field(1, field(5, field(5, IN_A_FILE))),
        field(1, field(5, field(10, IN_A_FILE))),
        field(1, field(5, field(6, field(5, IN_A_FILE)))),
        field(15, field(1, IN_A_FILE)),
    ],
)
def test_a_tensor_that_lies_in_another_file_is_found_wherever_it_stands(graph):
    assert onnx_file.names_other_files(field(7, graph))
    assert onnx_file.names_other_files(field(7, b"") + field(7, graph))


def test_a_model_in_one_file_names_no_other(tmp_path):
    content = networks.write_onnx(tmp_path / "plain.onnx", standardizes=True).read_bytes()
    assert not onnx_file.names_other_files(content)
    assert onnx_file.names_other_files(field(25, field(7, field(5, field(5, IN_A_FILE)))))
    # A group, which ONNX has not, hides from this reader what others may read.
    with pytest.raises(ValueError, match="wire type 3"):
        onnx_file.names_other_files(b"\x0b" + content)
    with pytest.raises(ValueError, match="middle of a field"):
        onnx_file.names_other_files(b"\x3a")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(content):
    onnx_file.first_operations(content)
    with contextlib.suppress(ValueError):
        onnx_file.names_other_files(content)
