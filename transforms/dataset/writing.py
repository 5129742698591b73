"""Writes artifacts, so that each is complete or known as unfinished at any time.

A run writes an output directory in this order: the file `.incomplete` marks it as facemill's;
work goes to a scratch directory inside it; finished files are renamed into place; `manifest.json`
is written; the mark is removed. If the run is killed at any point, the directory is either complete
or marked. Each step is on the disk before the next one starts, so a power cut makes no difference.

On an object store nothing is renamed, since that would be a copy: files are written, complete,
under their final names, and what only this run reads goes to the scratch directory.
"""

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.dataset import generations
from facemill.transforms.dataset.artifact import (
    MANIFEST,
    MARK,
    RUN,
    SCHEMA_VERSION,
    plain,
    read_manifest,
    read_run,
    resolve,
    to_json,
)
from facemill.transforms.dataset.ignored_files import is_system_file
from facemill.transforms.dataset.output_files import OutputFiles

_SCRATCH = ".work-"
# In the scratch directory of a store: an empty object that exists as long as the run does.
_RUN_MARK = "running"


@dataclass(frozen=True)
class Work:
    """An output directory that is open for writing.

    Attributes:
        output: its absolute path or URL.
        kind: the artifact's kind.
        options: the options that change the result, as the manifest will hold them.
        inputs: what the job reads, name to absolute path; written to `run.json`.
        scratch: a directory inside `output`, which `commit` removes; a directory of this machine if
            `output` is on an object store and no other machine takes part.
        files: where workers write the files of the artifact.
        check_held: raises a RunError if another run has taken the output over.
        generation: name of the folder inside `output` that holds the files of the artifact, where
            it replaces one that others may be reading; else "".
    """

    output: str
    kind: str
    options: dict[str, Any]
    inputs: dict[str, str]
    scratch: str
    files: OutputFiles
    check_held: Callable[[], None] = field(compare=False, repr=False)
    generation: str = ""

    def path(self, *names: str) -> str:
        """A path in the scratch directory, whose parent directories are made."""
        path = os.path.join(self.scratch, *names)
        storage.make_folders(os.path.dirname(path))
        return path

    def folder(self, name: str) -> str:
        """A folder in the scratch directory, which is made.

        Args:
            name: of the folder.
        """
        path = os.path.join(self.scratch, name)
        storage.make_folders(path)
        return path

    def written(self, names: Iterable[str]) -> list[tuple[str, str]]:
        """Those of some files or folders that were written, as `commit` takes them.

        Args:
            names: relative to the artifact.
        """
        both = [(self.files.path(name), self.placed(name)) for name in names]
        return [(path, name) for path, name in both if storage.exists(path)]

    def placed(self, name: str) -> str:
        """The path of a file relative to the complete artifact.

        Args:
            name: by which workers wrote it to `files`.
        """
        return f"{self.generation}/{name}" if self.generation else name

    def commit(
        self,
        manifest: Mapping[str, Any],
        promote: Sequence[tuple[str, str]],
        run_info: Mapping[str, Any],
    ) -> None:
        """Completes the artifact: moves files into place, writes `run.json`, then `manifest.json`.

        Args:
            manifest: at least `counts` and `files`; kind, schema_version, created_by and options
                are added here.
            promote: (scratch path, path relative to the output) of files and directories. Those
                that are in place already, as on an object store, may be among them.
            run_info: values that may differ from run to run (runner, workers, times).
        """
        storage.sync_to_disk(source for source, _ in promote)
        folders = {self.output}
        for source, relative in promote:
            target = resolve(self.output, relative)
            if storage.is_remote(target):
                _place(source, target)
                continue
            folders.add(os.path.dirname(target))
            storage.make_folders(os.path.dirname(target))
            storage.remove(target)
            storage.move(source, target)
        complete = {
            "kind": self.kind,
            "schema_version": SCHEMA_VERSION,
            "created_by": f"facemill {metadata.version('facemill')}",
            "options": self.options,
            **manifest,
        }
        # The scratch is removed before the manifest is written: complete artifacts have none.
        self._remove_scratch()
        run = {"inputs": self.inputs, **run_info}
        storage.write_atomically(os.path.join(self.output, RUN), to_json(run))
        for folder in sorted(folders):
            storage.sync(folder)
        self.check_held()
        storage.write_atomically(os.path.join(self.output, MANIFEST), to_json(complete))
        storage.sync(self.output)
        if self.generation:
            generations.link_newest(self.output, complete, self.generation)
        storage.remove(os.path.join(self.output, MARK))

    def _remove_scratch(self) -> None:
        storage.remove(self.scratch)
        if self.files.run is not None:
            # From here on, workers that come late are refused.
            storage.remove(os.path.dirname(self.files.run))


