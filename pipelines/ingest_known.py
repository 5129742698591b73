"""Images that a run compares its input with: a dataset it adds to, a set it keeps apart from."""

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipelines.options.ingest import IngestOptions
from transforms import artifact, storage
from transforms.errors import UsageError
from transforms.framing import Look
from transforms.listing import image_key
from transforms.places import HELD_OUT, OLD
from transforms.sources import registry
from transforms.sources.base import Source
from transforms.sources.dataset import DatasetRecords, verify_dataset

KIND = "dataset"
# Options that may differ between the versions of a dataset: where the new images come from, and
# what is kept away from them.
_FREE = (
    *("format", "image_column", "label_column"),
    *("exclude_dataset", "append_to", "include_identities", "exclude_identities"),
)


@dataclass(frozen=True)
class Known:
    """A set of images that are compared with and not written.

    Attributes:
        source: of the images.
        tasks: its parts.
        origin: OLD or HELD_OUT, see `transforms.places`.
        look: how its pictures become squares like those of the run.
        name: what tells it in a manifest: a dataset's fingerprint, or a folder's name.
    """

    source: Source
    tasks: Sequence[str]
    origin: int
    look: Look
    name: str


@dataclass(frozen=True)
class Base:
    """The dataset of which a run makes a new version.

    Attributes:
        root: its absolute path.
        manifest: its manifest.
    """

    root: str
    manifest: dict[str, Any]

    @property
    def version(self) -> int:
        """Of the dataset that is made."""
        return self.manifest.get("version", 1) + 1

    @property
    def index(self) -> list[str]:
        """Paths of its index parts, relative to it."""
        return [one["path"] for one in self.manifest["files"] if one["path"].startswith("index/")]

    @property
    def shared(self) -> list[dict[str, Any]]:
        """Entries of the files that the new version has too: shards and index parts."""
        names = {name for split in self.manifest["splits"].values() for name in split["shards"]}
        names.update(self.index)
        return [one for one in self.manifest["files"] if one["path"] in names]


def read_base(path: str | None) -> Base | None:
    """The dataset of `--append-to`, its files checked against its manifest.

    Raises:
        UsageError: it is no dataset.
        RunError: a file is absent or differs.
    """
    if path is None:
        return None
    root = storage.absolute(path, "--append-to")
    manifest = artifact.read_manifest(root, KIND)
    verify_dataset(root, manifest)
    return Base(root, manifest)


def check_base(base: Base, options: dict[str, Any]) -> None:
    """Refuses to add to a dataset in another way than it was made.

    Args:
        base: see `Base`.
        options: of the run, as its manifest will have them.

    Raises:
        UsageError: an option differs, or a rule would change records that are written already.
    """
    there, here = base.manifest["options"], artifact.plain(options)
    for name in sorted(set(here) - set(_FREE)):
        if here[name] != there.get(name):
            raise UsageError(
                f"--append-to must be given the options that its dataset was made with, but "
                f"{name} is {here[name]!r} here and {there.get(name)!r} there; give the same."
            )
    for rule in options["balance"]:
        if rule["kind"] in ("oversample", "effective-number"):
            raise UsageError(
                f"--append-to must leave the records of its dataset as they are, but --balance "
                f"{rule['kind']} depends on all of them; ingest the whole collection anew."
            )


def known_sets(options: IngestOptions, look: Look, base: Base | None) -> list[Known]:
    """What the run compares its input with.

    Args:
        options: of the run.
        look: of the run.
        base: the dataset that it adds to, or None.

    Raises:
        UsageError: the held-out set cannot be used.
        RunError: a file of a held-out dataset is absent or differs from its manifest.
    """
    found = []
    if base is not None:
        found.append(_of_dataset(base.root, base.manifest, OLD, look, "--append-to"))
    if options.exclude_dataset is not None:
        root = storage.absolute(options.exclude_dataset, "--exclude-dataset", remote=True)
        found.append(_held_out(root, look))
    return found


def write_known_keys(base: Base, path: str) -> None:
    """Writes the keys of all images that the dataset lists, for the listing to leave them out.

    Args:
        base: see `Base`.
        path: of a file of uint64 in increasing order, in numpy's format.
    """
    keys = [
        np.fromiter(map(image_key, _image_ids(base.root, part)), np.uint64) for part in base.index
    ]
    np.save(path, np.sort(np.concatenate(keys)))


def share_files(base: Base, folder: str) -> None:
    """Gives a folder the files that both versions have, without a second copy where possible."""
    for entry in base.shared:
        source, target = (artifact.resolve(root, entry["path"]) for root in (base.root, folder))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            # Another disk, or one without links.
            shutil.copyfile(source, target)


def _image_ids(root: str, part: str) -> Iterable[str]:
    return pq.read_table(artifact.resolve(root, part), columns=["image_id"])["image_id"].to_pylist()


def _held_out(root: str, look: Look) -> Known:
    if artifact.is_unfinished(root):
        raise UsageError(
            f"--exclude-dataset must be images or a complete dataset, but {root} is what an "
            "unfinished run left; run the command that writes it to its end."
        )
    if storage.is_file(storage.join(root, artifact.MANIFEST)):
        manifest = artifact.read_manifest(root, KIND)
        known = _of_dataset(root, manifest, HELD_OUT, look, "--exclude-dataset")
        verify_dataset(root, manifest)
        return known
    try:
        source = registry.build(registry.guess(root), root)
        return Known(source, source.tasks(), HELD_OUT, look, os.path.basename(root))
    except UsageError as error:
        # Sources speak of the input, since most of them are one, and of options that are its own.
        told = str(error).replace("--input", "--exclude-dataset").rpartition("; ")[0]
        raise UsageError(
            f"{told}; check the path, or ingest these images by themselves and give that dataset."
        ) from None


def _of_dataset(root: str, manifest: dict[str, Any], origin: int, look: Look, flag: str) -> Known:
    there = Look.from_manifest(manifest["preprocessing"])
    if not there.alike(look):
        raise UsageError(
            f"{flag} must be a dataset whose pictures were framed alike, but it has "
            f"{there.words}; give the same here."
        )
    # Its records are squares already: they are resized where the sizes differ, never cropped.
    source = DatasetRecords(root, manifest)
    name = artifact.fingerprint(manifest)
    return Known(source, source.tasks(), origin, Look(look.size, "none"), name)
