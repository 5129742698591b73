"""Paths and URLs, as text: no file is touched but to follow links."""

import os
import re
from collections.abc import Callable
from typing import Any, SupportsIndex

from facemill.transforms.core.errors import ParameterError
from facemill.transforms.storage.stores import access, settings

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class StoreUrl(str):
    """A URL that carries, when it is pickled, how the launcher reaches stores.

    Some workers get neither the launcher's environment nor Beam's options, such as those of an
    external pool. All that they get are the pickled steps of the graph, and every step that reads
    or writes has a path. What `os.path` makes of a `StoreUrl` is one too.
    """

    __slots__ = ()

    def __add__(self, other: str) -> "StoreUrl":
        return StoreUrl(str.__add__(self, other))

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        found = str.__getitem__(self, key)
        return StoreUrl(found) if isinstance(key, slice) else found

    def rstrip(self, characters: str | None = None) -> "StoreUrl":
        """See `str.rstrip`."""
        return StoreUrl(str.rstrip(self, characters))

    def __reduce__(self) -> tuple[Callable[..., "StoreUrl"], tuple[Any, ...]]:
        return _restored, (str(self), *settings.for_workers())


def _restored(url: str, given: settings.Settings, variables: dict[str, str]) -> StoreUrl:
    settings.offer(given, variables)
    return StoreUrl(url)


def is_remote(path: str) -> bool:
    """Whether a path is the URL of an object store and not on a disk."""
    return _SCHEME.match(path) is not None


def join(root: str, relative: str) -> str:
    """The path of a file under a root.

    Args:
        root: a directory or an object store's URL.
        relative: '/'-separated.
    """
    if is_remote(root):
        return root.rstrip("/") + f"/{relative}"
    return os.path.join(root, *relative.split("/"))


def absolute(path: str, parameter: str, on_disk: bool = False) -> str:
    """The absolute form of a path that a person gave.

    Args:
        path: as typed; `~` is expanded. The URL of an object store is returned without "/" at its
            end.
        parameter: whose value it is, for the message.
        on_disk: whether an object store's URL is refused.

    Raises:
        UsageError: it is empty, a URL that facemill does not know, or a URL where a disk is needed.
    """
    if not path:
        raise ParameterError(
            parameter, path, must="name a path", got="an empty one", do="give a directory"
        )
    if not is_remote(path):
        return os.path.abspath(os.path.expanduser(path))
    if on_disk:
        raise ParameterError(
            parameter,
            path,
            must="be a path on a disk that all workers mount",
            do="mount the bucket or copy it first",
        )
    access.parse(path)
    return StoreUrl(path.rstrip("/"))


def check_apart(root: str, output: str, parameter: str = "input") -> None:
    """Refuses an output inside the input, whose files a later run would read, and the reverse.

    Args:
        root: absolute path or URL of what is read.
        output: absolute path or URL.
        parameter: that gives `root`.

    Raises:
        UsageError: one is inside the other.
    """
    if is_remote(root) != is_remote(output):
        return
    inside, outside = real_path(root), real_path(output)
    if lies_under(outside, inside):
        raise ParameterError(
            "output",
            output,
            must=f"not lie in `{parameter}`",
            got=f"{output} in {root}",
            do="give another path",
        )
    if lies_under(inside, outside):
        raise ParameterError(
            parameter,
            root,
            must="not lie in `output`",
            got=f"{root} in {output}",
            do="give another path",
        )


def real_path(path: str) -> str:
    """The path of a file with all links resolved; stores have none."""
    return path if is_remote(path) else os.path.realpath(path)


def lies_under(path: str, root: str) -> bool:
    """Whether a path is a root or below it; both are real paths."""
    if is_remote(path) or is_remote(root):
        # `os.path.commonpath` would join the two slashes after the scheme.
        return f"{path.rstrip('/')}/".startswith(f"{root.rstrip('/')}/")
    return os.path.commonpath([path, root]) == root
