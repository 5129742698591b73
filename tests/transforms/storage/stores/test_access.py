"""Stores in trouble: what is waited for, what is reported at once, and in which sentence."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from google.auth.exceptions import RefreshError

from benchmarks.store_proxy import Behavior
from facemill.transforms import storage
from facemill.transforms.core.errors import RunError, UsageError
from facemill.transforms.storage.stores import access, settings
from facemill.transforms.storage.stores.errors import (
    BucketError,
    CredentialsError,
    ExpiredCredentialsError,
    SilentStoreError,
)

# What the house promises for the first answer.
SECONDS = 10


@pytest.fixture(autouse=True)
def behavior(store) -> Iterator[Behavior]:
    """How the store behaves in a test."""
    store.proxy.behavior = Behavior()
    yield store.proxy.behavior
    store.proxy.behavior = Behavior()


def use_files(root: str) -> None:
    """Writes, lists, reads and removes some files.

    There are more than the requests between two failures: what was done is not done again.
    """
    names = [f"{number}" for number in range(4)]
    for name in names:
        storage.write_atomically(f"{root}/{name}", name.encode())
    assert storage.names(root) == names
    assert [storage.read_bytes(f"{root}/{name}") for name in names] == [b"0", b"1", b"2", b"3"]
    assert [storage.size(f"{root}/{name}") for name in names] == [1] * 4
    storage.copy(f"{root}/0", f"{root}/4")
    storage.remove(root)
    assert not storage.exists(root)


@pytest.mark.moderate
def test_a_store_that_refuses_every_third_request_is_asked_again(root, store, behavior):
    failed = store.proxy.counts.failed
    behavior.fail_every = 3
    use_files(root)
    assert store.proxy.counts.failed - failed > 3


def test_a_long_listing_goes_on_where_it_failed(root, behavior, monkeypatch):
    names = [f"{number:03d}" for number in range(8)]
    for name in names:
        storage.write_atomically(f"{root}/{name}", b"x")
    store = access._store(root, access.parse(root))
    real = store.list

    def two_at_a_time(prefix, one_level, page):
        found, _ = real(prefix, one_level)
        start = int(page or 0)
        return found[start : start + 2], str(start + 2) if start + 2 < len(found) else None

    monkeypatch.setattr(store, "list", two_at_a_time)
    behavior.fail_every = 3
    assert list(storage.walk_files(root)) == names


def test_a_large_upload_is_tried_again(root, store, behavior, monkeypatch):
    monkeypatch.setattr(storage.objects, "_IN_MEMORY", 10)
    failed = store.proxy.counts.failed
    behavior.fail_every = 2
    for number in range(3):
        with storage.new_file(f"{root}/{number}") as stream:
            stream.write(b"0123456789" * 9)
    behavior.fail_every = 0
    assert store.proxy.counts.failed > failed
    for number in range(3):
        assert storage.read_bytes(f"{root}/{number}") == b"0123456789" * 9


def test_an_outage_is_waited_for(root, behavior):
    storage.write_atomically(f"{root}/a", b"a")
    behavior.cut_until = time.monotonic() + 1.5
    assert list(storage.read_many([(f"{root}/a", 0, None)] * 3)) == [b"a"] * 3


def test_a_store_that_is_silent_for_too_long_ends_the_run(root, behavior, monkeypatch):
    storage.write_atomically(f"{root}/a", b"a")
    monkeypatch.setattr(access, "_PATIENCE", 0.5)
    behavior.cut_until = time.monotonic() + 60
    with pytest.raises(SilentStoreError, match=f"must answer for {root}/a, but for 0 s it did not"):
        storage.read_bytes(f"{root}/a")
    with pytest.raises(SilentStoreError):
        next(storage.read_many([(f"{root}/a", 0, None)]))
    behavior.cut_until = 0.0
    behavior.fail_every = 1
    with pytest.raises(SilentStoreError, match="503"):
        storage.read_bytes(f"{root}/a")


@pytest.fixture
def launcher(store, monkeypatch):
    """A person's command, which has not asked the store yet."""
    monkeypatch.setattr(settings, "_launching", True)
    monkeypatch.setattr(access, "_stores", {})


def lead_to(monkeypatch, url: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)


def first_error(url: str) -> Exception:
    """The error of the first contact, which must come in time."""
    started = time.monotonic()
    with pytest.raises((RunError, UsageError, OSError)) as caught:
        storage.read_bytes(f"{url}/x")
    assert time.monotonic() - started < SECONDS
    return caught.value


