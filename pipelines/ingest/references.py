"""The sets that a run compares its input with: the base that it extends, and a held-out set."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.pipelines.common.flags import crop_flags
from facemill.pipelines.ingest.framings import COLUMNS as FRAMING_COLUMNS
from facemill.pipelines.ingest.options import IngestOptions
from facemill.pipelines.ingest.selection import NameLists, flag_of, written
from facemill.transforms import storage
from facemill.transforms.core.errors import UsageError, naming
from facemill.transforms.core.row_ids import BASE, HELD_OUT
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.identity_names import EXACT, compared_form
from facemill.transforms.dataset.outcomes import CONFLICT, DROPPED, DUPLICATE, KEPT, REJECTED
from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.dataset.parquet_parts import read_part
from facemill.transforms.duplicates.choices import COPY_DIFFERENCE
from facemill.transforms.faces.crop import CropConfig
from facemill.transforms.scan.listing import image_key
from facemill.transforms.scan.staging import metadata_of_origin
from facemill.transforms.selection.rules import EFFECTIVE_NUMBER, OVERSAMPLE
from facemill.transforms.sources import registry
from facemill.transforms.sources.base import Source
from facemill.transforms.sources.dataset import DatasetRecords, verify_dataset

KIND = "dataset"
# Options that may differ between the versions of a dataset: where the new images come from, and
# which images are excluded. An exclusion holds for the complete new version: a later version may
# change it, but not drop it.
_EXCLUDING = ("exclude_dataset", "include_identities", "exclude_identities")
_FREE = ("format", "image_column", "label_column", "key", "append_to", *_EXCLUDING)
# Outcomes besides kept of the images of a dataset that the input is compared with. An image that
# the base rejected may come again in a better file; of a held-out set all identities count, those
# of its rejected images too.
_COMPARED = {
    BASE: (CONFLICT, DUPLICATE, DROPPED),
    HELD_OUT: (CONFLICT, DUPLICATE, DROPPED, REJECTED),
}
# What an option was in datasets from before there was the option.
_BEFORE = {"match_names": EXACT, "identities": True, "copy_difference": COPY_DIFFERENCE}
_EXAMPLES = 3
# Advice for a held-out set that cannot be read: the options of a format are for the input alone.
_ADVICE = "check the path, or ingest these images by themselves and give that dataset"


@dataclass(frozen=True)
class ReferenceSet:
    """A set of images that the input is compared with, and that are not written.

    Attributes:
        source: of the images.
        tasks: its parts.
        origin: BASE or HELD_OUT, see `transforms.core.row_ids`.
        crop_config: how its photos become crops like those of the run.
        name: what identifies it in a manifest: a dataset's fingerprint, or a folder's name.
    """

    source: Source
    tasks: Sequence[str]
    origin: int
    crop_config: CropConfig
    name: str

    @property
    def option(self) -> str:
        """The option that names the set."""
        return "append_to" if self.origin == BASE else "exclude_dataset"

    @property
    def flag(self) -> str:
        """The flag of that option."""
        return flag_of(self.option)


def photo_sizes(reference: ReferenceSet, staging: str) -> Iterator[pa.Table]:
    """Tables of width and height of the photos of a set, in pixels.

    The records of a dataset are crops; its index has the sizes of the photos.

    Args:
        reference: the set.
        staging: the staging folder of the run that has scanned it.
    """
    if not isinstance(reference.source, DatasetRecords):
        yield from metadata_of_origin(staging, reference.origin, FRAMING_COLUMNS)
        return
    for part in reference.tasks:
        yield read_part(artifact.resolve(reference.source.root, part), FRAMING_COLUMNS)


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
        """Version number of the new dataset."""
        return self.manifest.get("version", 1) + 1

    @property
    def index(self) -> list[str]:
        """Paths of its index parts, relative to it."""
        return [entry["path"] for entry in artifact.entries_under(self.manifest, "index/")]

    @property
    def shared(self) -> list[dict[str, Any]]:
        """Manifest entries of the files that the new version shares: shards and index parts."""
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
    root = storage.absolute(path, "append_to")
    manifest = _read_manifest(root)
    verify_dataset(root, manifest)
    return Base(root, manifest)


def check_base(base: Base, options: dict[str, Any]) -> None:
    """Refuses to add to a dataset with other options than those that it was made with.

    Args:
        base: see `Base`.
        options: of the run, as its manifest will have them.

    Raises:
        UsageError: an option differs, or a rule would change records that are written already.
    """
    there, here = {**_BEFORE, **base.manifest["options"]}, artifact.plain(options)
    for name in sorted(set(here) - set(_FREE)):
        if here[name] != there.get(name):
            raise UsageError(
                f"--append-to must be given the options that its dataset was made with, but "
                f"{flag_of(name)} is {written(name, here[name])} here and "
                f"{written(name, there.get(name))} there; give the same."
            )
    for name in _EXCLUDING:
        if there.get(name) is not None and here.get(name) is None:
            raise UsageError(
                f"--append-to must keep away what its dataset kept away, which was made with "
                f"{flag_of(name)}, but that is not given here; give it again, the same or a newer "
                "one."
            )
    for rule in options["balance"]:
        if rule["kind"] in (OVERSAMPLE, EFFECTIVE_NUMBER):
            raise UsageError(
                f"--append-to must leave the records of its dataset as they are, but --balance "
                f"{rule['kind']} depends on all of them; ingest the whole collection anew."
            )


def check_names(base: Base, lists: NameLists) -> None:
    """Refuses lists of identities that records of the base contradict.

    Args:
        base: see `Base`.
        lists: that the options name.

    Raises:
        UsageError: a record has an excluded identity, or one that is not among those included.
    """
    for option, listed_names, leaves_out in (
        ("exclude_identities", lists.exclude, True),
        ("include_identities", lists.include, False),
    ):
        if listed_names is None:
            continue
        match = base.manifest["options"].get("match_names", EXACT)
        found: Counter[str | None] = Counter()
        for part in base.index:
            rows = read_part(artifact.resolve(base.root, part), ["identity", "outcome"])
            kept = rows.filter(pc.equal(rows["outcome"], KEPT))["identity"]
            for entry in kept.value_counts().to_pylist():
                # Datasets from before there was a normal form have names as sources spell them.
                name = entry["values"] and compared_form(entry["values"], match)
                if (name in listed_names) == leaves_out:
                    found[entry["values"]] += entry["counts"]
        if found:
            first = ", ".join(sorted(name or "nobody" for name in found)[:_EXAMPLES])
            raise UsageError(
                f"--append-to must have no records of identities that {flag_of(option)} leaves "
                f"out, since a version keeps all records of the one before, but it has "
                f"{found.total():,} of {len(found):,} ({first}); ingest the whole collection anew."
            )


def check_exclude(options: IngestOptions) -> None:
    """Refuses a held-out set in a run that compares no images.

    Raises:
        UsageError: --exclude-dataset is given with --dedup off.
    """
    if options.exclude_dataset is not None and options.dedup == "off":
        raise UsageError(
            "--exclude-dataset must go with a search for its photos, got it with --dedup off; "
            "give --dedup exact, which costs next to nothing, or --exclude-identities for names "
            "alone."
        )


def reference_sets(
    options: IngestOptions, crop_config: CropConfig, base: Base | None
) -> list[ReferenceSet]:
    """The reference sets of a run.

    Args:
        options: of the run.
        crop_config: of the run.
        base: the dataset that the run adds to, or None.

    Raises:
        UsageError: the held-out set cannot be used.
        RunError: a file of a held-out dataset is absent or differs from its manifest.
    """
    found = []
    if base is not None:
        found.append(_of_dataset(base.root, base.manifest, BASE, crop_config, "--append-to"))
    if options.exclude_dataset is not None:
        # The errors of a source name the parameter `input`.
        with naming({"input": "--exclude-dataset"}):
            root = storage.absolute(options.exclude_dataset, "input")
            found.append(_held_out(root, crop_config))
    return found


def write_base_keys(base: Base, path: str) -> None:
    """Writes the keys of all images that the base lists; the listing skips these images.

    Args:
        base: see `Base`.
        path: of a file of uint64 in increasing order, in numpy's format.
    """
    keys = [
        np.fromiter(map(image_key, _image_ids(base.root, part)), np.uint64) for part in base.index
    ]
    with storage.new_file(path, sync=False) as stream:
        np.save(stream, np.sort(np.concatenate(keys)))


def share_files(base: Base, files: OutputFiles) -> None:
    """Links the files that both versions share, lets the store copy them, or copies them."""
    for entry in base.shared:
        source = artifact.resolve(base.root, entry["path"])
        target = files.path(entry["path"])
        storage.make_folders(os.path.dirname(target))
        storage.link_or_copy(source, target)


def _image_ids(root: str, part: str) -> Iterable[str]:
    return read_part(artifact.resolve(root, part), ["image_id"])["image_id"].to_pylist()


def _held_out(root: str, crop_config: CropConfig) -> ReferenceSet:
    if artifact.has_manifest(root):
        manifest = _read_manifest(root)
        reference = _of_dataset(root, manifest, HELD_OUT, crop_config, "--exclude-dataset")
        verify_dataset(root, manifest)
        return reference
    with naming({}, do=_ADVICE):
        source = registry.build(registry.guess(root), root)
        return ReferenceSet(source, source.tasks(), HELD_OUT, crop_config, os.path.basename(root))


def _read_manifest(root: str) -> dict[str, Any]:
    """The manifest of a dataset, checked for all keys that this module reads.

    Raises:
        UsageError: a key is missing or malformed.
    """
    manifest = artifact.read_manifest(root, KIND)
    path = storage.join(root, artifact.MANIFEST)
    for name, is_sound in _SOUND.items():
        try:
            sound = is_sound(manifest[name])
        except (AttributeError, KeyError, TypeError, ValueError):
            sound = False
        if not sound:
            raise UsageError(
                f"{path} must tell {name} of its dataset, but does not; it was changed or damaged, "
                "so write the dataset again."
            )
    if not artifact.entries_under(manifest, "index/"):
        raise UsageError(
            f"{path} must list the parts of an index, but lists none; it was changed or damaged, "
            "so write the dataset again."
        )
    return manifest


# The keys of a manifest that this module reads, and what must hold of each value.
_SOUND: dict[str, Callable[[Any], bool]] = {
    "counts": lambda counts: isinstance(counts["listed"], int),
    "files": lambda files: all(
        isinstance(one["path"], str) and isinstance(one["sha256"], str) and one["bytes"] >= 0
        for one in files
    ),
    "options": lambda options: isinstance(options, dict),
    "preprocessing": lambda crop_config: bool(CropConfig.from_manifest(crop_config)),
    "source": lambda source: int(source["fingerprint"], 16) >= 0,
    "splits": lambda splits: all(
        one["records"] >= 0 and all(isinstance(name, str) for name in one["shards"])
        for one in splits.values()
    ),
}


def _of_dataset(
    root: str, manifest: dict[str, Any], origin: int, crop_config: CropConfig, flag: str
) -> ReferenceSet:
    there = CropConfig.from_manifest(manifest["preprocessing"])
    if not there.same_region(crop_config):
        raise UsageError(
            f"{flag} must be a dataset whose photos were framed alike, but it has "
            f"{crop_flags(there.to_manifest())}; give the same here."
        )
    # Its records are crops already: they are resized where the sizes differ, never cropped again.
    source = DatasetRecords(root, manifest, _COMPARED[origin], quarantined=origin == HELD_OUT)
    name = artifact.fingerprint(manifest)
    return ReferenceSet(source, source.tasks(), origin, CropConfig(crop_config.size, "none"), name)
