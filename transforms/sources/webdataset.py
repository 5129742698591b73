"""WebDataset: tar shards in which the members of one key belong together.

A key is a member's path up to the first dot of its name: `ada/3.jpg`, `ada/3.cls` and
`ada/3.json` are one image and its labels.
"""

import json
import posixpath
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.reasons import Reason, ReasonCode, ReasonError
from facemill.transforms.core.text import one_line, readable
from facemill.transforms.dataset.identity_names import normal_form
from facemill.transforms.dataset.ignored_files import README_FILE, is_sidecar, why_ignored
from facemill.transforms.sources.base import Ref, Unreadable
from facemill.transforms.sources.containers import ContainerSource, read_ranges
from facemill.transforms.sources.distinct import Distinct
from facemill.transforms.sources.labels import NAMES, BadValueError, as_identity
from facemill.transforms.sources.reading import cannot_read

_IMAGES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"),
    *(".tif", ".tiff", ".pgm", ".ppm", ".avif", ".heic", ".heif"),
)
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst")
_MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
# Labels, the most important first. A `txt` is often a caption, so it counts only on request.
_LABELS = ("cls", "json")
_ALL_LABELS = (*_LABELS, "txt")
_MAX_LABEL_BYTES = 1 << 20
# How many extensions the reason of a key without an image names.
_LISTED_KINDS = 3
# No regular header is longer; `tarfile` takes quadratic time for a crafted one.
_MAX_HEADER_BYTES = 1 << 16
_BLOCK = tarfile.BLOCKSIZE
_SCAN_BYTES = 1 << 20


class WebDataset(ContainerSource):
    """Tar shards anywhere under the input; image_id is `<tar>/<member>`.

    The identity is the content of the key's `.cls`, else the first of identity, label, class and
    name in its `.json`, else the name of the folder that the member lies in. Nothing is extracted
    to disk: the tar's headers give the offsets at which images are read.

    Args:
        root: the input.
        label: `cls`, `json` or `txt`: the only member that names the identity; or None for the
            order above.

    Raises:
        UsageError: there is no such label.
    """

    format = "webdataset"
    identities = ".cls, .json or a folder in the tar, or by .txt with `label_column` txt"
    what = "*.tar files"

    def __init__(self, root: str, label: str | None = None) -> None:
        super().__init__(root)
        if label not in (None, *_ALL_LABELS):
            raise ParameterError(
                "label_column",
                label,
                must=f"be one of {', '.join(_ALL_LABELS)} with `format` {self.format}",
                do="choose one or leave it out",
            )
        self.label = label

    @staticmethod
    def holds_images(name: str) -> bool:
        """Includes compressed tars, which are listed with a reason that says what to do."""
        return name.endswith((".tar", *_COMPRESSED))

    def refs_of(self, path: str) -> Iterator[Ref]:
        """The images of one shard in the order of its members, then keys without an image.

        Memory holds the names of all members of the shard, since a label may follow its image.
        """
        shard = _Shard()
        try:
            with storage.open_file(storage.join(self.root, path)) as stream:
                _list(stream, shard, _LABELS if self.label is None else (self.label,))
        except OSError as error:
            shard.damage = cannot_read(error)
        except _DamagedTarError as error:
            shard.damage = error.reason
        used = Distinct()
        for entry in shard.entries:
            yield _ref(path, entry, shard.keys, used, by_folder=self.label is None)
        for name, key in shard.keys.items():
            if not key.has_image:
                kinds = ", ".join(sorted(key.kinds))
                text = f"none of its members is an image: {kinds}"
                # A .cls without an image is a label whose image is lost; a README.md is neither.
                code = ReasonCode.SIDECAR_FILE if key.sidecars else ReasonCode.NO_IMAGE_IN_RECORD
                reason = Reason(code, text)
                yield Ref(f"{path}/{used.claim(name)}", None, path, reason=reason)
        if shard.damage:
            yield Ref(path, None, path, reason=shard.damage)

    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """Reads each member's range of its tar."""
        return read_ranges(self.root, refs)


# An identity, None, or the error of a label that cannot be used.
_Label = str | BadValueError | None


class _DamagedTarError(ReasonError):
    """A tar is damaged; the reason becomes that of its row."""

    def __init__(self, text: str, code: ReasonCode = ReasonCode.DAMAGED_CONTAINER) -> None:
        super().__init__(code, text)


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    key: str
    offset: int
    length: int
    reason: Reason | None


@dataclass(slots=True)
class _Key:
    has_image: bool = False
    # Whether all other members are of kinds that are never images nor only labels.
    sidecars: bool = True
    kinds: set[str] = field(default_factory=set)
    # By extension.
    labels: dict[str, _Label] = field(default_factory=dict)

    def add_label(self, kind: str, label: _Label) -> None:
        """Adds a label; two labels of a key with the same extension must name one identity."""
        present = self.labels.setdefault(kind, label)
        if isinstance(present, BadValueError) or present == label:
            return
        if isinstance(label, str) and present and normal_form(present) == normal_form(label):
            return
        self.labels[kind] = BadValueError(f"its key has several .{kind} members that differ")


@dataclass(slots=True)
class _Shard:
    entries: list[_Entry] = field(default_factory=list)
    keys: dict[str, _Key] = field(default_factory=dict)
    damage: Reason | None = None


