"""Reading inputs from object stores, through Beam's FileSystems.

Only `transforms.storage` imports this module, and only for a URL. If a store answers with an error,
an OSError is raised, as for a disk. If a store does not answer, the input is not at fault, and a
RunError ends the run.
"""

import contextlib
import errno
import importlib
import io
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, cast

from apache_beam.io.filesystem import CompressionTypes, FileMetadata, FileSystem
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.options.value_provider import RuntimeValueProvider

from facemill.transforms.core.errors import (
    FacemillError,
    MissingPackageError,
    RunError,
    UsageError,
)
from facemill.transforms.core.text import one_line
from facemill.transforms.storage.entry import Entry

_BUFFER = 1 << 18
# By scheme: the module that Beam's client needs, and Beam's extra that installs it.
_NEEDS = {
    "s3": ("boto3", "aws"),
    "gs": ("google.cloud.storage", "gcp"),
    "azfs": ("azure.storage.blob", "azure"),
}

# The URL of an object in a bucket.
_OBJECT = re.compile(r"[^:]+://[^/]+/.")

_local = threading.local()


def use_options(beam_args: Sequence[str]) -> None:
    """Sets Beam's options for the stores (endpoints, keys) where no pipeline exists yet."""
    FileSystems.set_options(PipelineOptions(list(beam_args)))


def is_file(url: str) -> bool:
    """Whether there is an object of exactly this name."""
    if not _OBJECT.match(url):
        # The URL of a bucket: Beam would retry such a request for minutes.
        return False
    with _translating_errors(url):
        store = _store(url)
        if FileSystems.get_scheme(url) == "s3":
            return _s3().exists(url)
        return store.exists(url)


def top_level(root: str) -> list[str]:
    """See `transforms.storage.top_level`. S3 and Google's store list one level; from others, all
    names are listed.

    Raises:
        FileNotFoundError: no object's name begins with the root.
    """
    prefix = f"{root.rstrip('/')}/"
    with _translating_errors(prefix):
        # Called first, because its errors say what is missing.
        _store(prefix)
        listing = _LISTINGS.get(FileSystems.get_scheme(prefix))
        below = _names(prefix[:-1]) if listing is None else listing(prefix)
        names = {name.split("/", 1)[0] + ("/" if "/" in name else "") for name in below}
    # An empty object may stand for the folder itself.
    names.discard("")
    if not names:
        raise FileNotFoundError(errno.ENOENT, "no objects", root)
    return sorted(names)


def list_files(root: str, under: str) -> Iterator[Entry]:
    """See `transforms.storage.list_files`."""
    root = root.rstrip("/")
    if under and not under.endswith("/"):
        yield Entry(under)
        return
    folder = f"{root}/{under}".rstrip("/")
    for name in sorted(_names(folder)):
        yield Entry(under + name)


def open_file(url: str) -> BinaryIO:
    """Opens an object for reading; see `transforms.storage.open_file`."""
    with _translating_errors(url):
        stream = _open(url)
    return cast(BinaryIO, io.BufferedReader(_Stream(stream, url), _BUFFER))


class _Stream(io.RawIOBase):
    """A stream of a store that raises the errors of a file."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        super().__init__()
        self._stream = stream
        self.name = name

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with _translating_errors(self.name):
            return self._stream.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        with _translating_errors(self.name):
            data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def _open(url: str) -> BinaryIO:
    store = _store(url)
    if FileSystems.get_scheme(url) == "s3":
        return _s3().open(url, "rb")
    # Otherwise Beam would decompress files whose names end in .gz or .bz2.
    return store.open(url, compression_type=CompressionTypes.UNCOMPRESSED)


def _s3_client() -> Any:
    """This thread's client. Beam would make one per object, which takes 0.3 s. A client holds one
    object's stream at a time, so threads cannot share it."""
    from apache_beam.io.aws.clients.s3.boto3_client import Client

    options = _options()
    if getattr(_local, "options", None) is not options:
        _local.client = Client(options=options)
        _local.options = options
    return _local.client


def _s3() -> Any:
    from apache_beam.io.aws import s3io

    return s3io.S3IO(client=_s3_client())


