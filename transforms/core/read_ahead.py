"""Takes items from an iterator in a thread, ahead of whoever uses them."""

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

_Item = TypeVar("_Item")


def ahead(items: Iterator[_Item], most: int = 1) -> Iterator[_Item]:
    """The items in their order, some taken while the caller works on an earlier one.

    The thread ends when the items do, at an error, or when the caller closes this iterator.

    Args:
        items: an iterator; a thread of its own runs it, from the first `next` on.
        most: items that wait, beside the one that the thread works on; 1 or more.

    Raises:
        BaseException: whatever the items raise, after the items before it.
    """
    ready: queue.Queue[tuple[_Item] | BaseException | None] = queue.Queue(most)
    closed = threading.Event()

    def put(one: tuple[_Item] | BaseException | None) -> None:
        # With a timeout, so that a caller who has gone is noticed.
        while not closed.is_set():
            try:
                return ready.put(one, timeout=0.5)
            except queue.Full:
                continue

    def take() -> None:
        try:
            for item in items:
                put((item,))
                if closed.is_set():
                    return
            put(None)
        # The caller raises it.
        except BaseException as error:  # noqa: BLE001
            put(error)

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    try:
        while (one := ready.get()) is not None:
            if isinstance(one, BaseException):
                raise one
            yield one[0]
    finally:
        closed.set()
        thread.join()
