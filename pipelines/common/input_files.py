"""What an input held when an artifact was made of it, and what it holds now.

`run.json` keeps sums of hashes over the names, sizes and versions of the files of the input: a few
numbers for any collection, which do not depend on the order of the listing.
"""

import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.text import readable
from facemill.transforms.dataset.ignored_files import is_system_file, why_ignored
from facemill.transforms.sources.base import Source
from facemill.transforms.sources.registry import MANIFEST
from facemill.transforms.storage import FileStat

# The key of `run.json`.
INPUT_FILES = "input_files"

# Formats of which each file has rows, so that new and absent ones can be named.
_ROW_FOR_EACH = ("folders", "lfw", "megaface")
_SHOWN = 3
_MODULUS = 1 << 128


@dataclasses.dataclass(frozen=True)
class InputFiles:
    """The files of an input, in short.

    Attributes:
        files: their number.
        bytes: sum of their sizes.
        names: hex sum of a hash of each name.
        sizes: the same of names and sizes.
        versions: the same of names, sizes and times of change, see `FileStat.version`.
        seen: when they were looked at, seconds since 1970.
    """

    files: int
    bytes: int
    names: str
    sizes: str
    versions: str
    seen: int

    @classmethod
    def of(cls, found: Iterable[FileStat]) -> "InputFiles":
        """Of the files of an input, in any order."""
        seen = int(time.time())
        count = size = 0
        sums = [0, 0, 0]
        for one in found:
            count += 1
            size += max(one.size, 0)
            for index, what in enumerate(
                (one.name, f"{one.name}\0{one.size}", f"{one.name}\0{one.size}\0{one.version}")
            ):
                digest = hashlib.blake2b(what.encode("utf-8", "surrogateescape"), digest_size=16)
                sums[index] += int.from_bytes(digest.digest(), "big")
        names, sizes, versions = (f"{one % _MODULUS:032x}" for one in sums)
        return cls(count, size, names, sizes, versions, seen)


@dataclasses.dataclass(frozen=True)
class Input:
    """An input whose files are looked at.

    Attributes:
        parameter: that names it.
        source: of its images.
        tasks: parts of the source.
        path: of the input: a folder, or a file.
    """

    parameter: str
    source: Source
    tasks: Sequence[str]
    path: str

    def files(self) -> Iterator[FileStat]:
        """Each file once, without those that systems write beside photos.

        Of a manifest these are the list and, on a disk, the files that it names; a store would
        have to be asked for each of them.
        """
        folder, _, name = self.path.rpartition("/")
        if self.source.format == MANIFEST:
            yield storage.stat_file(folder, name)
            if not storage.is_remote(self.source.root):
                paths = {ref.path for task in self.tasks for ref in self.source.refs(task)}
                yield from (storage.stat_file(self.source.root, path) for path in sorted(paths))
        elif storage.is_file(self.path):
            yield storage.stat_file(folder, name)
        else:
            for one in storage.stat_files(self.path):
                hidden = any(part.startswith(".") for part in one.name.split("/"))
                if not (hidden or is_system_file(one.name)):
                    yield one


class BackgroundListing:
    """Lists the files of inputs in a thread of its own, beside the job that reads them.

    Args:
        inputs: to list.
    """

    def __init__(self, inputs: Sequence[Input]) -> None:
        pool = ThreadPoolExecutor(1)
        self._found: dict[str, Future[InputFiles]] = {
            one.parameter: pool.submit(_files_of, one) for one in inputs
        }
        pool.shutdown(wait=False)

    def result(self) -> dict[str, Any]:
        """What `run.json` keeps; waits until all are listed.

        Raises:
            OSError: an input cannot be listed.
            RunError: its object store does not answer.
        """
        return {name: dataclasses.asdict(one.result()) for name, one in self._found.items()}


def _files_of(given: Input) -> InputFiles:
    return InputFiles.of(given.files())


def refuse_changes(
    run: Mapping[str, Any],
    given: Input,
    output: str,
    do: str,
    known: Callable[[], Iterable[str]] | None = None,
    contents: Callable[[], Mapping[str, str]] | None = None,
) -> None:
    """Compares an input with what it held when a complete artifact was made of it.

    Args:
        run: `run.json` of the artifact; one of an earlier version says nothing of the input.
        given: the input.
        output: the artifact.
        do: what to do about a change.
        known: names of the files that the artifact has rows of; None if it has rows of others too.
        contents: SHA-256 in hex by the name of the file, of the files that the artifact knows it
            of. These are read and compared then, and their times do not count.

    Raises:
        UsageError: files came, went or changed; it names some.
    """
    there = run.get(INPUT_FILES, {}).get(given.parameter)
    if not isinstance(there, dict):
        return
    now = InputFiles.of(given.files())
    came, gone, changed = [], [], []
    if now.names != there.get("names") and known and given.source.format in _ROW_FOR_EACH:
        here, before = {one.name for one in given.files()}, set(known())
        # Embeddings have no rows of files that were never meant as images.
        came = sorted(name for name in here - before if why_ignored(name) is None)
        gone = sorted(name for name in before - here if why_ignored(name) is None)
    digests = contents() if contents is not None else {}
    if digests:
        changed = [
            one.name
            for one in given.files()
            if one.name in digests
            and storage.sha256(storage.join(given.source.root, one.name)) != digests[one.name]
        ]
    elif now.versions != there.get("versions"):
        since = there.get("seen", 0)
        changed = [one.name for one in given.files() if (one.changed or 0) >= since]
        changed = sorted(set(changed) - set(came))
    compared = "sizes" if digests else "versions"
    same = now.names == there.get("names") and getattr(now, compared) == there.get(compared)
    if same and not changed:
        return
    what = [
        f"{len(names):,} {word} ({_some(names)})"
        for names, word in ((came, "new"), (gone, "gone"), (changed, "changed"))
        if names
    ]
    if not what:
        sizes = now.sizes != there.get("sizes")
        what = [f"files of other {'sizes' if sizes else 'times'}"]
    raise ParameterError(
        given.parameter,
        given.path,
        must=f"hold what {output} was made of ({there.get('files', 0):,} files)",
        but=f"{given.path} now holds {now.files:,}: {', '.join(what)}",
        do=do,
    )


def _some(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _SHOWN else ""
    return ", ".join(map(readable, names[:_SHOWN])) + more
