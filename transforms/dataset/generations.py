"""Artifacts that are replaced while others read them.

A manifest is replaced in one step, but the files that it names are not. So the files of each
version lie in a folder of their own: `_a` or `_b`, in turn. Whoever has read the old manifest finds
the old files until the version after the next one is written, and whoever reads the new manifest
finds the new ones.

On a disk, links with the files' own names lie beside the manifest, for programs that look for
`part-*.parquet`; these are replaced one by one.
"""

import os
from collections.abc import Mapping, Set
from typing import Any

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError

# Readers of Parquet folders pass over names that begin with an underscore.
GENERATIONS = ("_a", "_b")

_TEMPORARY = ".link-"


def check_replaceable(output: str, current: Mapping[str, Any]) -> None:
    """Checks that an artifact can be replaced while others read it.

    Args:
        output: absolute path or URL of the artifact.
        current: its manifest.

    Raises:
        UsageError: its files lie beside its manifest.
    """
    if current["files"] and not generation_of(current):
        raise ParameterError(
            "output",
            output,
            must="be new or written as a partition before",
            but=f"{output} holds files that would change under those who read them",
            do="give another name, or remove it",
        )


def next_one(current: Mapping[str, Any] | None) -> str:
    """The folder of the next version.

    Args:
        current: the manifest of the complete version; None if there is none.
    """
    first, second = GENERATIONS
    return second if current is not None and generation_of(current) == first else first


def generation_of(manifest: Mapping[str, Any]) -> str:
    """The folder in which the files of an artifact lie, or "" if they lie beside its manifest."""
    folders = {entry["path"].split("/")[0] for entry in manifest["files"]}
    return next((one for one in GENERATIONS if one in folders), "")


def own_name(path: str) -> str:
    """The path of a file of an artifact without the folder of its version.

    Args:
        path: relative to the artifact, as its manifest has it.
    """
    folder, _, name = path.partition("/")
    return name if folder in GENERATIONS else path


def clear(output: str, current: Mapping[str, Any], keep: Set[str]) -> None:
    """Removes all but the complete version: the one before it, and what a killed run left.

    Args:
        output: absolute path or URL of the artifact.
        current: its manifest.
        keep: further names to keep.
    """
    kept = {entry["path"].split("/")[0] for entry in current["files"]}
    kept |= {own_name(entry["path"]).split("/")[0] for entry in current["files"]}
    for name in storage.names(output):
        if name not in kept | keep and name != storage.LEASE:
            storage.remove(os.path.join(output, name))


def link_newest(output: str, manifest: Mapping[str, Any], generation: str) -> None:
    """Puts links to the files of the newest version beside its manifest; not on an object store.

    Args:
        output: absolute path or URL of the artifact.
        manifest: of the newest version.
        generation: its folder.
    """
    if storage.is_remote(output):
        return
    names = {own_name(entry["path"]) for entry in manifest["files"]}
    kept = {name.split("/")[0] for name in names} | set(GENERATIONS)
    for name in sorted(names):
        target = os.path.join(output, name)
        temporary = os.path.join(output, f"{_TEMPORARY}{os.path.basename(name)}")
        storage.make_folders(os.path.dirname(target))
        storage.remove(temporary)
        storage.link_or_copy(os.path.join(output, generation, name), temporary)
        storage.move(temporary, target)
    for found in sorted(storage.walk_files(output)):
        top = found.split("/")[0]
        is_old = found.endswith(".parquet") and top not in GENERATIONS and found not in names
        if is_old or (top not in kept and top.startswith(_TEMPORARY)):
            storage.remove(os.path.join(output, found))
