"""Buckets of S3, and of stores that speak its protocol, through boto3."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import boto3
import botocore.exceptions as exceptions
from botocore.config import Config

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
# Seconds: to connect, and to wait for bytes; the shorter one is for the first question.
_CONNECT, _READ, _FIRST_READ = 4, 60, 6
_PART, _PARTS_IN_FLIGHT = 16 << 20, 4

_TRANSIENT = (
    exceptions.EndpointConnectionError,
    exceptions.ConnectionClosedError,
    exceptions.ConnectTimeoutError,
    exceptions.ReadTimeoutError,
    exceptions.ResponseStreamingError,
    exceptions.IncompleteReadError,
    exceptions.HTTPClientError,
)
_TRANSIENT_CODES = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable"}
_CREDENTIALS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.ProfileNotFound,
    exceptions.TokenRetrievalError,
)
_UNKNOWN_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "AuthFailure"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}


class S3(ObjectStore):
    """A bucket of S3.

    Args:
        bucket: its name.
        settings: how to reach the store.
    """

    deleted_at_once = 1000

    def __init__(self, bucket: str, settings: Settings) -> None:
        self._bucket = bucket
        self._settings = settings
        with self._translating(""):
            self._client = self._new_client(_READ)

    def _new_client(self, read_timeout: int) -> Any:
        given = self._settings
        keys = {
            "aws_access_key_id": given.s3_access_key_id,
            "aws_secret_access_key": given.s3_secret_access_key,
            "aws_session_token": given.s3_session_token,
            "region_name": given.s3_region_name,
        }
        session = boto3.session.Session(**{name: value for name, value in keys.items() if value})
        return session.client(
            "s3",
            endpoint_url=given.s3_endpoint_url,
            use_ssl=not given.s3_disable_ssl,
            verify=given.s3_verify,
            config=Config(
                connect_timeout=_CONNECT,
                read_timeout=read_timeout,
                # `transforms.storage.retry` tries again: it has limits of time and not of number.
                retries={"total_max_attempts": 1},
                max_pool_connections=_CONNECTIONS,
                # Older stores of other makers do not know the checksums that boto3 adds.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """See `ObjectStore.get`."""
        if length == 0:
            return b""
        more = {}
        if start or length is not None:
            end = "" if length is None else start + length - 1
            more["Range"] = f"bytes={start}-{end}"
        with self._translating(key):
            try:
                found = self._client.get_object(Bucket=self._bucket, Key=key, **more)
            except exceptions.ClientError as error:
                if _code(error) == "InvalidRange":
                    return b""
                raise
            return found["Body"].read()

    def stat(self, key: str) -> Stat | None:
        """See `ObjectStore.stat`."""
        with self._translating(key):
            try:
                found = self._client.head_object(Bucket=self._bucket, Key=key)
            except exceptions.ClientError as error:
                if _status(error) == 404:
                    return None
                if _status(error) in (400, 403):
                    # The answer to HEAD has no body, so it does not say what is wrong; this does.
                    self._client.list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1)
                raise
        tag = found["ETag"].strip('"')
        return Stat(
            size=found["ContentLength"],
            version=found["ETag"],
            # The tag of an object of several parts is no hash of its content.
            md5=tag if len(tag) == 32 and "-" not in tag else None,
            age=_age(found),
        )

    def put(self, key: str, data: bytes, only_if: Any = None) -> Any:
        """See `ObjectStore.put`."""
        with self._translating(key):
            found = self._client.put_object(
                Bucket=self._bucket, Key=key, Body=data, **_condition(only_if)
            )
        return found["ETag"]

    def put_stream(self, key: str, stream: BinaryIO, size: int, only_if: Any = None) -> None:
        """See `ObjectStore.put_stream`.

        boto3's own uploads in parts take no conditions.
        """
        if size <= _PART:
            self.put(key, stream.read(), only_if)
            return
        where = {"Bucket": self._bucket, "Key": key}
        with self._translating(key):
            upload = {
                **where,
                "UploadId": self._client.create_multipart_upload(**where)["UploadId"],
            }
            try:
                parts = {"Parts": self._put_parts(upload, stream)}
                self._client.complete_multipart_upload(
                    **upload, MultipartUpload=parts, **_condition(only_if)
                )
            except BaseException:
                # What cannot be removed stays until the bucket's own rules remove it.
                with suppress(exceptions.BotoCoreError, exceptions.ClientError):
                    self._client.abort_multipart_upload(**upload)
                raise

    def _put_parts(self, upload: dict[str, Any], stream: BinaryIO) -> list[dict[str, Any]]:
        """Uploads all parts, some at a time, and returns their numbers and tags."""

        def send(number: int, data: bytes) -> dict[str, Any]:
            sent = self._client.upload_part(**upload, PartNumber=number, Body=data)
            return {"PartNumber": number, "ETag": sent["ETag"]}

        done: list[dict[str, Any]] = []
        waiting: deque[Future[dict[str, Any]]] = deque()
        with ThreadPoolExecutor(_PARTS_IN_FLIGHT) as threads:
            number = 0
            while data := stream.read(_PART):
                number += 1
                waiting.append(threads.submit(send, number, data))
                if len(waiting) >= _PARTS_IN_FLIGHT:
                    done.append(waiting.popleft().result())
            done += [one.result() for one in waiting]
        return done

    def list(
        self, prefix: str, one_level: bool = False, page: str | None = None
    ) -> tuple[list[Listed], str | None]:
        """See `ObjectStore.list`."""
        more = {"Delimiter": "/"} if one_level else {}
        if page is not None:
            more["ContinuationToken"] = page
        with self._translating(prefix):
            found = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **more)
        listed = [
            Listed(one["Key"], one["Size"], one.get("ETag", ""))
            for one in found.get("Contents", ())
        ]
        listed += (Listed(one["Prefix"]) for one in found.get("CommonPrefixes", ()))
        return listed, found["NextContinuationToken"] if found.get("IsTruncated") else None

    def delete(self, keys: Sequence[str]) -> None:
        """See `ObjectStore.delete`."""
        names = [{"Key": key} for key in keys]
        with self._translating(keys[0]):
            done = self._client.delete_objects(
                Bucket=self._bucket, Delete={"Objects": names, "Quiet": True}
            )
        for failed in done.get("Errors", ()):
            if failed.get("Code") in _TRANSIENT_CODES:
                raise errors.TransientError(failed["Code"])
            raise errors.refused(self._url(failed["Key"]))

    def copy(self, bucket: str, source: str, key: str) -> None:
        """See `ObjectStore.copy`; objects above 5 GB are copied in parts."""
        with self._translating(source, bucket):
            self._client.copy({"Bucket": bucket, "Key": source}, self._bucket, key)

    def probe(self, key: str) -> None:
        """See `ObjectStore.probe`."""
        with self._translating(key):
            client = self._new_client(_FIRST_READ)
            client.list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1)

    def _url(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"

    @contextmanager
    def _translating(self, key: str, bucket: str = "") -> Iterator[None]:
        """Raises the errors of `transforms.storage.stores.errors` for those of boto3."""
        url = f"s3://{bucket or self._bucket}/{key}"
        try:
            yield
        except exceptions.ClientError as error:
            raise _translated(error, url) from error
        except _CREDENTIALS as error:
            raise errors.CredentialsError(url, one_line(error).rstrip(".")) from error
        except _TRANSIENT as error:
            raise errors.TransientError(one_line(error)) from error
        except exceptions.BotoCoreError as error:
            raise errors.SilentStoreError(url, one_line(error), 0) from error
        except ValueError as error:
            # boto3 checks the endpoint and the region before it sends a request.
            raise errors.CredentialsError(url, one_line(error)) from error


def _condition(only_if: Any) -> dict[str, str]:
    if only_if is None:
        return {}
    return {"IfNoneMatch": "*"} if only_if is Absent else {"IfMatch": only_if}


def _code(error: exceptions.ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _status(error: exceptions.ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _age(found: dict[str, Any]) -> float:
    """Seconds between the answer and the object's time, both by the store's clock."""
    from email.utils import parsedate_to_datetime

    date = found["ResponseMetadata"]["HTTPHeaders"].get("date")
    if date is None:
        return 0.0
    return (parsedate_to_datetime(date) - found["LastModified"]).total_seconds()


def _translated(error: exceptions.ClientError, url: str) -> Exception:
    code, status = _code(error), _status(error)
    # 409: another conditional write is under way, which is going to win.
    if code in ("PreconditionFailed", "ConditionalRequestConflict") or status == 412:
        return ConditionError(url)
    if code in _EXPIRED:
        return errors.ExpiredCredentialsError(url)
    if code in _UNKNOWN_KEYS:
        return errors.CredentialsError(url, code)
    if code == "NoSuchBucket" or code == "InvalidBucketName":
        return errors.BucketError(url)
    if status == 404:
        return errors.not_found(url)
    if status in (401, 403):
        return errors.refused(url)
    cause = f"{status} {code}".strip()
    if status >= 500 or status == 429 or code in _TRANSIENT_CODES:
        return errors.TransientError(cause)
    return errors.SilentStoreError(url, one_line(error), 0)
