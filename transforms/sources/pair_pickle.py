"""Reads insightface's `.bin` (lfw.bin, cfp_fp.bin, agedb_30.bin, ...) without unpickling it.

The file is a pickle of (list of encoded images, list of whether images 2 i and 2 i + 1 show one
identity). Its opcodes are followed with `pickletools`, which executes nothing: bytes, lists,
tuples, truth values and numpy's arrays of bytes are recognized, anything else ends the reading.
"""

import pickletools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from facemill.transforms.core.text import one_line
from facemill.transforms.images.limits import MAX_BYTES

# No name or number that such a file needs is longer.
_MAX_LINE = 256
_HEAD = 16
# Bytes of an opcode and its length, before the data.
_DATA = {
    "SHORT_BINSTRING": 2, "SHORT_BINBYTES": 2, "BINSTRING": 5, "BINBYTES": 5, "BINBYTES8": 9,
    "BYTEARRAY8": 9,
}  # fmt: skip
# Likewise of texts.
_TEXTS = {"SHORT_BINUNICODE": 2, "BINUNICODE": 5, "BINUNICODE8": 9}
_INTS = {"BININT", "BININT1", "BININT2", "INT", "LONG1"}
_SKIPPED = {"PROTO", "FRAME", "STOP"}
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
    "NONE": lambda: None,
}  # fmt: skip
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS = {"PUT", "BINPUT", "LONG_BINPUT"}
_GETS = {"GET", "BINGET", "LONG_BINGET"}
_PROTOCOL_0 = "was saved as protocol 0, which hides bytes; save it as 2 or later"
_MARK = object()


class RefusedError(ValueError):
    """The file is no such pickle, or holds what none needs; the message says what."""


@dataclass(frozen=True)
class Span:
    """Bytes in the file.

    Attributes:
        offset: where they begin.
        length: how many the file has.
        head: the first few of the bytes that they stand for.
        is_text: whether the file has a character in UTF-8 for each byte, see `bytes_of`.
    """

    offset: int
    length: int
    head: bytes = b""
    is_text: bool = False


def bytes_of(text: bytes) -> bytes:
    """The bytes that a text stands for: Python 3 writes bytes so below protocol 3.

    Raises:
        ValueError: they are no such text.
    """
    return text.decode("utf-8").encode("latin-1")


@dataclass(frozen=True)
class PairFile:
    """What the file holds.

    Attributes:
        images: where the encoded images lie, two for each label, in order.
        labels: whether the two show one identity.
    """

    images: tuple[Span, ...]
    labels: tuple[bool, ...]


class _Text(str):
    """A text, and where it lies; in the memory it is shortened."""

    span: Span


@dataclass(frozen=True)
class _Name:
    name: str


@dataclass
class _Array:
    """numpy's array, type or number that the opcodes build."""

    kind: str = ""
    data: Span | None = None


