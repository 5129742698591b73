"""Buckets of Google Cloud Storage, through google-cloud-storage."""

import base64
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, BinaryIO

# The search for credentials asks the machine's metadata server, which only Google's machines have:
# without this limit, elsewhere it takes longer than a person waits.
os.environ.setdefault("GCE_METADATA_TIMEOUT", "1")
# For traces that facemill does not record, the client asks for the bucket in a thread of its own,
# again and again if the store is silent, and draws the pauses from the generator that seeds
# networks.
os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")

import requests
from google.api_core import exceptions
from google.auth import exceptions as auth_exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from facemill.transforms.core.text import one_line
from facemill.transforms.storage.stores import errors
from facemill.transforms.storage.stores.base import (
    Absent,
    ConditionError,
    Listed,
    ObjectStore,
    Stat,
)
from facemill.transforms.storage.stores.settings import Settings

_CONNECTIONS = 64
# Seconds: to connect, and to wait for bytes; the second pair is for the first question.
_TIMEOUT, _FIRST_TIMEOUT = (4, 60), (4, 6)

_TRANSIENT_STATUS = {408, 429, 500, 502, 503, 504}
_EXPIRED = ("expired", "invalid_grant", "reauth")


class Gcs(ObjectStore):
    """A bucket of Google Cloud Storage.

    Args:
        bucket: its name.
        settings: how to reach the store.
    """

    deleted_at_once = 1

    def __init__(self, bucket: str, settings: Settings) -> None:
        self._name = bucket
        with self._translating(""):
            self._client = storage.Client(
                project=settings.project or os.environ.get("GOOGLE_CLOUD_PROJECT") or "facemill",
                credentials=AnonymousCredentials() if _is_open(settings) else None,
            )
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=_CONNECTIONS)
        for scheme in ("https://", "http://"):
            self._client._http.mount(scheme, adapter)
        self._bucket = self._client.bucket(bucket)

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """See `ObjectStore.get`."""
        if length == 0:
            return b""
        end = None if length is None else start + length - 1
        whole = start == 0 and end is None
        with self._translating(key):
            try:
                return self._bucket.blob(key).download_as_bytes(
                    start=None if whole else start,
                    end=end,
                    raw_download=True,
                    # The store has no checksum of a part.
                    checksum="auto" if whole else None,
                    timeout=_TIMEOUT,
                    retry=None,
                )
            except exceptions.RequestRangeNotSatisfiable:
                return b""

    def stat(self, key: str) -> Stat | None:
        """See `ObjectStore.stat`."""
        with self._translating(key):
            found = self._bucket.get_blob(key, timeout=_TIMEOUT, retry=None)
        if found is None:
            return None
        md5 = found.md5_hash and base64.b64decode(found.md5_hash).hex()
        # The client does not give the answer's time, so the clocks of both must agree roughly.
        age = (datetime.now(timezone.utc) - found.updated).total_seconds() if found.updated else 0.0
        return Stat(int(found.size or 0), found.generation, md5, age)

    def put(self, key: str, data: bytes, only_if: Any = None) -> Any:
        """See `ObjectStore.put`."""
        blob = self._bucket.blob(key)
        with self._translating(key, of_bucket=True):
            blob.upload_from_string(
                data,
                content_type="application/octet-stream",
                if_generation_match=_condition(only_if),
                timeout=_TIMEOUT,
                retry=None,
            )
        return blob.generation

    def put_stream(self, key: str, stream: BinaryIO, size: int, only_if: Any = None) -> None:
        """See `ObjectStore.put_stream`."""
        with self._translating(key, of_bucket=True):
            self._bucket.blob(key).upload_from_file(
                stream,
                size=size,
                content_type="application/octet-stream",
                if_generation_match=_condition(only_if),
                timeout=_TIMEOUT,
                retry=None,
            )

    def list(
        self, prefix: str, one_level: bool = False, page: str | None = None
    ) -> tuple[list[Listed], str | None]:
        """See `ObjectStore.list`."""
        with self._translating(prefix, of_bucket=True):
            found = self._client.list_blobs(
                self._name,
                prefix=prefix,
                delimiter="/" if one_level else None,
                page_token=page,
                max_results=1000,
                timeout=_TIMEOUT,
                retry=None,
            )
            listed = [
                Listed(blob.name, int(blob.size or 0), blob.md5_hash or str(blob.generation))
                for blob in found
            ]
        listed += (Listed(name) for name in sorted(found.prefixes))
        return listed, found.next_page_token or None

    def delete(self, keys: Sequence[str]) -> None:
        """See `ObjectStore.delete`."""
        for key in keys:
            with self._translating(key):
                try:
                    self._bucket.blob(key).delete(timeout=_TIMEOUT, retry=None)
                except exceptions.NotFound as error:
                    if _is_of_bucket(error):
                        raise

    def copy(self, bucket: str, source: str, key: str) -> None:
        """See `ObjectStore.copy`."""
        with self._translating(source):
            there = self._client.bucket(bucket)
            there.copy_blob(there.blob(source), self._bucket, key, timeout=_TIMEOUT, retry=None)

    def probe(self, key: str) -> None:
        """See `ObjectStore.probe`."""
        with self._translating(key, of_bucket=True):
            page = self._client.list_blobs(
                self._name, prefix=key, max_results=1, timeout=_FIRST_TIMEOUT, retry=None
            )
            list(page)

    @contextmanager
    def _translating(self, key: str, of_bucket: bool = False) -> Iterator[None]:
        """Raises the errors of `transforms.storage.stores.errors` for those of the client.

        Args:
            key: of the object.
            of_bucket: whether only the bucket can be what is not found.
        """
        url = f"gs://{self._name}/{key}"
        try:
            yield
        except exceptions.GoogleAPICallError as error:
            raise _translated(error, url, of_bucket) from error
        except auth_exceptions.RefreshError as error:
            text = one_line(error)
            if any(word in text.lower() for word in _EXPIRED):
                raise errors.ExpiredCredentialsError(url) from error
            raise errors.CredentialsError(url, text) from error
        except auth_exceptions.TransportError as error:
            raise errors.TransientError(one_line(error)) from error
        except auth_exceptions.GoogleAuthError as error:
            raise errors.CredentialsError(url, one_line(error).split(". ")[0]) from error
        except (requests.RequestException, ConnectionError, TimeoutError) as error:
            raise errors.TransientError(one_line(error)) from error