@pytest.mark.moderate
def test_the_first_contact_succeeds(root, launcher):
    use_files(root)


@pytest.mark.slow
def test_an_address_where_nothing_listens_is_reported_in_time(store, launcher, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        lead_to(monkeypatch, f"http://127.0.0.1:{unused.getsockname()[1]}")
        error = first_error(store.url)
    assert isinstance(error, SilentStoreError)
    assert "check the network and the endpoint" in str(error)
    assert "\n" not in str(error)


@pytest.mark.slow
def test_an_address_that_never_answers_is_reported_in_time(store, launcher, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        lead_to(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert isinstance(first_error(store.url), SilentStoreError)


def test_an_absent_bucket_is_reported_in_time(store, launcher):
    error = first_error(f"{store.scheme}://no-such-bucket")
    assert isinstance(error, BucketError)
    assert f"{store.scheme}://no-such-bucket must be an existing bucket" in str(error)


@pytest.mark.slow
def test_missing_credentials_are_reported_in_time(store, launcher, monkeypatch, tmp_path):
    for name in settings._STORES_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    error = first_error(store.url)
    assert isinstance(error, CredentialsError)
    assert "must be reached with credentials that its store accepts" in str(error)
    assert "\n" not in str(error)


@contextmanager
def answering(status: int, text: str) -> Iterator[str]:
    """A server that gives one answer to everything."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            body = b"" if self.command == "HEAD" else text.encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

        do_HEAD = do_GET  # noqa: N815

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def answer_of(scheme: str, code: str) -> str:
    return f"<Error><Code>{code}</Code></Error>" if scheme == "s3" else "{}"


def test_an_unknown_key_is_reported_in_time(store, launcher, monkeypatch):
    status = 403 if store.scheme == "s3" else 401
    with answering(status, answer_of(store.scheme, "InvalidAccessKeyId")) as url:
        lead_to(monkeypatch, url)
        assert isinstance(first_error(store.url), CredentialsError)


@pytest.mark.moderate
def test_a_refusal_is_reported_in_time(store, launcher, monkeypatch):
    with answering(403, answer_of(store.scheme, "AccessDenied")) as url:
        lead_to(monkeypatch, url)
        error = first_error(store.url)
    assert isinstance(error, PermissionError)
    assert error.strerror == "the object store refuses access"


def test_a_worker_reports_an_unknown_key_when_it_asks_about_an_object(store, monkeypatch):
    # boto3 asks with HEAD, whose answer has no body to say why.
    status = 403 if store.scheme == "s3" else 401
    with answering(status, answer_of(store.scheme, "InvalidAccessKeyId")) as url:
        lead_to(monkeypatch, url)
        with pytest.raises(CredentialsError, match="credentials that its store accepts, got"):
            storage.is_file(f"{store.url}/x")


def test_an_expired_credential_is_reported_and_the_same_call_works_when_it_is_renewed(
    root, store, behavior, monkeypatch
):
    storage.write_atomically(f"{root}/a", b"a")
    calls = [
        lambda: storage.read_bytes(f"{root}/a"),
        lambda: storage.size(f"{root}/a"),
        lambda: storage.names(root),
        lambda: storage.write_atomically(f"{root}/a", b"b"),
        lambda: storage.remove(f"{root}/a"),
    ]
    with monkeypatch.context() as expired:
        if store.scheme == "s3":
            behavior.expired = True
        else:
            # The emulator asks for no credentials, so the client fails to renew them here.
            def request(*_, **__):
                raise RefreshError("invalid_grant: Token has been expired or revoked.")

            client = access._store(root, access.parse(root))._client
            expired.setattr(client._http, "request", request)
        for call in calls:
            with pytest.raises(ExpiredCredentialsError, match="have expired; renew them and run"):
                call()
    behavior.expired = False
    assert storage.read_bytes(f"{root}/a") == b"a"
    for call in calls:
        call()


def test_errors_of_stores_survive_the_way_to_another_process():
    import pickle

    for error in (
        CredentialsError("s3://b/x", "none"),
        ExpiredCredentialsError("s3://b/x"),
        BucketError("s3://b/x"),
        SilentStoreError("s3://b/x", "503", 3.0),
    ):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), copy.url) == (type(error), str(error), "s3://b/x")
