"""One line that reports the progress of a job, from what it has written so far."""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from facemill.transforms.core.errors import FacemillError

_SECONDS = 2.0
# A log file wants few lines, a person wants to see it move. Ten seconds at most are between two
# lines, with the time that counting takes.
_SECONDS_IN_A_LOG = 9.0
# In a log, until something is done for the first time.
_SECONDS_AT_FIRST = 4.0
# Counting the files of a folder of hundreds of thousands is slow: it gets 5% of the time, or more
# where the lines would be too far apart.
_PAUSE = 20


class Progress:
    """Prints `what: count (rate/s, time left)` to stderr while a block runs.

    Args:
        what: the unit, as in "images read".
        count: returns how many are done; called from another thread. Where `count` or `total`
            raises OSError, ValueError or a FacemillError, no line is printed this time.
        total: returns how many there are, or None while that is unknown.
        note: returns what follows the rate in the line, from the rate; "" for nothing.
    """

    def __init__(
        self,
        what: str,
        count: Callable[[], int],
        total: Callable[[], int | None] = lambda: None,
        note: Callable[[float], str] = lambda rate: "",
    ) -> None:
        self._what = what
        self._count = count
        self._total = total
        self._note = note
        # Done before, by a run that this one continues: no part of the rate.
        self._before = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Progress":
        with suppress(OSError, ValueError, FacemillError):
            self._before = self._count()
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()
        if sys.stderr.isatty():
            print(file=sys.stderr)

    def _watch(self) -> None:
        live = sys.stderr.isatty()
        most = _SECONDS_IN_A_LOG
        least = pause = _SECONDS if live else min(_SECONDS_AT_FIRST, most)
        while not self._done.wait(pause):
            begun = time.monotonic()
            # The job itself reports a disk or a store that fails for good.
            with suppress(OSError, ValueError, FacemillError):
                count = self._count()
                if count > self._before and not live:
                    least = most
                line = self.line(count, self._total(), begun - self._started)
                print(f"\r{line}   " if live else line, end="" if live else "\n", file=sys.stderr)
                sys.stderr.flush()
            pause = min(max(least, _PAUSE * (time.monotonic() - begun)), max(least, most))

    def line(self, count: int, total: int | None, seconds: float) -> str:
        """The line that is printed when `count` of `total` are done after some seconds."""
        rate = (count - self._before) / max(seconds, 1e-9)
        line = f"{self._what}: {count:,}"
        if total is None:
            return f"{line} ({rate:,.0f}/s)"
        line += f" of {total:,}"
        if count >= total:
            return f"{line}, finishing"
        left = f", {(total - count) / rate / 60:.1f} min left" if rate > 0 else ""
        note = self._note(rate)
        return f"{line} ({rate:,.0f}/s{left}{note and ', '}{note})"