def _is_open(settings: Settings) -> bool:
    """Whether the store is reached without credentials: if asked for, and with an emulator."""
    return settings.no_auth or bool(os.environ.get("STORAGE_EMULATOR_HOST"))


def _condition(only_if: Any) -> int | None:
    return 0 if only_if is Absent else only_if


def _is_of_bucket(error: exceptions.NotFound) -> bool:
    # The message holds the URL too, and with it the bucket's name.
    return "bucket does not exist" in str(error.message).lower()


def _translated(error: exceptions.GoogleAPICallError, url: str, of_bucket: bool) -> Exception:
    status = error.code
    if status == 412:
        return ConditionError(url)
    if status == 404:
        if of_bucket or (isinstance(error, exceptions.NotFound) and _is_of_bucket(error)):
            return errors.BucketError(url)
        return errors.not_found(url)
    if status == 401:
        expired = any(word in str(error).lower() for word in _EXPIRED)
        return (
            errors.ExpiredCredentialsError(url)
            if expired
            else errors.CredentialsError(url, "401 Unauthorized")
        )
    if status == 403:
        return errors.refused(url)
    if status in _TRANSIENT_STATUS or (status or 0) >= 500:
        return errors.TransientError(f"{status} {type(error).__name__}")
    return errors.SilentStoreError(url, one_line(error), 0)
