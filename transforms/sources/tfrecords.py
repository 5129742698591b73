"""TFRecord files of `tf.train.Example`, the usual format of TensorFlow projects."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, BinaryIO

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.text import one_line, readable
from facemill.transforms.dataset import tfrecord
from facemill.transforms.dataset.records import parse_example
from facemill.transforms.images.limits import MAX_BYTES
from facemill.transforms.sources.base import Ref, Unreadable
from facemill.transforms.sources.columns import IDENTITIES, choose_label, present
from facemill.transforms.sources.containers import ContainerSource, OpenFile
from facemill.transforms.sources.distinct import Distinct
from facemill.transforms.sources.guesses import Guess, GuessCode
from facemill.transforms.sources.labels import BadValueError, as_identity, label_text
from facemill.transforms.sources.reading import cannot_read, too_large

# Names of features: the first that is present counts.
_IMAGES = ("image/encoded", "image", "image_raw", "encoded")
# `image/source_id` is the label in the records of arcface-tf2, elsewhere often the name of a file.
_USUAL_IDENTITIES = ("identity", "image/class/text", "image/class/label", "label")
_IDENTITIES = tuple(dict.fromkeys((*_USUAL_IDENTITIES, "image/source_id", *IDENTITIES)))
_KEYS = ("image/filename", "image/id")
# The largest image, and 1 MB for all other features.
_MAX_RECORD_BYTES = MAX_BYTES + (1 << 20)
# First bytes of gzip, and of zlib at each of its levels.
_COMPRESSED = (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_LISTED_NAMES = 8
# Records of TensorFlow's datasets, Kaggle's (.tfrec) and of older projects (.record); perhaps with
# the number of the shard, or compressed.
_NAME = re.compile(r".+\.(tfrecords?|tfrec|records?)([-_.][^/]*)?")
# Beside a shard: its index as NVIDIA's DALI writes it, and descriptions.
_OTHERS = (".idx", ".index", ".json", ".txt", ".md5", ".sha256")
# Records that are looked at, of which each is read completely.
_PEEKED = 16


class TFRecords(ContainerSource):
    """Files `*.tfrecord*`, `*.tfrec` and `*.record`, anywhere under the input.

    image_id is `<file>/<key>`: the key is the record's image/filename or image/id, else its number
    in the file from 0 on. The listing reads and checks every record completely, since labels and
    image lie in the same record.

    Args:
        root: the input.
        image_column: the feature of images, or None for the first of the usual ones.
        label_column: the feature of identities, or None for the first of the usual ones that does
            not name files.
        key: the feature of keys, or None for image/filename or image/id.
    """

    format = "tfrecord"
    identities = (
        f"a feature {', '.join(_USUAL_IDENTITIES[:-1])} or {_USUAL_IDENTITIES[-1]}, or the one of "
        "`label_column`"
    )
    what = "*.tfrecord, *.tfrec or *.record files"

    def __init__(
        self,
        root: str,
        image_column: str | None = None,
        label_column: str | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(root)
        self.image_column, self.label_column, self.key = image_column, label_column, key
        self._images = _IMAGES if image_column is None else (image_column,)
        self._labels = _IDENTITIES if label_column is None else (label_column,)
        self._keys = _KEYS if key is None else (key,)
        self._guesses: list[Guess] = []

    @staticmethod
    def holds_images(name: str) -> bool:
        """Includes compressed files, which are listed with a reason that says what to do."""
        return _NAME.fullmatch(name) is not None and not name.endswith(_OTHERS)

    def tasks(self) -> list[str]:
        """The files.

        Raises:
            UsageError: there are no files, or the records of the first lack a feature.
        """
        found = super().tasks()
        records: list[dict[str, Any]] = []
        # `refs` lists a damaged file with a reason.
        with (
            suppress(OSError, ValueError, tfrecord.DamagedError),
            storage.open_file(storage.join(self.root, found[0])) as stream,
        ):
            for offset, length in islice(tfrecord.scan(stream), _PEEKED):
                if length <= _MAX_RECORD_BYTES:
                    records.append(parse_example(tfrecord.read_at(stream, offset)))
        self._choose(records, found[0])
        return found

    def guesses(self, tasks: Sequence[str]) -> list[Guess]:
        """Of the features of the first records."""
        del tasks
        return self._guesses

    def _choose(self, records: Sequence[dict[str, Any]], where: str) -> None:
        """Decides what to guess by, from the first records.

        Raises:
            UsageError: all of them lack a feature that was named.
        """
        self._guesses = []
        if not records:
            return
        names = list(dict.fromkeys(name for record in records for name in sorted(record)))
        for parameter in ("image_column", "label_column", "key"):
            feature = getattr(self, parameter)
            if feature is not None and feature not in names:
                raise ParameterError(
                    parameter,
                    feature,
                    must="be a feature of the records",
                    but=f"those of {where} have {', '.join(map(readable, names[:_LISTED_NAMES]))}",
                    do="name one of these",
                )
        images = [name for name in _IMAGES if any(record.get(name) for record in records)]
        if self.image_column is None and len(images) > 1:
            guess = Guess.of(GuessCode.IMAGE_COLUMN, images[:1], images[1:], where)
            self._guesses.append(guess)
        if self.label_column is None:
            others = [name for name in names if name not in (*images, *self._keys)]
            sample = {
                name: [values[0] for record in records if (values := record.get(name))]
                for name in others
            }
            label = choose_label(others, sample, where, _IDENTITIES, _USUAL_IDENTITIES)
            self._guesses += label.guesses
            usual = [name for name in _IDENTITIES if name not in label.names_files]
            self._labels = tuple(dict.fromkeys((*present(others, usual), *usual)))

    def refs_of(self, path: str) -> Iterator[Ref]:
        """The records of one file in order."""
        used = Distinct()
        start = b""
        try:
            with storage.open_file(storage.join(self.root, path)) as stream:
                start = stream.read(max(map(len, _COMPRESSED)))
                for number, (offset, length) in enumerate(tfrecord.scan(stream)):
                    yield self._ref(stream, path, number, offset, length, used)
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
                    record = tfrecord.read_at(file.get(ref.path), ref.offset)
                    yield _image(parse_example(record), self._images)
                except OSError as error:
                    yield Unreadable(cannot_read(error))
                except tfrecord.DamagedError as error:
                    yield Unreadable(_damaged_record(error.what))
                except BadValueError as error:
                    yield Unreadable(error.reason)
                except ValueError as error:
                    yield Unreadable(_damaged_record(one_line(error)))

    def _ref(
        self, stream: BinaryIO, path: str, number: int, offset: int, length: int, used: Distinct
    ) -> Ref:
        key, identity = str(number), None
        reason: Reason | None = None
        if length > _MAX_RECORD_BYTES:
            reason = too_large(length)
        else:
            try:
                features = parse_example(tfrecord.read_at(stream, offset))
                key = _key(features, self._keys) or key
                _image(features, self._images)
                identity = _identity(features, self._labels)
            except tfrecord.DamagedError as error:
                reason = _damaged_record(error.what)
            except BadValueError as error:
                reason = error.reason
            except ValueError as error:
                reason = _damaged_record(one_line(error))
        return Ref(f"{path}/{used.claim(key)}", identity, path, offset, length, reason)


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


def _image(features: dict[str, Any], usual: Sequence[str]) -> bytes:
    """The encoded image of a record.

    Raises:
        BadValueError: the record does not hold exactly one image.
    """
    for name in usual:
        values = features.get(name)
        if not values:
            continue
        if len(values) == 1 and isinstance(values[0], bytes):
            return values[0]
        text = f"its {name} must be one encoded image, got {len(values)} values"
        raise BadValueError(text, ReasonCode.NO_IMAGE_IN_RECORD)
    names = ", ".join(sorted(features)[:_LISTED_NAMES]) or "none"
    text = f"holds none of the features {', '.join(usual)}; it has {names}"
    raise BadValueError(text, ReasonCode.NO_IMAGE_IN_RECORD)


def _identity(features: dict[str, Any], usual: Sequence[str]) -> str | None:
    for name in usual:
        values = features.get(name)
        if not values:
            continue
        if len(values) > 1 or isinstance(values[0], float):
            raise BadValueError(f"its {name} must be one text or whole number")
        identity = as_identity(values[0], name)
        if identity is not None:
            return identity
    return None


def _key(features: dict[str, Any], usual: Sequence[str]) -> str | None:
    for name in usual:
        values = features.get(name)
        if values and not isinstance(values[0], float):
            text = (label_text(values[0], name) or "").strip()
            # Numbered collections write -1 for none.
            return None if text in ("", "-1") else text
    return None
