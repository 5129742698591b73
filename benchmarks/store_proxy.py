"""An HTTP proxy before an object store's emulator: latency, failures, and counts of what passes.

Emulators answer at once and never fail. Real stores take tens of milliseconds, ask to come back
later, and cannot be reached for a while.
"""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


@dataclass
class Behavior:
    """How the proxy answers; may be changed while it runs.

    Attributes:
        latency: seconds by which every request is delayed.
        fail_every: every request of such a number gets the status 503; 0 for none.
        cut_until: until then, by `time.monotonic`, connections are closed without an answer.
        expired: whether every request is refused, as stores do when a credential has expired.
    """

    latency: float = 0.0
    fail_every: int = 0
    cut_until: float = 0.0
    expired: bool = False


@dataclass
class Counts:
    """What has passed.

    Attributes:
        requests: by method.
        sent: bytes of the bodies that the store got.
        received: bytes of the bodies that it gave.
        failed: requests that the proxy failed on purpose.
    """

    requests: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    received: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        """The number of all requests."""
        return self.requests.total()


class Proxy:
    """A running proxy.

    Args:
        target: URL of the emulator.
        handler: what answers requests, `Handler` or a class derived from it.

    Attributes:
        url: of the proxy.
        behavior: how it answers.
        counts: what has passed.
    """

    def __init__(self, target: str, handler: "type[Handler] | None" = None) -> None:
        where = urlsplit(target)
        self.target = (where.hostname or "127.0.0.1", where.port or 80)
        self.behavior = Behavior()
        self.counts = Counts()
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), handler or Handler)
        self._server.proxy = self
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.address}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Ends the proxy."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def proxy_before(target: str, handler: "type[Handler] | None" = None) -> Iterator[Proxy]:
    """Runs a proxy before an emulator while a block runs; see `Proxy`."""
    proxy = Proxy(target, handler)
    try:
        yield proxy
    finally:
        proxy.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    proxy: Proxy


class Handler(BaseHTTPRequestHandler):
    """Passes a request on; a connection to the emulator is kept for each connection of a client."""

    protocol_version = "HTTP/1.1"
    server: _Server
    # Answers are written in one piece: with Nagle's algorithm, small ones would wait 40 ms.
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        self._upstream: http.client.HTTPConnection | None = None

    def finish(self) -> None:
        if self._upstream is not None:
            self._upstream.close()
        super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    def handle_expect_100(self) -> bool:
        """Lets a client send its body, which it would hold back for a second."""
        goes_on = super().handle_expect_100()
        self.wfile.flush()
        return goes_on

    def _pass_on(self) -> None:
        proxy = self.server.proxy
        behavior = proxy.behavior
        if time.monotonic() < behavior.cut_until:
            self.close_connection = True
            return
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else self._chunks()
        if behavior.latency:
            time.sleep(behavior.latency)
        with proxy.lock:
            proxy.counts.requests[self.command] += 1
            proxy.counts.sent += len(body)
            number = proxy.counts.total
            fails = bool(behavior.fail_every) and number % behavior.fail_every == 0
            proxy.counts.failed += fails
        if fails:
            self._answer(503, {}, b"")
        elif behavior.expired:
            text = b"<Error><Code>ExpiredToken</Code><Message>expired</Message></Error>"
            self._answer(400, {"Content-Type": "application/xml"}, text)
        else:
            self._answer(*self.ask(body))

    def _chunks(self) -> bytes:
        if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
            return b""
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Asks the emulator.

        Args:
            body: of the request.

        Returns:
            (status, headers, body) of its answer.
        """
        proxy = self.server.proxy
        host, port = proxy.target
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "expect")
        }
        headers["Content-Length"] = str(len(body))
        for attempt in range(2):
            if self._upstream is None:
                self._upstream = http.client.HTTPConnection(host, port, timeout=120)
            try:
                self._upstream.request(self.command, self.path, body, headers)
                answer = self._upstream.getresponse()
                data = answer.read()
                break
            except (http.client.HTTPException, OSError):
                # The emulator closes connections that were idle.
                self._upstream.close()
                self._upstream = None
                if attempt:
                    raise
        with proxy.lock:
            proxy.counts.received += len(data)
        found = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
        if "Content-Length" in answer.headers and self.command == "HEAD":
            found["Content-Length"] = answer.headers["Content-Length"]
        # Where an upload goes on: through the proxy too.
        for name in ("Location", "location"):
            if name in found:
                found[name] = found[name].replace(f"{host}:{port}", proxy.address)
        if "Date" in answer.headers:
            found["Date"] = answer.headers["Date"]
        return answer.status, found, data

    def _answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = _pass_on  # noqa: N815
