"""Object stores on this machine: emulators of S3 (moto) and of Google's store, behind a proxy."""

import json
import logging
import re
import secrets
import tempfile
import threading
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import boto3
import pytest
from gcp_storage_emulator.server import create_server
from moto.server import ThreadedMotoServer

from benchmarks.store_proxy import Handler, Proxy, proxy_before
from facemill.transforms import storage
from facemill.transforms.core import processes
from facemill.transforms.storage.stores import settings

# With "bucket" in it: errors quote the name, and their text must not mislead.
BUCKET = "bucket-of-tests"


@dataclass(frozen=True)
class Store:
    """A store with one bucket, to which the environment leads everyone.

    Attributes:
        scheme: "s3" or "gs".
        url: of the bucket.
        proxy: through which all requests go.
    """

    scheme: str
    url: str
    proxy: Proxy

    def new_root(self) -> str:
        """The URL of a folder that no other test uses."""
        return f"{self.url}/{secrets.token_hex(4)}"


@contextmanager
def s3(bucket: str = BUCKET) -> Iterator[Store]:
    """An S3 that has one empty bucket; the environment leads everyone there."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    target = f"http://{host}:{port}"
    # All servers of a process share what they store.
    urllib.request.urlopen(urllib.request.Request(f"{target}/moto-api/reset", method="POST"))
    try:
        with proxy_before(target, AtomicConditions) as proxy, _environment() as patch:
            patch.setenv("AWS_ENDPOINT_URL", proxy.url)
            patch.setenv("AWS_ACCESS_KEY_ID", "test")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            boto3.client("s3").create_bucket(Bucket=bucket)
            yield Store("s3", f"s3://{bucket}", proxy)
    finally:
        server.stop()


@contextmanager
def gcs(bucket: str = BUCKET) -> Iterator[Store]:
    """A store of Google's that has one empty bucket; the environment leads everyone there."""
    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket=bucket)
    server.start()
    try:
        while server._api._httpd is None:
            server._api.is_running.wait()
        target = f"http://127.0.0.1:{server._api._httpd.server_port}"
        with proxy_before(target, FakePreconditions) as proxy, _environment() as patch:
            patch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
            yield Store("gs", f"gs://{bucket}", proxy)
    finally:
        server.stop()


EMULATORS = {"s3": s3, "gs": gcs}

# For commands that take many seconds: `make test` runs them on one kind of store, and
# `make test-long` on both. What differs between the kinds is tested at the storage layer.
FIRST_STORE = pytest.mark.parametrize(
    "store",
    ["s3", pytest.param("gs", marks=pytest.mark.long)],
    indirect=True,
    scope="module",
)


@contextmanager
def _environment() -> Iterator[pytest.MonkeyPatch]:
    """Changes the environment in a block, in which this process is no launcher with flags."""
    with tempfile.TemporaryDirectory() as cache, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEMILL_CACHE", cache)
        patch.setattr(settings, "_given", None)
        patch.setattr(settings, "_launching", False)
        patch.delenv("FACEMILL_STORE_SETTINGS", raising=False)
        _end_worker_processes()
        try:
            yield patch
        finally:
            _end_worker_processes()


def _end_worker_processes() -> None:
    """Ends the worker processes, which keep the environment in which they were started."""
    for executor in list(processes._executors.values()):
        executor.shutdown(cancel_futures=True)
    processes._executors.clear()


class AtomicConditions(Handler):
    """Passes conditional writes to moto one at a time, which checks and writes in two steps."""

    _lock = threading.Lock()

    def ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if "If-None-Match" in self.headers or "If-Match" in self.headers:
            with self._lock:
                return super().ask(body)
        return super().ask(body)


class FakePreconditions(Handler):
    """A fake of the preconditions of Google's store, which its emulator ignores.

    An upload with `ifGenerationMatch` gets the status 412 if the object is not of that generation,
    or exists although the generation is 0.
    """

    # Uploads in several requests: their ids, with the name and the generation of the first request.
    _begun: dict[str, tuple[str, str]] = {}  # noqa: RUF012
    _locks: dict[int, threading.Lock] = defaultdict(threading.Lock)  # noqa: RUF012

    def ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        where = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(where.query).items()}
        upload = query.get("upload_id", "")
        if not where.path.startswith("/upload/"):
            return super().ask(body)
        if upload in self._begun:
            name, generation = self._begun[upload]
        elif "ifGenerationMatch" in query:
            generation = query["ifGenerationMatch"]
            found = re.search(rb"\r\n\r\n(\{.*?\})\r\n--", body, re.DOTALL)
            name = json.loads(found[1] if found else body)["name"]
        else:
            return super().ask(body)
        with self._locks[id(self.server.proxy)]:
            if self._generation(where.path.removeprefix("/upload"), name) != generation:
                return 412, {"Content-Type": "application/json"}, b"{}"
            answer = super().ask(body)
        location = parse_qs(urlsplit(answer[1].get("Location", "")).query)
        if "upload_id" in location:
            self._begun[location["upload_id"][0]] = name, generation
        return answer

    def _generation(self, objects: str, name: str) -> str:
        host, port = self.server.proxy.target
        try:
            url = f"http://{host}:{port}{objects}/{quote(name, safe='')}"
            with urllib.request.urlopen(url) as answer:
                return json.load(answer)["generation"]
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return "0"


def upload(folder: Path, url: str) -> None:
    """Puts all files of a folder below a URL."""
    storage.upload_folder(str(folder), url)
