"""Holds an output on an object store against other runs.

The holder writes an object `.lease`, which names it, and writes it anew every few seconds. Every
write is conditional, so that of two runs one wins. A lease that has not been written for a minute
belongs to a dead run, and the next run takes it over.
"""

import json
import os
import platform
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from facemill.transforms.core.errors import FacemillError, RunError
from facemill.transforms.storage import objects
from facemill.transforms.storage.entry import LEASE
from facemill.transforms.storage.stores import access
from facemill.transforms.storage.stores.base import Absent, ConditionError

# Seconds between two writes, and after how many without one a holder counts as dead.
_BEAT, _EXPIRY = 10.0, 60.0
_POLL = 2.0


class HeldError(BlockingIOError):
    """Another run holds the folder.

    Attributes:
        holder: which run, for people.
    """

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class Lease:
    """A lease of a folder on an object store, renewed by a thread until it is released.

    Args:
        folder: URL of the folder.

    Raises:
        HeldError: another run holds it.
        RunError: the store does not answer.
    """

    def __init__(self, folder: str) -> None:
        self._url = f"{folder.rstrip('/')}/{LEASE}"
        self._holder = {
            "run": secrets.token_hex(8),
            "host": platform.node(),
            "process": os.getpid(),
            "machine": _machine(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        self._beats = 0
        self._lost = ""
        self._released = threading.Event()
        self._version = self._acquire()
        self._thread = threading.Thread(target=self._renew, daemon=True, name="facemill-lease")
        self._thread.start()

    def check(self) -> None:
        """Checks that no other run has taken the lease over.

        It asks the store, since a run that was stopped for long does not know yet.

        Raises:
            RunError: one has, since this run could not renew it in time.
        """
        if not self._lost:
            self._look()
        if self._lost:
            raise RunError(
                f"A run must hold {self._url} to its end, but another run took it over "
                f"({self._lost}), since this one was not heard of for {_EXPIRY:.0f} s; let the "
                "other run end."
            )

    def release(self) -> None:
        """Stops renewing the lease and deletes it, if it is still this run's."""
        self._released.set()
        self._thread.join()
        # A lease that cannot be deleted expires.
        with suppress(FacemillError, OSError, ConditionError):
            if not self._lost and self._read().get("run") == self._holder["run"]:
                objects.remove_files([self._url])

    def _content(self) -> bytes:
        self._beats += 1
        return json.dumps({**self._holder, "beat": self._beats}).encode("ascii")

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(objects.read_bytes(self._url))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _put(self, only_if: Any) -> Any:
        content = self._content()
        return access.call(self._url, lambda store, key: store.put(key, content, only_if))

    def _acquire(self) -> Any:
        seen: Any = None
        said = False
        while True:
            stat = access.call(self._url, lambda store, key: store.stat(key))
            holder = {} if stat is None else self._read()
            if stat is not None and holder.get("run") == self._holder["run"]:
                # The answer to this run's own write was lost.
                return stat.version
            if seen is not None and stat is not None and stat.version != seen:
                raise HeldError(_named(holder))
            if stat is None or stat.age >= _EXPIRY or _is_dead(holder):
                with suppress(ConditionError):
                    version = self._put(Absent if stat is None else stat.version)
                    # Some stores ignore conditions.
                    found = self._read()
                    if found.get("run") == self._holder["run"]:
                        return version
                    raise HeldError(_named(found))
                seen = None
                continue
            if not said:
                print(
                    f"{_named(holder)} holds {self._url}: looking for up to "
                    f"{_EXPIRY - stat.age:.0f} s whether it lives",
                    file=sys.stderr,
                    flush=True,
                )
                said = True
            seen = stat.version
            time.sleep(min(_POLL, max(0.1, _EXPIRY - stat.age)))

    def _renew(self) -> None:
        while not self._released.wait(_BEAT):
            try:
                self._version = self._put(self._version)
            except ConditionError:
                self._look()
            except (FacemillError, OSError):
                # A store that is silent for longer is noticed by the work itself.
                continue

    def _look(self) -> None:
        """Looks whose the lease is: a write whose answer was lost is this run's own."""
        with suppress(FacemillError, OSError):
            holder = self._read()
            if holder.get("run") != self._holder["run"]:
                self._lost = _named(holder) if holder else "it was deleted"
                return
            stat = access.call(self._url, lambda store, key: store.stat(key))
            if stat is not None:
                self._version = stat.version


@contextmanager
def hold(folder: str) -> Iterator[Lease]:
    """Holds a folder on an object store while a block runs.

    Raises:
        HeldError: another run holds it.
        RunError: the store does not answer.
    """
    lease = Lease(folder)
    try:
        yield lease
    finally:
        lease.release()


def _named(holder: dict[str, Any]) -> str:
    return (
        f"a run of process {holder.get('process', '?')} on {holder.get('host', '?')}, "
        f"begun {holder.get('started', '?')},"
    )


def _is_dead(holder: dict[str, Any]) -> bool:
    """Whether the holder ran on this machine and its process is gone."""
    if not holder or holder.get("machine") != _machine() or not holder["machine"]:
        return False
    try:
        os.kill(int(holder["process"]), 0)
    except (ProcessLookupError, ValueError, KeyError):
        return True
    except PermissionError:
        return False
    return False


def _machine() -> str:
    """Identifies this boot of this machine and its space of process ids; "" if that is unknown."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            boot = stream.read().strip()
        return f"{boot} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""
