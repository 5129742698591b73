"""What keeps workers together: they meet before the run, and each notices at once who has gone.

A worker has one connection to the chief for as long as the run lasts. It carries lines of JSON: a
greeting, its answer, and how the run ended. TensorFlow's own connections say neither who has
failed nor why, and a machine that has lost its power ends none of them; on these the kernel asks
every few seconds whether the other side is there, whatever its process is doing.
"""

import json
import selectors
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from facemill.model.training.cluster import Cluster
from facemill.transforms.core.errors import FacemillError, RunError

# Seconds. A machine that does not answer counts as gone after _IDLE + _PROBES x _BETWEEN.
_IDLE, _BETWEEN, _PROBES = 10, 5, 4
_SECONDS_TO_BLAME = 10.0
_LONGEST = 1 << 20

_Result = TypeVar("_Result")


class Link:
    """The connections of one worker to those whom it would miss.

    Args:
        cluster: all workers.
        connections: by the worker's index: of the chief to all others, of another to the chief.

    Attributes:
        failure: what ended the run elsewhere, in a sentence; None as long as nothing has.
    """

    def __init__(self, cluster: Cluster, connections: Mapping[int, socket.socket]) -> None:
        self._cluster = cluster
        self._connections = dict(connections)
        self._abort: Callable[[str], None] | None = None
        # Guards what follows, which another thread sets.
        self._changed = threading.Condition()
        self._ready: set[int] = set()
        self._is_complete = False
        self.failure: str | None = None
        for connection in self._connections.values():
            _keep_alive(connection)
        self._readers = {index: reader_of(one) for index, one in self._connections.items()}
        threading.Thread(target=self._watch, daemon=True).start()

    def ready(self) -> bool:
        """Waits until all workers have called this, which each does once it could begin.

        Returns:
            False if the chief has ended the run well without it: there was nothing to do.

        Raises:
            RunError: a worker has failed.
        """
        if self._cluster.is_chief:
            self._until(lambda: len(self._ready) == len(self._connections))
            self._send({"ready": True})
            return True
        self._send({"ready": True})
        self._until(lambda: bool(self._ready) or self._is_complete)
        return bool(self._ready)

    def unless_failed(self, work: Callable[[], _Result]) -> _Result:
        """Does what would wait in vain for a worker that has gone, and cannot be interrupted.

        Args:
            work: is called in another thread, which is left behind where a worker fails.

        Raises:
            RunError: a worker has failed.
        """
        found: list[_Result] = []
        errors: list[BaseException] = []

        def work_there() -> None:
            try:
                found.append(work())
            # Raised again by the thread that waits.
            except BaseException as error:  # noqa: BLE001
                errors.append(error)
            with self._changed:
                self._changed.notify_all()

        threading.Thread(target=work_there, daemon=True).start()
        self._until(lambda: bool(found or errors))
        if errors:
            raise errors[0]
        return found[0]

    def call_on_failure(self, abort: Callable[[str], None]) -> None:
        """Has a function called, from another thread, once another worker has failed.

        Args:
            abort: ends what this worker waits for; takes the sentence.
        """
        with self._changed:
            self._abort = abort
        if self.failure is not None:
            abort(self.failure)

    @contextmanager
    def together(self, abandoned: tuple[type[Exception], ...]) -> Iterator[None]:
        """Reports to the others how a block of work ends here.

        Args:
            abandoned: errors with which the work ends when another worker has gone.

        Raises:
            RunError: another worker has failed, so that the block could not go on.
        """
        try:
            yield
        except abandoned as error:
            # The reason comes by another connection, a moment later at most.
            with self._changed:
                self._changed.wait_for(lambda: self.failure is not None, _SECONDS_TO_BLAME)
            if self.failure is None:
                self._end("failed", self._ended(error))
                raise
            self._end("failed", self.failure)
            raise RunError(self.failure) from None
        except BaseException as error:
            self._end("failed", self.failure or self._ended(error))
            raise
        # What another worker has done it reports to nobody: the chief's end is that of the run.
        if self._cluster.is_chief:
            self._end("complete", "")

    def wait(self) -> None:
        """Waits until the chief has completed the run.

        Raises:
            RunError: it failed.
        """
        self._until(lambda: self._is_complete)

    def _until(self, done: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: done() or self.failure is not None)
            if not done():
                raise RunError(str(self.failure))

    def _watch(self) -> None:
        with selectors.DefaultSelector() as selector:
            for index, connection in self._connections.items():
                selector.register(connection, selectors.EVENT_READ, index)
            while selector.get_map():
                for key, _ in selector.select():
                    message = read(self._readers[key.data])
                    if message is None or "end" in message:
                        selector.unregister(key.fileobj)
                    self._hear(key.data, message)

    def _hear(self, index: int, message: Mapping[str, Any] | None) -> None:
        with self._changed:
            if message is not None and "ready" in message:
                self._ready.add(index)
            elif message is not None and message.get("end") == "complete":
                self._is_complete = True
            elif self.failure is None:
                failed = message is not None and message.get("end") == "failed"
                gone = _stay(f"{self._cluster.name(index)} has gone")
                self.failure = str(message.get("sentence")) if failed and message else gone
                if self._abort is not None:
                    self._abort(self.failure)
            self._changed.notify_all()

    def _ended(self, error: BaseException) -> str:
        """How this worker's end reads on the others."""
        who = self._cluster.name(self._cluster.index)
        if isinstance(error, FacemillError):
            return f"{who.capitalize()} has ended the run: {error}"
        if isinstance(error, KeyboardInterrupt):
            return _stay(f"{who} was interrupted")
        return _stay(f"{who} failed ({type(error).__name__}), of which its own output says more")

    def _end(self, end: str, sentence: str) -> None:
        self._send({"end": end, "sentence": sentence})

    def _send(self, message: Mapping[str, Any]) -> None:
        for connection in self._connections.values():
            # Whether the other side has gone, the reading thread finds out.
            with suppress(OSError):
                write(connection, message)


def _stay(but: str) -> str:
    return (
        f"All workers must stay until the end, but {but}; start the same command again on every "
        "worker, and the run goes on from its last checkpoint."
    )


def write(connection: socket.socket, message: Mapping[str, Any]) -> None:
    """Sends a message, one line of JSON.

    Raises:
        OSError: the connection is broken.
    """
    connection.sendall(json.dumps(message).encode("ascii") + b"\n")


def reader_of(connection: socket.socket) -> Any:
    """The file of a connection, for `read`. Without a buffer: no message is lost with the file."""
    return connection.makefile("rb", buffering=0)


def read(reader: Any) -> dict[str, Any] | None:
    """The next message of a connection; None if there is no other, or it is none.

    Args:
        reader: of `reader_of`.
    """
    try:
        line = reader.readline(_LONGEST)
        value = json.loads(line)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _keep_alive(connection: socket.socket) -> None:
    """Has the kernel find out when the other machine has gone."""
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Not every system has a name for each of these.
    for name, value in (
        ("TCP_KEEPIDLE", _IDLE),
        ("TCP_KEEPINTVL", _BETWEEN),
        ("TCP_KEEPCNT", _PROBES),
        # In milliseconds, where something was sent and not acknowledged.
        ("TCP_USER_TIMEOUT", 1000 * (_IDLE + _BETWEEN * _PROBES)),
    ):
        option = getattr(socket, name, None)
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
