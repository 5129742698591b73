"""WebDataset: tar shards in which the members of one key belong together.

A key is a member's path up to the first dot of its name, or the last if that is asked for:
`ada/3.jpg`, `ada/3.cls` and `ada/3.json` are one image and its labels.
"""

import json
import posixpath
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import BinaryIO

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.text import one_line, readable
from facemill.transforms.dataset.identity_names import normal_form
from facemill.transforms.dataset.ignored_files import (
    README_FILE,
    has_image_extension,
    is_sidecar,
    why_ignored,
)
from facemill.transforms.sources.base import Ref, Unreadable
from facemill.transforms.sources.columns import IDENTITIES
from facemill.transforms.sources.containers import ContainerSource, read_ranges
from facemill.transforms.sources.distinct import Distinct
from facemill.transforms.sources.guesses import Guess, GuessCode
from facemill.transforms.sources.labels import NAMES, BadValueError, as_identity
from facemill.transforms.sources.reading import cannot_read
from facemill.transforms.sources.tar_members import DamagedTarError, members

_IMAGES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"),
    *(".tif", ".tiff", ".pgm", ".ppm", ".avif", ".heic", ".heif"),
)
# Kinds of the image of a key with nothing before the extension, the most likely first.
_PLAIN = tuple(extension.removeprefix(".") for extension in _IMAGES)
FIRST_DOT, LAST_DOT = "first-dot", "last-dot"
KEYS = (FIRST_DOT, LAST_DOT)
# Members that are looked at for guesses.
_PEEKED = 256
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst")
# Labels, the most important first. A `txt` is often a caption, so it counts only on request.
_LABELS = ("cls", "json")
_ALL_LABELS = (*_LABELS, "txt")
_JSON_NAMES = tuple(dict.fromkeys((*NAMES, *IDENTITIES)))
_MAX_LABEL_BYTES = 1 << 20
# How many extensions the reason of a key without an image names.
_LISTED_KINDS = 3


