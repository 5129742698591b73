"""The proxy before the emulators, before a server that answers with what it got."""

import http.client
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks import store_proxy
from benchmarks.store_proxy import Handler, Proxy, proxy_before


class _Echo(BaseHTTPRequestHandler):
    """HTTP/1.0: it closes the connection after each answer, as one of the emulators does."""

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(207)
        self.send_header("Content-Length", str(len(body) or 5))
        self.send_header("X-Path", self.path)
        self.send_header("X-Asked", self.headers.get("X-Ask", ""))
        self.send_header("Location", f"http://{self.headers.get('Host')}/further")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body or b"empty")

    do_GET = do_HEAD = do_POST = do_DELETE = do_PUT  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with proxy_before(f"http://127.0.0.1:{server.server_port}") as proxy:
            yield proxy
        server.shutdown()


@pytest.fixture
def client(proxy) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(proxy.address, timeout=20)
    yield connection
    connection.close()


def ask(client, method: str, path: str = "/", body: object = None, **more) -> tuple[int, bytes]:
    client.request(method, path, body, **more)
    answer = client.getresponse()
    return answer.status, answer.read()


def test_requests_and_answers_pass_unchanged_over_one_connection(client, proxy):
    for size in (1, 70_000, 3):
        client.request("PUT", "/a%20b?c=%2F", bytes(size), {"X-Ask": "what"})
        answer = client.getresponse()
        assert (answer.status, answer.read()) == (207, bytes(size))
        assert answer.headers["X-Path"] == "/a%20b?c=%2F"
        assert answer.headers["X-Asked"] == "what"
        assert answer.headers["Location"] == f"{proxy.url}/further"
    assert ask(client, "GET") == (207, b"empty")
    counts = proxy.counts
    assert dict(counts.requests) == {"PUT": 3, "GET": 1}
    assert (counts.total, counts.sent, counts.received, counts.failed) == (4, 70_004, 70_009, 0)


def test_a_body_in_chunks_is_passed_on(client):
    parts = iter([b"one", b"", b"two" * 9_000])
    assert ask(client, "PUT", body=parts, encode_chunked=True) == (207, b"one" + b"two" * 9_000)
    assert ask(client, "GET") == (207, b"empty")


def test_the_answer_to_head_has_a_length_and_no_body(client):
    client.request("HEAD", "/")
    answer = client.getresponse()
    assert (answer.headers["Content-Length"], answer.read()) == ("5", b"")
    assert ask(client, "GET") == (207, b"empty")


def test_a_client_that_asks_first_is_told_to_send_its_body(client):
    client.putrequest("PUT", "/")
    client.putheader("Content-Length", "4")
    client.putheader("Expect", "100-continue")
    client.endheaders()
    # Nothing is sent before the answer, which would else never come.
    assert client.sock.recv(1000).startswith(b"HTTP/1.1 100 ")
    client.send(b"body")
    answer = client.getresponse()
    assert (answer.status, answer.read()) == (207, b"body")


def test_some_requests_fail_and_are_counted(client, proxy):
    proxy.behavior.fail_every = 3
    assert [ask(client, "GET")[0] for _ in range(7)] == [207, 207, 503, 207, 207, 503, 207]
    assert proxy.counts.failed == 2


def test_every_request_is_delayed(client, proxy, monkeypatch):
    slept = []

    class Clock:
        monotonic = staticmethod(time.monotonic)
        sleep = staticmethod(slept.append)

    monkeypatch.setattr(store_proxy, "time", Clock)
    proxy.behavior.latency = 0.02
    ask(client, "GET")
    ask(client, "PUT", body=b"x")
    assert slept == [0.02, 0.02]


def test_a_store_that_is_cut_off_gives_no_answer_until_it_is_back(client, proxy):
    proxy.behavior.cut_until = time.monotonic() + 3600
    with pytest.raises((http.client.HTTPException, OSError)):
        ask(client, "GET")
    client.close()
    assert proxy.counts.total == 0
    proxy.behavior.cut_until = 0.0
    assert ask(client, "GET")[0] == 207


def test_an_expired_credential_is_refused_as_s3_does(client, proxy):
    proxy.behavior.expired = True
    status, body = ask(client, "GET")
    assert (status, b"ExpiredToken" in body) == (400, True)
    assert ask(client, "HEAD") == (400, b"")


def test_a_derived_handler_may_answer_itself():
    class Refusing(Handler):
        def ask(self, body):
            return 418, {}, body

    with proxy_before("http://127.0.0.1:1", Refusing) as proxy:
        client = http.client.HTTPConnection(proxy.address, timeout=20)
        assert ask(client, "PUT", body=b"tea") == (418, b"tea")
        client.close()