class _Guarded:
    """The file for `pickletools`, with a bound on what is read at once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.tell = stream.tell

    def read(self, count: int) -> bytes:
        if count > MAX_BYTES:
            raise RefusedError(f"announces {count:,} bytes in one piece")
        return self._stream.read(count)

    def readline(self) -> bytes:
        line = self._stream.readline(_MAX_LINE)
        if len(line) == _MAX_LINE and not line.endswith(b"\n"):
            raise RefusedError(f"is damaged or {_PROTOCOL_0}")
        return line


def read_pair_file(stream: BinaryIO) -> PairFile:
    """Finds images and labels; of the images only where they lie.

    Args:
        stream: the file, open at its start; can be searched.

    Raises:
        RefusedError: see the class.
        OSError: the file cannot be read.
    """
    try:
        value = _follow(stream)
    except RefusedError:
        raise
    except OSError:
        raise
    # What damaged opcodes lead to; none of these comes from anywhere else.
    except LookupError:
        raise RefusedError("is damaged: a value is absent") from None
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise RefusedError(f"is damaged: {one_line(error)}") from None
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise RefusedError("does not hold a list of images and a list of labels")
    images, labels = (_images(value[0]), _labels(value[1], stream))
    if len(images) != 2 * len(labels):
        raise RefusedError(
            f"has {len(images):,} images and {len(labels):,} labels, of which there must be half "
            "as many"
        )
    if not labels:
        raise RefusedError("holds no pair")
    return PairFile(images, labels)


def _images(value: Any) -> tuple[Span, ...]:
    found = []
    for number, one in enumerate(_list(value, "images")):
        span = one.data if isinstance(one, _Array) else one
        if not isinstance(span, Span):
            raise RefusedError(f"has no bytes where image {number} must be")
        found.append(span)
    return tuple(found)


def _labels(value: Any, stream: BinaryIO) -> tuple[bool, ...]:
    if isinstance(value, _Array) and value.kind in ("b1", "u1") and value.data is not None:
        stream.seek(value.data.offset)
        data = stream.read(value.data.length)
        value = list(bytes_of(data) if value.data.is_text else data)
    found = []
    for one in _list(value, "labels"):
        if isinstance(one, _Array) and one.data is not None and one.data.length == 1:
            one = one.data.head[0]
        if not isinstance(one, int) or one not in (0, 1):
            raise RefusedError("has a label that is neither true nor false")
        found.append(bool(one))
    return tuple(found)


def _list(value: Any, what: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise RefusedError(f"does not hold a list of {what}")
    return value


def _follow(stream: BinaryIO) -> Any:
    """The value that the opcodes describe: lists, tuples, numbers, `Span`, `_Array`."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    argument: Any
    for opcode, argument, position in pickletools.genops(_Guarded(stream)):  # type: ignore[arg-type]
        name = opcode.name
        if name in _SKIPPED:
            continue
        if name in _DATA:
            data = argument.encode("latin-1") if isinstance(argument, str) else argument
            start = (position or 0) + _DATA[name]
            stack.append(Span(start, len(data), bytes(data[:_HEAD])))
        elif name in _TEXTS:
            stack.append(_text_at((position or 0) + _TEXTS[name], argument))
        elif name in _INTS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name]())
        elif name in _TUPLES:
            count = _TUPLES[name]
            _take(stack, count)
            stack[len(stack) - count :] = [tuple(stack[len(stack) - count :])]
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("TUPLE", "LIST"):
            items = _since_mark(stack)
            stack.append(tuple(items) if name == "TUPLE" else items)
        elif name == "APPEND":
            one = stack.pop()
            _as_list(stack).append(one)
        elif name == "APPENDS":
            items = _since_mark(stack)
            _as_list(stack).extend(items)
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in _PUTS:
            memo[argument] = stack[-1]
        elif name in _GETS:
            stack.append(memo[argument])
        elif name == "GLOBAL":
            stack.append(_known(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            module, attribute = _take(stack, 2)
            stack[-2:] = [_known(module, attribute)]
        elif name == "REDUCE":
            made, arguments = _take(stack, 2)
            stack[-2:] = [_made(made, arguments)]
        elif name == "BUILD":
            state = stack.pop()
            _build(stack[-1], state)
        elif name == "UNICODE":
            stack.append(argument)
        elif name == "STRING":
            raise RefusedError(_PROTOCOL_0)
        else:
            raise RefusedError(f"holds {name}, which no list of images and labels needs")
    (value,) = stack
    return value


def _text_at(start: int, text: str) -> _Text:
    found = _Text(text[:_MAX_LINE])
    length = len(text.encode("utf-8", "surrogatepass"))
    head = text[:_HEAD].encode("latin-1", "replace")
    found.span = Span(start, length, head, is_text=True)
    return found


def _take(stack: list[Any], count: int) -> list[Any]:
    if len(stack) < count:
        raise RefusedError("is damaged: a value is absent")
    return stack[-count:]


def _since_mark(stack: list[Any]) -> list[Any]:
    at = len(stack) - 1 - stack[::-1].index(_MARK)
    items = stack[at + 1 :]
    del stack[at:]
    return items


def _as_list(stack: list[Any]) -> list[Any]:
    if not isinstance(stack[-1], list):
        raise RefusedError("appends to what is no list")
    return stack[-1]


_ARRAY, _SCALAR = "numpy.core.multiarray _reconstruct", "numpy.core.multiarray scalar"
_BUFFER, _DTYPE = "numpy.core.numeric _frombuffer", "numpy dtype"
_BYTEARRAYS = ("builtins bytearray", "__builtin__ bytearray")
# How Python 3 writes bytes below protocol 3: as a text, or, if there are none, by a call.
_ENCODED, _NO_BYTES = "_codecs encode", ("builtins bytes", "__builtin__ bytes")
_KNOWN = {_ENCODED, *_NO_BYTES, _ARRAY, _SCALAR, _BUFFER, _DTYPE, "numpy ndarray", *_BYTEARRAYS}


def _known(module: object, attribute: object) -> _Name:
    """A name that stands for bytes or numpy's arrays. Nothing is imported or called."""
    if not isinstance(module, str) or not isinstance(attribute, str):
        raise RefusedError("names what is no text")
    name = f"{module} {attribute}".replace("numpy._core.", "numpy.core.")
    if name not in _KNOWN:
        shown = ascii(f"{module}.{attribute}"[:80])[1:-1]
        raise RefusedError(f"names {shown}, which no list of images and labels needs")
    return _Name(name)


def _made(made: object, arguments: Any) -> Any:
    name = made.name if isinstance(made, _Name) else ""
    if name == _ARRAY:
        return _Array()
    if name == _DTYPE:
        return _Array(kind=_text(arguments[0]))
    if name == _SCALAR and isinstance(arguments[1], Span):
        return _Array(arguments[0].kind, arguments[1])
    if name == _BUFFER and isinstance(arguments[0], Span):
        return _Array(_bytes_kind(arguments[1]), arguments[0])
    if name == _ENCODED and arguments[1] == "latin1":
        if not isinstance(arguments[0], _Text):
            raise RefusedError(f"names _codecs.encode: it {_PROTOCOL_0}")
        return arguments[0].span
    if name in (*_BYTEARRAYS, *_NO_BYTES) and arguments == ():
        return Span(0, 0)
    if name in _BYTEARRAYS and isinstance(arguments[0], Span):
        return arguments[0]
    raise RefusedError("calls what no list of images and labels needs")


def _build(made: object, state: Any) -> None:
    if not isinstance(made, _Array):
        raise RefusedError("sets the state of what is no array")
    # A type's state (byte order and such) says nothing of bytes.
    if made.kind:
        return
    made.kind, made.data = _bytes_kind(state[2]), state[4]
    if not isinstance(made.data, Span):
        raise RefusedError("has an array without bytes")


def _bytes_kind(dtype: _Array) -> str:
    if dtype.kind not in ("u1", "b1"):
        raise RefusedError(f"has an array of {dtype.kind[:8]!r}, not of bytes")
    return dtype.kind


def _text(value: Any) -> str:
    return value.head.decode("latin-1") if isinstance(value, Span) else str(value)
