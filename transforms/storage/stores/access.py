"""Finds the store of a URL and calls it, again if that can help.

A store that has answered once is waited for, since an outage of a minute must not cost a run of
hours. A store that a person's command asks for the first time must answer at once.
"""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from facemill.transforms.core.errors import MissingPackageError, UsageError
from facemill.transforms.storage.stores import errors, settings
from facemill.transforms.storage.stores.base import Address, ObjectStore, address

# Seconds after which a store that has answered before, and one that has not, is given up.
_PATIENCE = 180.0
_FIRST_PATIENCE = 4.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
# Requests in flight in each process.
THREADS = 32
# Not Python's shared generator: Keras draws the seeds of initial weights from that, and a thread
# that waits for a store in that moment would change them.
_pauses = random.SystemRandom()

_Result = TypeVar("_Result")

_stores: dict[tuple[str, str, settings.Settings, tuple[str | None, ...]], ObjectStore] = {}
_lock = threading.RLock()
_threads: ThreadPoolExecutor | None = None


def pool() -> ThreadPoolExecutor:
    """The threads of this process that send requests."""
    global _threads
    with _lock:
        if _threads is None:
            _threads = ThreadPoolExecutor(THREADS, "facemill-store")
        return _threads


def parse(url: str) -> Address:
    """The parts of a URL.

    Raises:
        UsageError: it names no bucket, or a store that facemill does not know.
    """
    found = address(url)
    if found is None or found.scheme not in ("s3", "gs"):
        raise UsageError(
            f"A URL must be s3://BUCKET/PATH or gs://BUCKET/PATH, got {url}; give one of these, or "
            "mount the store and give the path of a directory."
        )
    return found


def call(url: str, work: Callable[[ObjectStore, str], _Result]) -> _Result:
    """Calls a function with the store and the key of a URL, again while the store is in trouble.

    Args:
        url: of an object.
        work: may be called several times.

    Raises:
        UsageError: the bucket, or credentials for it, do not exist.
        RunError: the store does not answer, or the credentials have expired.
        OSError: there is no such object, or the store refuses access.
        ConditionError: the condition of a write does not hold.
    """
    where = parse(url)
    return _retrying(url, lambda: work(_store(url, where), where.key), _PATIENCE)


def _retrying(url: str, work: Callable[[], _Result], patience: float) -> _Result:
    started, pause = time.monotonic(), _FIRST_PAUSE
    while True:
        try:
            return work()
        except errors.TransientError as error:
            waited = time.monotonic() - started
            if waited + pause > patience:
                raise errors.SilentStoreError(url, error.cause, waited) from error
        # The pause is drawn, so that many workers do not come back at the same moment.
        time.sleep(pause * _pauses.uniform(0.5, 1.0))
        pause = min(pause * 2, _LONGEST_PAUSE)


def _store(url: str, where: Address) -> ObjectStore:
    given = settings.current()
    # Variables may change while a process runs, as when a credential is renewed.
    key = (where.scheme, where.bucket, given, settings.variables())
    found = _stores.get(key)
    if found is not None:
        return found
    with _lock:
        if key not in _stores:
            store = _new(where, given, url)
            if settings.is_launcher():
                _retrying(url, lambda: store.probe(where.key), _FIRST_PATIENCE)
            _stores[key] = store
        return _stores[key]


def _new(where: Address, given: settings.Settings, url: str) -> ObjectStore:
    kind: Any
    try:
        if where.scheme == "s3":
            from facemill.transforms.storage.stores.s3 import S3 as kind  # noqa: N811
        else:
            from facemill.transforms.storage.stores.gcs import Gcs as kind  # noqa: N813
    except ImportError as error:
        package = "boto3" if where.scheme == "s3" else "google-cloud-storage"
        if (error.name or "").split(".")[0] not in ("boto3", "botocore", "google", "requests"):
            raise
        extra = "aws" if where.scheme == "s3" else "gcp"
        raise MissingPackageError(f"Reaching {url} needs", package, f"facemill[{extra}]") from None
    return kind(where.bucket, given)
