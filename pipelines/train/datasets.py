"""The dataset of a training run, or several that are trained on as one."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facemill.model.data import pairs_of_several, shard_files, validation_pairs
from facemill.model.data.aliases import Names, read_aliases
from facemill.model.data.collection import Collection, Labels, Part, check_alike, joined
from facemill.model.data.validation_pairs import Pairs
from facemill.model.data.vocabulary import Transform
from facemill.model.recipes.choices import MERGE, SEPARATE
from facemill.model.training.trainer import Data
from facemill.pipelines.common.report import figures, page, tables
from facemill.pipelines.train.options import TrainOptions
from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError, RunError
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.manifest_parts import read_complete

_NO_DUPLICATES = (
    "Copies of one photo in two of the datasets are not looked for; where there may be some, "
    "ingest the later ones with --append-to or --exclude-dataset."
)


@dataclass(frozen=True)
class Datasets:
    """Datasets whose images can be in one batch.

    Attributes:
        opened: (path, manifest) of each, in the order in which they were given.
        names: of their identities; of a single dataset its own.
        options: what of them changes the result, for the manifest.
    """

    opened: Sequence[tuple[str, dict[str, Any]]]
    names: Names
    options: Mapping[str, Any]

    @property
    def several(self) -> bool:
        """Whether there are two or more."""
        return len(self.opened) > 1

    @property
    def inputs(self) -> dict[str, str]:
        """Names of the inputs and their paths."""
        if not self.several:
            return {"dataset": self.opened[0][0]}
        return {f"dataset[{number}]": path for number, (path, _) in enumerate(self.opened)}

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest, or what several have together, where no identity counts as another."""
        manifests = [manifest for _, manifest in self.opened]
        if not self.several:
            return manifests[0]
        return joined(manifests, sum(one["splits"]["train"]["identities"] for one in manifests))

    def verify(self) -> None:
        """Compares the files on disks with their SHA-256.

        Raises:
            RunError: a file is missing or damaged.
        """
        for path, manifest in self.opened:
            # Of a dataset on a store each file is checked when it is downloaded.
            if not storage.is_remote(path):
                artifact.verify_files(path, manifest)

    def check_sizes(self) -> None:
        """Compares the sizes of all shards with the manifests, without reading them.

        Raises:
            RunError: a shard is missing or of another size.
        """
        for path, manifest in self.opened:
            names = [name for split in manifest["splits"].values() for name in split["shards"]]
            artifact.check_sizes(path, shard_files.entries_of(path, manifest, names))

    def load(self) -> Labels:
        """The transform of the dataset, or of all of them.

        Raises:
            RunError: one is damaged.
        """
        parts = [Part(path, manifest, _transform(path, manifest)) for path, manifest in self.opened]
        return Collection(parts, self.names) if self.several else parts[0].transform


@dataclass(frozen=True)
class Loaded:
    """What training reads.

    Attributes:
        data: the datasets and the validation pairs.
        described: what the manifest says of them.
        warnings: sentences about them.
        trained_names: of the identities that are trained on, as their datasets have them.
    """

    data: Data
    described: dict[str, Any]
    warnings: list[str]
    trained_names: Sequence[str]


def open_all(options: TrainOptions) -> Datasets:
    """Reads the manifests and the table of aliases.

    Raises:
        UsageError: one is no dataset, two are the same or differ in their images, or the table
            cannot be used.
    """
    opened = []
    for given in options.dataset:
        path = storage.absolute(given, "dataset")
        opened.append((path, read_complete(path, "dataset")))
    fingerprints = [artifact.fingerprint(manifest) for _, manifest in opened]
    if len(opened) == 1:
        return Datasets(opened, Names(MERGE), {"dataset_fingerprint": fingerprints[0]})
    for number, found in enumerate(fingerprints):
        if found in fingerprints[:number]:
            same = opened[fingerprints.index(found)][0]
            raise ParameterError(
                "dataset",
                opened[number][0],
                must="name each dataset once",
                but=f"{opened[number][0]} is the same as {same}",
                do="leave one of them out",
            )
    for path, manifest in opened:
        if not manifest["splits"]["train"]["records"]:
            raise ParameterError(
                "dataset",
                path,
                must="have images in the train split of each dataset",
                but=f"{path} has none",
                do="leave it out",
            )
    check_alike(opened)
    about: dict[str, Any] = {"dataset_fingerprint": fingerprints, "identities": options.identities}
    aliases: dict[tuple[int, str], str] = {}
    if options.aliases is not None:
        path = storage.absolute(options.aliases, "aliases")
        aliases = read_aliases(path, options.dataset)
        rows = sorted((number, identity, name) for (number, identity), name in aliases.items())
        about["aliases"] = hashlib.sha256(json.dumps(rows).encode("ascii")).hexdigest()
    return Datasets(opened, Names(options.identities, aliases), about)