def _ref(path: str, entry: _Entry, keys: dict[str, _Key], used: Distinct, by_folder: bool) -> Ref:
    image_id = f"{path}/{used.claim(entry.name)}"
    identity, reason = None, entry.reason
    if not reason:
        try:
            identity = _identity(keys[entry.key].labels)
            if identity is None and by_folder:
                identity = posixpath.basename(posixpath.dirname(entry.name)) or None
        except BadValueError as error:
            reason = error.reason
    return Ref(image_id, identity, path, entry.offset, entry.length, reason)


def _identity(labels: dict[str, _Label]) -> str | None:
    for kind in _ALL_LABELS:
        label = labels.get(kind)
        if isinstance(label, BadValueError):
            raise label
        if label is not None:
            return label
    return None


def _list(stream: BinaryIO, shard: _Shard, label_kinds: Sequence[str]) -> None:
    """Fills a shard from a tar's headers and label members.

    Raises:
        _DamagedTarError: the tar is damaged; the shard then holds the members before the damage.
    """
    for member in _members(stream):
        if member.isdir():
            continue
        name = readable(member.name)
        reason = _refused(member)
        if reason:
            shard.entries.append(_Entry(name, "", 0, 0, reason))
            continue
        name = "/".join(part for part in name.split("/") if part not in ("", "."))
        folder, base = posixpath.split(name)
        why = why_ignored(name)
        # Other members without an image may be labels, so their key decides.
        if why and (why.code != ReasonCode.SIDECAR_FILE or why == README_FILE):
            shard.entries.append(_Entry(name, "", 0, 0, why))
            continue
        stem, _, kind = base.partition(".")
        kind = kind.lower()
        key_name = posixpath.join(folder, stem)
        key = shard.keys.setdefault(key_name, _Key())
        if base.lower().endswith(_IMAGES):
            key.has_image = True
            extent = member.offset_data, member.size
            shard.entries.append(_Entry(name, key_name, *extent, None))
            continue
        if len(key.kinds) < _LISTED_KINDS:
            key.kinds.add(kind or "no extension")
        key.sidecars &= is_sidecar(kind.rpartition(".")[2])
        if kind in label_kinds:
            key.add_label(kind, _label(stream, member, kind))


def _refused(member: tarfile.TarInfo) -> Reason | None:
    """Why a member is not read, or None."""
    if member.issym() or member.islnk():
        return Reason(ReasonCode.LINK_IN_ARCHIVE, "is a link, which is not followed")
    if member.issparse():
        text = "is stored sparse, so that it has no bytes at one place; pack the tar without it"
        return Reason(ReasonCode.NOT_A_FILE, text)
    if not member.isreg():
        return Reason(ReasonCode.NOT_A_FILE, "is not a regular file")
    parts = member.name.split("/")
    if member.name.startswith("/") or ".." in parts:
        return Reason(ReasonCode.OUTSIDE_ROOT, "its name leads outside the tar")
    if not any(part not in ("", ".") for part in parts):
        return Reason(ReasonCode.BAD_ROW, "its name is empty")
    return None


def _label(stream: BinaryIO, member: tarfile.TarInfo, kind: str) -> _Label:
    if member.size > _MAX_LABEL_BYTES:
        return BadValueError(f"its .{kind} of {member.size} bytes is above {_MAX_LABEL_BYTES}")
    stream.seek(member.offset_data)
    data = stream.read(member.size)
    try:
        return as_identity(data) if kind != "json" else _from_json(data)
    except BadValueError as error:
        # A new error: the traceback of the raised one would keep the bytes in memory.
        return BadValueError(str(error))


def _from_json(data: bytes) -> str | None:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadValueError(f"its .json is damaged: {one_line(error)}") from None
    if not isinstance(values, dict):
        raise BadValueError(f"its .json must be an object, got a {type(values).__name__}")
    for name in NAMES:
        identity = as_identity(values.get(name))
        if identity is not None:
            return identity
    return None


def _members(stream: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Members of a tar whose bytes are all there.

    Raises:
        _DamagedTarError: the tar is compressed, cut off or damaged.
        OSError: the tar cannot be read.
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    if stream.read(max(map(len, _MAGIC))).startswith(_MAGIC):
        raise _DamagedTarError(
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
        while (member := tar.next()) is not None:
            # A header may claim any size, even one that leads back to an earlier offset.
            if not offset <= member.offset < member.offset_data <= tar.offset or member.size < 0:
                raise _DamagedTarError(_damaged(offset, "a header claims an impossible size"))
            if member.isreg() and member.offset_data + member.size > size:
                raise _DamagedTarError(_damaged(member.offset, "the file ends inside a member"))
            offset = tar.offset
            yield member
            # `tarfile` keeps every member in this list, which would grow without bound.
            tar.members = []  # type: ignore[attr-defined]
    except (tarfile.TarError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise _DamagedTarError(_damaged(offset, one_line(error))) from None
    _check_end(stream, tar.offset)


def _check_end(stream: BinaryIO, offset: int) -> None:
    """Checks that zero blocks end the tar: `tarfile` stops silently at any other bytes."""
    stream.seek(offset)
    mark = stream.read(_BLOCK)
    if len(mark) < _BLOCK:
        raise _DamagedTarError(_damaged(offset, "the file ends without the mark of its end"))
    if any(mark):
        raise _DamagedTarError(_damaged(offset, "no header lies there"))
    while block := stream.read(_SCAN_BYTES):
        if block.count(0) != len(block):
            reason = "the tar ends, but the file goes on; unpack joined tars into one each"
            raise _DamagedTarError(_damaged(offset, reason))


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