def _place(source: str, target: str) -> None:
    """Copies what the launcher made to its place on a store; workers write there themselves."""
    if not storage.is_remote(source):
        storage.upload_folder(source, target)
    elif source == target:
        return
    elif storage.is_file(source):
        storage.copy(source, target)
    else:
        for name in storage.walk_files(source):
            storage.copy(storage.join(source, name), storage.join(target, name))


@contextmanager
def begin(
    output: str,
    kind: str,
    options: Mapping[str, Any],
    inputs: Mapping[str, str] | None = None,
    keep: Sequence[str] = (),
    here: bool = True,
    identified: Collection[str] = (),
    restart: bool = False,
    replaces: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Work | None]:
    """Opens an output directory for writing and holds it against other runs.

    Yields None if the artifact is already complete, with the same options and inputs. Files of a
    killed run are removed, except the names in `keep` if that run had the same options and inputs:
    this run can resume from these. Those of a run with others are removed only if `restart` says
    so.

    Args:
        output: directory, made if it is absent, or URL on an object store.
        kind: "dataset", "model", "embeddings", ...
        options: JSON values, those that change the result.
        inputs: name to absolute path of what the job reads. Compared, but not in the manifest.
        keep: names in the output directory from which a later run can resume, the most valuable
            first: where that one has files, a run with other options is refused.
        here: whether no other machine takes part, so that the scratch of an output on a store can
            be on a disk of this machine.
        identified: names of inputs whose content the options tell, such as by a fingerprint; these
            may have moved since.
        restart: whether to begin anew, without what a killed run left.
        replaces: whether to replace a complete artifact, instead of leaving it; whoever reads it
            by its manifest sees the old one or the new one. See `dataset.generations`.
        check: is called once the output is held and before anything is written to it, unless it is
            complete. An output that is new is gone again if this raises.

    Raises:
        UsageError: the directory holds other files or another artifact, another run writes it, or
            it holds what a run with other options can resume from.
    """
    wanted: dict[str, Any] = {
        "kind": kind,
        "options": plain(options),
        "inputs": dict(inputs or {}),
    }
    output = storage.absolute(output, "output")
    with contextlib.ExitStack() as held:
        # A store has no folder before the first object.
        is_new = not storage.is_remote(output) and not storage.exists(output)
        try:
            storage.make_folders(output)
            check_held = held.enter_context(storage.hold(output))
        except BlockingIOError as error:
            holder = getattr(error, "holder", "")
            raise ParameterError(
                "output",
                output,
                must="not be in use",
                but=f"another facemill run is writing {output}{holder and f' ({holder})'}",
                do="wait for it or give another path",
            ) from None
        except OSError as error:
            raise _not_writable(output, error) from None
        current: dict[str, Any] | None = None
        if replaces and storage.is_file(os.path.join(output, MANIFEST)):
            current = read_manifest(output, kind)
            generations.check_replaceable(output, current)
        elif not replaces and _is_complete(output, wanted, identified):
            yield None
            return
        generation = generations.next_one(current) if replaces else ""
        inside = os.path.join(output, f"{_SCRATCH}{secrets.token_hex(6)}")
        scratch, files = inside, OutputFiles(inside)
        try:
            if current is not None:
                generations.clear(output, current, {MANIFEST, RUN})
            else:
                _clear(output, wanted, keep, identified, restart)
        except OSError as error:
            raise _not_writable(output, error) from None
        try:
            check()
        except BaseException:
            if is_new and not storage.names(output):
                storage.remove(output)
            raise
        try:
            storage.write_atomically(os.path.join(output, MARK), to_json(wanted))
            if storage.is_remote(output):
                final = storage.join(output, generation) if generation else output
                files = OutputFiles(final, os.path.join(inside, _RUN_MARK))
                storage.touch(os.path.join(inside, _RUN_MARK))
                if here:
                    scratch = held.enter_context(_scratch_here(output))
            else:
                storage.make_new_folder(scratch)
        except OSError as error:
            raise _not_writable(output, error) from None
        yield Work(
            *(output, kind, wanted["options"], wanted["inputs"]),
            *(scratch, files, check_held, generation),
        )