class WebDataset(ContainerSource):
    """Tar shards anywhere under the input; image_id is `<tar>/<member>`.

    The identity is the content of the key's `.cls`, else the first of some usual names in its
    `.json` that does not name a file, else the name of the folder that the member lies in. Of
    several images of a key, the one with nothing before its extension is taken (`3.jpg` before
    `3.mask.png`), of several such the first kind of IMAGES. Nothing is extracted to disk: the tar's
    headers give the offsets at which images are read.

    Args:
        root: the input.
        image_column: the kind of the images: what follows the key and its dot, such as `jpg` or
            `mask.png`; or None for the order above.
        label_column: `cls`, `json` or `txt`: the only member that names the identity; or None for
            the order above.
        key: one of KEYS: where the key ends; None for the first dot.

    Raises:
        UsageError: there is no such label or end of a key.
    """

    format = "webdataset"
    identities = ".cls, .json or a folder in the tar, or by .txt with `label_column` txt"
    what = "*.tar files"

    def __init__(
        self,
        root: str,
        image_column: str | None = None,
        label_column: str | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(root)
        for parameter, value, choices in (
            ("label_column", label_column, _ALL_LABELS),
            ("key", key, KEYS),
        ):
            if value not in (None, *choices):
                raise ParameterError(
                    parameter,
                    value,
                    must=f"be one of {', '.join(choices)} with `format` {self.format}",
                    do="choose one or leave it out",
                )
        self.image = None if image_column is None else image_column.lower().lstrip(".")
        self.label = label_column
        self.by_last_dot = key == LAST_DOT

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
                self._list(members(stream), stream, shard)
        except OSError as error:
            shard.damage = cannot_read(error)
        except DamagedTarError as error:
            shard.damage = error.reason
        used = Distinct()
        for entry in shard.entries:
            key = shard.keys.get(entry.key)
            taken = None if key is None else key.taken(self.image)
            if entry.reason is None and taken not in (None, entry.kind):
                entry = replace(entry, reason=_passed_over(taken))
            yield _ref(path, entry, key, used, by_folder=self.label is None)
        for name, key in shard.keys.items():
            if not key.images:
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

    def guesses(self, tasks: Sequence[str]) -> list[Guess]:
        """Of the first members of the first shard that can be read."""
        path = tasks[0]
        shard = _Shard()
        # `refs` lists a damaged shard with a reason.
        with (
            suppress(OSError, ValueError),
            storage.open_file(storage.join(self.root, path)) as stream,
        ):
            self._list(islice(members(stream), _PEEKED), stream, shard)
        return _guesses(shard, path, self)

    def _list(self, found: Iterable[tarfile.TarInfo], stream: BinaryIO, shard: "_Shard") -> None:
        label_kinds = _LABELS if self.label is None else (self.label,)
        _list(found, stream, shard, label_kinds, self.by_last_dot)


# An identity, None, or the error of a label that cannot be used.
_Label = str | BadValueError | None


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    key: str
    offset: int
    length: int
    reason: Reason | None
    kind: str = ""


@dataclass(slots=True)
class _Key:
    # Kinds of its images, at most a few.
    images: set[str] = field(default_factory=set)
    # Whether a name in its .json was passed over, since it names a file.
    names_file: bool = False
    # Whether all other members are of kinds that are never images nor only labels.
    sidecars: bool = True
    kinds: set[str] = field(default_factory=set)
    # By extension.
    labels: dict[str, _Label] = field(default_factory=dict)

    def taken(self, wanted: str | None) -> str | None:
        """The kind of image that is taken; None for all."""
        if wanted is not None or len(self.images) < 2:
            return wanted
        return next((kind for kind in _PLAIN if kind in self.images), None)

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


def _passed_over(taken: str | None) -> Reason:
    text = f"is another image of its key than the .{taken}, which is taken"
    return Reason(ReasonCode.PASSED_OVER_IMAGE, text)


def _guesses(shard: _Shard, where: str, source: WebDataset) -> list[Guess]:
    found = []
    several = [key for key in shard.keys.values() if len(key.images) > 1]
    taken = {one for key in several if (one := key.taken(source.image)) is not None}
    if taken and source.image is None:
        others = {kind for key in several if key.taken(None) for kind in key.images} - taken
        found.append(Guess.of(GuessCode.IMAGES_OF_A_KEY, sorted(taken), sorted(others), where))
    dotted = [
        entry.name
        for entry in shard.entries
        if entry.reason is None and "." in entry.kind
        if not any(kind in _PLAIN for kind in shard.keys[entry.key].images)
    ]
    if dotted and source.image is None and not source.by_last_dot:
        keys = [name.rpartition(".")[0] for name in dotted]
        short = [_short_key(name) for name in dotted]
        found.append(Guess.of(GuessCode.DOTS_IN_KEYS, short[:1], keys[:1], where))
    labels = {kind for key in shard.keys.values() if key.images for kind in key.labels}
    if source.label is None and len(labels) > 1:
        first, *rest = (kind for kind in _LABELS if kind in labels)
        found.append(Guess.of(GuessCode.LABEL_COLUMN, [first], rest, where))
    if any(key.names_file for key in shard.keys.values()):
        found.append(Guess.of(GuessCode.LABEL_NAMES_FILES, (), ["name"], where))
    return found


def _short_key(name: str) -> str:
    """The key of a member by the first dot of its name."""
    folder, base = posixpath.split(name)
    return posixpath.join(folder, base.partition(".")[0])


def _ref(path: str, entry: _Entry, key: _Key | None, used: Distinct, by_folder: bool) -> Ref:
    image_id = f"{path}/{used.claim(entry.name)}"
    identity, reason = None, entry.reason
    if not reason and key is not None:
        try:
            identity = _identity(key.labels)
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


def _list(
    found: Iterable[tarfile.TarInfo],
    stream: BinaryIO,
    shard: _Shard,
    label_kinds: Sequence[str],
    by_last_dot: bool,
) -> None:
    """Fills a shard from a tar's headers and label members.

    Raises:
        DamagedTarError: the tar is damaged; the shard then holds the members before the damage.
    """
    for member in found:
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
        stem, dot, kind = base.rpartition(".") if by_last_dot else base.partition(".")
        if by_last_dot and not dot:
            stem, kind = base, ""
        kind = kind.lower()
        key_name = posixpath.join(folder, stem)
        key = shard.keys.setdefault(key_name, _Key())
        if base.lower().endswith(_IMAGES):
            key.images.add(kind)
            extent = member.offset_data, member.size
            shard.entries.append(_Entry(name, key_name, *extent, None, kind))
            continue
        if len(key.kinds) < _LISTED_KINDS:
            key.kinds.add(kind or "no extension")
        key.sidecars &= is_sidecar(kind.rpartition(".")[2])
        if kind in label_kinds:
            key.add_label(kind, _label(stream, member, kind, key))


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


def _label(stream: BinaryIO, member: tarfile.TarInfo, kind: str, key: _Key) -> _Label:
    if member.size > _MAX_LABEL_BYTES:
        return BadValueError(f"its .{kind} of {member.size} bytes is above {_MAX_LABEL_BYTES}")
    stream.seek(member.offset_data)
    data = stream.read(member.size)
    try:
        return as_identity(data) if kind != "json" else _from_json(data, key)
    except BadValueError as error:
        # A new error: the traceback of the raised one would keep the bytes in memory.
        return BadValueError(str(error))


def _from_json(data: bytes, key: _Key) -> str | None:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadValueError(f"its .json is damaged: {one_line(error)}") from None
    if not isinstance(values, dict):
        raise BadValueError(f"its .json must be an object, got a {type(values).__name__}")
    for name in _JSON_NAMES:
        identity = as_identity(values.get(name))
        if identity is not None and has_image_extension(identity):
            key.names_file = True
        elif identity is not None:
            return identity
    return None
