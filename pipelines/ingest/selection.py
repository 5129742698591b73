"""Makes the rules of selection and the manifest's options from the options of `facemill ingest`."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from facemill.pipelines.common.options import flag_of as flag_of_field
from facemill.pipelines.ingest.options import IngestOptions
from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.identity_filter import IdentityFilter, identity_key
from facemill.transforms.dataset.identity_lists import read_identities
from facemill.transforms.dataset.split_names import SPLITS
from facemill.transforms.images.quality import QualityThresholds
from facemill.transforms.selection.rules import CAP, MIN_IMAGES, Rule, in_order
from facemill.transforms.selection.selection import Selection
from facemill.transforms.sources.base import Source

# At most so many attributes are in a message.
_NAMED = 8


@dataclasses.dataclass(frozen=True)
class NameLists:
    """The identities that a person's files name; each file is read once.

    Attributes:
        include: of `include_identities`, or None.
        exclude: of `exclude_identities`, or None.
        splits: split and the identities that belong there, of each of `split_lists`.
    """

    include: frozenset[str] | None = None
    exclude: frozenset[str] | None = None
    splits: tuple[tuple[str, frozenset[str]], ...] = ()

    @property
    def named(self) -> Iterator[tuple[str, frozenset[str]]]:
        """The option of each list, and the identities that the list names."""
        if self.include is not None:
            yield "include_identities", self.include
        if self.exclude is not None:
            yield "exclude_identities", self.exclude
        yield from (("split_lists", names) for _, names in self.splits)


def read_name_lists(options: IngestOptions) -> NameLists:
    """Reads the files of identities that the options name.

    Raises:
        UsageError: a file cannot be read or names no identity.
    """

    def read(path: str | None, parameter: str) -> frozenset[str] | None:
        return None if path is None else read_identities(path, parameter, options.match_names)

    return NameLists(
        read(options.include_identities, "include_identities"),
        read(options.exclude_identities, "exclude_identities"),
        tuple(
            (split, read_identities(path, "split_lists", options.match_names))
            for split, path in options.split_lists
        ),
    )


def selection(options: IngestOptions, lists: NameLists) -> Selection:
    """The rules that the options ask for.

    Args:
        options: of the run.
        lists: that the options name.

    Raises:
        UsageError: two splits claim the same identity.
    """
    include = None if lists.include is None else _hashed(lists.include, options.seed)
    exclude = _hashed(lists.exclude or (), options.seed)
    rules = [Rule(MIN_IMAGES, options.min_images)] if options.min_images > 1 else []
    if options.max_images is not None:
        rules.append(Rule(CAP, options.max_images))
    return Selection(
        fractions=options.split,
        split_by=options.split_by,
        listed=_split_lists(lists, options.seed),
        rules=in_order((*rules, *options.balance)),
        prefer=options.prefer,
        identity_filter=IdentityFilter(include, exclude),
    )


def check_attribute(rules: Selection, source: Source) -> None:
    """Refuses a rule of an attribute that the source is known to lack, before images are read.

    Args:
        rules: see `selection`.
        source: of the images.

    Raises:
        UsageError: the source has no attribute of that name.
    """
    attributes = source.attributes() if rules.columns else None
    for column in rules.columns:
        if attributes is not None and column not in attributes:
            raise UsageError(no_attribute(column, attributes))


def no_attribute(column: str, attributes: Sequence[str]) -> str:
    """The error sentence for a rule of an attribute that is not among the images' attributes."""
    if attributes:
        others = " and others" if len(attributes) > _NAMED else ""
        named = ", ".join(attributes[:_NAMED]) + others
        but = f"they have {named}; name one of these"
    else:
        but = f"they have none; leave @{column} out, or give a manifest with such a column"
    return (
        f"--balance must name an attribute that images of the input have, got {column}, but {but}."
    )


def quality_thresholds(options: IngestOptions) -> QualityThresholds:
    """The quality below which an image is rejected."""
    return QualityThresholds(options.min_sharpness, options.min_contrast, options.brightness)


def result_options(options: IngestOptions, form: str, lists: NameLists) -> dict[str, Any]:
    """The options that change the result; the content of a file of names stands for the file."""
    return {
        "format": form,
        "image_column": options.image_column,
        "label_column": options.label_column,
        "key": options.key,
        "identities": options.identities,
        "image_size": options.image_size,
        "align": options.align,
        "detector": options.detector if options.align == "detect" else None,
        "crop_fraction": options.crop_fraction,
        "floor": dataclasses.asdict(quality_thresholds(options)),
        "dedup": options.dedup,
        "copy_difference": options.copy_difference,
        "on_conflict": options.on_conflict,
        "min_images": options.min_images,
        "max_images": options.max_images,
        "balance": [dataclasses.asdict(rule) for rule in options.balance],
        "prefer": options.prefer,
        "split": dict(options.split),
        "split_by": options.split_by,
        "split_lists": [[split, _digest(names)] for split, names in lists.splits],
        "seed": options.seed,
        "include_identities": _digest(lists.include),
        "exclude_identities": _digest(lists.exclude),
        "match_names": options.match_names,
    }


def flag_of(name: str) -> str:
    """The flag that sets an option of `result_options`."""
    if name == "floor":
        return "the floor of quality (--min-sharpness, --min-contrast, --brightness)"
    return flag_of_field(IngestOptions, name)


def written(name: str, value: Any) -> str:
    """An option of `result_options` as a person writes it on the command line.

    Args:
        name: of the option.
        value: as a manifest has it.
    """
    if value is None or value in ([], {}):
        return "not given"
    try:
        return _WRITTEN.get(name, str)(value)
    except (AttributeError, KeyError, TypeError, ValueError):
        # The manifest is of another version, or was edited.
        return json.dumps(value)


def _split_lists(lists: NameLists, seed: int) -> tuple[tuple[str, np.ndarray], ...]:
    claimed: dict[str, str] = {}
    found = []
    for split, names in lists.splits:
        for name in sorted(names):
            if claimed.setdefault(name, split) != split:
                raise UsageError(
                    f"--split-list must put an identity into one split, got {name} for "
                    f"{claimed[name]} and {split}; take it out of one list."
                )
        found.append((split, _hashed(names, seed)))
    return tuple(found)


def _rule(rule: Mapping[str, Any]) -> str:
    column = "" if rule["column"] is None else f"@{rule['column']}"
    return f"{rule['kind']}={rule['amount']:g}{column}"


def _thresholds(value: Mapping[str, Any]) -> str:
    low, high = value["brightness"]
    return f"{value['sharpness']:g}, {value['contrast']:g} and {low:g},{high:g}"


_WRITTEN: dict[str, Callable[[Any], str]] = {
    "balance": lambda rules: " ".join(map(_rule, rules)),
    "floor": _thresholds,
    "split": lambda shares: ",".join(
        f"{name}={shares[name]:g}" for name in SPLITS if shares.get(name)
    ),
    "split_lists": lambda lists: ", ".join(
        f"{split}=a list of {names['count']:,} ({names['fingerprint'][:8]})"
        for split, names in lists
    ),
}


def _hashed(names: Iterable[str], seed: int) -> np.ndarray:
    return np.sort(np.array([identity_key(seed, name) for name in names], np.uint64))


def _digest(names: frozenset[str] | None) -> dict[str, Any] | None:
    if names is None:
        return None
    return {"count": len(names), "fingerprint": artifact.fingerprint({"names": sorted(names)})}
