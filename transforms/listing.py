"""Listing a collection: folder per identity, which is also LFW's layout."""

import os
from collections.abc import Iterable, Iterator

import apache_beam as beam

from transforms.errors import UsageError
from transforms.rows import Ref

# References in one element, so that an engine's cost per element is paid once for all of them.
CHUNK = 256
NO_FOLDER = "lies in no identity's folder"
_FOLDERS_PER_TASK = 32


def top_level(root: str) -> list[str]:
    """Names directly under the input, sorted: the identities' folders and stray files.

    Raises:
        UsageError: there is no such directory, or nothing in it.
    """
    try:
        names = sorted(os.listdir(root))
    except FileNotFoundError:
        raise UsageError(
            f"--input must be an existing directory, but {root} does not exist; check the path."
        ) from None
    except OSError as error:
        raise UsageError(
            f"--input must be a readable directory, got {root} ({error.strerror}); "
            "check the path and its permissions."
        ) from None
    if not names:
        raise UsageError(
            f"--input must hold one folder of images per identity, but {root} is empty; "
            "check the path."
        )
    return names


def refs_under(root: str, name: str) -> Iterator[Ref]:
    """A reference for every file at or below one top-level name, whatever its extension.

    Nothing is skipped, since what is listed must be accounted for: a file that no identity owns
    or whose name is not text comes with its reason.
    """
    path = os.path.join(root, name)
    if not os.path.isdir(path):
        yield _ref(name, None, NO_FOLDER)
        return
    for folder, _, files in os.walk(path):
        for file in files:
            relative = os.path.relpath(os.path.join(folder, file), root).replace(os.sep, "/")
            yield _ref(relative, name, "")


class ListImages(beam.PTransform):
    """Chunks of references: PBegin -> list[Ref].

    The identities' folders are listed by the workers; only their names come from the submitter.
    """

    def __init__(self, root: str, names: list[str]) -> None:
        super().__init__()
        self._root = root
        self._names = names

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Builds the graph."""
        tasks = [
            self._names[start : start + _FOLDERS_PER_TASK]
            for start in range(0, len(self._names), _FOLDERS_PER_TASK)
        ]
        return (
            begin
            | "Folders" >> beam.Create(tasks, reshuffle=True)
            | "List" >> beam.ParDo(_List(self._root))
        )


class _List(beam.DoFn):
    def __init__(self, root: str) -> None:
        self._root = root

    def process(self, names: list[str]) -> Iterable[list[Ref]]:
        chunk: list[Ref] = []
        for name in names:
            for ref in refs_under(self._root, name):
                chunk.append(ref)
                if len(chunk) == CHUNK:
                    yield chunk
                    chunk = []
        if chunk:
            yield chunk


def _ref(image_id: str, identity: str | None, reason: str) -> Ref:
    # Bytes that are not UTF-8 come from the system as lone surrogates, which no column can hold.
    text = image_id.encode("utf-8", "backslashreplace").decode("utf-8")
    if text != image_id:
        readable = None if identity is None else text.split("/")[0]
        return Ref(text, readable, "its name is not valid UTF-8")
    return Ref(image_id, identity, reason)
