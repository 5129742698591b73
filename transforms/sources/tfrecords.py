"""TFRecord files of `tf.train.Example`, the usual format of TensorFlow projects."""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from facemill.transforms import storage
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.text import one_line
from facemill.transforms.dataset import tfrecord
from facemill.transforms.dataset.records import parse_example
from facemill.transforms.images.limits import MAX_BYTES
from facemill.transforms.sources.base import Ref, Unreadable
from facemill.transforms.sources.containers import ContainerSource, OpenFile
from facemill.transforms.sources.distinct import Distinct
from facemill.transforms.sources.labels import BadValueError, as_identity, label_text
from facemill.transforms.sources.reading import cannot_read, too_large

# Names of features: the first that is present counts.
_IMAGES = ("image/encoded", "image", "image_raw", "encoded")
_IDENTITIES = ("identity", "image/class/text", "image/class/label", "label")
_KEYS = ("image/filename", "image/id")
# The largest image, and 1 MB for all other features.
_MAX_RECORD_BYTES = MAX_BYTES + (1 << 20)
# First bytes of gzip, and of zlib at each of its levels.
_COMPRESSED = (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_LISTED_NAMES = 8


class TFRecords(ContainerSource):
    """Files with `.tfrecord` in their name, anywhere under the input.

    image_id is `<file>/<key>`: the key is the record's image/filename or image/id, else its number
    in the file from 0 on. The listing reads and checks every record completely, since labels and
    image lie in the same record.
    """

    format = "tfrecord"
    identities = f"a feature {', '.join(_IDENTITIES[:-1])} or {_IDENTITIES[-1]}"
    what = "*.tfrecord files"

    @staticmethod
    def holds_images(name: str) -> bool:
        """Includes compressed files, which are listed with a reason that says what to do."""
        return ".tfrecord" in name

    def refs_of(self, path: str) -> Iterator[Ref]:
        """The records of one file in order."""
        used = Distinct()
        start = b""
        try:
            with storage.open_file(storage.join(self.root, path)) as stream:
                start = stream.read(max(map(len, _COMPRESSED)))
                for number, (offset, length) in enumerate(tfrecord.scan(stream)):
                    yield _ref(stream, path, number, offset, length, used)
        except OSError as error:
            yield Ref(path, None, path, reason=cannot_read(error))
        except tfrecord.DamagedError as error:
            yield Ref(path, None, path, reason=_damage(start, error))

    def read(self, refs: Sequence[Ref]) -> Iterator[bytes | Unreadable]:
        """Reads each record and returns its image."""
        with OpenFile(self.root) as file:
            for ref in refs:
                if ref.length > _MAX_RECORD_BYTES:
                    yield Unreadable(too_large(ref.length))
                    continue
                try:
                    yield _image(parse_example(tfrecord.read_at(file.get(ref.path), ref.offset)))
                except OSError as error:
                    yield Unreadable(cannot_read(error))
                except tfrecord.DamagedError as error:
                    yield Unreadable(_damaged_record(error.what))
                except BadValueError as error:
                    yield Unreadable(error.reason)
                except ValueError as error:
                    yield Unreadable(_damaged_record(one_line(error)))


def _damaged_record(what: str) -> Reason:
    return Reason(ReasonCode.DAMAGED_RECORD, f"damaged record: {what}")


def _damage(start: bytes, error: tfrecord.DamagedError) -> Reason:
    """Why a file cannot be read.

    A compressed file is recognized by its first bytes, and by the CRC of its first header, which is
    wrong.
    """
    if start.startswith(_COMPRESSED) and error.what == tfrecord.BAD_LENGTH:
        text = "is compressed, so that no record can be read at an offset; decompress it"
        return Reason(ReasonCode.COMPRESSED_CONTAINER, text)
    return Reason(ReasonCode.DAMAGED_CONTAINER, f"cannot be read to its end: {error.what}")


def _ref(stream: BinaryIO, path: str, number: int, offset: int, length: int, used: Distinct) -> Ref:
    key, identity = str(number), None
    reason: Reason | None = None
    if length > _MAX_RECORD_BYTES:
        reason = too_large(length)
    else:
        try:
            features = parse_example(tfrecord.read_at(stream, offset))
            key = _key(features) or key
            _image(features)
            identity = _identity(features)
        except tfrecord.DamagedError as error:
            reason = _damaged_record(error.what)
        except BadValueError as error:
            reason = error.reason
        except ValueError as error:
            reason = _damaged_record(one_line(error))
    return Ref(f"{path}/{used.claim(key)}", identity, path, offset, length, reason)


def _image(features: dict[str, Any]) -> bytes:
    """The encoded image of a record.

    Raises:
        BadValueError: the record does not hold exactly one image.
    """
    for name in _IMAGES:
        values = features.get(name)
        if not values:
            continue
        if len(values) == 1 and isinstance(values[0], bytes):
            return values[0]
        text = f"its {name} must be one encoded image, got {len(values)} values"
        raise BadValueError(text, ReasonCode.NO_IMAGE_IN_RECORD)
    names = ", ".join(sorted(features)[:_LISTED_NAMES]) or "none"
    text = f"holds none of the features {', '.join(_IMAGES)}; it has {names}"
    raise BadValueError(text, ReasonCode.NO_IMAGE_IN_RECORD)


def _identity(features: dict[str, Any]) -> str | None:
    for name in _IDENTITIES:
        values = features.get(name)
        if not values:
            continue
        if len(values) > 1 or isinstance(values[0], float):
            raise BadValueError(f"its {name} must be one text or whole number")
        identity = as_identity(values[0], name)
        if identity is not None:
            return identity
    return None


def _key(features: dict[str, Any]) -> str | None:
    for name in _KEYS:
        values = features.get(name)
        if values and not isinstance(values[0], float):
            text = (label_text(values[0], name) or "").strip()
            # Numbered collections write -1 for none.
            return None if text in ("", "-1") else text
    return None