def _s3_level(prefix: str) -> Iterator[str]:
    """Names directly under a prefix that ends in "/", relative to it, folders with "/"."""
    from apache_beam.io.aws.s3io import parse_s3_path

    bucket, key = parse_s3_path(prefix, object_optional=True)
    pages = _s3_client().client.get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=bucket, Prefix=key, Delimiter="/"):
        for found in page.get("Contents", ()):
            yield found["Key"][len(key) :]
        for found in page.get("CommonPrefixes", ()):
            yield found["Prefix"][len(key) :]


def _gs_level(prefix: str) -> Iterator[str]:
    """See `_s3_level`."""
    from apache_beam.io.gcp import gcsio

    bucket, key = gcsio.parse_gcs_path(prefix, object_optional=True)
    client = gcsio.GcsIO(pipeline_options=_options()).client
    found = client.list_blobs(bucket, prefix=key, delimiter="/")
    for blob in found:
        yield blob.name[len(key) :]
    # Complete only after the last page was read.
    for name in found.prefixes:
        yield name[len(key) :]


# By scheme: how one level of names is listed.
_LISTINGS: dict[str, Callable[[str], Iterator[str]]] = {"s3": _s3_level, "gs": _gs_level}


def _names(folder: str) -> list[str]:
    """Names of all objects under a prefix, relative to it, without empty markers of folders."""
    prefix = f"{folder}/"
    return [
        found.path[len(prefix) :]
        for found in _match(f"{_quoted(prefix)}**")
        if not (found.path.endswith("/") and found.size_in_bytes == 0)
    ]


def _match(pattern: str) -> list[FileMetadata]:
    with _translating_errors(pattern):
        return _store(pattern).match([pattern])[0].metadata_list


def _store(url: str) -> FileSystem:
    module, extra = _NEEDS.get(FileSystems.get_scheme(url), ("", ""))
    try:
        if module:
            importlib.import_module(module)
    except ImportError:
        raise MissingPackageError(f"Reading {url} needs", module, f"apache-beam[{extra}]") from None
    _options()
    try:
        store = FileSystems.get_filesystem(url)
    except ValueError:
        raise UsageError(
            f"A URL must begin with the scheme of a store that Beam can reach, got {url}; "
            "give gs://, s3:// or a directory."
        ) from None
    if store.has_dirs():
        raise UsageError(
            f"A URL must name an object store, got {url}, a file system with folders; mount it "
            "and give its path."
        )
    return store


def _options() -> Any:
    # On a worker Beam has set one of them.
    if FileSystems._pipeline_options is None and RuntimeValueProvider.runtime_options is None:
        use_options([])
    return FileSystems._pipeline_options or RuntimeValueProvider.runtime_options


def _quoted(url: str) -> str:
    """A pattern that matches the URL itself."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in url)


@contextlib.contextmanager
def _translating_errors(url: str) -> Iterator[None]:
    """Translates the stores' own errors into those that callers expect.

    Raises:
        OSError: the store answered that there is no such object, or that access is refused.
        RunError: it did not answer, or answered with another error.
    """
    try:
        yield
    except Exception as error:
        raise _translated(error, url) from error


def _http_status(error: Exception) -> int | None:
    """The HTTP status of an error of boto3 that Beam did not translate, or None."""
    response = getattr(error, "response", None)
    found = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    return found.get("HTTPStatusCode")


def _translated(error: Exception, url: str) -> Exception:
    if isinstance(error, FacemillError):
        return error
    # Beam wraps the errors of a listing in a dict by pattern.
    for inner in (getattr(error, "exception_details", None) or {}).values():
        return _translated(inner, url)
    code = getattr(error, "code", None) or _http_status(error)
    if code == 404 or getattr(error, "errno", None) == errno.ENOENT:
        return FileNotFoundError(errno.ENOENT, "no such object", url)
    if code in (401, 403):
        return PermissionError(errno.EACCES, "the object store refuses access", url)
    return RunError(
        f"The object store must answer for {url}, got {one_line(error)}; check the network, the "
        "endpoint and the credentials, then run the command again."
    )
