"""Reads artifacts: directories that their `manifest.json`, which is written last, makes complete.

`transforms.dataset.writing` says how they are written.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError, RunError, UsageError
from facemill.transforms.dataset.ignored_files import is_system_file

MANIFEST = "manifest.json"
RUN = "run.json"
SCHEMA_VERSION = 1
# In an output directory from the first step of a run to its last one.
MARK = ".incomplete"

# So many names of a directory are tried where partitions may lie.
_LIKELY = 20


def read_manifest(path: str, kind: str) -> dict[str, Any]:
    """The manifest of a complete artifact.

    Raises:
        UsageError: `path` has no manifest, or one of another kind or schema version.
    """
    manifest_path = storage.join(path, MANIFEST)
    try:
        manifest = json.loads(storage.read_bytes(manifest_path))
    except (FileNotFoundError, NotADirectoryError):
        reason = f"it has no {MANIFEST}; run the command that writes it to its end."
        if kind == "embeddings" and (partition := _newest_partition(path)):
            reason = (
                f"it is a directory of partitions; give one of them, such as {partition}, or join "
                "them by `facemill compact`."
            )
        raise UsageError(f"{path} must be a complete {kind} artifact, but {reason}") from None
    except (ValueError, OSError) as error:
        raise UsageError(
            f"{manifest_path} must be readable JSON, got: {error}; write the artifact again."
        ) from None
    found = manifest.get("kind") if isinstance(manifest, dict) else None
    if found != kind:
        article = "an" if kind[0] in "aeiou" else "a"
        one = kind if kind.endswith("s") else f"{article} {kind}"
        raise UsageError(
            f"{path} must be {article} {kind} artifact, got kind {found!r}; give {one}."
        )
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise UsageError(
            f"{path} must have schema version {SCHEMA_VERSION}, got "
            f"{manifest.get('schema_version')!r}; write it again with this version of facemill."
        )
    return manifest


def _newest_partition(path: str) -> str | None:
    """The last artifact in a directory by name, or None if none of its last names is one."""
    try:
        names = sorted(storage.names(path), reverse=True)
    except OSError:
        return None
    # A folder of photos may have a million names, and a store answers each question apart.
    likely = names[:_LIKELY]
    return next(
        (one for one in likely if storage.is_file(storage.join(path, f"{one}/{MANIFEST}"))), None
    )


def read_run(path: str) -> dict[str, Any]:
    """What `run.json` of an artifact says; empty where it is absent or no JSON."""
    return _object_in(path, RUN)


def _object_in(path: str, name: str) -> dict[str, Any]:
    """The JSON object in a file of an artifact; empty where it is absent or no such object."""
    try:
        found = json.loads(storage.read_bytes(storage.join(path, name)))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def is_unfinished(path: str) -> bool:
    """Whether a directory is the unfinished output of a killed or running job."""
    there = [storage.is_file(storage.join(path, name)) for name in (MARK, MANIFEST)]
    # A run that is killed between its last two steps leaves the mark beside the manifest.
    return there == [True, False]


def has_manifest(path: str, parameter: str = "input") -> bool:
    """Whether a path is an artifact, and not a collection of photos.

    Args:
        path: absolute path or URL.
        parameter: that gives the path.

    Raises:
        UsageError: it is the output of an unfinished run, which is neither.
    """
    if is_unfinished(path):
        raise ParameterError(
            parameter,
            path,
            must="be images or a complete dataset",
            but=f"{path} is what an unfinished run left",
            do="run the command that writes it to its end",
        )
    return storage.is_file(storage.join(path, MANIFEST))


def kind_of(path: str) -> str | None:
    """The kind that the manifest of an artifact names; None if it is unreadable or names none."""
    kind = _object_in(path, MANIFEST).get("kind")
    return kind if isinstance(kind, str) else None


def fingerprint(manifest: Mapping[str, Any]) -> str:
    """Hex SHA-256 of the manifest's canonical JSON: equal for equal artifacts."""
    canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def resolve(root: str, relative: str) -> str:
    """The path of a file that a manifest names, which must be under `root`.

    Raises:
        RunError: the name leads out of `root`.
    """
    parts = relative.split("/")
    if os.path.isabs(relative) or not relative or any(part in ("", ".", "..") for part in parts):
        raise RunError(
            f"A file named in the manifest of {root} must lie under it, got {relative!r}; "
            "do not use this artifact."
        )
    return storage.join(root, relative)


