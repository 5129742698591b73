"""How workers find each other, and find out whether they would train the same model.

The chief listens where TensorFlow will listen later, the others come to it and say what they are
about to do. It compares that with its own, and answers all of them.
"""

import errno
import json
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from facemill.model.training.cluster import Cluster
from facemill.model.training.link import Link, read, reader_of, write
from facemill.transforms.core.errors import ParameterError, RunError, UsageError

# Seconds to wait for all workers: machines may be given to them one after the other.
_PATIENCE = 600.0
_SECONDS_TO_SPEAK, _SECONDS_BETWEEN = 10.0, 0.5
# Without a word for so long, a person wants to know what is being waited for.
_SECONDS_OF_SILENCE = 5.0
# After it has refused one, the chief stays so long to tell those that are still to come.
_SECONDS_FOR_OTHERS = 5.0


def meet(
    cluster: Cluster,
    about: Mapping[str, Any],
    patience: float | None = None,
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
) -> Link:
    """Waits for all workers.

    Args:
        cluster: all workers, two or more.
        about: what must be the same on all: JSON values by name.
        patience: seconds to wait; by default ten minutes.
        say: prints what is being waited for.

    Returns:
        What keeps them together from here on.

    Raises:
        UsageError: this worker's port cannot be used, or another worker is about to do other work.
        RunError: one did not come in time.
    """
    # As the others' come: a tuple is a list in JSON.
    about = json.loads(json.dumps(about))
    until = time.monotonic() + (_PATIENCE if patience is None else patience)
    with _listening(cluster) as listener:
        if cluster.is_chief:
            return _Chief(cluster, about, listener, until, say).gather()
        return _join(cluster, about, until, say)


@contextmanager
def _listening(cluster: Cluster) -> Iterator[socket.socket]:
    """Holds this worker's port against other processes of its machine."""
    _, port = cluster.address(cluster.index)
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    try:
        listener = socket.create_server(
            ("", port), family=family, dualstack_ipv6=dual, backlog=max(8, cluster.count)
        )
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        raise ParameterError(
            "worker_hosts",
            cluster.hosts,
            must=f"give {cluster.name(cluster.index)} a free port",
            but=f"another process of this machine uses {port}"
            if in_use
            else f"{port} cannot be listened on ({error.strerror})",
            do="end that process or give another port on all workers",
        ) from None
    with listener:
        yield listener


class _Chief:
    """Worker 0 as it gathers the others."""

    def __init__(
        self,
        cluster: Cluster,
        about: Mapping[str, Any],
        listener: socket.socket,
        until: float,
        say: Callable[[str], None],
    ) -> None:
        self._cluster, self._about = cluster, about
        self._listener, self._until, self._say = listener, until, say
        self._there: dict[int, socket.socket] = {}

    def gather(self) -> Link:
        """Accepts all workers, and answers them."""
        try:
            silent_until = time.monotonic() + _SECONDS_OF_SILENCE
            while self._missing():
                if time.monotonic() > silent_until:
                    self._say(f"waiting for {', '.join(self._missing())}")
                    silent_until = float("inf")
                self._accept(min(self._until, silent_until))
        except (UsageError, RunError) as error:
            for connection in self._there.values():
                _refuse(connection, error)
            if isinstance(error, UsageError):
                self._refuse_others(error, self._cluster.count - 2 - len(self._there))
            raise
        for connection in self._there.values():
            # The link notices who has gone meanwhile.
            with suppress(OSError):
                write(connection, {"begin": True})
        return Link(self._cluster, self._there)

    def _missing(self) -> list[str]:
        """Those who have not come, or have gone again."""
        for index in [one for one, there in self._there.items() if _has_gone(there)]:
            self._there.pop(index).close()
        return [
            self._cluster.name(index)
            for index in range(1, self._cluster.count)
            if index not in self._there
        ]

    def _accept(self, until: float) -> None:
        self._listener.settimeout(max(0.01, until - time.monotonic()))
        try:
            connection, _ = self._listener.accept()
        except TimeoutError:
            if time.monotonic() >= self._until:
                raise _nobody_came(self._missing()) from None
            return
        greeting = _greeting_of(connection)
        # One that ended meanwhile may have come back.
        self._missing()
        if greeting is None:
            return
        try:
            index = self._check(greeting)
        except UsageError as error:
            _refuse(connection, error)
            raise
        self._there[index] = connection

    def _refuse_others(self, error: UsageError, count: int) -> None:
        """Tells workers that have not come yet, who would wait for minutes otherwise."""
        until = min(self._until, time.monotonic() + _SECONDS_FOR_OTHERS)
        while count > 0 and (left := until - time.monotonic()) > 0:
            self._listener.settimeout(left)
            with suppress(OSError):
                connection, _ = self._listener.accept()
                if _greeting_of(connection) is not None:
                    _refuse(connection, error)
                    count -= 1

    def _check(self, greeting: Mapping[str, Any]) -> int:
        """The index of a worker, once it is known that it does what this one does."""
        hosts, index = greeting.get("hosts"), greeting.get("index")
        if hosts != list(self._cluster.hosts):
            raise ParameterError(
                "worker_hosts",
                self._cluster.hosts,
                must="be the same list on all workers",
                got=f"{','.join(self._cluster.hosts)} on worker 0 and {_listed(hosts)} on another",
                do="give all the same",
            )
        if not isinstance(index, int) or not 0 < index < self._cluster.count:
            raise _index_taken(self._cluster, index)
        if index in self._there:
            raise _index_taken(self._cluster, index)
        theirs = greeting["facemill"] if isinstance(greeting["facemill"], dict) else {}
        differing = [
            f"{name}: {theirs.get(name)!r} there, {self._about.get(name)!r} on worker 0"
            for name in sorted({*theirs, *self._about})
            if theirs.get(name) != self._about.get(name)
        ]
        if differing:
            raise UsageError(
                "All workers must have the same options, dataset and versions, but "
                f"{self._cluster.name(index)} has others ({'; '.join(differing)}); start the same "
                "command with the same facemill on all."
            )
        return index


