"""Looks into an ONNX file without the package onnx.

Only the wire format of protocol buffers is read (a message is a row of numbered fields), of the
messages of onnx.proto that the constants below name.
"""

from collections.abc import Iterator

_GRAPH, _NODE, _OP_TYPE = 7, 1, 4
# Where tensors lie: messages by name, with the number of each field and the message that it holds.
_TENSORS = {
    "model": {_GRAPH: "graph", 25: "function"},
    "graph": {_NODE: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
}  # fmt: skip
_EXTERNAL_DATA = 13
# Graphs in graphs. None of a network's is as deep; Python's stack ends at 1,000.
_DEEPEST = 100
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
# insightface looks at the first eight for the same purpose.
_FIRST = 8


def standardizes(content: bytes) -> bool:
    """Whether a network subtracts a mean and scales its input before its first layer.

    Networks that were converted from MXNet begin so; insightface's own loader then gives them
    samples from 0 to 255.

    Args:
        content: of an ONNX file; of other bytes the answer is False.
    """
    first = first_operations(content)
    before = first[: first.index("Conv")] if "Conv" in first else first
    return "Sub" in before and ("Mul" in before or "Div" in before)


def first_operations(content: bytes, count: int = _FIRST) -> list[str]:
    """The types of the first operations of a graph, such as "Conv"; [] of other bytes."""
    found: list[str] = []
    try:
        for graph in _fields(memoryview(content), _GRAPH):
            for node in _fields(graph, _NODE):
                found += [bytes(one).decode("utf-8", "replace") for one in _fields(node, _OP_TYPE)]
                if len(found) >= count:
                    return found[:count]
    except (IndexError, ValueError):
        return found
    return found


def names_other_files(content: bytes) -> bool:
    """Whether a tensor anywhere in a model says that its numbers lie in another file.

    onnxruntime looks for such a file in the working directory, whoever wrote it, even if it gets
    the model from memory.

    Args:
        content: of an ONNX file.

    Raises:
        ValueError: the content is damaged, or so deep that no network needs it.
    """
    try:
        return _names_files(memoryview(content), "model", 0)
    except IndexError:
        raise ValueError("it ends in the middle of a field") from None


def _names_files(message: memoryview, kind: str, depth: int) -> bool:
    if depth > _DEEPEST:
        raise ValueError("it has graphs in graphs without end")
    if kind == "tensor":
        return any(True for _ in _fields(message, _EXTERNAL_DATA))
    holds = _TENSORS[kind]
    return any(
        _names_files(value, holds[number], depth + 1)
        for number, value in _numbered_fields(message)
        if number in holds
    )


def _fields(message: memoryview, number: int) -> Iterator[memoryview]:
    """The values of a field that holds bytes, texts or messages; raises as `_numbered_fields`."""
    return (value for found, value in _numbered_fields(message) if found == number)


def _numbered_fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The numbers and values of all fields that hold bytes, texts or messages.

    Raises:
        IndexError: the message ends in the middle of a field.
        ValueError: it is no message.
    """
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if kind == _VARINT:
            _, position = _varint(message, position)
        elif kind in (_FIXED_32, _FIXED_64):
            position += 4 if kind == _FIXED_32 else 8
        elif kind == _BYTES:
            length, position = _varint(message, position)
            # Readers in C++ keep 32 bits of a key.
            yield (key & 0xFFFFFFFF) >> 3, message[position : position + length]
            position += length
        else:
            raise ValueError(f"no field has the wire type {kind}")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """The number at a position, and the position behind it."""
    value = 0
    for index in range(10):
        byte = message[position + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    raise ValueError("a number must have at most ten bytes")