def file_entry(root: str, relative: str) -> dict[str, Any]:
    """The entry of one file in `files` of a manifest: path, bytes, SHA-256."""
    path = resolve(root, relative)
    return {"path": relative, "bytes": storage.size(path), "sha256": storage.sha256(path)}


def entries_under(manifest: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """The entries in `files` of a manifest whose relative path begins with `prefix`."""
    return [entry for entry in manifest["files"] if entry["path"].startswith(prefix)]


def unlisted_files(path: str, listed: Iterable[Mapping[str, Any]], folder: str) -> Iterator[str]:
    """Relative paths of files in a folder of an artifact that are not among the listed entries.

    What systems put beside files, such as `.DS_Store`, is passed over.

    Args:
        path: the artifact's directory.
        listed: entries of `files` in its manifest.
        folder: relative to the directory.
    """
    names = {entry["path"] for entry in listed}
    for name in storage.walk_files(os.path.join(path, folder)):
        if f"{folder}/{name}" not in names and not is_system_file(name):
            yield f"{folder}/{name}"


def verify_files(path: str, manifest: Mapping[str, Any], prefix: str = "") -> None:
    """Checks size and SHA-256 of the files that the manifest lists.

    Args:
        path: the artifact's directory.
        manifest: the result of `read_manifest`.
        prefix: checks only files whose relative path starts with it.

    Raises:
        RunError: names the first file that is absent or differs.
    """
    for entry in entries_under(manifest, prefix):
        file_path = resolve(path, entry["path"])
        size = _size(file_path)
        if size != entry["bytes"] or storage.sha256(file_path) != entry["sha256"]:
            raise RunError(
                f"{file_path} must have the SHA-256 of its manifest ({entry['sha256'][:12]}..., "
                f"{entry['bytes']} bytes), but differs; it was changed or damaged, so write the "
                "artifact again."
            )


def local_copy(path: str, manifest: Mapping[str, Any], prefix: str = "") -> str:
    """The artifact on a disk of this machine, some of its files checked by their SHA-256.

    Args:
        path: the artifact's directory or URL.
        manifest: the result of `read_manifest`.
        prefix: files whose relative path starts with it are checked, and only these are there if
            the artifact is on an object store.

    Returns:
        Its directory, or one in the cache of this machine.

    Raises:
        RunError: names the first file that is absent or differs.
    """
    if storage.is_remote(path):
        return storage.local_folder(path, entries_under(manifest, prefix))
    verify_files(path, manifest, prefix)
    return path


def check_sizes(path: str, entries: Iterable[Mapping[str, Any]]) -> None:
    """Checks that files exist and have the sizes of the manifest, without reading them.

    Args:
        path: the artifact's directory.
        entries: of `files` in its manifest.

    Raises:
        RunError: names the first file that is absent or of another size.
    """
    for entry in entries:
        file_path = resolve(path, entry["path"])
        size = _size(file_path)
        if size != entry["bytes"]:
            raise RunError(
                f"{file_path} must have the {entry['bytes']} bytes of its manifest, got {size}; it "
                "was changed or damaged, so write the artifact again."
            )


def _size(path: str) -> int:
    """The size of a file of a complete artifact.

    Raises:
        RunError: it is absent.
    """
    try:
        return storage.size(path)
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"{path} must exist, but is missing; write the artifact again.") from None


def to_json(value: Mapping[str, Any]) -> bytes:
    """JSON for people and for comparison: sorted keys, two spaces, ASCII, final newline."""
    return (json.dumps(value, sort_keys=True, indent=2) + "\n").encode("ascii")


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as JSON gives them back: tuples become lists."""
    return json.loads(json.dumps(dict(options)))