@contextmanager
def _scratch_here(output: str) -> Iterator[str]:
    """An empty folder of this machine for a run that writes to a store, removed in the end.

    Its name follows from the output, so that the next run removes what a killed one left.
    """
    digest = hashlib.sha256(output.encode()).hexdigest()[:16]
    folder = os.path.join(storage.machine_folder(), f"scratch-{digest}")
    storage.remove(folder)
    storage.make_new_folder(folder)
    try:
        yield folder
    finally:
        storage.remove(folder)


def _not_writable(output: str, error: OSError) -> ParameterError:
    return ParameterError(
        "output",
        output,
        must="be a directory that can be written",
        got=f"{output} ({error.strerror})",
        do="give another path",
    )


def _is_complete(output: str, wanted: Mapping[str, Any], identified: Collection[str]) -> bool:
    """Whether the output already is the wanted artifact, complete.

    Raises:
        UsageError: it is another artifact, or has other options or inputs.
    """
    if not storage.is_file(os.path.join(output, MANIFEST)):
        return False
    manifest = read_manifest(output, wanted["kind"])
    there = {"options": manifest["options"], "inputs": read_run(output).get("inputs")}
    differing = _differences(there, wanted, identified)
    if differing:
        raise ParameterError(
            "output",
            output,
            must=f"be new or hold the same {wanted['kind']}",
            but=f"{output} was made with other options ({'; '.join(differing)})",
            do="give another path or remove it",
        )
    storage.remove(os.path.join(output, MARK))
    return True


def _differences(
    there: Mapping[str, Any], wanted: Mapping[str, Any], identified: Collection[str]
) -> list[str]:
    """How options and inputs of another run differ from the wanted ones; empty if they do not."""
    options, inputs = there.get("options"), there.get("inputs")
    differing = _differing(options if isinstance(options, dict) else {}, wanted["options"])
    if isinstance(inputs, dict):
        mine, theirs = (
            {name: path for name, path in paths.items() if name not in identified}
            for paths in (wanted["inputs"], inputs)
        )
        differing += _differing(theirs, mine)
    return differing


def _differing(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    names = sorted(set(there) | set(here))
    return [
        f"{name}: there {there.get(name)!r}, here {here.get(name)!r}"
        for name in names
        if there.get(name) != here.get(name)
    ]


def _clear(
    output: str,
    wanted: Mapping[str, Any],
    keep: Sequence[str],
    identified: Collection[str],
    restart: bool,
) -> None:
    """Removes the files of a killed run, except what this run resumes from.

    Raises:
        UsageError: the directory holds files that are not of a killed run of this kind, or work of
            one with other options.
    """
    names = [name for name in _names(output) if not name.startswith(f"{MARK}.tmp-")]
    try:
        mark = json.loads(storage.read_bytes(os.path.join(output, MARK)))
    except (OSError, ValueError):
        mark = None
    if names and (not isinstance(mark, dict) or mark.get("kind") != wanted["kind"]):
        raise ParameterError(
            "output",
            output,
            must="be new, empty or left by an unfinished run of the same command",
            but=f"{output} holds other files ({sorted(names)[0]}, ...)",
            do="give another path",
        )
    differing = _differences(mark or {}, wanted, identified) if names and not restart else []
    if differing and keep and any(storage.walk_files(os.path.join(output, keep[0]))):
        raise ParameterError(
            "output",
            output,
            must="be continued with the options it was begun with",
            but=f"{output} holds {keep[0]} of a run with others ({'; '.join(differing)})",
            do="give these, or another path, or begin anew without them by `restart`",
        )
    resumable = set() if differing or restart else set(keep)
    for name in _names(output):
        if name not in resumable and name != MARK:
            storage.remove(os.path.join(output, name))


def _names(output: str) -> list[str]:
    """The names in an output, without those that systems put beside files.

    On a store there is no folder before the first object.
    """
    try:
        names = storage.names(output)
        return [name for name in names if name != storage.LEASE and not is_system_file(name)]
    except FileNotFoundError:
        return []