def data_of(datasets: Datasets, transform: Labels, count: int, seed: int) -> Loaded:
    """The datasets with their validation pairs.

    Args:
        datasets: opened.
        transform: of `datasets.load`.
        count: largest number of validation pairs of each kind.
        seed: of their draw.

    Raises:
        RunError: the shards do not hold what an index says.
    """
    pairs: Pairs | None
    if not isinstance(transform, Collection):
        path, manifest = datasets.opened[0]
        pairs = validation_pairs.draw(path, manifest, count, seed)
        data = Data(path, manifest, transform, pairs)
        return Loaded(data, {}, [], transform.identities)
    pairs, left_out = pairs_of_several.draw(transform, count, seed)
    paths = ", ".join(path for path, _ in datasets.opened)
    data = Data(paths, transform.manifest, transform, pairs)
    described = {
        "datasets": [
            {
                "fingerprint": artifact.fingerprint(manifest),
                **{
                    split: {
                        key: manifest["splits"][split][key] for key in ("records", "identities")
                    }
                    for split in ("train", "val")
                    if split in manifest["splits"]
                },
            }
            for _, manifest in datasets.opened
        ],
        "identities_in_several_datasets": transform.in_several,
        "val_identities_left_out": left_out,
    }
    warnings = _warnings(transform, left_out)
    return Loaded(data, described, warnings, transform.trained_names())


def section(described: Mapping[str, Any]) -> page.Section:
    """The section of a report about several datasets.

    Args:
        described: the model manifest's own keys.
    """
    rows: list[list[tables.Cell]] = []
    for position, one in enumerate(described["datasets"], start=1):
        numbers = [
            one.get(split, {}).get(key, 0)
            for split in ("train", "val")
            for key in ("records", "identities")
        ]
        rows.append([f"{position}: {one['fingerprint'][:12]}", *numbers])
    columns = [
        tables.Column(name, True)
        for name in ("train records", "train identities", "val records", "val identities")
    ]
    cards = [
        figures.Card("Datasets", len(rows)),
        figures.Card("In several", described["identities_in_several_datasets"], "identities"),
        figures.Card("Left out of validation", described["val_identities_left_out"], "identities"),
    ]
    note = (
        "Datasets by position and fingerprint. Identities of one train split that are in another "
        "count once; val identities that are in a train split are left out of validation."
    )
    content: list[Any] = [figures.cards(cards), tables.table(["dataset", *columns], rows)]
    return page.Section("Datasets", content, note)


def _transform(path: str, manifest: dict[str, Any]) -> Transform:
    transform = Transform(path, manifest)
    expected = manifest["splits"]["train"]["identities"]
    if len(transform.identities) != expected:
        raise RunError(
            f"The dataset's transform must know the {expected} identities of its train split, got "
            f"{len(transform.identities)}; ingest again."
        )
    return transform


def _warnings(collection: Collection, left_out: int) -> list[str]:
    found = [_NO_DUPLICATES]
    shared = collection.in_several
    if shared and collection.names.how == MERGE:
        found.append(
            f"{shared:,} of {len(collection.identities):,} identities have one name in several "
            "datasets and count as one person each; where names are mere numbers, give "
            f"--identities {SEPARATE}."
        )
    unused = len(collection.names.aliases) - collection.aliases_used
    if unused:
        found.append(
            f"{unused:,} of {len(collection.names.aliases):,} rows of --aliases name no identity "
            "of the train split of their dataset."
        )
    if left_out:
        found.append(
            f"{left_out:,} identities of val splits are left out of validation, since they are in "
            "the train split of a dataset."
        )
    return found