def _join(
    cluster: Cluster, about: Mapping[str, Any], until: float, say: Callable[[str], None]
) -> Link:
    """Another worker as it comes to the chief."""
    greeting = {"facemill": about, "hosts": list(cluster.hosts), "index": cluster.index}
    silent_until = time.monotonic() + _SECONDS_OF_SILENCE
    reason = ""
    while time.monotonic() < until:
        try:
            connection = socket.create_connection(cluster.address(0), _SECONDS_TO_SPEAK)
            with suppress(OSError):
                write(connection, greeting)
                # It answers when all have come.
                connection.settimeout(max(0.01, until - time.monotonic()))
                answer = read(reader_of(connection))
                if answer is not None and answer.get("begin"):
                    return Link(cluster, {0: connection})
                if answer is not None and "refused" in answer:
                    raise _refused(answer)
            # It has ended meanwhile, or it is the run before, which has not ended yet.
            connection.close()
            reason = "it did not answer"
        except OSError as error:
            reason = error.strerror or str(error)
        if time.monotonic() > silent_until:
            say(f"waiting for {cluster.name(0)}: {reason}")
            silent_until = float("inf")
        time.sleep(_SECONDS_BETWEEN)
    raise _nobody_came([cluster.name(0)], reason)


def _greeting_of(connection: socket.socket) -> dict[str, Any] | None:
    """What a worker says first; None, and no connection, for others that try a machine's ports."""
    connection.settimeout(_SECONDS_TO_SPEAK)
    greeting = read(reader_of(connection))
    if greeting is not None and "facemill" in greeting:
        return greeting
    connection.close()
    return None


def _refuse(connection: socket.socket, error: Exception) -> None:
    usage = isinstance(error, UsageError)
    with suppress(OSError):
        write(connection, {"refused": str(error), "usage": usage})
    connection.close()


def _refused(answer: Mapping[str, Any]) -> UsageError | RunError:
    kind = UsageError if answer.get("usage") else RunError
    return kind(str(answer["refused"]))


def _has_gone(connection: socket.socket) -> bool:
    """Whether the other side has closed a connection on which it is to say nothing."""
    try:
        connection.setblocking(False)
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(_SECONDS_TO_SPEAK)


def _index_taken(cluster: Cluster, index: Any) -> ParameterError:
    return ParameterError(
        "worker_index",
        index,
        must=f"be another on each worker, 0 to {cluster.count - 1}",
        got=f"{index} on two of them",
        do="give each its place in `worker_hosts`",
    )


def _nobody_came(missing: list[str], reason: str = "") -> RunError:
    why = f" ({reason})" if reason else ""
    return RunError(
        f"All workers must be started within some minutes, but {', '.join(missing)} did not "
        f"answer{why}; look whether it runs, and whether the address is right and can be reached."
    )


def _listed(hosts: Any) -> str:
    return ",".join(map(str, hosts)) if isinstance(hosts, list) else "none"
