"""The members of a tar whose bytes lie at one place, so that each is read at an offset."""

import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from facemill.transforms.core.reasons import ReasonCode, ReasonError
from facemill.transforms.core.text import one_line

_MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
# No regular header is longer; `tarfile` takes quadratic time for a crafted one.
_MAX_HEADER_BYTES = 1 << 16
_BLOCK = tarfile.BLOCKSIZE
_SCAN_BYTES = 1 << 20


class DamagedTarError(ReasonError):
    """A tar is damaged; the reason becomes that of its row."""

    def __init__(self, text: str, code: ReasonCode = ReasonCode.DAMAGED_CONTAINER) -> None:
        super().__init__(code, text)


def members(stream: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Members of a tar whose bytes are all there.

    Raises:
        DamagedTarError: the tar is compressed, cut off or damaged.
        OSError: the tar cannot be read.
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    if stream.read(max(map(len, _MAGIC))).startswith(_MAGIC):
        raise DamagedTarError(
            "is a compressed tar, whose members cannot be read at an offset; decompress it",
            ReasonCode.COMPRESSED_CONTAINER,
        )
    stream.seek(0)
    headers = _Headers(stream)
    tar: tarfile.TarFile | None = None
    offset = 0
    try:
        # Bytes of names that are not UTF-8 become lone surrogates.
        tar = tarfile.TarFile(fileobj=headers, encoding="utf-8", errors="surrogateescape")  # type: ignore[arg-type]
        # Without a first member Python 3.10 would look for the next one before the file.
        holds_members = tar.firstmember is not None  # type: ignore[attr-defined]
        while holds_members and (member := tar.next()) is not None:
            # A header may claim any size, even one that leads back to an earlier offset.
            if not offset <= member.offset < member.offset_data <= tar.offset or member.size < 0:
                raise DamagedTarError(_damaged(offset, "a header claims an impossible size"))
            if member.isreg() and member.offset_data + member.size > size:
                raise DamagedTarError(_damaged(member.offset, "the file ends inside a member"))
            offset = tar.offset
            yield member
            # `tarfile` keeps every member in this list, which would grow without bound.
            tar.members = []  # type: ignore[attr-defined]
    except (tarfile.TarError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise DamagedTarError(_damaged(offset, one_line(error))) from None
    _check_end(stream, tar.offset)


def _check_end(stream: BinaryIO, offset: int) -> None:
    """Checks that zero blocks end the tar: `tarfile` stops silently at any other bytes."""
    stream.seek(offset)
    mark = stream.read(_BLOCK)
    if len(mark) < _BLOCK:
        raise DamagedTarError(_damaged(offset, "the file ends without the mark of its end"))
    if any(mark):
        raise DamagedTarError(_damaged(offset, "no header lies there"))
    while block := stream.read(_SCAN_BYTES):
        if block.count(0) != len(block):
            reason = "the tar ends, but the file goes on; unpack joined tars into one each"
            raise DamagedTarError(_damaged(offset, reason))


def _damaged(offset: int, what: str) -> str:
    return f"cannot be read from byte {offset} on: {what}"


class _Headers:
    """A stream that refuses long headers; `tarfile` would read any length that one claims."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, length: int) -> bytes:
        if not 0 <= length <= _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {length} bytes")
        return self._stream.read(length)

    def seek(self, offset: int) -> int:
        return self._stream.seek(offset)

    def tell(self) -> int:
        return self._stream.tell()
